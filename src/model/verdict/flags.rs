//! What deserves attention (spec section 9.4).

use std::sync::Arc;

use serde::Serialize;

use super::AsOf;
use super::tally::Tally;
use crate::model::date::Date;
use crate::model::event::{Claim, ClockKind, Condition, Consent, DonorKind};
use crate::model::hash::EventHash;
use crate::model::ident::{EntryIndex, Handle, KeyBytes, ShipmentId};
use crate::model::state::{Account, Gift, Shipment, State, Whereabouts};
use crate::model::text::Text;

/// Which clock ran out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LateClock {
    /// The gift's own deadline.
    Deadline,
    /// From the donation to its entry.
    Disclosure,
    /// From an act to its entry.
    Filing,
    /// From arrival to receipt.
    Receipt,
}

impl LateClock {
    /// The word that programs and texts use.
    pub const fn word(self) -> &'static str {
        match self {
            LateClock::Deadline => "deadline",
            LateClock::Disclosure => "disclosure",
            LateClock::Filing => "filing",
            LateClock::Receipt => "receipt",
        }
    }
}

/// Something that deserves attention.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "flag", rename_all = "kebab-case")]
pub enum Flag {
    /// A clock ran out, and it came later.
    Late {
        /// Which.
        clock: LateClock,
        /// By so many days.
        days: u32,
        /// The entry that came late, where it is one.
        index: Option<EntryIndex>,
    },
    /// A clock ran out, and it is not there yet.
    Overdue {
        /// Which.
        clock: LateClock,
        /// By so many days, as of the verdict.
        days: u32,
    },
    /// Damaged on arrival or found so.
    Damaged {
        /// How many.
        quantity: u64,
    },
    /// Missing between two hands, or against the book.
    Short {
        /// How many.
        quantity: u64,
    },
    /// Not taken.
    Rejected {
        /// How many.
        quantity: u64,
    },
    /// Beyond what was sent.
    Surplus {
        /// How many.
        quantity: u64,
    },
    /// May not move.
    OnHold {
        /// How many.
        quantity: u64,
    },
    /// Its final recipient was changed, and the donor agreed.
    ChangedWithConsent {
        /// The designation's entry.
        index: EntryIndex,
        /// How the donor agreed.
        consent: Consent,
    },
    /// Its final recipient was changed without the donor's consent.
    ChangedWithoutConsent {
        /// The designation's entry.
        index: EntryIndex,
    },
    /// A donated quantity was changed.
    Lowered {
        /// The correction's entry.
        index: EntryIndex,
        /// The line.
        line: u16,
        /// Before.
        from: u64,
        /// After.
        to: u64,
        /// By whom alone, when the donor did not sign.
        by_alone: Option<Handle>,
    },
    /// A statement was corrected.
    Corrected {
        /// The corrected entry.
        target: EntryIndex,
        /// The correction's entry.
        index: EntryIndex,
    },
    /// Somebody contradicts.
    Disputed {
        /// The dispute.
        dispute: EventHash,
        /// Who; none for the gift's own key.
        by: Option<Handle>,
        /// What.
        claim: Claim,
        /// An answer stands beside it.
        answered: bool,
        /// It was closed.
        closed: bool,
    },
    /// Its goods are recalled.
    Recalled {
        /// The recall's number.
        number: Text<60>,
        /// By whom.
        by: Handle,
        /// The item.
        item: Text<200>,
        /// The lot.
        lot: Text<60>,
    },
    /// It restates what was published before.
    SuspectedDuplicate {
        /// What it restates.
        restates: Text<80>,
    },
    /// The donor did not sign: the taker wrote it.
    DonorOnlyRecorded,
    /// Who issued the slip had the donor's key.
    SlipNotTakenOver {
        /// Who.
        issuer: Option<Handle>,
    },
    /// Only the final recipient says so.
    RecordedByRecipientAlone {
        /// How many.
        quantity: u64,
    },
    /// Signed with a key that was in the wrong hands by then.
    KeyCompromised {
        /// The entry.
        index: EntryIndex,
        /// The key.
        key: KeyBytes,
        /// Since when.
        since: Date,
    },
    /// A receipt for what nobody sent to its signer.
    UnsupportedReceipt {
        /// The entry.
        index: EntryIndex,
    },
    /// A receipt that is dated before the delivery.
    ReceiptBeforeDelivery {
        /// The entry.
        index: EntryIndex,
        /// The shipment.
        shipment: ShipmentId,
    },
    /// No witness has cosigned the checkpoint.
    Unwitnessed,
}

impl Flag {
    /// Damaged, short or disputed: what makes "in full" into "with differences".
    pub(super) fn is_difference_at_receipt(&self) -> bool {
        match self {
            Flag::Damaged { .. } | Flag::Short { .. } => true,
            Flag::Disputed { closed, .. } => !closed,
            _ => false,
        }
    }

