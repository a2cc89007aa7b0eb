//! What can be said about a gift: three facets and a headline (spec section 9).
//!
//! *Where* its goods are, in quantities; *how well* that is proven; *flags*. The headline is the
//! first of a fixed list that applies. A verdict is derived, never stored, and names what it rests
//! on and what is missing.

mod flags;
mod summary;
mod tally;

use std::sync::Arc;

use serde::Serialize;

pub use flags::{Flag, LateClock};
pub use summary::{ClockCount, SilentCampaign, Summary};

use super::date::{Date, UnixMs};
use super::event::{Condition, DonorKind, EvidenceKind};
use super::hash::EventHash;
use super::ident::{EntryIndex, GiftId, Handle, ShipmentId};
use super::policy::Cosigned;
use super::state::{Account, Book, Gift, Reached, Shipment, Standing, State, Whereabouts};
use super::text::Text;
use tally::Tally;

/// The one line that a donor reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Headline {
    /// An entry about it breaks the rules: do not believe this ledger.
    LedgerFails,
    /// All of it was taken back before it was delivered.
    Withdrawn,
    /// Only the donor says so.
    AnnouncedOnly,
    /// All of it is lost or unaccounted.
    Lost,
    /// None of it was received; all that is left was destroyed, sold or lent.
    DisposedOf,
    /// Accepted = designated = donated.
    ReceivedInFull,
    /// Some of it was accepted, and something is still open.
    ReceivedInPart,
    /// Nothing is open, but not all is as it should be.
    ReceivedWithDifferences,
    /// Only its own final recipient says that it was given and received.
    RecordedByRecipientAlone,
    /// Accepted by a party that it was not meant for.
    ReachedAnotherUnit,
    /// In a shipment.
    OnTheWay,
    /// Somebody says that it arrived; the recipient has not signed.
    ClaimedNotSigned,
    /// At its recipient, awaiting inspection.
    BeingInspected,
    /// With a holder; nobody has said for whom.
    WaitingToBeAssigned,
    /// With a holder; its recipient is known.
    WaitingToBeSent,
}

impl Headline {
    /// Every headline, in the order in which they are tried.
    pub const ALL: &'static [Headline] = &[
        Headline::LedgerFails,
        Headline::Withdrawn,
        Headline::AnnouncedOnly,
        Headline::Lost,
        Headline::DisposedOf,
        Headline::ReceivedInFull,
        Headline::ReceivedInPart,
        Headline::ReceivedWithDifferences,
        Headline::RecordedByRecipientAlone,
        Headline::ReachedAnotherUnit,
        Headline::OnTheWay,
        Headline::ClaimedNotSigned,
        Headline::BeingInspected,
        Headline::WaitingToBeAssigned,
        Headline::WaitingToBeSent,
    ];

    /// The word that programs and texts use.
    pub const fn word(self) -> &'static str {
        match self {
            Headline::LedgerFails => "ledger-fails",
            Headline::Withdrawn => "withdrawn",
            Headline::AnnouncedOnly => "announced-only",
            Headline::Lost => "lost",
            Headline::DisposedOf => "disposed-of",
            Headline::ReceivedInFull => "received-in-full",
            Headline::ReceivedInPart => "received-in-part",
            Headline::ReceivedWithDifferences => "received-with-differences",
            Headline::RecordedByRecipientAlone => "recorded-by-recipient-alone",
            Headline::ReachedAnotherUnit => "reached-another-unit",
            Headline::OnTheWay => "on-the-way",
            Headline::ClaimedNotSigned => "claimed-not-signed",
            Headline::BeingInspected => "being-inspected",
            Headline::WaitingToBeAssigned => "waiting-to-be-assigned",
            Headline::WaitingToBeSent => "waiting-to-be-sent",
        }
    }

    /// Whether the final recipient has accepted something: what `--expect received` asks for.
    pub const fn is_received(self) -> bool {
        matches!(self, Headline::ReceivedInFull)
    }
}

/// As of when a verdict is given: the newest cosignature in hand, else the last recorded_at; never
/// the machine's clock, so that two verifiers with the same file agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct AsOf {
    /// The day.
    pub day: Date,
    /// A witness that the trust file names has cosigned.
    pub witnessed: bool,
}

