//! Whether an event that was lodged is in a log when it must be (spec section 19.5).

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use super::fraud::{Evidence, entry_at, for_each_entry, head, nodes, show, unless_io};
use crate::bundle::{LogSource, SourceError};
use crate::model::date::UnixMs;
use crate::model::entry::{Entry, NO_LEAF, OpenEvent, Place};
use crate::model::event::Kind;
use crate::model::fraud::{Fraud, SubjectRow, Withheld};
use crate::model::hash::{LeafHash, SubjectHash, leaf_hash};
use crate::model::ident::{EntryIndex, Handle};
use crate::model::lodged::Lodged;
use crate::model::merkle::inclusion_proof;
use crate::model::seal::{Row, Rows, Sort, TableProof};
use crate::model::state::{History, Recorded, State};
use crate::model::subject::{HashedSubject, Subject};
use crate::model::trust::TrustFile;

/// The most subjects that a proof is made with.
const SUBJECTS_MAX: usize = 200;
/// The most bytes of entries in a proof.
const ENTRIES_LEN_MAX: usize = 8 << 20;

/// What became of an event that was lodged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lodging {
    /// It is in the log, in time.
    InTime {
        /// Where.
        index: EntryIndex,
    },
    /// It is in the log, but too late.
    Late {
        /// Where.
        index: EntryIndex,
        /// Until when it had to be.
        deadline: UnixMs,
    },
    /// It is not in the log, and need not be as of the log's last entry.
    Pending {
        /// Until when it must be; none if the rules promise nothing.
        deadline: Option<UnixMs>,
    },
    /// It is not in the log, and the rules refuse it as of the last entry.
    Refused {
        /// The rule.
        code: &'static str,
    },
    /// It is not in the log, although it had to be and the rules accept it.
    Absent {
        /// Until when it had to be.
        deadline: UnixMs,
    },
}

impl Lodging {
    /// Whether this accuses the operator.
    pub const fn accuses(&self) -> bool {
        matches!(self, Self::Late { .. } | Self::Absent { .. })
    }
}

/// Judges a lodged note of this ledger against a log that was replayed to `state`; with a fraud
/// proof, if there is a small one.
///
/// # Errors
/// [`SourceError`] if the system failed, or the log has changed.
pub fn judge_lodged(
    log: &Evidence<'_>,
    state: &State,
    lodged: &Lodged,
    trust: Option<&TrustFile>,
) -> Result<(Lodging, Option<Fraud>), SourceError> {
    let Some(source) = log.source else { return Ok((Lodging::Pending { deadline: None }, None)) };
    let size = state.size;
    let Some(deadline) = deadline(source, size, state, lodged)? else {
        return Ok((Lodging::Pending { deadline: None }, None));
    };
    let past = Past { source, state, failed: RefCell::default() };
    let index = state.index_of(&lodged.event.hash, &past);
    past.failed.take().map_or(Ok(()), Err)?;
    let recorded = match index {
        Some(index) => {
            entry_at(source, size, index)?.map(|entry| (index, entry.header.recorded_at))
        }
        None => None,
    };
    let lodging = match recorded {
        Some((index, at)) if at <= deadline => return Ok((Lodging::InTime { index }, None)),
        Some((index, _)) => Lodging::Late { index, deadline },
        None if state.recorded_at <= deadline => {
            return Ok((Lodging::Pending { deadline: Some(deadline) }, None));
        }
        None => Lodging::Absent { deadline },
    };
    let proof = match trust {
        Some(trust) => prove(log, source, lodged, deadline, trust)?,
        None => None,
    };
    if proof.is_none() && recorded.is_none() {
        let event = lodged.event.clone();
        let entry = Recorded { index: size, recorded_at: state.recorded_at, event };
        let applied = state.clone().apply(&entry, &past);
        past.failed.take().map_or(Ok(()), Err)?;
        if let Err(violation) = applied {
            return Ok((Lodging::Refused { code: violation.code.as_str() }, None));
        }
    }
    Ok((lodging, proof))
}

