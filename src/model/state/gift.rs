//! One gift: what its events have made of it (spec sections 8 and 9).
//!
//! A gift is a fold over its own events. A correction is judged by folding again with the new
//! statement in the old one's place.

use std::collections::{BTreeMap, BTreeSet};

use bincode::{Decode, Encode};
use serde::Serialize;

use super::Recorded;
use super::account::{Account, Accounts, Book, Lot, Reached, Whereabouts};
use super::parties::{Parties, Standing};
use super::shipment::Shipments;
use crate::model::date::{Date, UnixMs};
use crate::model::event::*;
use crate::model::hash::{Digest32, EventHash};
use crate::model::ident::{EntryIndex, Handle, KeyBytes, ShipmentId};
use crate::model::text::Text;
use crate::model::violation::{Code, Violation};

/// What of the ledger a gift's events are read against.
pub(super) struct Books<'a> {
    pub parties: &'a Parties,
    pub shipments: &'a Shipments,
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
    fn standing(&self, capacity: Capacity, parties: &Parties) -> Standing {
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

/// Evidence outside the log that speaks of this gift.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct Evidence {
    /// The attestation's entry.
    pub index: EntryIndex,
    /// What it is.
    pub kind: EvidenceKind,
    /// Who says so.
    pub by: Handle,
    /// Who has the original.
    pub held_by: Option<Handle>,
    /// Whom it names as having received.
    pub recipient_name: Text<200>,
    /// Of which line.
    pub line: u16,
    /// How much, in the line's smallest unit.
    pub quantity: u64,
    /// The hash of a document, where one is given.
    pub sha256: Option<Digest32>,
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

/// What a signer signed with, to find signatures by keys that turn out to be compromised.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Signed {
    /// The entry.
    pub index: EntryIndex,
    /// The day.
    pub on: Date,
    /// The key.
    pub key: KeyBytes,
}