    /// Whether it is something to act on, rather than to know.
    pub fn is_difference(&self) -> bool {
        !matches!(
            self,
            Flag::ChangedWithConsent { .. }
                | Flag::Corrected { .. }
                | Flag::DonorOnlyRecorded
                | Flag::SlipNotTakenOver { .. }
                | Flag::Unwitnessed
                | Flag::Surplus { .. }
                | Flag::Disputed { closed: true, .. }
        )
    }

    /// The word that programs and texts use.
    pub const fn word(&self) -> &'static str {
        match self {
            Flag::Late { .. } => "late",
            Flag::Overdue { .. } => "overdue",
            Flag::Damaged { .. } => "damaged",
            Flag::Short { .. } => "short",
            Flag::Rejected { .. } => "rejected",
            Flag::Surplus { .. } => "surplus",
            Flag::OnHold { .. } => "on-hold",
            Flag::ChangedWithConsent { .. } => "changed-with-consent",
            Flag::ChangedWithoutConsent { .. } => "changed-without-consent",
            Flag::Lowered { .. } => "lowered",
            Flag::Corrected { .. } => "corrected",
            Flag::Disputed { .. } => "disputed",
            Flag::Recalled { .. } => "recalled",
            Flag::SuspectedDuplicate { .. } => "suspected-duplicate",
            Flag::DonorOnlyRecorded => "donor-only-recorded",
            Flag::SlipNotTakenOver { .. } => "slip-not-taken-over",
            Flag::RecordedByRecipientAlone { .. } => "recorded-by-recipient-alone",
            Flag::KeyCompromised { .. } => "key-compromised",
            Flag::UnsupportedReceipt { .. } => "unsupported-receipt",
            Flag::ReceiptBeforeDelivery { .. } => "receipt-before-delivery",
            Flag::Unwitnessed => "unwitnessed",
        }
    }
}

pub(super) fn of(state: &State, gift: &Gift, as_of: AsOf, tally: &Tally) -> Vec<Flag> {
    let mut flags = Vec::new();
    clocks(state, gift, as_of, tally, &mut flags);
    quantities(gift, tally, &mut flags);
    statements(state, gift, &mut flags);
    if let Some(restates) = gift.donation.restates.stated() {
        let restates = Text::new(restates).expect("it is such a text already");
        flags.push(Flag::SuspectedDuplicate { restates });
    }
    match gift.donor.kind {
        DonorKind::Recorded => flags.push(Flag::DonorOnlyRecorded),
        DonorKind::Slip => {
            flags.push(Flag::SlipNotTakenOver { issuer: gift.donor.party.clone() });
        }
        DonorKind::Enrolled | DonorKind::OneTimeKey => {}
    }
    if !as_of.witnessed {
        flags.push(Flag::Unwitnessed);
    }
    flags
}

/// The shipments that bring goods to the party that they are meant for.
fn final_legs(state: &State, gift: &Gift) -> Vec<Arc<Shipment>> {
    let mut legs: Vec<Arc<Shipment>> = Vec::new();
    for (account, _) in gift.accounts.iter() {
        if let Whereabouts::Moving { shipment, returning: false } = &account.place
            && let Some(known) = state.shipments.get(shipment)
            && account.meant_for.as_ref() == Some(&known.taker)
            && legs.iter().all(|leg| leg.id != known.id)
        {
            legs.push(known);
        }
    }
    legs
}

fn clocks(state: &State, gift: &Gift, as_of: AsOf, tally: &Tally, flags: &mut Vec<Flag>) {
    if let Some(deadline) = gift.donation.deadline {
        let arrived = final_legs(state, gift).into_iter().filter_map(|leg| leg.arrived());
        let latest = arrived.max_by_key(|arrival| arrival.day());
        let over = |day: Date| u32::try_from(day.days_since(deadline)).unwrap_or(0);
        let late = latest.map(|arrival| (over(arrival.day()), arrival.index));
        match late.filter(|(days, _)| *days > 0) {
            Some((days, index)) => {
                flags.push(Flag::Late { clock: LateClock::Deadline, days, index: Some(index) });
            }
            // Goods that somebody says have arrived wait for a receipt, not for their deadline.
            None if tally.open() > tally.claimed && over(as_of.day) > 0 => {
                flags.push(Flag::Overdue { clock: LateClock::Deadline, days: over(as_of.day) });
            }
            None => {}
        }
    }
    for late in &gift.late {
        let clock = match late.clock {
            ClockKind::Disclosure => LateClock::Disclosure,
            _ => LateClock::Filing,
        };
        flags.push(Flag::Late { clock, days: late.days, index: Some(late.index) });
    }
    for shipment in gift.shipments.iter().filter_map(|id| state.shipments.get(id)) {
        receipt_clock(state, &shipment, as_of, flags);
        if !gift.donation.historic {
            filing_clock(state, &shipment, flags);
        }
        for index in shipment.receipts_before_delivery() {
            flags.push(Flag::ReceiptBeforeDelivery { index, shipment: shipment.id.clone() });
        }
    }
}