impl AsOf {
    /// The day on which the ledger's last entry was recorded, unwitnessed.
    pub fn last_entry(state: &State) -> Self {
        let day = state.recorded_at.date(state.rules().offset_minutes);
        Self { day, witnessed: false }
    }

    /// The day of the newest of these cosignatures on the ledger's checkpoint; without any, as
    /// [`Self::last_entry`].
    pub fn newest(state: &State, cosigned: &[Cosigned]) -> Self {
        let Some(time) = cosigned.iter().map(|by| by.time).max() else {
            return Self::last_entry(state);
        };
        let moment = UnixMs::from_unix_seconds(time.unix_seconds());
        Self { day: moment.date(state.rules().offset_minutes), witnessed: true }
    }
}

/// How well it is proven that a quantity was accepted; strongest first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(tag = "how", rename_all = "kebab-case")]
pub enum Proof {
    /// Signed by the recipient's own key, vouched for by k registrars.
    Vouched,
    /// The same, with a key that replaced a lost one on the registrars' word.
    Recovered,
    /// Signed by the recipient's own key; fewer than k registrars vouched for it.
    Provisional,
    /// Entered by the recipient alone: no other party says that it gave or sent.
    RecipientAlone,
    /// Signed by a party that it was not meant for.
    OtherUnit,
    /// The taker signed that it arrived unfit for use.
    ArrivedUnfit,
    /// A stamped paper receipt, by its hash.
    Paper {
        /// Who has the original.
        held_by: Option<Handle>,
    },
    /// Carrier or sender say that it arrived.
    ClaimedByOthers,
    /// Nothing says that it arrived.
    Nothing,
}

/// So much of a line, and how well it is proven.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Proven {
    /// The line.
    pub line: u16,
    /// How many.
    pub quantity: u64,
    /// Of which unit.
    pub unit: Text<24>,
    /// How well.
    #[serde(flatten)]
    pub proof: Proof,
}

/// So much of a line, and where it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Holding {
    /// The line.
    pub line: u16,
    /// How many.
    pub quantity: u64,
    /// Of which unit.
    pub unit: Text<24>,
    /// Meant for whom.
    pub meant_for: Option<Handle>,
    /// Where.
    pub place: Whereabouts,
    /// Whom it has reached.
    pub reached: Option<Reached>,
    /// Who answers for what is on its way.
    pub answered_by: Option<Handle>,
    /// Since when it has been on its way.
    pub since: Option<Date>,
}

/// A line of the gift.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LineVerdict {
    /// Its number.
    pub number: u16,
    /// What it is, corrections applied.
    pub item: Text<200>,
    /// The unit that its quantities are in: the smallest known.
    pub unit: Text<24>,
    /// How many units it is as stated, where that differs: 100 boxes of 2,000.
    pub packs: Option<(u64, Text<24>)>,
    /// Donated.
    pub donated: u64,
    /// Of that, meant for a final recipient.
    pub designated: u64,
    /// Accepted by final recipients.
    pub accepted: u64,
}

/// What one final recipient was meant to get, and got.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RecipientVerdict {
    /// The line.
    pub line: u16,
    /// The recipient.
    pub recipient: Handle,
    /// Meant for it.
    pub designated: u64,
    /// Accepted by it.
    pub accepted: u64,
    /// Of which unit.
    pub unit: Text<24>,
}

/// What would have to be there for more to be proven.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "missing", rename_all = "kebab-case")]
pub enum Missing {
    /// The donor did not sign.
    DonorSignature,
    /// Nobody has said for whom it is.
    Designation {
        /// How many, in smallest units.
        quantity: u64,
    },
    /// It has not left its holder.
    Dispatch {
        /// Who holds it.
        holder: Handle,
    },
    /// The taker of a shipment has not signed.
    Receipt {
        /// The shipment.
        shipment: ShipmentId,
        /// Who should sign.
        taker: Handle,
    },
    /// Goods await inspection.
    Inspection {
        /// Where.
        holder: Handle,
    },
    /// Fewer than k registrars vouched for who signed.
    Vouching {
        /// For whom.
        party: Handle,
    },
    /// Nobody says where goods went.
    Explanation {
        /// How many, in smallest units.
        quantity: u64,
    },
    /// A dispute is open.
    Settlement {
        /// The dispute.
        dispute: EventHash,
    },
}