/// When the event must be in the log: by the longest delay of all rules that held since. None if
/// the rules promised nothing at some time.
fn deadline(
    source: &dyn LogSource,
    size: u64,
    state: &State,
    lodged: &Lodged,
) -> Result<Option<UnixMs>, SourceError> {
    let mut longest = None;
    for (index, rules) in state.rules.iter().rev() {
        let seconds = rules.inclusion_seconds;
        if seconds == 0 {
            return Ok(None);
        }
        longest = longest.max(Some(seconds));
        let entry = entry_at(source, size, *index)?;
        if entry.is_none_or(|entry| entry.header.recorded_at <= lodged.at) {
            break;
        }
    }
    let seconds = u64::from(longest.unwrap_or(u32::MAX));
    Ok(Some(UnixMs(lodged.at.0.saturating_add(1000 * seconds))))
}

/// The log, for rules that look back.
struct Past<'a> {
    source: &'a dyn LogSource,
    state: &'a State,
    /// Why an entry could not be had; the rules only see that it could not.
    failed: RefCell<Option<SourceError>>,
}

impl Past<'_> {
    fn entry(&self, index: EntryIndex) -> Option<Entry> {
        let first = |error| {
            self.failed.borrow_mut().get_or_insert(error);
        };
        entry_at(self.source, self.state.size, index).map_err(first).ok()?
    }
}

impl History for Past<'_> {
    fn event(&self, index: EntryIndex) -> Option<Recorded> {
        let entry = self.entry(index)?;
        let genesis = if index == 0 { NO_LEAF } else { self.state.genesis };
        let event = entry.event.open(&genesis).ok()?;
        Some(Recorded { index, recorded_at: entry.header.recorded_at, event })
    }

    fn leaf(&self, index: EntryIndex) -> Option<LeafHash> {
        self.entry(index).map(|entry| entry.leaf())
    }
}

/// A fraud proof under the first seal after the deadline, if there is one and it holds.
fn prove(
    log: &Evidence<'_>,
    source: &dyn LogSource,
    lodged: &Lodged,
    deadline: UnixMs,
    trust: &TrustFile,
) -> Result<Option<Fraud>, SourceError> {
    let size = log.note.checkpoint().size;
    let Some((seal, rows)) = first_seal(source, size, lodged.genesis, deadline)? else {
        return Ok(None);
    };
    let Some(head) = head(log, trust)? else { return Ok(None) };
    let anchor = match lodged.event.head.anchor {
        Some(anchor) => {
            let path = inclusion_proof(anchor.index, size, &nodes(source, size));
            unless_io(path.map_err(Into::into))?.unwrap_or_default()
        }
        None => Vec::new(),
    };
    let Some(seal) = show(source, size, seal)? else { return Ok(None) };
    let mut story = Story { source, size, rows, asked: BTreeSet::new(), entries: BTreeMap::new() };
    if !story.tell(lodged)? {
        return Ok(None);
    }
    let row = |subject: &Subject| {
        let row = story.rows.get(&subject.into());
        let sort = Sort::of(subject);
        let table = sort.map(|sort| story.rows.table(sort).prove(&[subject.hash()]));
        let table = table.unwrap_or(TableProof::from_bytes(Vec::new()));
        SubjectRow { subject: subject.clone(), row, table }
    };
    let subjects = story.asked.iter().filter(|subject| **subject != Subject::Root).map(row);
    let mut subjects: Vec<SubjectRow> = subjects.collect();
    subjects.sort_by_key(|asked| asked.subject.encoded());
    let fraud = Fraud::Withheld(Box::new(Withheld {
        head,
        lodged: lodged.to_bytes(),
        anchor,
        seal,
        subjects,
        entries: story.entries.into_values().collect(),
    }));
    // A subject that only some of its entries tell of, or a seal that is false: no proof.
    Ok(Some(fraud).filter(|fraud| fraud.check(trust).is_ok()))
}

