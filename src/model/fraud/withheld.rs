//! A signed event that was handed in, and is not in the log when it must be (spec section 19.5).

use std::cell::Cell;

use unicode_normalization::is_nfc;

use super::bytes::{Reader, put_count, put_hashes, put_long, put_short};
use super::head::{Head, SignedHead, open};
use super::seal::{Seal, put_row, read_row};
use super::{Deed, FraudFault, Shown};
use crate::model::date::UnixMs;
use crate::model::encoding::Malformed;
use crate::model::entry::{Entry, Place};
use crate::model::event::{Anchor, Kind};
use crate::model::hash::{LeafHash, NodeHash};
use crate::model::ident::{EntryIndex, KeyBytes};
use crate::model::lodged::Lodged;
use crate::model::merkle::verify_inclusion;
use crate::model::seal::{Row, TableProof};
use crate::model::signature::{Signature, verify};
use crate::model::state::{History, Recorded, State};
use crate::model::subject::Subject;
use crate::model::trust::TrustFile;

/// A subject with its row under a seal, and what shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubjectRow {
    /// The subject.
    pub subject: Subject,
    /// Its row; none if no entry touches it.
    pub row: Option<Row>,
    /// What shows that in the table of its sort.
    pub table: TableProof,
}

/// The evidence: an event, and every entry below a seal that touches any of some subjects, among
/// them all that the event touches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Withheld {
    /// The tree.
    pub head: Head,
    /// The lodged note, byte for byte.
    pub lodged: Vec<u8>,
    /// From the entry that the event's anchor names; empty if it names none.
    pub anchor: Vec<NodeHash>,
    /// A seal that was recorded when the event had to be in the log.
    pub seal: Shown,
    /// The subjects, by sort and encoding; the root, which is always asked for, is not listed.
    pub subjects: Vec<SubjectRow>,
    /// All entries below the seal that touch the root or one of the subjects, by index.
    pub entries: Vec<Vec<u8>>,
}

