//! The rules: what the log's events, one after the other, make of parties, gifts and shipments
//! (spec sections 7 and 8).
//!
//! [`State::apply`] either lets an event change the state, or says which rule it breaks and changes
//! nothing. The writer asks it before an entry is made, the auditor while it replays the log; both
//! get the same answer, since it depends on nothing but the entries before.

mod account;
mod authority;
mod changes;
mod correct;
mod custody;
mod evidence;
mod gift;
mod gift_keys;
mod held;
mod kept;
mod lists;
mod parties;
mod record;
mod scope;
mod seal;
mod seen;
mod shelf;
mod shipment;
mod signed;
mod signers;
mod stored;

use std::collections::BTreeSet;
use std::sync::Arc;

use bincode::{Decode, Encode};

pub use super::changed::Tracked;
pub use account::{Account, Accounts, Book, Reached, Whereabouts};
pub use changes::{Changes, Shelved, Unshelved};
pub use evidence::Evidence;
pub use gift::{DisputeState, Gift, Late, Lowered};
pub use gift_keys::GiftKey;
pub use kept::{Keep, Kept, LABEL_LEN, Label};
pub use lists::{Campaign, NeedState, OrderState, RecallState};
pub use parties::{KeyOrigin, KeyRecord, Owner, Parties, Party, Standing};
pub use scope::Scope;
pub use seal::Sealed;
pub use shelf::{Head as ShelfHead, MemoryShelf, Place as ShelfPlace, Shelf, ShelfError};
pub use shipment::{Dated, Shipment};
pub use stored::ValuesWritten;

use correct::Held;
use gift::{Books, Fact};
use seal::Seals;
use seen::Seen;

use super::date::UnixMs;
use super::entry::{Link, Links, NO_LEAF, OpenEvent, Place};
use super::event::*;
use super::hash::{EventHash, LeafHash};
use super::ident::{EntryIndex, GiftId, Handle};
use super::seal::Rows;
use super::subject::{HashedSubject, Subject};
use super::text::Text;
use super::violation::{Code, Violation};

/// An event at its place, as the rules see it.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// The entry's index.
    pub index: EntryIndex,
    /// When it was recorded.
    pub recorded_at: UnixMs,
    /// The event.
    pub event: OpenEvent,
}

/// The entries before, for the few rules that look back.
pub trait History {
    /// The event at an index below the one that is being applied.
    fn event(&self, index: EntryIndex) -> Option<Recorded>;
    /// The leaf hash of an entry below the one that is being applied.
    fn leaf(&self, index: EntryIndex) -> Option<LeafHash>;
}

/// Everything that follows from the entries so far.
///
/// Its encoding is without gifts and shipments, which lie on shelves: [`State::write_values`] is for
/// those.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct State {
    /// How much of the log this follows from.
    scope: Scope,
    /// The log's name.
    pub origin: Text<255>,
    /// The leaf hash of entry 0.
    pub genesis: LeafHash,
    /// Parties and keys.
    pub parties: Parties,
    /// The rules, each with the entry from which it holds.
    pub rules: Vec<(EntryIndex, Rules)>,
    /// Gifts, in the order of their donations' hashes.
    pub gifts: Kept<Gift>,
    /// Shipments, in the order of the hashes of their ids.
    pub shipments: Kept<Shipment>,
    /// Recalls, by item and lot.
    pub recalls: Tracked<(Text<200>, Text<60>), Vec<RecallState>>,
    /// Needs.
    pub needs: Tracked<EventHash, NeedState>,
    /// Orders.
    pub orders: Tracked<EventHash, OrderState>,
    /// Public campaigns, by number; gifts from old lists make none.
    pub campaigns: Tracked<Text<60>, Campaign>,
    /// Attestations that speak of no gift.
    pub publications: Tracked<EntryIndex, ()>,
    events: Seen,
    rows: Rows,
    seals: Seals,
    /// How many entries have been taken in.
    pub size: u64,
    /// When the last of them was recorded.
    pub recorded_at: UnixMs,
    /// The leaf hash of the last entry.
    pub last_leaf: LeafHash,
}

