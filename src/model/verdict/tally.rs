//! A gift's accounts, added up by what the headline asks for.

use std::collections::BTreeSet;

use crate::model::event::{Condition, Fate};
use crate::model::state::{Account, Book, Gift, Reached, State, Whereabouts};

/// Sums over all lines, each in its own unit: good for "all" and "none", not for show.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    /// Donated, neither withdrawn nor opened into loose pieces, and those pieces.
    pub due: u64,
    /// Accepted by final recipients, sent by another party.
    pub reached: u64,
    /// Entered as accepted by the final recipient alone.
    pub alone: u64,
    /// Accepted by a party that it was not meant for.
    pub other_unit: u64,
    /// Promised by the donor alone, or sent off by it with nobody else's signature.
    pub announced: u64,
    /// In shipments.
    pub moving: u64,
    /// Of that, where somebody says that it arrived.
    pub claimed: u64,
    /// Awaiting inspection.
    pub inspected: u64,
    /// At rest, meant for nobody yet.
    pub unassigned: u64,
    /// At rest, meant for somebody.
    pub assigned: u64,
    /// Damaged, at rest.
    pub damaged: u64,
    /// Lost or unaccounted before it reached anybody.
    pub lost: u64,
    /// Destroyed, expired, sold or lent before it reached anybody.
    pub disposed: u64,
    /// Everything that was due has been accepted.
    pub in_full: bool,
}

/// Whether what stands on the account was accepted by its final recipient, from another party.
pub(super) fn is_accepted(account: &Account) -> bool {
    matches!(account.counts_as_reached(), Some(Reached::Recipient(_)))
}

impl Tally {
    pub(super) fn of(state: &State, gift: &Gift) -> Self {
        let mut tally = Self::default();
        for (account, quantity) in gift.accounts.iter() {
            tally.add(state, gift, account, quantity);
        }
        let books: BTreeSet<(u16, Book)> =
            gift.accounts.iter().map(|(account, _)| (account.line, account.book)).collect();
        tally.in_full = books.iter().all(|(line, book)| {
            let here = |account: &Account| account.line == *line && account.book == *book;
            let accepted = gift.accounts.sum(|account| here(account) && is_accepted(account));
            accepted >= due(gift, *line, *book)
        });
        tally.due = books.iter().map(|(line, book)| due(gift, *line, *book)).sum();
        tally
    }

    fn add(&mut self, state: &State, gift: &Gift, account: &Account, quantity: u64) {
        match account.counts_as_reached() {
            Some(Reached::Recipient(_)) => return self.reached += quantity,
            Some(Reached::RecordedAlone) => return self.alone += quantity,
            Some(Reached::OtherUnit) => return self.other_unit += quantity,
            None => {}
        }
        match &account.place {
            Whereabouts::Announced => self.announced += quantity,
            Whereabouts::AtRest { condition: Condition::Damaged, .. } => self.damaged += quantity,
            Whereabouts::AtRest { .. } if account.meant_for.is_none() => {
                self.unassigned += quantity;
            }
            Whereabouts::AtRest { .. } => self.assigned += quantity,
            Whereabouts::Inspected { .. } => self.inspected += quantity,
            Whereabouts::Moving { shipment, .. } => {
                let shipment = state.shipments.get(shipment);
                let donors_word = shipment.as_ref().is_some_and(|shipment| {
                    let by_donor = gift.donor.party.as_ref() == Some(&shipment.id.giver);
                    by_donor && !gift.taker_signed && !shipment.carrier_signed
                });
                if donors_word {
                    self.announced += quantity;
                    return;
                }
                self.moving += quantity;
                if shipment.is_some_and(|shipment| !shipment.deliveries.is_empty()) {
                    self.claimed += quantity;
                }
            }
            // Used without having been accepted from anybody: its holder has consumed it.
            Whereabouts::Used { .. } => self.disposed += quantity,
            Whereabouts::Disposed { fate: Fate::Lost, .. } | Whereabouts::Unaccounted { .. } => {
                self.lost += quantity;
            }
            Whereabouts::Disposed { .. } => self.disposed += quantity,
            Whereabouts::Withdrawn | Whereabouts::Opened { .. } => {}
        }
    }

    /// What can still be accepted.
    pub(super) fn open(&self) -> u64 {
        self.announced + self.moving + self.inspected + self.unassigned + self.assigned
    }
}

/// What of a book can be expected to be accepted: surplus is not.
fn due(gift: &Gift, line: u16, book: Book) -> u64 {
    let gone = |account: &Account| {
        matches!(account.place, Whereabouts::Withdrawn | Whereabouts::Opened { .. })
    };
    let here = |account: &Account| account.line == line && account.book == book;
    match book {
        Book::Smallest => {
            gift.donated(line).saturating_sub(gift.accounts.sum(|a| here(a) && gone(a)))
        }
        Book::Loose => gift.accounts.sum(|account| here(account) && !gone(account)),
    }
}
