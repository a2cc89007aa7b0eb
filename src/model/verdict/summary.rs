//! Differences over a whole ledger: by headline, by flag, by clock, by party (spec section 9.5).

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::{AsOf, Flag, Headline, LateClock, Verdict};
use crate::model::event::ClockKind;
use crate::model::ident::{EntryIndex, Handle, ShipmentId};
use crate::model::state::{Gift, State, Whereabouts};
use crate::model::text::Text;

/// What one clock found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ClockCount {
    /// Gifts that came later than the clock allows.
    pub late: u64,
    /// Gifts that are not there although the clock has run out.
    pub overdue: u64,
    /// The shipments that the late gifts came with.
    #[serde(skip)]
    late_shipments: BTreeSet<ShipmentId>,
    /// How many those are.
    pub shipments: u64,
}

/// A campaign that has not reported in time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SilentCampaign {
    /// Its number.
    pub campaign: Text<60>,
    /// The longest silence, in days beyond what is allowed.
    pub days: u32,
}

/// A public campaign must report when it lasts longer than six months (Charity Law of the PRC, on
/// public fundraising).
const CAMPAIGN_REPORTS_AFTER_DAYS: i32 = 183;

/// Counts over all gifts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Gifts.
    pub gifts: u64,
    /// Gifts with at least one difference.
    pub with_differences: u64,
    /// Gifts by headline.
    pub by_headline: BTreeMap<Headline, u64>,
    /// Gifts by flag.
    pub by_flag: BTreeMap<&'static str, u64>,
    /// Gifts by clock.
    pub by_clock: BTreeMap<LateClock, ClockCount>,
    /// Receipts that are dated before their delivery.
    pub receipts_before_delivery: u64,
    /// Campaigns of over six months that have not reported in time.
    pub silent_campaigns: Vec<SilentCampaign>,
    /// Gifts with a difference, by the parties that answer for the goods concerned.
    pub by_party: BTreeMap<Handle, u64>,
}

impl Summary {
    /// Adds up the verdicts on every gift.
    pub fn of(state: &State, as_of: AsOf) -> Self {
        let mut summary = Self::default();
        let mut early_receipts: BTreeSet<EntryIndex> = BTreeSet::new();
        for gift in state.gifts.iter() {
            let verdict = Verdict::of(state, &gift, as_of);
            summary.gifts += 1;
            *summary.by_headline.entry(verdict.headline).or_default() += 1;
            let flags: BTreeSet<&'static str> = verdict.flags.iter().map(Flag::word).collect();
            flags.iter().for_each(|word| *summary.by_flag.entry(*word).or_default() += 1);
            summary.run_clocks(state, &gift, &verdict.flags);
            early_receipts.extend(verdict.flags.iter().filter_map(|flag| match flag {
                Flag::ReceiptBeforeDelivery { index, .. } => Some(*index),
                _ => None,
            }));
            if verdict.flags.iter().any(Flag::is_difference) {
                summary.with_differences += 1;
                for party in answerable(state, &gift, &verdict.flags) {
                    *summary.by_party.entry(party).or_default() += 1;
                }
            }
        }
        summary.silent_campaigns = silent_campaigns(state, as_of);
        summary.receipts_before_delivery = early_receipts.len() as u64;
        for count in summary.by_clock.values_mut() {
            count.shipments = count.late_shipments.len() as u64;
        }
        summary
    }

    fn run_clocks(&mut self, state: &State, gift: &Gift, flags: &[Flag]) {
        let late: BTreeSet<LateClock> = flags.iter().filter_map(late_clock).collect();
        for clock in &late {
            self.by_clock.entry(*clock).or_default().late += 1;
        }
        let overdue: BTreeSet<LateClock> = flags.iter().filter_map(overdue_clock).collect();
        for clock in overdue {
            self.by_clock.entry(clock).or_default().overdue += 1;
        }
        if late.contains(&LateClock::Deadline) {
            let shipments = late_shipments(state, gift);
            let count = self.by_clock.entry(LateClock::Deadline).or_default();
            count.late_shipments.extend(shipments);
        }
    }
}

/// Campaigns whose longest silence, from first gift or report to the next report or now, is longer
/// than the clock allows.
fn silent_campaigns(state: &State, as_of: AsOf) -> Vec<SilentCampaign> {
    let Some(clock) = state.rules().clocks.find(ClockKind::Report) else { return Vec::new() };
    let long = state
        .campaigns
        .iter()
        .filter(|(_, campaign)| as_of.day.days_since(campaign.first) > CAMPAIGN_REPORTS_AFTER_DAYS);
    let silent = long.filter_map(|(number, campaign)| {
        let mut days = campaign.reports.clone();
        days.extend([campaign.first, as_of.day]);
        days.sort();
        let longest = days.windows(2).map(|pair| pair[1].days_since(pair[0])).max()?;
        let over = u32::try_from(longest - i32::from(clock.days)).ok().filter(|over| *over > 0)?;
        Some(SilentCampaign { campaign: number.clone(), days: over })
    });
    silent.collect()
}

fn late_clock(flag: &Flag) -> Option<LateClock> {
    if let Flag::Late { clock, .. } = flag { Some(*clock) } else { None }
}

fn overdue_clock(flag: &Flag) -> Option<LateClock> {
    if let Flag::Overdue { clock, .. } = flag { Some(*clock) } else { None }
}

/// The gift's shipments that arrived after its deadline.
fn late_shipments(state: &State, gift: &Gift) -> Vec<ShipmentId> {
    let deadline = gift.donation.deadline;
    let shipments = gift.shipments.iter().filter_map(|id| state.shipments.get(id));
    let late = shipments.filter(|shipment| {
        shipment.arrived().zip(deadline).is_some_and(|(arrived, day)| arrived.day() > day)
    });
    late.map(|shipment| shipment.id.clone()).collect()
}

/// Who answers for goods that are missing, late or still on their way.
fn answerable(state: &State, gift: &Gift, flags: &[Flag]) -> BTreeSet<Handle> {
    let mut parties = BTreeSet::new();
    let overdue = flags.iter().any(|flag| overdue_clock(flag).is_some());
    for (account, _) in gift.accounts.iter().filter(|(_, quantity)| *quantity > 0) {
        match &account.place {
            Whereabouts::Unaccounted { giver, .. } => {
                parties.insert(giver.clone());
            }
            Whereabouts::Moving { shipment, .. } if overdue => {
                parties.extend(state.shipments.get(shipment).map(|s| s.answers().clone()));
            }
            Whereabouts::AtRest { holder, .. } if overdue && account.reached.is_none() => {
                parties.insert(holder.clone());
            }
            _ => {}
        }
    }
    let late = late_shipments(state, gift);
    parties
        .extend(late.iter().filter_map(|id| state.shipments.get(id)).map(|s| s.answers().clone()));
    parties
}
