//! One gift: what its events have made of it (spec sections 8 and 9).
//!
//! A gift is a fold over its own events. A correction is judged by folding again with the new
//! statement in the old one's place.

use std::sync::Arc;

use bincode::{Decode, Encode};
use serde::Serialize;

use super::Recorded;
use super::account::{Account, Accounts, Book, Lot, Reached, Whereabouts};
use super::evidence::Evidence;
use super::kept::{Keep, Kept, Label};
use super::parties::{Parties, Standing};
use super::shipment::Shipment;
use super::signed::Signed;
use crate::model::date::{Date, UnixMs};
use crate::model::event::*;
use crate::model::hash::EventHash;
use crate::model::ident::{EntryIndex, GiftId, Handle, ShipmentId};
use crate::model::sorted::{SortedMap, SortedSet};
use crate::model::text::Text;
use crate::model::violation::{Code, Violation};

/// What of the ledger a gift's events are read against.
pub(super) struct Books<'a> {
    pub parties: &'a Parties,
    pub shipments: &'a Kept<Shipment>,
    pub rules: &'a Rules,
}

/// An event as a gift sees it.
pub(super) struct Fact<'a> {
    pub index: EntryIndex,
    pub recorded_at: UnixMs,
    pub event: EventHash,
    pub head: &'a Head,
    pub statement: &'a Statement,
    /// The correction whose words hold in place of the event's own.
    pub correction: Option<&'a Recorded>,
}

impl Fact<'_> {
    /// How well the party that signs in this capacity is vouched for. Where a correction put the
    /// words there, they stand on the weaker of both signatures.
    pub(super) fn standing(&self, capacity: Capacity, parties: &Parties) -> Standing {
        let standing = |head: &Head, at: EntryIndex| {
            let signer = head.signer_as(capacity).expect("checked with the signers");
            let party = signer.party.as_ref().expect("holders and takers are parties");
            parties.standing(party, &signer.key, at)
        };
        let own = standing(self.head, self.index);
        let corrected = self.correction.map(|by| standing(&by.event.head, by.index));
        corrected.map_or(own, |corrected| own.min(corrected))
    }
}

/// A contradiction.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct DisputeState {
    /// The event that raised it.
    pub event: EventHash,
    /// Its entry.
    pub index: EntryIndex,
    /// Who raised it; none for the gift's own key.
    pub by: Option<Handle>,
    /// What is disputed.
    pub claim: Claim,
    /// Entries with answers.
    pub answers: Vec<EntryIndex>,
    /// The entry that closed it.
    pub closed: Option<EntryIndex>,
}

/// A donated quantity that was changed later.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct Lowered {
    /// The correction's entry.
    pub index: EntryIndex,
    /// The line.
    pub line: u16,
    /// In the line's smallest unit, before.
    pub from: u64,
    /// And after.
    pub to: u64,
    /// The donor did not sign: by whom alone.
    pub by_alone: Option<Handle>,
}

/// A clock that ran out.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct Late {
    /// Which clock.
    pub clock: ClockKind,
    /// The entry that came late.
    pub index: EntryIndex,
    /// Days beyond what is allowed.
    pub days: u32,
}