impl State {
    /// Begins with entry 0. `leaf` is its leaf hash.
    ///
    /// # Errors
    /// `genesis/place` when it is no ledger-created event, or what its signers break.
    pub fn begin(entry: &Recorded, leaf: LeafHash) -> Result<Self, Violation> {
        let Some(Statement::LedgerCreated(genesis)) = &entry.event.statement else {
            let found = u64::from(entry.event.signed.frame.kind);
            return Err(Violation::new(Code::GenesisPlace, Kind::LedgerCreated as u64, found));
        };
        let parties = Parties::new(genesis)?;
        let mut state = Self {
            scope: Scope::Whole,
            origin: genesis.origin.clone(),
            genesis: leaf,
            parties,
            rules: vec![(0, genesis.rules.clone())],
            gifts: Kept::default(),
            shipments: Kept::default(),
            recalls: Tracked::default(),
            needs: Tracked::default(),
            orders: Tracked::default(),
            campaigns: Tracked::default(),
            publications: Tracked::default(),
            events: Seen::default(),
            rows: Rows::default(),
            seals: Seals::default(),
            size: 0,
            recorded_at: entry.recorded_at,
            last_leaf: NO_LEAF,
        };
        state.authorise_genesis(&entry.event.head, genesis)?;
        state.events.insert(&entry.event.hash, 0);
        state.advance(entry, leaf, &BTreeSet::from([Subject::Root]));
        Ok(state)
    }

    /// The rules that hold for an entry at this index.
    pub fn rules_at(&self, index: EntryIndex) -> &Rules {
        let begun = |(since, _): &&(EntryIndex, Rules)| *since < index.max(1);
        &self.rules.iter().rev().find(begun).expect("the first begin at entry 0").1
    }

    /// The rules that hold now.
    pub fn rules(&self) -> &Rules {
        self.rules_at(self.size)
    }

    /// The entry of an event that is in the log. Where an entry cannot be read that may be the
    /// event's, it is taken for another's: `history` knows why.
    pub fn index_of(&self, event: &EventHash, history: &dyn History) -> Option<EntryIndex> {
        let is_at = |index| history.event(index).is_some_and(|found| found.event.hash == *event);
        self.events.index_of(event, is_at)
    }

    /// The links that an event's entry must have now.
    ///
    /// # Errors
    /// `links/mismatch` when the event touches more subjects than an entry can link.
    pub fn links(&self, subjects: &BTreeSet<Subject>) -> Result<Links, Violation> {
        let hashed = Subject::hashed(subjects);
        let too_many = Violation::new(Code::LinksMismatch, SUBJECTS_MAX, hashed.len());
        Links::new(self.links_by_hash(&hashed)).map_err(|_| too_many)
    }

    /// As [`Self::links`], by hashes that differ; the result is ordered by them. There may be more
    /// than fit an entry.
    pub fn links_by_hash(&self, subjects: &[HashedSubject]) -> Vec<Link> {
        let link = |subject: &HashedSubject| {
            let before = self.rows.get(subject);
            let number = before.map_or(0, |row| row.number) + 1;
            Link { subject: subject.hash, number, previous: before.map(|row| row.place) }
        };
        let mut links: Vec<Link> = subjects.iter().map(link).collect();
        links.sort_unstable_by_key(|link| link.subject);
        links
    }

    /// Takes an entry's place in the log: every entry does, also one that the rules refuse.
    pub fn advance(&mut self, entry: &Recorded, leaf: LeafHash, subjects: &BTreeSet<Subject>) {
        self.advance_by_hash(entry.index, entry.recorded_at, leaf, &Subject::hashed(subjects));
    }

    /// As [`Self::advance`], also for an entry of a kind that this build does not know: its own
    /// links say what it touches.
    pub fn advance_by_hash(
        &mut self,
        index: EntryIndex,
        recorded_at: UnixMs,
        leaf: LeafHash,
        subjects: &[HashedSubject],
    ) {
        for subject in subjects {
            self.rows.touch(subject, Place { index, leaf });
        }
        self.size = index + 1;
        self.recorded_at = self.recorded_at.max(recorded_at);
        self.last_leaf = leaf;
        self.seals.advance(index, self.recorded_at);
    }

