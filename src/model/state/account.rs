//! The double entry behind every balance (spec section 8).
//!
//! A gift's goods stand on accounts: which line, where, meant for whom, and whether they have
//! reached somebody. Every event is a list of transfers between accounts, so that no event can
//! create or destroy quantity, nor move what is not there.

use bincode::{Decode, Encode};
use serde::Serialize;

use super::parties::Standing;
use crate::model::event::{Condition, Fate, QUANTITY_MAX};
use crate::model::ident::{Handle, ShipmentId};
use crate::model::sorted::SortedMap;
use crate::model::violation::{Code, Violation};

/// In which unit an account is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Book {
    /// The line's smallest known unit.
    Smallest,
    /// Loose pieces that a count took out of packs of unknown content.
    Loose,
}

/// Where goods are.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Whereabouts {
    /// Promised by the donor alone.
    Announced,
    /// Somebody answers for them, at rest.
    AtRest {
        /// Who.
        holder: Handle,
        /// In which condition: good, damaged or on hold.
        condition: Condition,
    },
    /// Somebody answers for them, and they await inspection.
    Inspected {
        /// Who.
        holder: Handle,
        /// They came for the holder's own use.
        issued: bool,
    },
    /// In a shipment.
    Moving {
        /// Which.
        shipment: ShipmentId,
        /// It brings goods back: what it carries no longer counts as reached.
        returning: bool,
    },
    /// Used.
    Used {
        /// By whom.
        by: Handle,
    },
    /// Lost, destroyed, expired, sold, lent.
    Disposed {
        /// By whom.
        by: Handle,
        /// What became of them.
        fate: Fate,
    },
    /// Missing.
    Unaccounted {
        /// Who answered for them.
        giver: Handle,
        /// Who should have got them; none for a count's shortage.
        taker: Option<Handle>,
    },
    /// Taken back before they were delivered.
    Withdrawn,
    /// Packs that were opened; their content stands in the loose book.
    Opened {
        /// By whom.
        by: Handle,
    },
}

impl Whereabouts {
    /// Who answers for goods here, or has sent them off or ended them.
    pub(super) fn answers(&self) -> Option<&Handle> {
        match self {
            Whereabouts::AtRest { holder, .. } | Whereabouts::Inspected { holder, .. } => {
                Some(holder)
            }
            Whereabouts::Moving { shipment, .. } => Some(&shipment.giver),
            Whereabouts::Unaccounted { giver, .. } => Some(giver),
            Whereabouts::Used { by }
            | Whereabouts::Disposed { by, .. }
            | Whereabouts::Opened { by } => Some(by),
            Whereabouts::Announced | Whereabouts::Withdrawn => None,
        }
    }
}

/// Whom goods have reached, and how well that is proven; weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reached {
    /// Accepted for its own use by a party that they were not meant for.
    OtherUnit,
    /// Entered as accepted by the final recipient, and by nobody else.
    RecordedAlone,
    /// Accepted by the final recipient, from another party.
    Recipient(Standing),
}

/// Where a quantity stands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode, Serialize)]
pub struct Account {
    /// The line.
    pub line: u16,
    /// The unit.
    pub book: Book,
    /// Meant for whom; nobody yet.
    pub meant_for: Option<Handle>,
    /// Where.
    pub place: Whereabouts,
    /// Whom it has reached.
    pub reached: Option<Reached>,
}

impl Account {
    /// Whether what stands here counts as having reached somebody now.
    pub fn counts_as_reached(&self) -> Option<Reached> {
        match self.place {
            Whereabouts::Moving { returning: true, .. } | Whereabouts::Opened { .. } => None,
            _ => self.reached,
        }
    }
}

/// Which goods, in the terms of the books.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Lot {
    pub line: u16,
    pub book: Book,
    pub meant_for: Option<Handle>,
}

impl Lot {
    pub(super) fn at(&self, place: Whereabouts, reached: Option<Reached>) -> Account {
        let meant_for = self.meant_for.clone();
        Account { line: self.line, book: self.book, meant_for, place, reached }
    }

    fn holds(&self, account: &Account) -> bool {
        account.line == self.line
            && account.book == self.book
            && account.meant_for == self.meant_for
    }
}

/// All accounts of a gift. An account of a shipment stays when it is empty: it tells what was sent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Accounts(SortedMap<Account, u64>);