/// A gift, as its events have made it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Gift {
    /// The donation's event hash.
    pub id: EventHash,
    /// The donation, with corrections applied.
    pub donation: Arc<Donation>,
    /// The donor from now on (a slip may have been taken over).
    pub donor: Donor,
    /// The donor's key stands under the donation.
    pub donor_signed: bool,
    /// The taker's key does.
    pub taker_signed: bool,
    /// When it was given, if known.
    pub given_on: Option<Date>,
    /// The documents of the donation.
    pub documents: Arc<[Document]>,
    /// Its entries, the donation first.
    pub entries: Vec<EntryIndex>,
    /// Where its goods are.
    pub accounts: Accounts,
    /// The unit of loose pieces, by line.
    pub loose_units: SortedMap<u16, Text<24>>,
    /// What was damaged on arrival, by line, in the smallest unit or loose pieces.
    pub damaged: u64,
    /// What came beyond what was sent, or was found.
    pub surplus: u64,
    /// Loose pieces that came out of opened packs.
    pub unpacked: u64,
    /// What was rejected.
    pub rejected: u64,
    /// Who has had to do with it.
    pub journey: SortedSet<Handle>,
    /// The shipments that carried it.
    pub shipments: SortedSet<ShipmentId>,
    /// Contradictions.
    pub disputes: Vec<DisputeState>,
    /// Evidence outside the log.
    pub evidence: Vec<Evidence>,
    /// Entries that changed a final recipient, with what they rested on.
    pub redirected: Vec<(EntryIndex, Consent)>,
    /// Donated quantities that were changed.
    pub lowered: Vec<Lowered>,
    /// Corrected entries, with the entry that corrected them.
    pub corrected: Vec<(EntryIndex, EntryIndex)>,
    /// Statements that hold instead of the originals, by entry; empty bytes void.
    pub replaced: SortedMap<EntryIndex, Vec<u8>>,
    /// Clocks that ran out.
    pub late: Vec<Late>,
    /// Receipts for what nobody sent to their signer.
    pub unsupported: Vec<EntryIndex>,
    /// Items and lots that it said it held before a correction.
    pub(super) former_lots: SortedSet<(Text<200>, Text<60>)>,
    /// Items and lots that arrived in fact.
    pub actual: Vec<(Text<200>, Text<60>)>,
    /// What was signed by keys that are no gift's: the others are never compromised.
    pub(super) signed: Vec<Signed>,
    /// The first entry about it that the rules refuse.
    pub failed: Option<(EntryIndex, String)>,
}

impl Keep for Gift {
    type Key = EventHash;

    /// Some 40,000: about as many as a country has on their way at a time.
    const HOT_MAX: usize = 64 << 20;

    fn key(&self) -> &EventHash {
        &self.id
    }

    /// The gift's id.
    fn label(key: &EventHash) -> Label {
        *GiftId::from(key).as_bytes()
    }

    fn weight(&self) -> usize {
        // Most texts stand in their own places; of the others, the odd one.
        let texts = 32;
        let lines = self.donation.lines.len() * (size_of::<Line>() + 2 * texts);
        let replaced: usize = self.replaced.iter().map(|(_, bytes)| 64 + bytes.len()).sum();
        size_of::<Self>()
            + lines
            + self.entries.len() * size_of::<EntryIndex>()
            + self.accounts.iter().count() * size_of::<(Account, u64)>()
            + self.signed.len() * size_of::<Signed>()
            + self.documents.len() * (size_of::<Document>() + texts)
            + self.evidence.len() * (size_of::<Evidence>() + texts)
            + self.disputes.len() * (size_of::<DisputeState>() + texts)
            + self.journey.len() * size_of::<Handle>()
            + (self.former_lots.len() + self.actual.len()) * (2 * size_of::<Text<200>>() + texts)
            + self.shipments.len() * size_of::<ShipmentId>()
            + replaced
    }
}

