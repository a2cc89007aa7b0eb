//! From a plan to signed events, and their rehearsal.

use std::collections::BTreeMap;

use rayon::prelude::*;

use super::plan::{
    Parcel, Plan, PlannedGift, PlannedParty, PlannedPublication, PlannedShipment, PlannedSource,
    Step,
};
use crate::model::date::{Date, UnixMs};
use crate::model::draft::Draft;
use crate::model::encoding::{List, Malformed};
use crate::model::entry::SignedEvent;
use crate::model::event::*;
use crate::model::hash::{Digest32, EventHash, LeafHash, context_hash};
use crate::model::ident::{EntryIndex, Handle, KeyBytes};
use crate::model::key::SecretKey;
use crate::model::state::{History, Recorded, State};
use crate::model::text::Text;
use crate::model::violation::Violation;

const NONCE_CONTEXT: &[u8] = b"\xffgiftproof import nonce v1\0";

/// The keys that an import signs with.
#[derive(Default)]
pub struct Keyring {
    /// Keys of parties. A party that is in no ledger yet is enrolled with the key that is here.
    pub parties: BTreeMap<Handle, SecretKey>,
    /// Registrars who vouch for new parties.
    pub registrars: BTreeMap<Handle, SecretKey>,
}

/// Turns plans into signed events.
pub struct Signing<'a> {
    /// The ledger's genesis hash.
    pub genesis: LeafHash,
    /// The keys.
    pub keys: &'a Keyring,
    /// The moment of signing. The same plan, keys and moment give the same events, so that an
    /// import which a crash cut short can be completed: what is in the log already stays once.
    pub signed_at: UnixMs,
}

/// Why a plan cannot be signed.
#[derive(Debug, thiserror::Error)]
pub enum SigningError {
    /// Nobody gave the key of a party that must sign.
    #[error("there is no key for {0}")]
    NoKey(Handle),
    /// An event cannot hold what the plan wants.
    #[error("{code} in step {step}")]
    Malformed {
        /// The step of the plan.
        step: usize,
        /// The stable code.
        code: &'static str,
    },
}

/// A draft, and who signs it.
struct Unsigned<'a> {
    draft: Draft,
    keys: Vec<&'a SecretKey>,
    step: usize,
}

impl<'a> Signing<'a> {
    /// Signs the plan's parties that `known` does not hold yet, which list it is, and its steps.
    ///
    /// # Errors
    /// See [`SigningError`]; nothing has been handed to anybody then.
    pub fn sign(&self, plan: &Plan, known: &State) -> Result<Vec<SignedEvent>, SigningError> {
        let mut unsigned = Vec::new();
        for (handle, party) in &plan.parties {
            if known.parties.get(handle).is_none() {
                unsigned.push(self.enrolment(plan, handle, party)?);
            }
        }
        unsigned.push(self.source(plan)?);
        let mut gifts = BTreeMap::new();
        for (at, step) in plan.steps.iter().enumerate() {
            match step {
                Step::Gift(gift) => {
                    let event = self.gift(plan, at, gift)?;
                    let frame = event.draft.frame().map_err(|m| malformed(at, m))?;
                    gifts.insert(at, frame.hash(&self.genesis));
                    unsigned.push(event);
                }
                Step::Shipment(shipment) => {
                    let goods = goods(shipment, &gifts);
                    unsigned.extend(self.shipment(plan, at, shipment, &goods)?);
                }
                Step::Publication(publication) => {
                    unsigned.push(self.publication(plan, at, publication)?);
                }
            }
        }
        // Hashes do not depend on signatures, so that all of them can be made at once.
        let sign = |event: &Unsigned| {
            let signed = event.draft.sign(&self.genesis, &event.keys);
            signed.map_err(|m| malformed(event.step, m))
        };
        unsigned.par_iter().map(sign).collect()
    }

    /// A draft whose nonce is made from what is imported and what this event is in it.
    fn draft(
        &self,
        event: &str,
        plan: &Plan,
        statement: impl Into<Statement>,
        on: Option<Date>,
    ) -> Draft {
        let PlannedSource { list, map, .. } = &plan.source;
        let parts: [&[u8]; 3] = [list.as_bytes(), map.as_bytes(), event.as_bytes()];
        let nonce = context_hash(NONCE_CONTEXT, &parts);
        let nonce = *nonce.first_chunk().expect("32 bytes begin with 16");
        let mut draft = Draft::new(statement, self.signed_at, nonce);
        draft.occurred_on = on;
        draft
    }

