//! How goods change hands, and what a holder finds in its stock: receipts and counts (spec
//! section 8).

use std::collections::BTreeSet;

use super::account::{Account, Book, Lot, Reached, Whereabouts};
use super::gift::{Books, Fact, Gift, at_rest, comes_back, holder, lot, of_gift};
use super::parties::Standing;
use crate::model::event::*;
use crate::model::ident::Handle;
use crate::model::text::Text;
use crate::model::violation::{Code, Violation};

impl Gift {
    pub(super) fn receive(
        &mut self,
        s: &Receipt,
        fact: &Fact,
        books: &Books,
    ) -> Result<(), Violation> {
        let signer = fact.head.signer_as(Capacity::Taker).expect("checked with the signers");
        let taker = signer.party.as_ref().expect("a taker is a party");
        let standing = fact.standing(Capacity::Taker, books.parties);
        let sent = s.shipment.as_ref().and_then(|id| books.shipments.get(id));
        let (giver, purpose) = match (&s.giver, s.purpose) {
            (Some(giver), Some(purpose)) => (Some(giver), purpose),
            _ => match sent.as_ref().filter(|sent| sent.taker == *taker) {
                Some(sent) => (Some(&sent.id.giver), sent.purpose),
                None => (None, Purpose::Transfer),
            },
        };
        let (mut supported, mut unsupported) = (false, false);
        let id = self.id;
        for arrival in s.arrivals.iter().filter(|arrival| arrival.goods.gift == id) {
            // Judged the same whether or not anything was sent, so that a shipment that begins
            // later changes nothing when the gift is folded again.
            let (lot, came) = self.in_book(&arrival.goods, arrival.came().unwrap_or(u64::MAX))?;
            let Some(giver) = giver else {
                unsupported = true;
                continue;
            };
            let from = match &s.shipment {
                Some(id) => Whereabouts::Moving {
                    shipment: id.clone(),
                    returning: comes_back(&lot, purpose, taker),
                },
                None => {
                    self.bring_forth(&lot, giver, came)?;
                    at_rest(giver, Condition::Good)
                }
            };
            if s.shipment.is_some() && !self.accounts.was_in(&lot, &from) {
                unsupported = true;
                continue;
            }
            supported = true;
            let hands = Parted { giver, taker, purpose, standing };
            self.arrive(arrival, &lot, &from, &hands)?;
            if s.closing {
                let missing = self.accounts.available(&lot, &from);
                let to =
                    Whereabouts::Unaccounted { giver: giver.clone(), taker: Some(taker.clone()) };
                let keep = |reached| if hands.undo(&lot) { None } else { reached };
                self.accounts.transfer(&lot, &from, &to, missing, keep)?;
            }
        }
        if supported {
            self.journey.extend(giver.cloned());
            self.journey.insert(taker.clone());
        }
        if unsupported {
            self.unsupported.push(fact.index);
        }
        Ok(())
    }

    fn arrive(
        &mut self,
        arrival: &Arrival,
        lot: &Lot,
        from: &Whereabouts,
        hands: &Parted,
    ) -> Result<(), Violation> {
        let (giver, taker) = (hands.giver, hands.taker);
        let undo = hands.undo(lot);
        let keep = |reached: Option<Reached>| if undo { None } else { reached };
        let mark = |reached: Option<Reached>| keep(reached).max(new_mark(lot, hands));
        let issued = hands.purpose == Purpose::Issue;
        let pending = Whereabouts::Inspected { holder: taker.clone(), issued };
        let back = at_rest(giver, Condition::Good);
        let hand_to_hand = *from == back;
        if hand_to_hand && self.accounts.available(lot, from) == 0 {
            // Nor can two parties make surplus of a gift that neither has.
            return Err(Violation::new(Code::BalanceExceeded, 0u64, arrival.came().unwrap_or(0)));
        }
        let parts = [
            (arrival.accepted, at_rest(taker, Condition::Good), true),
            (arrival.pending, pending, false),
            (arrival.damaged, at_rest(taker, Condition::Damaged), false),
        ];
        for (quantity, to, accepted) in parts {
            let (_, quantity) = self.in_book(&arrival.goods, quantity)?;
            if accepted {
                self.accounts.transfer(lot, from, &to, quantity, mark)?;
            } else {
                self.accounts.transfer(lot, from, &to, quantity, keep)?;
            }
        }
        let (_, rejected) = self.in_book(&arrival.goods, arrival.rejected)?;
        if hand_to_hand {
            let there = self.accounts.available(lot, from);
            if rejected > there {
                return Err(Violation::new(Code::BalanceExceeded, there, rejected));
            }
        } else {
            self.accounts.transfer(lot, from, &back, rejected, |reached| reached)?;
        }
        let (_, surplus) = self.in_book(&arrival.goods, arrival.surplus)?;
        self.add_surplus(lot.at(at_rest(taker, Condition::Good), None), surplus)?;
        let (_, damaged) = self.in_book(&arrival.goods, arrival.damaged)?;
        self.damaged = self.damaged.saturating_add(damaged);
        self.rejected = self.rejected.saturating_add(rejected);
        if let Some(actual) = &arrival.actual {
            let item = self.donation.line(lot.line).map(|line| &line.item);
            let item = if actual.item.is_empty() { item } else { Some(&actual.item) };
            self.actual.extend(item.map(|item| (item.clone(), actual.lot.clone())));
        }
        Ok(())
    }