/// Deliveries that were filed late; a gift's own events have noted it when they were applied.
fn filing_clock(state: &State, shipment: &Shipment, flags: &mut Vec<Flag>) {
    for delivery in &shipment.deliveries {
        let Some(clock) = state.rules_at(delivery.index).clocks.find(ClockKind::Filing) else {
            continue;
        };
        let took = delivery.recorded_on.days_since(delivery.day());
        let days = u32::try_from(took - i32::from(clock.days)).unwrap_or(0);
        if days > 0 {
            flags.push(Flag::Late { clock: LateClock::Filing, days, index: Some(delivery.index) });
        }
    }
}

fn receipt_clock(state: &State, shipment: &Shipment, as_of: AsOf, flags: &mut Vec<Flag>) {
    let Some(clock) = state.rules().clocks.find(ClockKind::Receipt) else { return };
    let Some(delivered) = shipment.deliveries.iter().map(|delivery| delivery.day()).min() else {
        return;
    };
    let over =
        |day: Date| u32::try_from(day.days_since(delivered) - i32::from(clock.days)).unwrap_or(0);
    let clock = LateClock::Receipt;
    match shipment.receipts.iter().min_by_key(|receipt| receipt.day()) {
        Some(receipt) if over(receipt.day()) > 0 => {
            let days = over(receipt.day());
            flags.push(Flag::Late { clock, days, index: Some(receipt.index) });
        }
        None if over(as_of.day) > 0 => {
            flags.push(Flag::Overdue { clock, days: over(as_of.day) });
        }
        _ => {}
    }
}

fn quantities(gift: &Gift, tally: &Tally, flags: &mut Vec<Flag>) {
    let unaccounted = |account: &Account| matches!(account.place, Whereabouts::Unaccounted { .. });
    let on_hold = |account: &Account| {
        matches!(account.place, Whereabouts::AtRest { condition: Condition::OnHold, .. })
    };
    let mut add = |quantity: u64, flag: fn(u64) -> Flag| {
        if quantity > 0 {
            flags.push(flag(quantity));
        }
    };
    add(gift.damaged, |quantity| Flag::Damaged { quantity });
    add(gift.accounts.sum(unaccounted), |quantity| Flag::Short { quantity });
    add(gift.rejected, |quantity| Flag::Rejected { quantity });
    add(gift.surplus, |quantity| Flag::Surplus { quantity });
    add(gift.accounts.sum(on_hold), |quantity| Flag::OnHold { quantity });
    add(tally.alone, |quantity| Flag::RecordedByRecipientAlone { quantity });
}

fn statements(state: &State, gift: &Gift, flags: &mut Vec<Flag>) {
    for (index, consent) in &gift.redirected {
        let (index, consent) = (*index, *consent);
        flags.push(match consent {
            Consent::None | Consent::NotNeeded => Flag::ChangedWithoutConsent { index },
            _ => Flag::ChangedWithConsent { index, consent },
        });
    }
    for lowered in &gift.lowered {
        flags.push(Flag::Lowered {
            index: lowered.index,
            line: lowered.line,
            from: lowered.from,
            to: lowered.to,
            by_alone: lowered.by_alone.clone(),
        });
    }
    let corrected = gift.corrected.iter();
    flags.extend(
        corrected.map(|(target, index)| Flag::Corrected { target: *target, index: *index }),
    );
    for dispute in &gift.disputes {
        flags.push(Flag::Disputed {
            dispute: dispute.event,
            by: dispute.by.clone(),
            claim: dispute.claim,
            answered: !dispute.answers.is_empty(),
            closed: dispute.closed.is_some(),
        });
    }
    recalls(state, gift, flags);
    for (index, on, key) in gift.signatures() {
        let compromised = state.parties.compromised(key);
        if let Some((key, since)) = compromised.filter(|(_, since)| *since <= on) {
            flags.push(Flag::KeyCompromised { index, key, since });
        }
    }
    flags.extend(gift.unsupported.iter().map(|index| Flag::UnsupportedReceipt { index: *index }));
}

/// Recalls of any item and lot that the gift says it holds, or said before a correction, or that
/// arrived in fact.
fn recalls(state: &State, gift: &Gift, flags: &mut Vec<Flag>) {
    let mut held: Vec<(Text<200>, Text<60>)> = gift.lots().collect();
    held.extend(gift.actual.iter().cloned());
    let every_lot: Vec<_> = held.iter().map(|(item, _)| (item.clone(), Text::default())).collect();
    held.extend(every_lot);
    held.sort();
    held.dedup();
    for (item, lot) in held {
        let recalls = state.recalls.get(&(item.clone(), lot.clone()));
        for recall in recalls.into_iter().flatten().filter(|recall| recall.lifted.is_none()) {
            flags.push(Flag::Recalled {
                number: recall.number.clone(),
                by: recall.by.clone(),
                item: item.clone(),
                lot: lot.clone(),
            });
        }
    }
}
