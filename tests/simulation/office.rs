//! What happens beside the goods: keys come and go, needs and disputes open and close. The naive
//! model knows names and whether something is open, no more.

use std::collections::BTreeMap;

use giftproof::model::draft::Draft;
use giftproof::model::event::*;
use giftproof::model::hash::EventHash;
use rand::RngExt;
use rand::rngs::StdRng;

use crate::util::*;

/// The party whose keys come and go; it takes part in nothing else.
const PARTY: &str = "hospital-b";
const KEYS: [&str; 4] = [PARTY, "b-second", "b-third", "b-fourth"];
const TWO: [(Capacity, &str); 2] =
    [(Capacity::Registrar, REGISTRARS[0]), (Capacity::Registrar, REGISTRARS[1])];

#[derive(Clone, Debug)]
pub enum Paper {
    /// A key of the party declares a need.
    Declare(usize),
    /// Two registrars add a key.
    Add(usize),
    /// A key ends itself.
    End(usize),
    /// A registrar disputes the so-manieth gift.
    Dispute(usize),
    /// A registrar closes the so-manieth dispute.
    Close(usize),
}

impl Paper {
    pub fn any(rng: &mut StdRng) -> Self {
        let which = rng.random_range(0..KEYS.len());
        match rng.random_range(0..7) {
            0..3 => Self::Declare(which),
            3 => Self::Add(which),
            4 => Self::End(which),
            5 => Self::Dispute(rng.random_range(0..4)),
            _ => Self::Close(rng.random_range(0..4)),
        }
    }
}

/// What is known of the papers that were accepted.
#[derive(Clone)]
pub struct Office {
    /// Whether a key still holds.
    keys: BTreeMap<&'static str, bool>,
    /// The gift, and whether the dispute is open.
    disputes: Vec<(EventHash, EventHash, bool)>,
}

impl Office {
    pub fn new() -> Self {
        Self { keys: BTreeMap::from([(PARTY, true)]), disputes: Vec::new() }
    }

    /// Writes a paper down, and says under which code it is refused. `None` if nobody can write it.
    pub fn write(
        &self,
        paper: &Paper,
        world: &World,
        gifts: &[EventHash],
    ) -> Option<(Draft, Option<&'static str>)> {
        let party = handle(PARTY);
        Some(match paper {
            Paper::Declare(which) => {
                let need = NeedDeclared {
                    item: text("mask"),
                    standard: text(""),
                    quantity: None,
                    unit: text("pcs"),
                    wanted_by: None,
                };
                let name = KEYS[*which];
                let draft = world.draft(need, &[]);
                let refusal = match self.keys.get(name) {
                    None => Some("key/not-of-party"),
                    Some(false) => Some("key/ended"),
                    Some(true) => None,
                };
                (draft.signer(Capacity::Recipient, Some(&party), key(name)), refusal)
            }
            Paper::Add(which) => {
                let name = KEYS[*which];
                let added = KeyAdded { handle: party.clone(), key: key(name) };
                let draft = world.draft(added, &TWO);
                let refusal = self.keys.contains_key(name).then_some("key/taken");
                (draft.signer(Capacity::NewKey, Some(&party), key(name)), refusal)
            }
            Paper::End(which) => {
                let name = KEYS[*which];
                let revoked = KeyRevoked { handle: party.clone(), key: key(name) };
                let draft = world.draft(revoked, &[]);
                let refusal = match self.keys.get(name) {
                    None => Some("key/not-of-party"),
                    Some(false) => Some("key/ended"),
                    Some(true) => None,
                };
                (draft.signer(Capacity::Oneself, Some(&party), key(name)), refusal)
            }
            Paper::Dispute(nth) => {
                let gift = *gifts.get(*nth)?;
                let dispute = Dispute { gift, claim: Claim::Other, text: text("where is it?") };
                (world.draft(dispute, &[(Capacity::Registrar, REGISTRARS[0])]), None)
            }
            Paper::Close(nth) => {
                let (gift, dispute, open) = *self.disputes.get(*nth)?;
                let closed = DisputeClosed { gift, dispute, text: text("here") };
                let refusal = (!open).then_some("dispute/unknown");
                (world.draft(closed, &[(Capacity::Registrar, REGISTRARS[0])]), refusal)
            }
        })
    }

    /// Takes note of a paper that was accepted as this event.
    pub fn accepted(&mut self, paper: &Paper, event: EventHash, gifts: &[EventHash]) {
        match paper {
            Paper::Declare(_) => {}
            Paper::Add(which) => drop(self.keys.insert(KEYS[*which], true)),
            Paper::End(which) => drop(self.keys.insert(KEYS[*which], false)),
            Paper::Dispute(nth) => self.disputes.push((gifts[*nth], event, true)),
            Paper::Close(nth) => self.disputes[*nth].2 = false,
        }
    }
}