impl Gift {
    /// Begins a gift with its donation. The caller has checked who signs.
    pub(super) fn begin(
        fact: &Fact,
        donation: &Donation,
        books: &Books,
    ) -> Result<Self, Violation> {
        let donor_signed = fact.head.signer_as(Capacity::Donor).is_some();
        let taker = fact.head.signer_as(Capacity::Taker);
        let mut gift = Self {
            id: fact.event,
            donation: Arc::new(donation.clone()),
            donor: donation.donor.clone(),
            donor_signed,
            taker_signed: taker.is_some(),
            given_on: fact.head.occurred_on,
            documents: fact.head.documents.iter().cloned().collect(),
            entries: vec![fact.index],
            accounts: Accounts::default(),
            loose_units: SortedMap::default(),
            damaged: 0,
            surplus: 0,
            unpacked: 0,
            rejected: 0,
            journey: donation.donor.party.iter().chain(&donation.taker).cloned().collect(),
            shipments: SortedSet::default(),
            disputes: Vec::new(),
            evidence: Vec::new(),
            redirected: Vec::new(),
            lowered: Vec::new(),
            corrected: Vec::new(),
            replaced: SortedMap::default(),
            late: Vec::new(),
            unsupported: Vec::new(),
            former_lots: SortedSet::default(),
            actual: Vec::new(),
            signed: Vec::new(),
            failed: None,
        };
        gift.note_signers(fact, books);
        gift.run_clock(fact, books.rules, ClockKind::Disclosure);
        let place = match (&donation.taker, taker) {
            (Some(taker), Some(_)) => at_rest(taker, Condition::Good),
            _ => Whereabouts::Announced,
        };
        for line in &donation.lines {
            let mut left = line.quantity;
            for share in &line.shares {
                left -= share.quantity;
                gift.journey.insert(share.recipient.clone());
                let reached = taker
                    .filter(|signer| signer.party.as_ref() == Some(&share.recipient))
                    .map(|signer| handed_over(donation, donor_signed, signer, fact, books.parties));
                let lot = lot(line.number, Book::Smallest, Some(&share.recipient));
                gift.accounts
                    .put(lot.at(place.clone(), reached), share.quantity * line.content())?;
            }
            let rest = lot(line.number, Book::Smallest, None);
            gift.accounts.put(rest.at(place.clone(), None), left * line.content())?;
        }
        Ok(gift)
    }

    /// Lets an event after the donation change the gift.
    ///
    /// # Errors
    /// The violation under which the event is refused; the gift is then half-changed, and the
    /// caller throws it away.
    pub(super) fn post(&mut self, fact: &Fact, books: &Books) -> Result<(), Violation> {
        self.entries.push(fact.index);
        self.note_signers(fact, books);
        match fact.statement {
            Statement::Withdrawal(s) => self.withdraw(s),
            Statement::GiftTakenOver(s) => self.taken_over(s),
            Statement::Designation(s) => self.designate(s, fact),
            Statement::Dispatch(s) => self.dispatch(s),
            Statement::Receipt(s) => self.receive(s, fact, books),
            Statement::Count(s) => self.count(s, fact, books),
            Statement::Use(s) => {
                let by = holder(fact);
                let used = Whereabouts::Used { by: by.clone() };
                self.move_portions(&s.portions, &at_rest(by, Condition::Good), &used)
            }
            Statement::Disposal(s) => {
                let by = holder(fact);
                let from = match s.condition {
                    // Whether pending goods were issued decides which account they stand on.
                    Condition::Pending => return self.dispose_pending(s, by),
                    condition => at_rest(by, condition),
                };
                let gone = Whereabouts::Disposed { by: by.clone(), fate: s.fate };
                self.move_portions(&s.portions, &from, &gone)
            }
            Statement::Hold(s) => {
                let by = holder(fact);
                let held = at_rest(by, Condition::OnHold);
                self.move_portions(&s.portions, &at_rest(by, Condition::Good), &held)
            }
            Statement::Release(s) => {
                let by = holder(fact);
                let free = at_rest(by, Condition::Good);
                self.move_portions(&s.portions, &at_rest(by, Condition::OnHold), &free)
            }
            Statement::Dispute(s) => self.dispute(s, fact),
            Statement::Answer(s) => self.answer(s, fact),
            Statement::DisputeClosed(s) => self.close_dispute(s, fact),
            Statement::Attestation(s) => {
                self.evidence.extend(self.testimonies(s, fact)?);
                Ok(())
            }
            Statement::Correction(_) => Ok(()),
            other => unreachable!("{} is about no gift", other.kind().word()),
        }?;
        self.run_clock(fact, books.rules, ClockKind::Filing);
        Ok(())
    }

    /// Takes note of a correction; what it changed is folded in already.
    pub(super) fn corrected_by(&mut self, fact: &Fact, books: &Books) {
        self.entries.push(fact.index);
        self.note_signers(fact, books);
    }