    /// What an event touches; a correction also what its target does.
    pub fn subjects(&self, event: &OpenEvent, history: &dyn History) -> BTreeSet<Subject> {
        let target = match &event.statement {
            Some(Statement::Correction(correction)) => self.target(correction, history),
            _ => None,
        };
        let statement = target.as_ref().and_then(|target| target.event.statement.as_ref());
        let mut subjects =
            event.subjects(statement.zip(target.as_ref().map(|target| target.event.hash)));
        // What an earlier correction brought in is touched when the next one takes it out.
        if let Some(target) = &target
            && let Held::Replaced(held) = self.held(target)
        {
            Subject::of_statement(&held, target.event.hash, &mut subjects);
        }
        subjects
    }

    /// The hashes of [`Self::subjects`].
    pub fn touched(&self, event: &OpenEvent, history: &dyn History) -> Vec<HashedSubject> {
        match &event.statement {
            // What its target touches, the event does not say.
            Some(Statement::Correction(_)) => Subject::hashed(&self.subjects(event, history)),
            _ => event.touched(),
        }
    }

    /// Lets an event change the state, or says which rule it breaks and changes nothing.
    ///
    /// Its signatures have been checked already, and its links are the caller's affair; an event
    /// of an unknown kind changes nothing.
    ///
    /// # Errors
    /// The first rule that it breaks, in the order of the spec.
    pub fn apply(&mut self, entry: &Recorded, history: &dyn History) -> Result<(), Violation> {
        let event = &entry.event;
        if let Some(index) = self.index_of(&event.hash, history) {
            return Err(Violation::new(Code::EventDuplicate, index, entry.index));
        }
        if let Some(anchor) = &event.head.anchor {
            let leaf = history.leaf(anchor.index).filter(|_| anchor.index < entry.index);
            let elsewhere = leaf.is_none() && self.scope.is_part() && anchor.index < entry.index;
            if leaf != Some(anchor.leaf) && !elsewhere {
                let expected = leaf.map_or(().into(), |leaf| leaf.into());
                let found = anchor.leaf.into();
                return Err(Violation { code: Code::AnchorMismatch, expected, found });
            }
        }
        if let Some(statement) = &event.statement {
            self.warm(statement, event.hash);
            self.authorise(&event.head, statement, entry, history)?;
            self.carry_out(statement, entry, history)?;
        }
        self.events.insert(&event.hash, entry.index);
        Ok(())
    }

    /// Lets an authorised statement take effect.
    ///
    /// What it expects of the signers holds: `authorise` asks for each of them by capacity and
    /// refuses whoever is left over, so that a capacity holds the one signer that was asked for,
    /// and no other. What it changes before it can still fail, `authorise` has checked too.
    fn carry_out(
        &mut self,
        statement: &Statement,
        entry: &Recorded,
        history: &dyn History,
    ) -> Result<(), Violation> {
        let index = entry.index;
        let head = &entry.event.head;
        match statement {
            Statement::PartyEnrolled(s) => self.parties.enrol(s, vouchers(head), index),
            Statement::KeyAdded(s) => self.parties.key_added(s, index),
            Statement::KeyRotated(s) => {
                let word =
                    |s: &Signer| matches!(s.capacity, Capacity::Registrar | Capacity::Operator);
                let recovered = head.signers.iter().any(word);
                self.parties.key_rotated(s, recovered, index)
            }
            Statement::KeyRevoked(s) => {
                self.parties.key_revoked(s, index);
                Ok(())
            }
            Statement::KeyCompromised(s) => {
                self.parties.key_compromised(s);
                Ok(())
            }
            Statement::PartyUpdated(s) => {
                self.parties.updated(s, vouchers(head), index);
                Ok(())
            }
            Statement::RegistrarsChanged(s) => self.parties.registrars_changed(s, index),
            Statement::OperatorRotated(s) => self.parties.operator_rotated(s, index),
            Statement::RulesChanged(s) => {
                self.rules.push((index, s.rules.clone()));
                Ok(())
            }
            Statement::NeedDeclared(s) => {
                let by = head.signer_as(Capacity::Recipient).and_then(|by| by.party.clone());
                let recipient = by.expect("checked with the signers");
                let event = entry.event.hash;
                let need = NeedState { event, index, recipient, need: s.clone(), closed: None };
                self.needs.insert(event, need);
                Ok(())
            }
            Statement::NeedClosed(s) => {
                let need = self.needs.get_mut(&s.need).expect("checked with the signers");
                need.closed = Some(index);
                Ok(())
            }
            Statement::Order(s) => {
                let by = head.signer_as(Capacity::Coordinator).and_then(|by| by.party.clone());
                let by = by.expect("checked with the signers");
                let event = entry.event.hash;
                let order = OrderState { event, index, by, order: s.clone(), carried_out: 0 };
                self.orders.insert(event, order);
                Ok(())
            }
            Statement::Recall(s) => {
                let by = head.signers.first().and_then(|by| by.party.clone());
                let recall = RecallState {
                    event: entry.event.hash,
                    index,
                    by: by.expect("checked with the signers"),
                    number: s.number.clone(),
                    lifted: None,
                };
                self.recalls
                    .get_or_insert((s.item.clone(), s.lot.clone()), Vec::new())
                    .push(recall);
                Ok(())
            }
            Statement::RecallLifted(s) => {
                let recalls = self.recalls.get_mut(&(s.item.clone(), s.lot.clone()));
                let recall = recalls.and_then(|list| list.iter_mut().find(|r| r.event == s.recall));
                recall.expect("checked with the signers").lifted = Some(index);
                Ok(())
            }
            Statement::Donation(s) => self.begin_gift(s, entry),
            Statement::Delivery(s) => {
                let dated = self.dated(entry);
                self.shipments.change(&s.shipment, |shipment| shipment.deliveries.push(dated));
                Ok(())
            }
            Statement::Correction(s) => self.correct(s, entry, history),
            Statement::Attestation(s) => self.attested(s, entry),
            Statement::LedgerCreated(_) => unreachable!("refused with the signers"),
            Statement::EpochSealed(s) => self.sealed(s, index, entry.recorded_at),
            _ => self.post(statement, entry),
        }
    }