impl Withheld {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Self {
            head: Head::read(reader)?,
            lodged: reader.long()?,
            anchor: reader.hashes()?,
            seal: Shown::read(reader)?,
            subjects: reader.list(|reader| {
                let subject = super::read_subject(reader)?;
                let row = read_row(reader)?;
                Ok(SubjectRow { subject, row, table: TableProof::from_bytes(reader.long()?) })
            })?,
            entries: {
                let count = reader.array().map(u32::from_be_bytes)?;
                (0..count).map(|_| reader.short()).collect::<Result<_, _>>()?
            },
        })
    }

    pub(super) fn put(&self, into: &mut Vec<u8>) {
        self.head.put(into);
        put_long(into, &self.lodged);
        put_hashes(into, &self.anchor);
        self.seal.put(into);
        put_count(into, self.subjects.len());
        for SubjectRow { subject, row, table } in &self.subjects {
            super::put_subject(into, subject);
            put_row(into, row.as_ref());
            put_long(into, table.as_bytes());
        }
        let count = u32::try_from(self.entries.len()).expect("a proof has far fewer entries");
        into.extend(count.to_be_bytes());
        self.entries.iter().for_each(|entry| put_short(into, entry));
    }

    pub(super) fn check(&self, trust: &TrustFile) -> Result<(Deed, SignedHead), FraudFault> {
        let signed = self.head.check(trust)?;
        let lodged =
            Lodged::parse(&self.lodged).map_err(|fault| FraudFault::Lodged(fault.code()))?;
        if lodged.genesis != trust.genesis() {
            return Err(FraudFault::Lodged("trust/genesis"));
        }
        self.check_event(&lodged)?;
        let story = Story::read(&self.entries, signed.size, trust)?;
        let seal = self.check_chains(&story, trust)?;
        let by = story.lodger(&lodged, trust)?;
        let deadline = story.deadline(&lodged)?;
        if seal.recorded_at <= deadline {
            return Err(FraudFault::Early);
        }
        let late = story.find(&lodged);
        if late.is_some_and(|(_, recorded_at)| recorded_at <= deadline) {
            return Err(FraudFault::Fits);
        }
        story.accepts(&lodged, deadline, seal.index)?;
        let deed = Deed::Withheld {
            event: lodged.event.hash,
            kind: lodged.event.signed.frame.kind,
            by,
            at: lodged.at,
            deadline,
            seal: seal.index,
            sealed_at: seal.recorded_at,
            late: late.map(|(index, _)| index),
        };
        Ok((deed, signed))
    }

    /// What the gate asks of the event, and whether its absence can be shown at all.
    fn check_event(&self, lodged: &Lodged) -> Result<(), FraudFault> {
        let event = &lodged.event;
        let refused = |code| Err(FraudFault::Refused(code));
        let Some(statement) = &event.statement else { return refused("gate/unknown-kind") };
        if !follows_from_its_subjects(statement.kind()) {
            return refused("fraud/takes-an-audit");
        }
        let message = event.signed.frame.signing_message(&lodged.genesis);
        for (signer, bytes) in event.head.signers.iter().zip(&event.signed.signatures) {
            let key = signer.key.check().map_err(|fault| FraudFault::Refused(fault.code()))?;
            verify(&message, &key, &Signature::from_bytes(*bytes))
                .map_err(|fault| FraudFault::Refused(fault.code()))?;
        }
        if event.head.signed_at > lodged.at {
            return refused("gate/signed-in-future");
        }
        if event.head.occurred_on.is_some_and(|on| on > lodged.at.date(0)) {
            return refused("gate/occurred-in-future");
        }
        // Every part of a text in normal form C is in normal form C (Unicode annex 15), so this asks
        // for no less than the gate does of each text.
        let texts = serde_json::to_string(&(&event.head, statement));
        if !texts.is_ok_and(|texts| is_nfc(&texts)) {
            return refused("gate/not-nfc");
        }
        let touched = event.subjects(None);
        let asked = |subject: &Subject| {
            *subject == Subject::Root
                || self.subjects.iter().any(|asked| asked.subject.hash() == subject.hash())
        };
        if touched.is_empty() || !touched.iter().all(asked) {
            return Err(FraudFault::Chain("links/mismatch"));
        }
        match (event.head.anchor, self.anchor.is_empty()) {
            (None, false) => Err(FraudFault::Path("proof/too-long")),
            (None, true) => Ok(()),
            (Some(Anchor { index, leaf }), _) => {
                let tree = self.head.checkpoint();
                verify_inclusion(index, tree.size, &leaf, &self.anchor, &tree.root)
                    .map_err(|error| FraudFault::Path(error.code()))
            }
        }
    }

    /// Whether the entries are all those that touch the subjects below the seal, and no others.
    fn check_chains(&self, story: &Story, trust: &TrustFile) -> Result<Seal, FraudFault> {
        let keys = &story.state.parties.operator_keys;
        let seal = Seal::of(&self.seal, &self.head, keys, trust.genesis())?;
        if story.entries.last().is_none_or(|(_, place)| place.index >= seal.index) {
            return Err(FraudFault::Chain("chain/index"));
        }
        let ordered = self.subjects.is_sorted_by(|a, b| a.subject.encoded() < b.subject.encoded())
            && self.subjects.iter().all(|asked| asked.subject != Subject::Root);
        if !ordered {
            return Err(FraudFault::Order);
        }
        let mut used = vec![false; self.entries.len()];
        let root = story.chain(&Subject::Root, &mut used)?;
        seal.check_row(&Subject::Root, root, &TableProof::from_bytes(Vec::new()))?;
        for SubjectRow { subject, row, table } in &self.subjects {
            seal.check_row(subject, *row, table)?;
            if story.chain(subject, &mut used)? != *row {
                return Err(FraudFault::Chain("links/mismatch"));
            }
        }
        if used.contains(&false) {
            Err(FraudFault::Chain("proof-file/entry-extra"))
        } else {
            Ok(seal)
        }
    }
}