    /// Surplus is bounded for the gift as a whole, so that no sum over its accounts overflows.
    fn add_surplus(&mut self, account: Account, quantity: u64) -> Result<(), Violation> {
        self.surplus = bounded(self.surplus, quantity)?;
        self.accounts.put(account, quantity)
    }

    pub(super) fn count(&mut self, s: &Count, fact: &Fact, books: &Books) -> Result<(), Violation> {
        let by = holder(fact);
        let standing = fact.standing(Capacity::Holder, books.parties);
        let good = at_rest(by, Condition::Good);
        let id = self.id;
        for finding in s.findings.iter().filter(|finding| finding.goods.gift == id) {
            let goods = &finding.goods;
            if finding.opened > 0 {
                self.open_packs(finding, &s.loose_unit, by)?;
            }
            self.inspect(finding, by, standing)?;
            let (lot, shortage) = self.in_book(goods, finding.shortage)?;
            let missing = Whereabouts::Unaccounted { giver: by.clone(), taker: None };
            self.accounts.transfer(&lot, &good, &missing, shortage, |reached| reached)?;
            let (_, found) = self.in_book(goods, finding.found)?;
            self.find_again(&lot, by, found, standing)?;
            let (_, surplus) = self.in_book(goods, finding.surplus)?;
            if surplus > 0 && !self.accounts.answered(&lot, by) {
                // Only who has had these goods can find more of them.
                return Err(Violation::new(Code::BalanceExceeded, 0u64, surplus));
            }
            self.add_surplus(lot.at(good.clone(), None), surplus)?;
        }
        Ok(())
    }

    fn open_packs(&mut self, f: &Finding, unit: &Text<24>, by: &Handle) -> Result<(), Violation> {
        let line = self.donation.line(f.goods.line);
        // A pack of known content needs no opening: its book is in pieces already.
        let sealed = line.is_some_and(|line| line.pack.is_none() && line.unit != *unit);
        let known = self.loose_units.get_or_insert_with(f.goods.line, || unit.clone());
        if !sealed || f.goods.unit != UnitChoice::Stated || known != unit {
            return Err(Violation::new(Code::CountPacks, "sealed packs", f.opened));
        }
        let (packs, opened) = self.in_book(&f.goods, f.opened)?;
        let good = at_rest(by, Condition::Good);
        let taken = self.accounts.take(&packs, &good, opened)?;
        // Pieces of packs that had reached different hands count as the weakest of them.
        let weakest = taken.iter().map(|(reached, _)| *reached).min().flatten();
        let gone = Whereabouts::Opened { by: by.clone() };
        for (reached, part) in taken {
            self.accounts.put(packs.at(gone.clone(), reached), part)?;
        }
        let pieces = lot(packs.line, Book::Loose, packs.meant_for.as_ref());
        self.unpacked = bounded(self.unpacked, f.loose)?;
        self.accounts.put(pieces.at(good, weakest), f.loose)
    }

