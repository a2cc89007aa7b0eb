//! Corrections (spec section 8.6).
//!
//! A correction holds if the history of every gift that it touches, folded again with the new
//! statement in the old one's place, still balances. What others rest on stays: donor, takers,
//! recipients, consent, origin; and a dispatch once its receipt is there.
//!
//! Everybody who signed the original signs the correction, in the same capacity: a giver cannot
//! rewrite alone what its carrier has signed for. In place of a slip's key signs whoever took the
//! gift over.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::gift::{Books, Fact, Gift, Lowered};
use super::{History, Recorded, State, fact};
use crate::model::event::*;
use crate::model::hash::EventHash;
use crate::model::ident::{EntryIndex, Handle};
use crate::model::subject::Subject;
use crate::model::violation::{Code, Violation};

use super::parties::Owner;

/// What holds of an event that may have been corrected before.
pub(super) enum Held {
    /// Its own words.
    Original,
    /// A correction's words.
    Replaced(Box<Statement>),
    /// Nothing.
    Voided,
}

impl State {
    /// The event that a correction names, if it is in the log under that index and hash.
    pub(super) fn target(&self, s: &Correction, history: &dyn History) -> Option<Recorded> {
        let index = self.index_of(&s.target, history).filter(|index| *index == s.target_index)?;
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
        let (mut must, does) = (same(&target.event.head), same(head));
        let own = (Capacity::Donor, None);
        if let Some(gift) = self.gifts.get(&s.target)
            && gift.donor.kind == DonorKind::Enrolled
            && must.remove(&own)
        {
            must.insert((Capacity::Donor, gift.donor.party.clone()));
        }
        if let Some((capacity, _)) = must.difference(&does).next() {
            return Err(Violation::new(Code::SignerMissing, capacity.word(), ()));
        }
        if let Some((capacity, _)) = does.difference(&must).next() {
            return Err(Violation::new(Code::SignerExtra, (), capacity.word()));
        }
        if head.signers.len() > must.len() {
            return Err(Violation::new(Code::SignerExtra, must.len(), head.signers.len()));
        }
        for signer in &head.signers {
            match &signer.party {
                Some(party) => {
                    self.parties.check_key(&signer.key, &Owner::Party(party.clone()))?;
                }
                None => self.parties.check_gift_key(&signer.key, &s.target)?,
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
        let held = self.held(&target);
        let held = match &held {
            Held::Original => Some(original),
            Held::Replaced(held) => {
                // A gift that only an earlier correction brought in is folded again, too.
                Subject::of_statement(held, s.target, &mut subjects);
                Some(held.as_ref())
            }
            Held::Voided => None,
        };
        let covered = |subject: &Subject| match subject {
            Subject::Gift(gift) => self.scope.covers(gift),
            _ => false,
        };
        if self.scope.is_part() && !subjects.iter().any(covered) {
            self.correct_shipment(&target, original, replacement.as_ref());
            return Ok(());
        }
        self.check_fixed(original, held, replacement.as_ref())?;
        if let (Some(Statement::Donation(old)), Some(Statement::Donation(new))) =
            (held, &replacement)
        {
            self.check_units(&*self.known_gift(&s.target)?, old, new, history)?;
        }
        let bytes = s.replacement.as_bytes().to_vec();
        let mut changed = Vec::new();
        for subject in &subjects {
            let Subject::Gift(id) = subject else { continue };
            if !self.scope.covers(id) {
                continue;
            }
            let gift = self.known_gift(id)?;
            let mut told = Gift::clone(&gift);
            // A correction may bring goods into an event that did not speak of them.
            if let Err(at) = told.entries.binary_search(&target.index) {
                told.entries.insert(at, target.index);
            }
            told.entries.push(entry.index);
            told.replaced.insert(target.index, bytes.clone());
            told.corrected.push((target.index, entry.index));
            let mut again = self.fold(&told, entry, history)?;
            self.note_lowered(&gift, &mut again, original, entry);
            changed.push(again);
        }
        changed.into_iter().for_each(|gift| self.gifts.put(gift));
        self.correct_shipment(&target, original, replacement.as_ref());
        Ok(())
    }

    /// What holds of this event.
    pub(super) fn held(&self, target: &Recorded) -> Held {
        let Some(original) = &target.event.statement else { return Held::Original };
        let mut subjects = BTreeSet::new();
        Subject::of_statement(original, target.event.hash, &mut subjects);
        let gift = subjects.iter().find_map(|subject| match subject {
            Subject::Gift(id) => self.gifts.get(id),
            _ => None,
        });
        // In a part of the log, it may be the one gift that an earlier correction brought in.
        let brought_in = || {
            let has = |gift: &Arc<Gift>| gift.replaced.get(&target.index).is_some();
            self.scope.is_part().then(|| self.gifts.iter().find(has)).flatten()
        };
        let gift = gift.or_else(brought_in);
        let replaced = gift.as_ref().and_then(|gift| gift.replaced.get(&target.index));
        match replaced.map(Vec::as_slice) {
            None => Held::Original,
            Some([]) => Held::Voided,
            Some(bytes) => {
                let held = Statement::from_bytes(original.kind(), bytes);
                Held::Replaced(Box::new(held.expect("it was read when the correction was applied")))
            }
        }
    }

    /// What a shipment as a whole says, once one of its events is corrected.
    fn correct_shipment(
        &mut self,
        target: &Recorded,
        original: &Statement,
        replacement: Option<&Statement>,
    ) {
        let id = match original {
            Statement::Dispatch(s) => Some(&s.shipment),
            Statement::Delivery(s) => Some(&s.shipment),
            Statement::Receipt(s) => s.shipment.as_ref(),
            _ => None,
        };
        let dated = self.dated(target);
        let Some(id) = id else { return };
        let gifts = &self.gifts;
        let taker = target.event.head.signer_as(Capacity::Taker);
        self.shipments.change(id, |shipment| {
            let list = match original {
                Statement::Dispatch(_) => &mut shipment.dispatches,
                Statement::Delivery(_) => &mut shipment.deliveries,
                _ if taker.and_then(|taker| taker.party.as_ref()) == Some(&shipment.taker) => {
                    &mut shipment.receipts
                }
                _ => return,
            };
            list.retain(|dated| dated.index != target.index);
            if replacement.is_some() {
                list.push(dated);
                list.sort_by_key(|dated| dated.index);
            }
            if let Some(Statement::Dispatch(new)) = replacement {
                shipment.waybill = new.waybill.clone();
                shipment.carrier_name = new.carrier_name.clone();
                shipment.expected_on = new.expected_on;
                shipment.gifts.extend(new.portions.iter().map(|portion| portion.goods.gift));
            }
            let carries = |gift: &EventHash| {
                gifts.get(gift).is_some_and(|gift| gift.shipments.contains(&shipment.id))
            };
            shipment.gifts.retain(carries);
        });
    }

    /// A line's units are a part of what later signers said: "3 boxes".
    fn check_units(
        &self,
        gift: &Gift,
        old: &Donation,
        new: &Donation,
        history: &dyn History,
    ) -> Result<(), Violation> {
        let same = new.lines.iter().all(|line| {
            old.line(line.number).is_none_or(|b| b.unit == line.unit && b.pack == line.pack)
        });
        let rests = |index: &&EntryIndex| {
            let voided = gift.replaced.get(index).is_some_and(Vec::is_empty);
            let moves = || {
                let event = history.event(**index).and_then(|recorded| recorded.event.statement);
                event.is_some_and(|statement| moves_goods(statement.kind()))
            };
            !voided && !gift.unsupported.contains(index) && moves()
        };
        match gift.entries.iter().skip(1).find(rests) {
            Some(index) if !same => Err(Violation::new(Code::CorrectionRests, (), *index)),
            _ => Ok(()),
        }
    }

    /// What no correction may touch.
    fn check_fixed(
        &self,
        original: &Statement,
        held: Option<&Statement>,
        new: Option<&Statement>,
    ) -> Result<(), Violation> {
        let fixed = |what: &'static str| Err(Violation::new(Code::CorrectionFixed, what, ()));
        match (held.unwrap_or(original), new) {
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
                    if held.is_some() && old.portions == new.portions {
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

    /// The gift once more, from its donation on, with the statements that are to hold in place of
    /// the originals. `entry` is the newest correction, which is not in the history yet.
    fn fold(
        &self,
        told: &Gift,
        entry: &Recorded,
        history: &dyn History,
    ) -> Result<Gift, Violation> {
        let look = |index: EntryIndex| {
            if index == entry.index { Some(entry.clone()) } else { history.event(index) }
        };
        // The latest stays of several.
        let corrected_by: BTreeMap<EntryIndex, EntryIndex> =
            told.corrected.iter().copied().collect();
        let mut again: Option<Gift> = None;
        for index in &told.entries {
            let rests = || Violation::new(Code::CorrectionRests, (), *index);
            let recorded = look(*index).ok_or_else(rests)?;
            let original = recorded.event.statement.as_ref().ok_or_else(rests)?;
            let new = match told.replaced.get(index).map(Vec::as_slice) {
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
            let by = corrected_by.get(index).and_then(|by| look(*by));
            let fact = Fact { correction: by.as_ref(), ..fact(&recorded, statement) };
            let books = Books {
                parties: &self.parties,
                shipments: &self.shipments,
                rules: self.rules_at(*index),
            };
            match (&mut again, statement) {
                (None, Statement::Donation(donation)) => {
                    again = Some(Gift::begin(&fact, donation, &books)?);
                }
                (Some(again), Statement::Correction(_)) => again.corrected_by(&fact, &books),
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
        let mut again = again.ok_or(Violation::new(Code::GiftUnknown, (), told.id))?;
        again.replaced = told.replaced.clone();
        again.corrected = told.corrected.clone();
        // Recalls of what it held before the correction still concern it.
        again.former_lots.extend(told.lots());
        again.lowered = told.lowered.clone();
        again.failed = told.failed.clone();
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
    let mut subjects = BTreeSet::new();
    Subject::of_statement(statement, gift, &mut subjects);
    subjects.contains(&Subject::Gift(gift))
}

/// Whether quantities in statements of this kind move between accounts.
fn moves_goods(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Withdrawal
            | Kind::Designation
            | Kind::Dispatch
            | Kind::Receipt
            | Kind::Count
            | Kind::Use
            | Kind::Disposal
            | Kind::Hold
            | Kind::Release
    )
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
        // What was for somebody does not come free by a correction: that is a change of recipient.
        let raised = line.quantity.saturating_sub(before.quantity);
        if !all_there || undesignated(line) > undesignated(before).saturating_add(raised) {
            return Some("final recipient");
        }
    }
    let gone = |line: &&Line| new.line(line.number).is_none() && !line.shares.is_empty();
    if old.lines.iter().any(|line| gone(&line)) {
        return Some("final recipient");
    }
    None
}

/// How much of a line is for nobody yet, in its stated unit.
fn undesignated(line: &Line) -> u64 {
    line.quantity - line.shares.iter().map(|share| share.quantity).sum::<u64>()
}