impl Accounts {
    /// Every account with its quantity, which is zero only for what a shipment carried.
    pub fn iter(&self) -> impl Iterator<Item = (&Account, u64)> {
        self.0.iter().map(|(account, quantity)| (account, *quantity))
    }

    /// The sum of all accounts that `wanted` picks; at most 2^64 - 1. Each account is bounded, but
    /// a hostile party can open any number of them.
    pub fn sum(&self, wanted: impl Fn(&Account) -> bool) -> u64 {
        let picked = self.iter().filter(|(account, _)| wanted(account));
        picked.fold(0, |sum, (_, quantity)| sum.saturating_add(quantity))
    }

    /// How much of a lot is in a place.
    pub(super) fn available(&self, lot: &Lot, place: &Whereabouts) -> u64 {
        self.matching(lot, place).map(|(_, quantity)| quantity).sum()
    }

    /// How much of a lot is in a place and has reached nobody.
    pub(super) fn unreached(&self, lot: &Lot, place: &Whereabouts) -> u64 {
        let unreached = |(account, _): &(&Account, u64)| account.reached.is_none();
        self.matching(lot, place).filter(unreached).map(|(_, quantity)| quantity).sum()
    }

    /// Whether a lot was ever in a place that keeps empty accounts.
    pub(super) fn was_in(&self, lot: &Lot, place: &Whereabouts) -> bool {
        self.matching(lot, place).next().is_some()
    }

    /// Whether a party has answered for a lot.
    pub(super) fn answered(&self, lot: &Lot, by: &Handle) -> bool {
        self.iter().any(|(account, _)| lot.holds(account) && account.place.answers() == Some(by))
    }

    fn matching(&self, lot: &Lot, place: &Whereabouts) -> impl Iterator<Item = (&Account, u64)> {
        self.iter().filter(move |(account, _)| lot.holds(account) && account.place == *place)
    }

    pub(super) fn put(&mut self, account: Account, quantity: u64) -> Result<(), Violation> {
        if quantity == 0 {
            return Ok(());
        }
        let total = self.0.get_or_insert_with(account, || 0);
        *total = total
            .checked_add(quantity)
            .filter(|total| *total <= QUANTITY_MAX)
            .ok_or_else(|| Violation::new(Code::BalanceOverflow, QUANTITY_MAX, quantity))?;
        Ok(())
    }

    /// Takes so much of a lot out of a place: first what has reached nobody.
    pub(super) fn take(
        &mut self,
        lot: &Lot,
        place: &Whereabouts,
        quantity: u64,
    ) -> Result<Vec<(Option<Reached>, u64)>, Violation> {
        let available = self.available(lot, place);
        if quantity > available {
            return Err(Violation::new(Code::BalanceExceeded, available, quantity));
        }
        let sources: Vec<_> = self.matching(lot, place).map(|(a, q)| (a.clone(), q)).collect();
        let mut left = quantity;
        let mut taken = Vec::new();
        for (account, there) in sources {
            let part = there.min(left);
            if part == 0 {
                continue;
            }
            left -= part;
            taken.push((account.reached, part));
            if part == there && !matches!(account.place, Whereabouts::Moving { .. }) {
                self.0.remove(&account);
            } else if let Some(quantity) = self.0.get_mut(&account) {
                *quantity -= part;
            }
        }
        Ok(taken)
    }

    /// Moves so much of a lot from a place to a place; what it had reached becomes what `mark`
    /// makes of it.
    pub(super) fn transfer(
        &mut self,
        lot: &Lot,
        from: &Whereabouts,
        to: &Whereabouts,
        quantity: u64,
        mark: impl Fn(Option<Reached>) -> Option<Reached>,
    ) -> Result<(), Violation> {
        for (reached, part) in self.take(lot, from, quantity)? {
            self.put(lot.at(to.clone(), mark(reached)), part)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_over_many_full_accounts_stops_at_the_end_of_its_numbers() {
        let mut accounts = Accounts::default();
        // 2^64 is less than 18,447 times the largest quantity.
        for line in 0..18_447 {
            let lot = Lot { line, book: Book::Smallest, meant_for: None };
            accounts.put(lot.at(Whereabouts::Withdrawn, None), QUANTITY_MAX).unwrap();
        }
        assert_eq!(accounts.sum(|_| true), u64::MAX);
        assert_eq!(accounts.sum(|account| account.line < 2), 2 * QUANTITY_MAX);
    }
}