    fn run_clock(&mut self, fact: &Fact, rules: &Rules, kind: ClockKind) {
        let (Some(clock), Some(on)) = (rules.clocks.find(kind), fact.head.occurred_on) else {
            return;
        };
        let took = fact.recorded_at.date(rules.offset_minutes).days_since(on);
        let over = u32::try_from(took - i32::from(clock.days)).unwrap_or(0);
        if over > 0 && !self.donation.historic {
            self.late.push(Late { clock: kind, index: fact.index, days: over });
        }
    }

    /// The lot and the quantity in the terms of its book.
    pub(super) fn in_book(&self, goods: &Goods, quantity: u64) -> Result<(Lot, u64), Violation> {
        let line = self
            .donation
            .line(goods.line)
            .ok_or_else(|| Violation::new(Code::LineUnknown, (), u64::from(goods.line)))?;
        let (book, factor) = match goods.unit {
            UnitChoice::Stated => (Book::Smallest, line.content()),
            UnitChoice::Inner if line.pack.is_some() => (Book::Smallest, 1),
            UnitChoice::Loose if self.loose_units.get(&line.number).is_some() => (Book::Loose, 1),
            unknown => {
                return Err(Violation::new(Code::UnitUnknown, line_word(line), unknown.word()));
            }
        };
        let quantity = quantity
            .checked_mul(factor)
            .filter(|quantity| *quantity <= QUANTITY_MAX)
            .ok_or_else(|| Violation::new(Code::BalanceOverflow, QUANTITY_MAX, quantity))?;
        Ok((lot(goods.line, book, goods.meant_for.as_ref()), quantity))
    }

    fn move_portions(
        &mut self,
        portions: &Portions,
        from: &Whereabouts,
        to: &Whereabouts,
    ) -> Result<(), Violation> {
        for portion in of_gift(self.id, portions) {
            let (lot, quantity) = self.in_book(&portion.goods, portion.quantity)?;
            self.accounts.transfer(&lot, from, to, quantity, |reached| reached)?;
        }
        Ok(())
    }

    fn withdraw(&mut self, statement: &Withdrawal) -> Result<(), Violation> {
        for portion in of_gift(self.id, &statement.portions) {
            let (lot, quantity) = self.in_book(&portion.goods, portion.quantity)?;
            let announced = self.accounts.available(&lot, &Whereabouts::Announced);
            if quantity > announced {
                return Err(Violation::new(Code::NotAnnounced, announced, quantity));
            }
            let to = Whereabouts::Withdrawn;
            self.accounts.transfer(&lot, &Whereabouts::Announced, &to, quantity, |r| r)?;
        }
        Ok(())
    }

    fn taken_over(&mut self, statement: &GiftTakenOver) -> Result<(), Violation> {
        self.journey.extend(statement.donor.party.clone());
        self.donor = statement.donor.clone();
        Ok(())
    }

    fn designate(&mut self, statement: &Designation, fact: &Fact) -> Result<(), Violation> {
        let mut changes = false;
        for assignment in statement.assignments.iter().filter(|a| a.goods.gift == self.id) {
            let (from, quantity) = self.in_book(&assignment.goods, assignment.quantity)?;
            let to = lot(from.line, from.book, Some(&assignment.recipient));
            changes |= from.meant_for.is_some();
            self.journey.insert(assignment.recipient.clone());
            let mut left = quantity;
            let announced = Some(Whereabouts::Announced)
                .filter(|_| self.donor.party.as_ref() == Some(&statement.holder));
            for place in [Some(at_rest(&statement.holder, Condition::Good)), announced] {
                let Some(place) = place else { continue };
                // What has reached somebody is not for anybody else to assign.
                let part = left.min(self.accounts.unreached(&from, &place));
                self.accounts.take(&from, &place, part)?;
                self.accounts.put(to.at(place, None), part)?;
                left -= part;
            }
            if left > 0 {
                return Err(Violation::new(Code::BalanceExceeded, quantity - left, quantity));
            }
        }
        if changes {
            self.check_consent(statement.consent, fact)?;
            self.redirected.push((fact.index, statement.consent));
        }
        Ok(())
    }