/// Everything that can be said about a gift.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// What the donor holds.
    pub gift: GiftId,
    /// The donation's event.
    pub donation: EventHash,
    /// The donation's entry.
    pub index: EntryIndex,
    /// The one line.
    pub headline: Headline,
    /// Donated, all lines, where they share a unit.
    pub total: Option<Total>,
    /// As of when.
    pub as_of: AsOf,
    /// Lines.
    pub lines: Vec<LineVerdict>,
    /// Where the goods are.
    pub holdings: Vec<Holding>,
    /// By final recipient.
    pub recipients: Vec<RecipientVerdict>,
    /// How well that is proven.
    pub proven: Vec<Proven>,
    /// What deserves attention.
    pub flags: Vec<Flag>,
    /// What is missing.
    pub missing: Vec<Missing>,
    /// How the donor stands behind it.
    pub donor: DonorKind,
}

/// A sum over all lines, where they share a unit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Total {
    /// The unit.
    pub unit: Text<24>,
    /// Donated.
    pub donated: u64,
    /// Accepted by final recipients.
    pub accepted: u64,
}

impl Verdict {
    /// The verdict on a gift.
    pub fn of(state: &State, gift: &Gift, as_of: AsOf) -> Self {
        let tally = Tally::of(state, gift);
        let flags = flags::of(state, gift, as_of, &tally);
        let lines: Vec<LineVerdict> = lines(gift);
        let same_unit = lines.windows(2).all(|pair| pair[0].unit == pair[1].unit)
            && gift.loose_units.is_empty();
        let total = lines.first().filter(|_| same_unit).map(|first| Total {
            unit: first.unit.clone(),
            donated: lines.iter().map(|line| line.donated).sum(),
            accepted: lines.iter().map(|line| line.accepted).sum(),
        });
        Self {
            gift: GiftId::from(&gift.id),
            donation: gift.id,
            index: gift.entries[0],
            headline: headline(gift, &tally, &flags),
            total,
            as_of,
            holdings: holdings(state, gift),
            recipients: recipients(gift),
            proven: proven(state, gift),
            missing: missing(state, gift, &tally),
            flags,
            lines,
            donor: gift.donor.kind,
        }
    }

    /// Every entry that says something about a gift: its own, and those of its shipments.
    pub fn journey(state: &State, gift: &Gift) -> Vec<EntryIndex> {
        let shipments: Vec<Arc<Shipment>> =
            gift.shipments.iter().filter_map(|id| state.shipments.get(id)).collect();
        let dated = shipments.iter().flat_map(|shipment| {
            shipment.deliveries.iter().chain(&shipment.dispatches).map(|dated| dated.index)
        });
        let mut entries: Vec<EntryIndex> = gift.entries.iter().copied().chain(dated).collect();
        entries.sort_unstable();
        entries.dedup();
        // A dispatch of the same shipment that carried only other gifts says nothing of this one.
        let other = |index: &EntryIndex| {
            let delivered = |shipment: &Arc<Shipment>| {
                shipment.deliveries.iter().any(|delivery| delivery.index == *index)
            };
            gift.entries.contains(index) || shipments.iter().any(delivered)
        };
        entries.retain(other);
        entries
    }
}