    fn inspect(&mut self, f: &Finding, by: &Handle, standing: Standing) -> Result<(), Violation> {
        let (lot, mut passed) = self.in_book(&f.goods, f.passed)?;
        let (_, mut failed) = self.in_book(&f.goods, f.failed)?;
        for issued in [true, false] {
            let from = Whereabouts::Inspected { holder: by.clone(), issued };
            let purpose = if issued { Purpose::Issue } else { Purpose::Transfer };
            let hands = Parted { giver: by, taker: by, purpose, standing };
            let part = passed.min(self.accounts.available(&lot, &from));
            let mark = |reached: Option<Reached>| reached.max(new_mark(&lot, &hands));
            self.accounts.transfer(&lot, &from, &at_rest(by, Condition::Good), part, mark)?;
            passed -= part;
            let part = failed.min(self.accounts.available(&lot, &from));
            let damaged = at_rest(by, Condition::Damaged);
            self.accounts.transfer(&lot, &from, &damaged, part, |reached| reached)?;
            failed -= part;
            self.damaged = self.damaged.saturating_add(part);
        }
        if passed + failed > 0 {
            return Err(Violation::new(Code::BalanceExceeded, 0u64, passed + failed));
        }
        Ok(())
    }

    /// What was unaccounted at this holder, or on its way to it, is there after all. If it was on
    /// its way to its final recipient, it has now arrived there.
    fn find_again(
        &mut self,
        lot: &Lot,
        by: &Handle,
        found: u64,
        standing: Standing,
    ) -> Result<(), Violation> {
        let lost = |place: &Whereabouts| match place {
            Whereabouts::Unaccounted { giver, taker } => giver == by || taker.as_ref() == Some(by),
            _ => false,
        };
        let places: BTreeSet<Whereabouts> =
            self.accounts.iter().map(|(a, _)| a.place.clone()).filter(lost).collect();
        let mut left = found;
        for place in places {
            let part = left.min(self.accounts.available(lot, &place));
            let good = at_rest(by, Condition::Good);
            let sent_here = matches!(&place, Whereabouts::Unaccounted { taker, .. } if taker.as_ref() == Some(by));
            let arrived = (sent_here && lot.meant_for.as_ref() == Some(by))
                .then_some(Reached::Recipient(standing));
            self.accounts.transfer(lot, &place, &good, part, |reached| reached.max(arrived))?;
            left -= part;
        }
        if left > 0 {
            return Err(Violation::new(Code::BalanceExceeded, found - left, found));
        }
        Ok(())
    }

    pub(super) fn dispose_pending(&mut self, s: &Disposal, by: &Handle) -> Result<(), Violation> {
        let gone = Whereabouts::Disposed { by: by.clone(), fate: s.fate };
        for portion in of_gift(self.id, &s.portions) {
            let (lot, mut left) = self.in_book(&portion.goods, portion.quantity)?;
            for issued in [true, false] {
                let from = Whereabouts::Inspected { holder: by.clone(), issued };
                let part = left.min(self.accounts.available(&lot, &from));
                self.accounts.transfer(&lot, &from, &gone, part, |reached| reached)?;
                left -= part;
            }
            if left > 0 {
                return Err(Violation::new(Code::BalanceExceeded, 0u64, left));
            }
        }
        Ok(())
    }
}

/// Between whom goods change hands.
struct Parted<'a> {
    giver: &'a Handle,
    taker: &'a Handle,
    purpose: Purpose,
    standing: Standing,
}

impl Parted<'_> {
    /// Whether what these goods had reached is undone when the taker has them.
    fn undo(&self, lot: &Lot) -> bool {
        comes_back(lot, self.purpose, self.taker)
    }
}

/// What accepting these goods makes of them.
fn new_mark(lot: &Lot, hands: &Parted) -> Option<Reached> {
    match hands.purpose {
        _ if lot.meant_for.as_ref() == Some(hands.taker) => {
            Some(Reached::Recipient(hands.standing))
        }
        Purpose::Issue => Some(Reached::OtherUnit),
        Purpose::Transfer | Purpose::Return | Purpose::Loan => None,
    }
}

/// A sum that stays within what a line can hold.
fn bounded(sum: u64, more: u64) -> Result<u64, Violation> {
    let sum = sum.saturating_add(more);
    if sum > QUANTITY_MAX {
        return Err(Violation::new(Code::BalanceOverflow, QUANTITY_MAX, sum));
    }
    Ok(sum)
}