/// Whether the rules, asked about an event of this kind, look at nothing but what its subjects, the
/// root and the parties it names have come to. Others may be refused for the sake of something
/// that the evidence does not show: a key or a handle that is taken, a statement corrected before.
const fn follows_from_its_subjects(kind: Kind) -> bool {
    !matches!(
        kind,
        Kind::LedgerCreated
            | Kind::PartyEnrolled
            | Kind::KeyAdded
            | Kind::KeyRotated
            | Kind::RegistrarsChanged
            | Kind::OperatorRotated
            | Kind::Donation
            | Kind::GiftTakenOver
            | Kind::Correction
            | Kind::EpochSealed
    )
}

/// The entries in evidence, replayed as if they were all.
///
/// That is enough: a rule that asks for what is not there refuses, and what is there is complete.
struct Story {
    entries: Vec<(Recorded, Place)>,
    headers: Vec<Entry>,
    /// After the last entry.
    state: State,
}

impl Story {
    /// Reads entries of a tree of this size.
    fn read(entries: &[Vec<u8>], size: u64, trust: &TrustFile) -> Result<Self, FraudFault> {
        let genesis = trust.genesis();
        let mut opened = Vec::new();
        let mut headers = Vec::new();
        for bytes in entries {
            opened.push(open(bytes, genesis).map_err(FraudFault::Entry)?);
            headers.push(Entry::from_bytes(bytes).map_err(|m| FraudFault::Entry(m.code))?);
        }
        let places = || opened.iter().map(|(_, place): &(Recorded, Place)| place.index);
        if !places().is_sorted_by(|a, b| a < b) || places().any(|index| index >= size) {
            return Err(FraudFault::Chain("chain/index"));
        }
        let Some((first, place)) = opened.first().filter(|(_, place)| place.leaf == genesis) else {
            return Err(FraudFault::Keys("trust/genesis"));
        };
        let state = State::begin(first, place.leaf)
            .map_err(|violation| FraudFault::Keys(violation.code.as_str()))?;
        let key = KeyBytes::from_bytes(*trust.operator().public_key().as_bytes());
        if state.parties.operator_key_at(0) != key {
            return Err(FraudFault::Keys("trust/operator"));
        }
        let mut story = Self { entries: opened, headers, state };
        story.state = story.replay(|_, _| Ok(()))?;
        Ok(story)
    }

    /// Lets the entries take effect one by one; `after` sees the state after each, and its time.
    fn replay(
        &self,
        mut after: impl FnMut(&State, usize) -> Result<(), FraudFault>,
    ) -> Result<State, FraudFault> {
        let (first, place) = &self.entries[0];
        let refused = |code| FraudFault::Chain(code);
        let mut state = State::begin(first, place.leaf).map_err(|v| refused(v.code.as_str()))?;
        after(&state, 0)?;
        for (at, (entry, place)) in self.entries.iter().enumerate().skip(1) {
            let past =
                Past { story: &self.entries[..at], anchor: Cell::new(entry.event.head.anchor) };
            state.apply(entry, &past).map_err(|v| refused(v.code.as_str()))?;
            state.advance_by_hash(place.index, entry.recorded_at, place.leaf, &[]);
            after(&state, at)?;
        }
        Ok(state)
    }

    /// A subject's row, by the links of the entries that touch it, which must name each other.
    fn chain(&self, subject: &Subject, used: &mut [bool]) -> Result<Option<Row>, FraudFault> {
        let hash = subject.hash();
        let mut row: Option<Row> = None;
        for ((entry, (_, place)), used) in self.headers.iter().zip(&self.entries).zip(used) {
            let Some(link) = entry.header.links.find(hash) else { continue };
            let number = row.map_or(0, |row| row.number).checked_add(1);
            if link.previous != row.map(|row| row.place) || Some(link.number) != number {
                return Err(FraudFault::Chain("links/mismatch"));
            }
            row = Some(Row { number: link.number, place: *place });
            *used = true;
        }
        Ok(row)
    }