    fn key(&self, handle: &Handle) -> Result<&'a SecretKey, SigningError> {
        self.keys.parties.get(handle).ok_or_else(|| SigningError::NoKey(handle.clone()))
    }

    fn enrolment(
        &self,
        plan: &Plan,
        handle: &Handle,
        party: &PlannedParty,
    ) -> Result<Unsigned<'a>, SigningError> {
        let own = self.key(handle)?;
        let statement = PartyEnrolled {
            handle: handle.clone(),
            kind: party.kind,
            roles: party.roles.clone(),
            particulars: party.particulars.clone(),
            key: own.public().into(),
        };
        let draft = self.draft(&format!("party {handle}"), plan, statement, None);
        let mut draft = draft.signer(Capacity::NewKey, Some(handle), own.public().into());
        let mut keys = vec![own];
        for (registrar, key) in &self.keys.registrars {
            draft = draft.signer(Capacity::Registrar, Some(registrar), key.public().into());
            keys.push(key);
        }
        Ok(Unsigned { draft, keys, step: 0 })
    }

    /// A draft that one party signs.
    fn by(
        &self,
        step: usize,
        draft: Draft,
        capacity: Capacity,
        handle: &Handle,
    ) -> Result<Unsigned<'a>, SigningError> {
        let key = self.key(handle)?;
        let draft = draft.signer(capacity, Some(handle), KeyBytes::from(key.public()));
        Ok(Unsigned { draft, keys: vec![key], step })
    }

    /// Which list was imported.
    fn source(&self, plan: &Plan) -> Result<Unsigned<'a>, SigningError> {
        let attestation = Attestation {
            evidence: EvidenceKind::Publication,
            text: plan.source.about.clone(),
            url: Text::default(),
            from: None,
            until: None,
            held_by: None,
            recipient_name: Text::default(),
            shipment: None,
            goods: List::default(),
            listed: List::default(),
        };
        let mut draft = self.draft("source", plan, attestation, None);
        let document = |number: &str, sha256: Digest32| {
            let number = Text::new(number).expect("a short word is a text");
            Document { kind: DocumentKind::Other, number, sha256: Some(sha256) }
        };
        draft.documents =
            vec![document("list", plan.source.list), document("map", plan.source.map)];
        self.by(0, draft, Capacity::Speaker, &plan.source.speaker)
    }

    fn gift(
        &self,
        plan: &Plan,
        step: usize,
        gift: &PlannedGift,
    ) -> Result<Unsigned<'a>, SigningError> {
        let mut draft = self.draft(&format!("gift {step}"), plan, gift.donation.clone(), gift.on);
        draft.documents = gift.documents.clone();
        let taker = gift.donation.taker.as_ref().expect("every planned gift names its taker");
        self.by(step, draft, Capacity::Taker, taker)
    }

    fn shipment(
        &self,
        plan: &Plan,
        step: usize,
        shipment: &PlannedShipment,
        goods: &[(Goods, u64)],
    ) -> Result<Vec<Unsigned<'a>>, SigningError> {
        let id = &shipment.dispatch.shipment;
        let taker = &shipment.dispatch.taker;
        let portions = goods.iter().map(|(goods, n)| Portion::new(goods.clone(), *n)).collect();
        let portions = List::new(portions).map_err(|m| malformed(step, m))?;
        let dispatch = Dispatch { portions, ..shipment.dispatch.clone() };
        let mut draft =
            self.draft(&format!("dispatch {step}"), plan, dispatch, shipment.dispatched_on);
        draft.documents = shipment.documents.clone();
        let mut events = vec![self.by(step, draft, Capacity::Holder, &id.giver)?];
        if shipment.delivered_on.is_some() {
            let delivery = Delivery {
                shipment: id.clone(),
                place: shipment.place.clone(),
                waybill: shipment.dispatch.waybill.clone(),
                time: Text::default(),
            };
            let draft =
                self.draft(&format!("delivery {step}"), plan, delivery, shipment.delivered_on);
            events.push(self.by(step, draft, Capacity::Holder, &id.giver)?);
        }
        if shipment.received_on.is_some() {
            let arrival = |(goods, quantity): &(Goods, u64)| Arrival {
                goods: goods.clone(),
                accepted: *quantity,
                pending: 0,
                damaged: 0,
                rejected: 0,
                surplus: 0,
                actual: None,
            };
            let arrivals = List::new(goods.iter().map(arrival).collect());
            let receipt = Receipt {
                shipment: Some(id.clone()),
                giver: None,
                purpose: None,
                closing: true,
                package_count: None,
                temperature: Text::default(),
                arrivals: arrivals.map_err(|m| malformed(step, m))?,
            };
            let draft = self.draft(&format!("receipt {step}"), plan, receipt, shipment.received_on);
            events.push(self.by(step, draft, Capacity::Taker, taker)?);
        }
        Ok(events)
    }

    fn publication(
        &self,
        plan: &Plan,
        step: usize,
        publication: &PlannedPublication,
    ) -> Result<Unsigned<'a>, SigningError> {
        let mut draft = self.draft(
            &format!("publication {step}"),
            plan,
            publication.attestation.clone(),
            publication.on,
        );
        draft.documents = publication.documents.clone();
        self.by(step, draft, Capacity::Speaker, &publication.speaker)
    }
}

