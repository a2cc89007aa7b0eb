//! Corrections (spec section 8.6).
//!
//! A correction holds if the history of every gift that it touches, folded again with the new
//! statement in the old one's place, still balances. What others rest on stays: donor, takers,
//! recipients, consent, origin; and a dispatch once its receipt is there.

use std::collections::{BTreeMap, BTreeSet};

use super::gift::{Books, Gift, Lowered};
use super::{History, Recorded, State, fact};
use crate::model::event::*;
use crate::model::hash::EventHash;
use crate::model::ident::{EntryIndex, Handle};
use crate::model::subject::Subject;
use crate::model::violation::{Code, Violation};

use super::parties::Owner;

impl State {
    /// The event that a correction names, if it is in the log under that index and hash.
    pub(super) fn target(&self, s: &Correction, history: &dyn History) -> Option<Recorded> {
        let index = self.index_of(&s.target).filter(|index| *index == s.target_index)?;
        let target = history.event(index)?;
        let kind = target.event.statement.as_ref().map(Statement::kind)?;
        (target.event.hash == s.target && kind as u16 == s.target_kind).then_some(target)
    }

    /// The same parties in the same capacities, with keys that are theirs now.
    pub(super) fn may_correct(
        &self,
        s: &Correction,
        head: &Head,
        history: &dyn History,
    ) -> Result<(), Violation> {
        let unknown = Violation::new(Code::CorrectionTarget, s.target, s.target_index);
        let target = self.target(s, history).ok_or(unknown)?;
        let same = |signers: &Head| -> BTreeSet<(Capacity, Option<Handle>)> {
            signers.signers.iter().map(|s| (s.capacity, s.party.clone())).collect()
        };
        let (must, does) = (same(&target.event.head), same(head));
        if let Some((capacity, _)) = must.difference(&does).next() {
            return Err(Violation::new(Code::SignerMissing, capacity.word(), ()));
        }
        if let Some((capacity, _)) = does.difference(&must).next() {
            return Err(Violation::new(Code::SignerExtra, (), capacity.word()));
        }
        for signer in &head.signers {
            match &signer.party {
                Some(party) => {
                    self.parties.check_key(&signer.key, &Owner::Party(party.clone()))?;
                }
                None => self.parties.check_key(&signer.key, &Owner::Gift(s.target))?,
            }
        }
        Ok(())
    }

    pub(super) fn correct(
        &mut self,
        s: &Correction,
        entry: &Recorded,
        history: &dyn History,
    ) -> Result<(), Violation> {
        let unknown = Violation::new(Code::CorrectionTarget, s.target, s.target_index);
        let target = self.target(s, history).ok_or(unknown.clone())?;
        let original = target.event.statement.as_ref().ok_or(unknown.clone())?;
        let replacement = s.replacement().map_err(|_| unknown)?;
        let mut subjects = BTreeSet::new();
        Subject::of_statement(original, s.target, &mut subjects);
        if let Some(replacement) = &replacement {
            Subject::of_statement(replacement, s.target, &mut subjects);
        }
        // What held until now: the original, or what an earlier correction put in its place.
        let held = subjects.iter().find_map(|subject| match subject {
            Subject::Gift(id) => self.gifts.get(id)?.replaced.get(&target.index),
            _ => None,
        });
        let held = held.and_then(|bytes| Statement::from_bytes(original.kind(), bytes).ok());
        self.check_fixed(held.as_ref().unwrap_or(original), replacement.as_ref())?;
        let bytes = s.replacement.as_bytes().to_vec();
        let mut changed = Vec::new();
        for subject in &subjects {
            let Subject::Gift(id) = subject else { continue };
            let gift = self.known_gift(id)?;
            let mut replaced = gift.replaced.clone();
            replaced.insert(target.index, bytes.clone());
            let mut again = self.fold(gift, replaced, history)?;
            self.note_lowered(gift, &mut again, original, entry);
            again.entries.push(entry.index);
            again.corrected.push((target.index, entry.index));
            changed.push(again);
        }
        self.gifts.extend(changed.into_iter().map(|gift| (gift.id, gift)));
        if let (Statement::Dispatch(_), Some(Statement::Dispatch(new))) = (original, &replacement)
            && let Some(shipment) = self.shipments.get_mut(&new.shipment)
        {
            shipment.waybill = new.waybill.clone();
            shipment.carrier_name = new.carrier_name.clone();
            shipment.expected_on = new.expected_on;
        }
        Ok(())
    }