    /// How many of the entries were recorded by a moment; at least the first.
    fn until(&self, moment: UnixMs) -> usize {
        self.entries.partition_point(|(entry, _)| entry.recorded_at <= moment).max(1)
    }

    /// Who received the event: a registrar then, or a witness of the trust file.
    fn lodger(&self, lodged: &Lodged, trust: &TrustFile) -> Result<String, FraudFault> {
        let mut registrar = None;
        let last = self.until(lodged.at) - 1;
        self.replay(|state, at| {
            if at == last {
                let named = state.parties.registrars.iter().find(|r| r.key == lodged.key);
                registrar = named.map(|registrar| registrar.handle.to_string());
            }
            Ok(())
        })?;
        let mut witnesses = trust.policy().witnesses();
        let witness =
            witnesses.find(|(_, key)| key.public_key().as_bytes() == lodged.key.as_bytes());
        registrar
            .or(witness.map(|(name, _)| name.to_owned()))
            .ok_or(FraudFault::Lodged("key/not-of-party"))
    }

    /// When the event must be in the log: by the longest delay of all rules that held since.
    fn deadline(&self, lodged: &Lodged) -> Result<UnixMs, FraudFault> {
        let then = self.until(lodged.at) - 1;
        let begun = self.entries[then].1.index;
        let before = self.state.rules.partition_point(|(index, _)| *index <= begun);
        let rules = &self.state.rules[before.saturating_sub(1)..];
        let seconds = rules.iter().map(|(_, rules)| rules.inclusion_seconds);
        // 0 is no promise, and whatever holds for a while counts.
        if seconds.clone().any(|seconds| seconds == 0) {
            return Err(FraudFault::Early);
        }
        let longest = seconds.max().unwrap_or(u32::MAX);
        Ok(UnixMs(lodged.at.0.saturating_add(1000 * u64::from(longest))))
    }

    /// The event's own entry, and when it was recorded.
    fn find(&self, lodged: &Lodged) -> Option<(EntryIndex, UnixMs)> {
        let same = |(entry, _): &&(Recorded, Place)| entry.event.hash == lodged.event.hash;
        self.entries.iter().find(same).map(|(entry, place)| (place.index, entry.recorded_at))
    }

    /// Whether the rules accepted the event at every moment from its receipt to the deadline.
    fn accepts(
        &self,
        lodged: &Lodged,
        deadline: UnixMs,
        index: EntryIndex,
    ) -> Result<(), FraudFault> {
        let (first, end) = (self.until(lodged.at) - 1, self.until(deadline));
        self.replay(|state, at| {
            if !(first..end).contains(&at) {
                return Ok(());
            }
            let event = lodged.event.clone();
            let anchor = Cell::new(event.head.anchor);
            let past = Past { story: &self.entries[..=at], anchor };
            let entry = Recorded { index, recorded_at: lodged.at, event };
            let applied = state.clone().apply(&entry, &past);
            applied.map_err(|violation| FraudFault::Refused(violation.code.as_str()))
        })?;
        Ok(())
    }
}

/// The entries in evidence before one of them. Its anchor is left alone: that the event under
/// judgement names an entry of the tree is shown apart.
struct Past<'a> {
    story: &'a [(Recorded, Place)],
    anchor: Cell<Option<Anchor>>,
}

impl History for Past<'_> {
    fn event(&self, index: EntryIndex) -> Option<Recorded> {
        let same = |(_, place): &&(Recorded, Place)| place.index == index;
        self.story.iter().find(same).map(|(entry, _)| entry.clone())
    }

    fn leaf(&self, index: EntryIndex) -> Option<LeafHash> {
        self.anchor.get().filter(|anchor| anchor.index == index).map(|anchor| anchor.leaf)
    }
}