    fn check_consent(&self, consent: Consent, fact: &Fact) -> Result<(), Violation> {
        let shown = match consent {
            Consent::None => true,
            Consent::NotNeeded => false,
            // Written by whoever had the slip's key, or recorded the gift, it is not the donor's.
            Consent::Standing => {
                let own = matches!(self.donor.kind, DonorKind::Enrolled | DonorKind::OneTimeKey);
                self.donation.standing_consent && self.donor_signed && own
            }
            Consent::Signed => self.donor_signs(fact.head),
            Consent::Paper => {
                let paper = |d: &&Document| d.kind == DocumentKind::Consent && d.sha256.is_some();
                fact.head.documents.iter().find(paper).is_some()
            }
        };
        if shown { Ok(()) } else { Err(Violation::new(Code::ConsentMissing, consent.word(), ())) }
    }

    /// Whether the donor itself is among the signers. A slip's key never speaks for the donor: who
    /// issued the slip had it.
    pub(super) fn donor_signs(&self, head: &Head) -> bool {
        head.signers_as(Capacity::Donor).any(|signer| match self.donor.kind {
            DonorKind::Enrolled => signer.party == self.donor.party,
            DonorKind::OneTimeKey => signer.party.is_none() && Some(signer.key) == self.donor.key,
            DonorKind::Slip | DonorKind::Recorded => false,
        })
    }

    fn dispatch(&mut self, statement: &Dispatch) -> Result<(), Violation> {
        let giver = &statement.shipment.giver;
        self.journey.extend([giver.clone(), statement.taker.clone()]);
        self.journey.extend(statement.carrier.clone());
        self.shipments.insert(statement.shipment.clone());
        for portion in of_gift(self.id, &statement.portions) {
            let (lot, quantity) = self.in_book(&portion.goods, portion.quantity)?;
            let to = Whereabouts::Moving {
                shipment: statement.shipment.clone(),
                returning: comes_back(&lot, statement.purpose, &statement.taker),
            };
            self.bring_forth(&lot, giver, quantity)?;
            let from = at_rest(giver, Condition::Good);
            self.accounts.transfer(&lot, &from, &to, quantity, |reached| reached)?;
        }
        Ok(())
    }

    /// What a donor announced rests with it once it signs as its holder: as much as is wanted
    /// beyond what rests there already.
    pub(super) fn bring_forth(
        &mut self,
        lot: &Lot,
        giver: &Handle,
        wanted: u64,
    ) -> Result<(), Violation> {
        if self.donor.party.as_ref() != Some(giver) {
            return Ok(());
        }
        let rest = at_rest(giver, Condition::Good);
        let announced = self.accounts.available(lot, &Whereabouts::Announced);
        let part = wanted.saturating_sub(self.accounts.available(lot, &rest)).min(announced);
        self.accounts.transfer(lot, &Whereabouts::Announced, &rest, part, |reached| reached)
    }

    fn dispute(&mut self, s: &Dispute, fact: &Fact) -> Result<(), Violation> {
        let by = fact.head.signers.first().and_then(|signer| signer.party.clone());
        let own =
            by.is_none() && self.disputes.iter().any(|d| d.by.is_none() && d.closed.is_none());
        if own {
            return Err(Violation::new(Code::DisputeOpen, (), fact.event));
        }
        self.disputes.push(DisputeState {
            event: fact.event,
            index: fact.index,
            by,
            claim: s.claim,
            answers: Vec::new(),
            closed: None,
        });
        Ok(())
    }

    fn open_dispute(&mut self, event: EventHash) -> Result<&mut DisputeState, Violation> {
        let open = |d: &&mut DisputeState| d.event == event && d.closed.is_none();
        let dispute = self.disputes.iter_mut().find(open);
        dispute.ok_or(Violation::new(Code::DisputeUnknown, (), event))
    }