    /// What no correction may touch.
    fn check_fixed(&self, old: &Statement, new: Option<&Statement>) -> Result<(), Violation> {
        let fixed = |what: &'static str| Err(Violation::new(Code::CorrectionFixed, what, ()));
        match (old, new) {
            (Statement::Donation(_), None) => fixed("a donation is withdrawn, not voided"),
            (Statement::Donation(old), Some(Statement::Donation(new))) => {
                if let Some(what) = fixed_in_donation(old, new) { fixed(what) } else { Ok(()) }
            }
            (Statement::Dispatch(old), new) => {
                if let Some(Statement::Dispatch(new)) = new {
                    let same = old.shipment == new.shipment
                        && old.taker == new.taker
                        && old.purpose == new.purpose
                        && old.carrier == new.carrier;
                    if !same {
                        return fixed("shipment, taker, purpose and carrier");
                    }
                    if old.portions == new.portions {
                        return Ok(());
                    }
                }
                let received = self.shipments.get(&old.shipment).map(|s| s.receipts.clone());
                match received.unwrap_or_default().first() {
                    Some(receipt) => Err(Violation::new(Code::CorrectionRests, (), receipt.index)),
                    None => Ok(()),
                }
            }
            (Statement::Receipt(old), Some(Statement::Receipt(new))) => {
                let same = old.shipment == new.shipment
                    && old.giver == new.giver
                    && old.purpose == new.purpose;
                if same { Ok(()) } else { fixed("shipment, giver and purpose") }
            }
            (Statement::Delivery(old), Some(Statement::Delivery(new))) => {
                if old.shipment == new.shipment { Ok(()) } else { fixed("shipment") }
            }
            _ => Ok(()),
        }
    }

    /// The gift once more, from its donation on, with these statements in place of the originals.
    fn fold(
        &self,
        gift: &Gift,
        replaced: BTreeMap<EntryIndex, Vec<u8>>,
        history: &dyn History,
    ) -> Result<Gift, Violation> {
        let corrected = gift.corrected.clone();
        let mut again: Option<Gift> = None;
        for index in &gift.entries {
            let rests = || Violation::new(Code::CorrectionRests, (), *index);
            let recorded = history.event(*index).ok_or_else(rests)?;
            let original = recorded.event.statement.as_ref().ok_or_else(rests)?;
            let new = match replaced.get(index).map(Vec::as_slice) {
                None => None,
                // A voided statement leaves only its entry.
                Some([]) => {
                    if let Some(again) = &mut again {
                        again.entries.push(*index);
                    }
                    continue;
                }
                Some(bytes) => {
                    Some(Statement::from_bytes(original.kind(), bytes).map_err(|_| rests())?)
                }
            };
            let statement = new.as_ref().unwrap_or(original);
            let fact = fact(&recorded, statement);
            let books = Books {
                parties: &self.parties,
                shipments: &self.shipments,
                rules: self.rules_at(*index),
            };
            match (&mut again, statement) {
                (None, Statement::Donation(donation)) => {
                    again = Some(Gift::begin(&fact, donation, &books)?);
                }
                (Some(again), statement) if statement_touches(statement, again.id) => {
                    again.post(&fact, &books).map_err(|violation| {
                        let found = violation.found;
                        Violation { code: Code::CorrectionRests, found, ..rests() }
                    })?;
                }
                // The new statement no longer speaks of this gift.
                (Some(again), _) => again.entries.push(*index),
                (None, _) => return Err(rests()),
            }
        }
        let mut again = again.ok_or(Violation::new(Code::GiftUnknown, (), gift.id))?;
        again.replaced = replaced;
        again.corrected = corrected;
        // Recalls of what it held before the correction still concern it.
        again.lots.extend(gift.lots.iter().cloned());
        again.lowered = gift.lowered.clone();
        again.failed = gift.failed.clone();
        Ok(again)
    }

    /// A donated quantity that a correction changed stands in the verdict, with who did it.
    fn note_lowered(&self, old: &Gift, new: &mut Gift, target: &Statement, entry: &Recorded) {
        if !matches!(target, Statement::Donation(_)) {
            return;
        }
        let head = &entry.event.head;
        let taker = head.signer_as(Capacity::Taker).and_then(|signer| signer.party.clone());
        let by_alone = taker.filter(|_| !old.donor_signs(head));
        for line in &old.donation.lines {
            let (from, to) = (old.donated(line.number), new.donated(line.number));
            if from != to {
                let by_alone = by_alone.clone();
                new.lowered.push(Lowered {
                    index: entry.index,
                    line: line.number,
                    from,
                    to,
                    by_alone,
                });
            }
        }
    }
}

fn statement_touches(statement: &Statement, gift: EventHash) -> bool {
    if matches!(statement, Statement::Correction(_)) {
        // Its own effect is folded in already; only its entry counts.
        return false;
    }
    let mut subjects = BTreeSet::new();
    Subject::of_statement(statement, gift, &mut subjects);
    subjects.contains(&Subject::Gift(gift))
}

fn fixed_in_donation(old: &Donation, new: &Donation) -> Option<&'static str> {
    let same = [
        (old.donor == new.donor, "donor"),
        (old.mark == new.mark, "the donor's mark"),
        (old.taker == new.taker, "taker"),
        (old.standing_consent == new.standing_consent, "consent"),
        (old.commitments == new.commitments, "private fields"),
        (old.part == new.part, "part"),
        (old.deadline == new.deadline, "deadline"),
        (old.historic == new.historic, "historic mark"),
    ];
    if let Some((_, what)) = same.iter().find(|(same, _)| !same) {
        return Some(what);
    }
    for line in &new.lines {
        let Some(before) = old.line(line.number) else { return Some("a new line") };
        for share in &line.shares {
            let until_now = before.shares.find(&share.recipient).map_or(0, |s| s.quantity);
            if share.quantity > until_now {
                return Some("final recipient");
            }
        }
        let all_there = before.shares.iter().all(|s| line.shares.find(&s.recipient).is_some());
        if !all_there {
            return Some("final recipient");
        }
    }
    None
}