/// The first that applies.
fn headline(gift: &Gift, tally: &Tally, flags: &[Flag]) -> Headline {
    let due = tally.due;
    if gift.failed.is_some() {
        return Headline::LedgerFails;
    }
    if due == 0 {
        return Headline::Withdrawn;
    }
    if tally.announced == due {
        return Headline::AnnouncedOnly;
    }
    if tally.lost == due {
        return Headline::Lost;
    }
    if tally.lost + tally.disposed == due {
        return Headline::DisposedOf;
    }
    if tally.in_full {
        let differs = flags.iter().any(Flag::is_difference_at_receipt);
        return if differs { Headline::ReceivedWithDifferences } else { Headline::ReceivedInFull };
    }
    if tally.reached > 0 {
        let open = tally.open() > 0;
        return if open { Headline::ReceivedInPart } else { Headline::ReceivedWithDifferences };
    }
    if tally.alone > 0 {
        return Headline::RecordedByRecipientAlone;
    }
    if tally.other_unit > 0 {
        return Headline::ReachedAnotherUnit;
    }
    // Any party may attest; only one that has had to do with the gift can make it "claimed".
    let paper = gift
        .evidence
        .iter()
        .any(|e| e.kind == EvidenceKind::PaperReceipt && gift.journey.contains(&e.by));
    if tally.moving > tally.claimed && !paper {
        return Headline::OnTheWay;
    }
    if tally.claimed > 0 || (paper && tally.open() > 0) {
        return Headline::ClaimedNotSigned;
    }
    if tally.inspected > 0 {
        return Headline::BeingInspected;
    }
    if tally.unassigned > 0 {
        return Headline::WaitingToBeAssigned;
    }
    if tally.assigned > 0 {
        return Headline::WaitingToBeSent;
    }
    if tally.announced > 0 {
        return Headline::AnnouncedOnly;
    }
    // What is left is damaged on arrival, partly lost: it arrived, and none of it was accepted.
    Headline::ReceivedWithDifferences
}

fn lines(gift: &Gift) -> Vec<LineVerdict> {
    let line = |line: &super::event::Line| {
        let of_line = |account: &Account| account.line == line.number;
        let smallest = |account: &Account| of_line(account) && account.book == Book::Smallest;
        LineVerdict {
            number: line.number,
            item: line.item.clone(),
            unit: line.smallest_unit().clone(),
            packs: line.pack.as_ref().map(|_| (line.quantity, line.unit.clone())),
            donated: line.quantity * line.content(),
            designated: gift.accounts.sum(|a| smallest(a) && a.meant_for.is_some()),
            accepted: gift.accounts.sum(|a| of_line(a) && tally::is_accepted(a)),
        }
    };
    gift.donation.lines.iter().map(line).collect()
}

fn unit_of(gift: &Gift, account: &Account) -> Text<24> {
    let line = gift.donation.line(account.line);
    let stated = || line.map(|line| line.smallest_unit().clone()).unwrap_or_default();
    match account.book {
        Book::Smallest => stated(),
        Book::Loose => gift.loose_units.get(&account.line).cloned().unwrap_or_else(stated),
    }
}

fn holdings(state: &State, gift: &Gift) -> Vec<Holding> {
    let shown = gift.accounts.iter().filter(|(_, quantity)| *quantity > 0);
    let holding = |(account, quantity): (&Account, u64)| {
        let shipment = match &account.place {
            Whereabouts::Moving { shipment, .. } => state.shipments.get(shipment),
            _ => None,
        };
        Holding {
            line: account.line,
            quantity,
            unit: unit_of(gift, account),
            meant_for: account.meant_for.clone(),
            place: account.place.clone(),
            reached: account.counts_as_reached(),
            answered_by: shipment.as_ref().map(|shipment| shipment.answers().clone()),
            since: shipment.and_then(|s| s.dispatches.iter().map(|d| d.day()).min()),
        }
    };
    shown.map(holding).collect()
}

fn recipients(gift: &Gift) -> Vec<RecipientVerdict> {
    let mut verdicts: Vec<RecipientVerdict> = Vec::new();
    for (account, quantity) in gift.accounts.iter() {
        let (Some(recipient), false) = (
            &account.meant_for,
            matches!(account.place, Whereabouts::Withdrawn | Whereabouts::Opened { .. }),
        ) else {
            continue;
        };
        let unit = unit_of(gift, account);
        let accepted = if tally::is_accepted(account) { quantity } else { 0 };
        let same = |v: &&mut RecipientVerdict| {
            v.line == account.line && v.recipient == *recipient && v.unit == unit
        };
        match verdicts.iter_mut().find(same) {
            Some(verdict) => {
                verdict.designated += quantity;
                verdict.accepted += accepted;
            }
            None => verdicts.push(RecipientVerdict {
                line: account.line,
                recipient: recipient.clone(),
                designated: quantity,
                accepted,
                unit,
            }),
        }
    }
    verdicts
}