/// The goods of a shipment, by the gifts' hashes.
fn goods(shipment: &PlannedShipment, gifts: &BTreeMap<usize, EventHash>) -> Vec<(Goods, u64)> {
    let goods = |parcel: &Parcel| {
        let gift = gifts.get(&parcel.gift).expect("a shipment comes after its gifts");
        let meant_for = Some(shipment.dispatch.taker.clone());
        let unit = UnitChoice::Stated;
        (Goods { gift: *gift, line: parcel.line, unit, meant_for }, parcel.quantity)
    };
    shipment.parcels.iter().map(goods).collect()
}

fn malformed(step: usize, Malformed { code }: Malformed) -> SigningError {
    SigningError::Malformed { step, code }
}

/// What the rules make of a series of events, on a copy.
#[derive(Debug)]
pub enum Rehearsed {
    /// All of them would be accepted; this is the state that they lead to.
    Accepted(Box<State>),
    /// One would be refused.
    Refused {
        /// Which, counted from 0.
        at: usize,
        /// Why.
        violation: Box<Violation>,
    },
}

/// Imported events look back at nothing but whether they came before among themselves.
struct Rehearsal {
    first: EntryIndex,
    events: Vec<Recorded>,
}

impl History for Rehearsal {
    fn event(&self, index: EntryIndex) -> Option<Recorded> {
        let at = usize::try_from(index.checked_sub(self.first)?).ok()?;
        self.events.get(at).cloned()
    }

    fn leaf(&self, _: EntryIndex) -> Option<LeafHash> {
        None
    }
}

/// Lets the rules judge events one after the other, without touching `state`.
///
/// # Errors
/// Where an event's bytes are not the one spelling of an event.
pub fn rehearse(
    state: &State,
    events: &[SignedEvent],
    recorded_at: UnixMs,
) -> Result<Rehearsed, Malformed> {
    let mut copy = state.clone();
    let mut past = Rehearsal { first: copy.size, events: Vec::new() };
    for (at, event) in events.iter().enumerate() {
        let event = event.clone().open(&copy.genesis)?;
        let recorded = Recorded { index: copy.size, recorded_at, event };
        let subjects = copy.subjects(&recorded.event, &past);
        let judged = copy.links(&subjects).and_then(|_| copy.apply(&recorded, &past));
        if let Err(violation) = judged {
            return Ok(Rehearsed::Refused { at, violation: Box::new(violation) });
        }
        // The copy is thrown away: what its chain would say does not matter.
        copy.advance_by_hash(recorded.index, recorded_at, copy.last_leaf, &[]);
        past.events.push(recorded);
    }
    Ok(Rehearsed::Accepted(Box::new(copy)))
}