/// A gift, as its events have made it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Gift {
    /// The donation's event hash.
    pub id: EventHash,
    /// The donation, with corrections applied.
    pub donation: Donation,
    /// The donor from now on (a slip may have been taken over).
    pub donor: Donor,
    /// The donor's key stands under the donation.
    pub donor_signed: bool,
    /// The taker's key does.
    pub taker_signed: bool,
    /// When it was given, if known.
    pub given_on: Option<Date>,
    /// The documents of the donation.
    pub documents: Vec<Document>,
    /// Its entries, the donation first.
    pub entries: Vec<EntryIndex>,
    /// Where its goods are.
    pub accounts: Accounts,
    /// The unit of loose pieces, by line.
    pub loose_units: BTreeMap<u16, Text<24>>,
    /// What was damaged on arrival, by line, in the smallest unit or loose pieces.
    pub damaged: u64,
    /// What came beyond what was sent, or was found.
    pub surplus: u64,
    /// Loose pieces that came out of opened packs.
    pub unpacked: u64,
    /// What was rejected.
    pub rejected: u64,
    /// Who has had to do with it.
    pub journey: BTreeSet<Handle>,
    /// The shipments that carried it.
    pub shipments: BTreeSet<ShipmentId>,
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
    pub replaced: BTreeMap<EntryIndex, Vec<u8>>,
    /// Clocks that ran out.
    pub late: Vec<Late>,
    /// Receipts for what nobody sent to their signer.
    pub unsupported: Vec<EntryIndex>,
    /// Items and lots that it holds, or said it held before a correction.
    pub lots: BTreeSet<(Text<200>, Text<60>)>,
    /// Items and lots that arrived in fact.
    pub actual: Vec<(Text<200>, Text<60>)>,
    /// What was signed with which key.
    pub signed: Vec<Signed>,
    /// The first entry about it that the rules refuse.
    pub failed: Option<(EntryIndex, String)>,
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
            donation: donation.clone(),
            donor: donation.donor.clone(),
            donor_signed,
            taker_signed: taker.is_some(),
            given_on: fact.head.occurred_on,
            documents: fact.head.documents.to_vec(),
            entries: vec![fact.index],
            accounts: Accounts::default(),
            loose_units: BTreeMap::new(),
            damaged: 0,
            surplus: 0,
            unpacked: 0,
            rejected: 0,
            journey: donation.donor.party.iter().chain(&donation.taker).cloned().collect(),
            shipments: BTreeSet::new(),
            disputes: Vec::new(),
            evidence: Vec::new(),
            redirected: Vec::new(),
            lowered: Vec::new(),
            corrected: Vec::new(),
            replaced: BTreeMap::new(),
            late: Vec::new(),
            unsupported: Vec::new(),
            lots: lots(donation).collect(),
            actual: Vec::new(),
            signed: Vec::new(),
            failed: None,
        };
        gift.note_signers(fact, books.rules);
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
        self.note_signers(fact, books.rules);
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
            Statement::Attestation(s) => self.attest(s, fact),
            Statement::Correction(_) => Ok(()),
            other => unreachable!("{} is about no gift", other.kind().word()),
        }?;
        self.run_clock(fact, books.rules, ClockKind::Filing);
        Ok(())
    }

    /// Takes note of a correction; what it changed is folded in already.
    pub(super) fn corrected_by(&mut self, fact: &Fact, rules: &Rules) {
        self.entries.push(fact.index);
        self.note_signers(fact, rules);
    }

    fn note_signers(&mut self, fact: &Fact, rules: &Rules) {
        let recorded = fact.recorded_at.date(rules.offset_minutes);
        let on = fact.head.occurred_on.unwrap_or(recorded);
        let signers = fact.head.signers.iter();
        self.signed.extend(signers.map(|s| Signed { index: fact.index, on, key: s.key }));
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
    fn in_book(&self, goods: &Goods, quantity: u64) -> Result<(Lot, u64), Violation> {
        let line = self.donation.line(goods.line).ok_or(Violation::new(
            Code::LineUnknown,
            (),
            u64::from(goods.line),
        ))?;
        let unknown = Violation::new(Code::UnitUnknown, line_word(line), goods.unit.word());
        let (book, factor) = match goods.unit {
            UnitChoice::Stated => (Book::Smallest, line.content()),
            UnitChoice::Inner if line.pack.is_some() => (Book::Smallest, 1),
            UnitChoice::Loose if self.loose_units.contains_key(&line.number) => (Book::Loose, 1),
            _ => return Err(unknown),
        };
        let quantity = quantity
            .checked_mul(factor)
            .filter(|quantity| *quantity <= QUANTITY_MAX)
            .ok_or(Violation::new(Code::BalanceOverflow, QUANTITY_MAX, quantity))?;
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
    fn bring_forth(&mut self, lot: &Lot, giver: &Handle, wanted: u64) -> Result<(), Violation> {
        if self.donor.party.as_ref() != Some(giver) {
            return Ok(());
        }
        let rest = at_rest(giver, Condition::Good);
        let announced = self.accounts.available(lot, &Whereabouts::Announced);
        let part = wanted.saturating_sub(self.accounts.available(lot, &rest)).min(announced);
        self.accounts.transfer(lot, &Whereabouts::Announced, &rest, part, |reached| reached)
    }

    fn receive(&mut self, s: &Receipt, fact: &Fact, books: &Books) -> Result<(), Violation> {
        let signer = fact.head.signer_as(Capacity::Taker).expect("checked with the signers");
        let taker = signer.party.as_ref().expect("a taker is a party");
        let standing = fact.standing(Capacity::Taker, books.parties);
        let sent = s.shipment.as_ref().and_then(|id| books.shipments.get(id));
        let (giver, purpose) = match (&s.giver, s.purpose) {
            (Some(giver), Some(purpose)) => (Some(giver), purpose),
            _ => match sent.filter(|sent| sent.taker == *taker) {
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

    fn count(&mut self, s: &Count, fact: &Fact, books: &Books) -> Result<(), Violation> {
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
        let known = self.loose_units.entry(f.goods.line).or_insert_with(|| unit.clone());
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

    fn dispose_pending(&mut self, s: &Disposal, by: &Handle) -> Result<(), Violation> {
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

    fn attest(&mut self, s: &Attestation, fact: &Fact) -> Result<(), Violation> {
        let by = fact.head.signers.first().and_then(|signer| signer.party.clone());
        for testimony in s.goods.iter().filter(|testimony| testimony.goods.gift == self.id) {
            let (lot, quantity) = self.in_book(&testimony.goods, testimony.quantity)?;
            self.evidence.push(Evidence {
                index: fact.index,
                kind: s.evidence,
                by: by.clone().expect("a speaker is a party"),
                held_by: s.held_by.clone(),
                recipient_name: s.recipient_name.clone(),
                line: lot.line,
                quantity,
                sha256: fact.head.documents.iter().find_map(|document| document.sha256),
            });
        }
        Ok(())
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
fn of_gift(gift: EventHash, portions: &Portions) -> impl Iterator<Item = &Portion> {
    portions.iter().filter(move |portion| portion.goods.gift == gift)
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

/// Whether goods go back. To the final recipient nothing goes back: a loan given back to it is its
/// own again.
fn comes_back(lot: &Lot, purpose: Purpose, taker: &Handle) -> bool {
    purpose == Purpose::Return && lot.meant_for.as_ref() != Some(taker)
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

fn lot(line: u16, book: Book, meant_for: Option<&Handle>) -> Lot {
    Lot { line, book, meant_for: meant_for.cloned() }
}

fn line_word(line: &Line) -> &'static str {
    if line.pack.is_some() { UnitChoice::Inner.word() } else { UnitChoice::Stated.word() }
}

/// The holder who signs. The caller has checked that one does.
fn holder<'a>(fact: &'a Fact) -> &'a Handle {
    let signer = fact.head.signer_as(Capacity::Holder).expect("checked with the signers");
    signer.party.as_ref().expect("a holder is a party")
}