fn proven(state: &State, gift: &Gift) -> Vec<Proven> {
    let mut proven: Vec<Proven> = Vec::new();
    let mut add = |line: u16, quantity: u64, unit: Text<24>, proof: Proof| {
        let same = |p: &&mut Proven| p.line == line && p.unit == unit && p.proof == proof;
        match proven.iter_mut().find(same) {
            Some(known) => known.quantity += quantity,
            None => proven.push(Proven { line, quantity, unit, proof }),
        }
    };
    for (account, quantity) in gift.accounts.iter().filter(|(_, quantity)| *quantity > 0) {
        let claimed = match &account.place {
            Whereabouts::Withdrawn | Whereabouts::Opened { .. } => continue,
            Whereabouts::Moving { shipment, .. } => {
                state.shipments.get(shipment).is_some_and(|s| !s.deliveries.is_empty())
            }
            _ => false,
        };
        let proof = match account.counts_as_reached() {
            Some(Reached::Recipient(Standing::Vouched)) => Proof::Vouched,
            Some(Reached::Recipient(Standing::Recovered)) => Proof::Recovered,
            Some(Reached::Recipient(Standing::Provisional)) => Proof::Provisional,
            Some(Reached::RecordedAlone) => Proof::RecipientAlone,
            Some(Reached::OtherUnit) => Proof::OtherUnit,
            None if is_damaged(account) => Proof::ArrivedUnfit,
            None if claimed => Proof::ClaimedByOthers,
            None => Proof::Nothing,
        };
        add(account.line, quantity, unit_of(gift, account), proof);
    }
    let papers = gift.evidence.iter().filter(|e| e.kind == EvidenceKind::PaperReceipt);
    for paper in papers {
        let unit = gift.donation.line(paper.line).map(|line| line.smallest_unit().clone());
        let proof = Proof::Paper { held_by: paper.held_by.clone() };
        add(paper.line, paper.quantity, unit.unwrap_or_default(), proof);
    }
    proven.sort_by(|a, b| (a.line, &a.proof).cmp(&(b.line, &b.proof)));
    proven
}

fn is_damaged(account: &Account) -> bool {
    matches!(account.place, Whereabouts::AtRest { condition: Condition::Damaged, .. })
}

fn missing(state: &State, gift: &Gift, tally: &Tally) -> Vec<Missing> {
    let mut missing = Vec::new();
    let mut add = |what: Missing| {
        if !missing.contains(&what) {
            missing.push(what);
        }
    };
    if matches!(gift.donor.kind, DonorKind::Recorded) {
        add(Missing::DonorSignature);
    }
    if tally.unassigned > 0 {
        add(Missing::Designation { quantity: tally.unassigned });
    }
    for (account, _) in gift.accounts.iter().filter(|(_, quantity)| *quantity > 0) {
        match &account.place {
            Whereabouts::AtRest { holder, .. }
                if account.reached.is_none()
                    && account.meant_for.as_ref().is_some_and(|to| to != holder) =>
            {
                add(Missing::Dispatch { holder: holder.clone() });
            }
            Whereabouts::Moving { shipment, .. } => {
                if let Some(shipment) = state.shipments.get(shipment) {
                    let (id, taker) = (shipment.id.clone(), shipment.taker.clone());
                    add(Missing::Receipt { shipment: id, taker });
                }
            }
            Whereabouts::Inspected { holder, .. } => {
                add(Missing::Inspection { holder: holder.clone() });
            }
            _ => {}
        }
        if account.counts_as_reached() == Some(Reached::Recipient(Standing::Provisional))
            && let Some(party) = &account.meant_for
        {
            add(Missing::Vouching { party: party.clone() });
        }
    }
    let unaccounted =
        gift.accounts.sum(|account| matches!(account.place, Whereabouts::Unaccounted { .. }));
    if unaccounted > 0 {
        add(Missing::Explanation { quantity: unaccounted });
    }
    for dispute in gift.disputes.iter().filter(|dispute| dispute.closed.is_none()) {
        add(Missing::Settlement { dispute: dispute.event });
    }
    missing
}