    fn begin_gift(&mut self, donation: &Donation, entry: &Recorded) -> Result<(), Violation> {
        let id = entry.event.hash;
        if let Some(other) = self.gift_by_id(&GiftId::from(&id)) {
            return Err(Violation::new(Code::GiftIdTaken, other.id, id));
        }
        let statement = entry.event.statement.as_ref().expect("a donation is a statement");
        let fact = fact(entry, statement);
        let gift = Gift::begin(&fact, donation, &self.books(entry.index))?;
        if let Some(key) = donation.donor.key {
            self.parties.add_gift_key(key, &id, entry.index)?;
        }
        self.gifts.put(gift);
        self.note_campaign(donation, entry);
        Ok(())
    }

    fn note_campaign(&mut self, donation: &Donation, entry: &Recorded) {
        if donation.campaign.is_empty() || donation.historic {
            return;
        }
        let day = self.dated(entry).day();
        let new = Campaign { first: day, reports: Vec::new() };
        let campaign = self.campaigns.get_or_insert(donation.campaign.clone(), new);
        campaign.first = campaign.first.min(day);
    }

    /// Posts an event to every gift that it touches; all of them change, or none.
    fn post(&mut self, statement: &Statement, entry: &Recorded) -> Result<(), Violation> {
        let mut subjects = BTreeSet::new();
        Subject::of_statement(statement, entry.event.hash, &mut subjects);
        let (shipment, order) = self.before_posting(statement, entry)?;
        let books = Books {
            parties: &self.parties,
            shipments: &self.shipments,
            rules: self.rules_at(entry.index),
        };
        let fact = fact(entry, statement);
        let mut changed = Vec::new();
        for subject in &subjects {
            let Subject::Gift(id) = subject else { continue };
            if !self.scope.covers(id) {
                continue;
            }
            let mut gift = Gift::clone(&*self.known_gift(id)?);
            gift.post(&fact, &books)?;
            changed.push(gift);
        }
        changed.into_iter().for_each(|gift| self.gifts.put(gift));
        shipment.into_iter().for_each(|shipment| self.shipments.put(shipment));
        order.into_iter().for_each(|order| self.orders.insert(order.event, order));
        if let Statement::GiftTakenOver(s) = statement {
            // Who issued the slip has had its key: it ends here.
            let slip = entry.event.head.signer_as(Capacity::Donor).expect("checked before");
            self.parties.end_key(&slip.key, entry.index);
            if let Some(key) = s.donor.key {
                self.parties.add_gift_key(key, &s.gift, entry.index)?;
            }
        }
        Ok(())
    }