/// The first seal that was recorded after a moment, and every subject's row as of it.
fn first_seal(
    source: &dyn LogSource,
    size: u64,
    genesis: LeafHash,
    after: UnixMs,
) -> Result<Option<(EntryIndex, Rows)>, SourceError> {
    let mut rows = Rows::default();
    let mut found = None;
    let scanned = for_each_entry(source, size, |index, bytes| {
        let Ok(entry) = Entry::from_bytes(bytes) else { return };
        if found.is_some() {
            return;
        }
        let (kind, recorded_at) = (entry.event.frame.kind, entry.header.recorded_at);
        if kind == Kind::EpochSealed as u16 && recorded_at > after {
            found = Some(index);
            return;
        }
        let place = Place { index, leaf: leaf_hash(bytes) };
        let links: Vec<SubjectHash> = entry.header.links.iter().map(|link| link.subject).collect();
        let event = entry.event.open(if index == 0 { &NO_LEAF } else { &genesis });
        let told = event.map(|event| event.subjects(None)).unwrap_or_default();
        for hash in links {
            let subject = told.iter().find(|subject| subject.hash() == hash);
            rows.touch(&subject.map_or(hash.into(), HashedSubject::from), place);
        }
    });
    let (Some(()), Some(seal)) = (unless_io(scanned)?, found) else { return Ok(None) };
    // Tables are proven as of the newest seal, for which they must be worked out first.
    let _ = rows.statement(seal);
    rows.seal();
    Ok(Some((seal, rows)))
}

/// Subjects, and all entries below the seal that touch them.
struct Story<'a> {
    source: &'a dyn LogSource,
    size: u64,
    rows: Rows,
    asked: BTreeSet<Subject>,
    entries: BTreeMap<EntryIndex, Vec<u8>>,
}

impl Story<'_> {
    /// Collects all that judging the event takes; no if that is too much.
    fn tell(&mut self, lodged: &Lodged) -> Result<bool, SourceError> {
        let mut waiting = BTreeSet::from([Subject::Root]);
        waiting.extend(lodged.event.subjects(None));
        waiting.extend(self.parties_of(&lodged.event));
        while let Some(subject) = waiting.pop_first() {
            if !self.asked.insert(subject.clone()) {
                continue;
            }
            let mut next = self.rows.get(&HashedSubject::from(&subject)).map(|row| row.place);
            while let Some(Place { index, .. }) = next {
                let Some(entry) = entry_at(self.source, self.size, index)? else {
                    return Ok(false);
                };
                next = entry.header.links.find(subject.hash()).and_then(|link| link.previous);
                // Links of a log that is not sound may lead anywhere.
                if next.is_some_and(|place| place.index >= index) {
                    return Ok(false);
                }
                if self.entries.insert(index, entry.to_bytes()).is_none() {
                    let genesis = if index == 0 { NO_LEAF } else { lodged.genesis };
                    let Ok(event) = entry.event.open(&genesis) else { return Ok(false) };
                    waiting.extend(event.subjects(None));
                    waiting.extend(self.parties_of(&event));
                }
            }
            let len: usize = self.entries.values().map(Vec::len).sum();
            if self.asked.len() > SUBJECTS_MAX || len > ENTRIES_LEN_MAX {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The enrolled parties that an event names, signers and others, by whatever looks like their
    /// handle: one too many makes a proof longer, not wrong.
    fn parties_of(&self, event: &OpenEvent) -> Vec<Subject> {
        let said = serde_json::to_value((&event.head, &event.statement));
        let mut waiting = vec![said.unwrap_or_default()];
        let mut parties = Vec::new();
        while let Some(value) = waiting.pop() {
            match value {
                serde_json::Value::String(text) => {
                    // The text of a shipment is its sender's handle and its number.
                    let name = text.split('/').next().unwrap_or_default();
                    let party = Handle::new(name).map(Subject::Party);
                    let known = |party: &Subject| self.row(party).is_some();
                    parties.extend(party.ok().filter(known));
                }
                serde_json::Value::Array(values) => waiting.extend(values),
                serde_json::Value::Object(fields) => waiting.extend(fields.into_values()),
                _ => {}
            }
        }
        parties
    }

    fn row(&self, subject: &Subject) -> Option<Row> {
        self.rows.get(&subject.into())
    }
}