    fn answer(&mut self, s: &Answer, fact: &Fact) -> Result<(), Violation> {
        let by = fact.head.signers.first().and_then(|signer| signer.party.clone());
        let dispute = self.open_dispute(s.dispute)?;
        if dispute.by == by {
            return Err(Violation::new(Code::SameParty, (), by.as_ref()));
        }
        dispute.answers.push(fact.index);
        Ok(())
    }

    fn close_dispute(&mut self, s: &DisputeClosed, fact: &Fact) -> Result<(), Violation> {
        let by = fact.head.signers.first().and_then(|signer| signer.party.clone());
        let donor = self.donor.party.clone().filter(|_| self.donor.kind == DonorKind::Enrolled);
        let dispute = self.open_dispute(s.dispute)?;
        // What the slip's key disputed, the donor that took the gift over can close.
        let donor = by.is_some() && dispute.by.is_none() && by == donor;
        if dispute.by != by && !donor {
            return Err(Violation::new(Code::SignerWrong, dispute.by.as_ref(), by.as_ref()));
        }
        dispute.closed = Some(fact.index);
        Ok(())
    }

    /// Items and lots that it holds, or said it held before a correction, also more than once.
    pub fn lots(&self) -> impl Iterator<Item = (Text<200>, Text<60>)> {
        lots(&self.donation).chain(self.former_lots.iter().cloned())
    }

    /// Donated quantity of a line, in its smallest unit.
    pub fn donated(&self, line: u16) -> u64 {
        self.donation.line(line).map_or(0, |line| line.quantity * line.content())
    }
}

/// Items with their lots; an item without a known lot stands with an empty one.
fn lots(donation: &Donation) -> impl Iterator<Item = (Text<200>, Text<60>)> {
    donation.lines.iter().flat_map(|line| {
        let lots = line.lots.iter().map(|lot| lot.number.clone());
        lots.chain([Text::default()]).map(|lot| (line.item.clone(), lot))
    })
}

/// The portions of this gift.
pub(super) fn of_gift(gift: EventHash, portions: &Portions) -> impl Iterator<Item = &Portion> {
    portions.iter().filter(move |portion| portion.goods.gift == gift)
}

/// Whether goods go back. To the final recipient nothing goes back: a loan given back to it is its
/// own again.
pub(super) fn comes_back(lot: &Lot, purpose: Purpose, taker: &Handle) -> bool {
    purpose == Purpose::Return && lot.meant_for.as_ref() != Some(taker)
}

/// What a donation straight into the final recipient's hands proves: as much as a receipt if the
/// donor is a party of its own and signs, else only that the recipient wrote it.
fn handed_over(
    donation: &Donation,
    donor_signed: bool,
    taker: &Signer,
    fact: &Fact,
    parties: &Parties,
) -> Reached {
    match &taker.party {
        Some(_) if donor_signed && donation.donor.kind == DonorKind::Enrolled => {
            Reached::Recipient(fact.standing(Capacity::Taker, parties))
        }
        _ => Reached::RecordedAlone,
    }
}

pub(super) fn at_rest(holder: &Handle, condition: Condition) -> Whereabouts {
    Whereabouts::AtRest { holder: holder.clone(), condition }
}

pub(super) fn lot(line: u16, book: Book, meant_for: Option<&Handle>) -> Lot {
    Lot { line, book, meant_for: meant_for.cloned() }
}

fn line_word(line: &Line) -> &'static str {
    if line.pack.is_some() { UnitChoice::Inner.word() } else { UnitChoice::Stated.word() }
}

/// The holder who signs. The caller has checked that one does.
pub(super) fn holder<'a>(fact: &'a Fact) -> &'a Handle {
    let signer = fact.head.signer_as(Capacity::Holder).expect("checked with the signers");
    signer.party.as_ref().expect("a holder is a party")
}