    /// The shipment and the order as the event leaves them, to be put in when all gifts agree.
    fn before_posting(
        &self,
        statement: &Statement,
        entry: &Recorded,
    ) -> Result<(Option<Shipment>, Option<OrderState>), Violation> {
        match statement {
            Statement::Dispatch(s) => Ok((Some(self.dispatched(s, entry)?), None)),
            Statement::Receipt(Receipt { shipment: Some(id), .. }) => {
                let taker = entry.event.head.signer_as(Capacity::Taker);
                let taker = taker.and_then(|signer| signer.party.as_ref());
                let known = self.shipments.get(id).filter(|known| Some(&known.taker) == taker);
                let mut shipment = known.map(|known| Shipment::clone(&known));
                if let Some(shipment) = &mut shipment {
                    shipment.receipts.push(self.dated(entry));
                }
                Ok((shipment, None))
            }
            Statement::Designation(s) => Ok((None, self.ordered(s)?)),
            _ => Ok((None, None)),
        }
    }

    fn dispatched(&self, s: &Dispatch, entry: &Recorded) -> Result<Shipment, Violation> {
        let mut shipment = match self.shipments.get(&s.shipment) {
            None => Shipment::new(s),
            Some(known) => {
                let same = known.taker == s.taker
                    && known.purpose == s.purpose
                    && known.carrier == s.carrier
                    && known.carrier_name == s.carrier_name;
                if !same || !known.receipts.is_empty() {
                    return Err(Violation::new(Code::ShipmentMismatch, &known.taker, &s.taker));
                }
                Shipment::clone(&known)
            }
        };
        let signed = entry.event.head.signer_as(Capacity::Carrier).is_some();
        // The carrier answers for the shipment when it has signed for all of it.
        shipment.carrier_signed =
            signed && (shipment.carrier_signed || shipment.dispatches.is_empty());
        shipment.dispatches.push(self.dated(entry));
        shipment.gifts.extend(s.portions.iter().map(|portion| portion.goods.gift));
        Ok(shipment)
    }

    fn ordered(&self, s: &Designation) -> Result<Option<OrderState>, Violation> {
        let Some(event) = s.order else { return Ok(None) };
        let mismatch = |found: EventHash| Violation::new(Code::OrderMismatch, event, found);
        let mut state = self.orders.get(&event).cloned().ok_or(mismatch(event))?;
        let covered = |a: &&Assignment| self.scope.covers(&a.goods.gift);
        for assignment in s.assignments.iter().filter(covered) {
            let gift = self.known_gift(&assignment.goods.gift)?;
            let line = gift.donation.line(assignment.goods.line);
            let fits = line.is_some_and(|line| {
                line.item == state.order.item
                    && line.unit == state.order.unit
                    && assignment.goods.unit == UnitChoice::Stated
            });
            let carried_out = state.carried_out.saturating_add(assignment.quantity);
            if !fits
                || s.holder != state.order.holder
                || assignment.recipient != state.order.recipient
                || assignment.goods.meant_for.is_some()
                || (carried_out > state.order.quantity && !self.scope.is_part())
            {
                return Err(mismatch(gift.id));
            }
            state.carried_out = carried_out;
        }
        Ok(Some(state))
    }

    fn dated(&self, entry: &Recorded) -> Dated {
        let recorded_on = entry.recorded_at.date(self.rules_at(entry.index).offset_minutes);
        Dated { index: entry.index, on: entry.event.head.occurred_on, recorded_on }
    }

    fn known_gift(&self, id: &EventHash) -> Result<Arc<Gift>, Violation> {
        self.gifts.get(id).ok_or(Violation::new(Code::GiftUnknown, (), *id))
    }

    fn books(&self, index: EntryIndex) -> Books<'_> {
        Books { parties: &self.parties, shipments: &self.shipments, rules: self.rules_at(index) }
    }
}

fn fact<'a>(entry: &'a Recorded, statement: &'a Statement) -> Fact<'a> {
    Fact {
        index: entry.index,
        recorded_at: entry.recorded_at,
        event: entry.event.hash,
        head: &entry.event.head,
        statement,
        correction: None,
    }
}

fn vouchers(head: &Head) -> Vec<Handle> {
    head.signers_as(Capacity::Registrar).filter_map(|signer| signer.party.clone()).collect()
}
