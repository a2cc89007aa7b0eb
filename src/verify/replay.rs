//! The sequential part of the audit: lets the rules judge each entry at its place (steps 3 to 7).

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::Arc;

use super::AuditError;
use super::past::Past;
use super::prepare::{Content, PreparedEntry, linked};
use super::report::{Failure, Report, Spot};
use super::saved::Found;
use super::spill::Spill;
use crate::bundle::LogFile;
use crate::model::date::UnixMs;
use crate::model::encoding::Malformed;
use crate::model::entry::{Header, Link, NO_LEAF, OpenEvent};
use crate::model::event::{Kind, Statement};
use crate::model::hash::{LeafHash, SubjectHash};
use crate::model::ident::EntryIndex;
use crate::model::state::{Gift, Keep, Kept, Shipment, State};
use crate::model::subject::{HashedSubject, Subject};
use crate::model::violation::{Code, Violation};

/// Replays the entries one by one.
pub(super) struct Replay<'a> {
    past: Past<'a>,
    state: Option<State>,
    found: Found,
}

impl<'a> Replay<'a> {
    /// Goes on from a state and what was found before, or begins with neither.
    pub(super) fn new(past: Past<'a>, state: Option<State>, found: Found) -> Self {
        Self { past, state, found }
    }

    /// How many entries have been replayed.
    pub(super) fn size(&self) -> u64 {
        self.past.size()
    }

    /// Takes the next entry. Breaks if nothing after it can be judged.
    pub(super) fn add(&mut self, entry: &PreparedEntry) -> Result<ControlFlow<()>, AuditError> {
        if let Ok(Content { recorded: Ok(recorded), .. }) = &entry.content {
            self.found.signatures += recorded.event.signed.signatures.len() as u64;
        }
        let flow = match self.state.take() {
            None => self.begin(entry),
            Some(mut state) => {
                self.go_on(&mut state, entry);
                self.state = Some(state);
                ControlFlow::Continue(())
            }
        };
        self.past.push(entry.leaf);
        let of_state = || Some(self.state.as_ref()?.fault()?.into());
        self.past.take_fault().or_else(of_state).map_or(Ok(flow), Err)
    }

    /// The replay ends here because of what is wrong with a file.
    pub(super) fn fail_file(&mut self, file: LogFile, violation: Violation) {
        self.found.failures.push(Failure { at: Spot::File(file), violation });
    }

    /// Puts everything that was found into the report, and gives it for the next audit.
    ///
    /// # Errors
    /// [`AuditError::Shelf`].
    pub(super) fn finish(mut self, report: &mut Report) -> Result<Found, AuditError> {
        if let Some(state) = &mut self.state {
            mark_failed(state, &self.found.failed_subjects);
            state.fault().map_or(Ok(()), Err)?;
        }
        report.entries = self.size();
        report.genesis = self.past.genesis();
        report.events = self.found.events.clone();
        report.signatures = self.found.signatures;
        report.failures.append(self.found.failures.clone());
        report.not_understood = self.found.not_understood.clone();
        report.unjudged = self.found.unjudged.clone();
        report.state = self.state;
        Ok(self.found)
    }

    fn begin(&mut self, entry: &PreparedEntry) -> ControlFlow<()> {
        match genesis_state(entry) {
            Ok(Some(state)) => {
                self.state = Some(state);
                *self.found.events.entry(Kind::LedgerCreated).or_default() += 1;
                ControlFlow::Continue(())
            }
            Ok(None) => {
                self.found.not_understood.push(0);
                ControlFlow::Break(())
            }
            Err(violation) => {
                self.found.failures.push(Failure { at: Spot::Entry(0), violation });
                ControlFlow::Break(())
            }
        }
    }

    fn go_on(&mut self, state: &mut State, entry: &PreparedEntry) {
        let (index, leaf) = (state.size, entry.leaf);
        let content = match &entry.content {
            Ok(content) => content,
            Err(malformed) => {
                self.fail(index, entry_malformed(*malformed));
                state.advance_by_hash(index, state.recorded_at, leaf, &[]);
                return;
            }
        };
        let Content { header, kind, recorded, touched, bad_signer } = content;
        let recorded_at = header.recorded_at;
        if *kind != Kind::EpochSealed as u16 {
            self.check_seal(state, recorded_at);
        }
        let place = check_chain(header, index, state.last_leaf, state.recorded_at);
        let place = place.and_then(|()| match *kind == Kind::LedgerCreated as u16 {
            true => Err(Violation::new(Code::GenesisPlace, 0u64, index)),
            false => Ok(()),
        });
        let recorded = match recorded {
            Ok(recorded) => recorded,
            Err(malformed) => {
                let violation = place.err().unwrap_or_else(|| event_malformed(*malformed));
                self.refuse(state, index, violation, &BTreeSet::new(), touched);
                state.advance_by_hash(index, recorded_at, leaf, touched);
                return;
            }
        };
        let event = &recorded.event;
        let mut touched = Cow::Borrowed(touched.as_slice());
        if let Some(Statement::Correction(_)) = &event.statement {
            touched = state.touched(event, &self.past).into();
        }
        let judged = place
            .and_then(|()| match state.index_of(&event.hash, &self.past) {
                Some(first) => Err(Violation::new(Code::EventDuplicate, first, index)),
                None => Ok(()),
            })
            .and_then(|()| check_signatures(event, *bad_signer))
            .and_then(|()| check_links(&state.links_by_hash(&touched), &header.links))
            .and_then(|()| state.apply(recorded, &self.past));
        match (judged, &event.statement) {
            (Ok(()), Some(statement)) => {
                *self.found.events.entry(statement.kind()).or_default() += 1;
                self.found.seal_missed &= statement.kind() != Kind::EpochSealed;
            }
            (Ok(()), None) => self.found.not_understood.push(index),
            (Err(violation), statement) => {
                if !self.found.not_understood.is_empty() && rests_on_all(&violation, statement) {
                    if violation.code == Code::LinksMismatch {
                        touched = linked(header).into();
                    }
                    self.found.unjudged.push(Failure { at: Spot::Entry(index), violation });
                } else {
                    let subjects = state.subjects(event, &self.past);
                    self.refuse(state, index, violation, &subjects, &touched);
                }
            }
        }
        state.advance_by_hash(index, recorded_at, leaf, &touched);
    }

    /// Reports, once until the next seal, that one was due before this entry.
    fn check_seal(&mut self, state: &State, recorded_at: UnixMs) {
        if self.found.seal_missed {
            return;
        }
        if let Err(violation) = state.check_seal(recorded_at) {
            self.found.seal_missed = true;
            if self.found.not_understood.is_empty() {
                self.fail(state.size, violation);
            } else {
                self.found.unjudged.push(Failure { at: Spot::Entry(state.size), violation });
            }
        }
    }

    fn fail(&mut self, index: EntryIndex, violation: Violation) {
        self.found.failures.push(Failure { at: Spot::Entry(index), violation });
    }

    /// Reports the entry, and marks the gifts that it touches. Without subjects it is not known but
    /// by the hashes what that is.
    fn refuse(
        &mut self,
        state: &mut State,
        index: EntryIndex,
        violation: Violation,
        subjects: &BTreeSet<Subject>,
        hashes: &[HashedSubject],
    ) {
        let code = violation.code;
        self.fail(index, violation);
        state.fail(subjects, index, code.as_str());
        if subjects.is_empty() {
            // Which gifts these are is looked up once, at the end. What is not known yet is left
            // out: no entry can touch a gift before its donation.
            let known = state.links_by_hash(hashes).into_iter();
            for link in known.filter(|link| link.previous.is_some()) {
                self.found.failed_subjects.entry(link.subject).or_insert((index, code));
            }
        }
    }
}

/// The state after entry 0; none if it is of a version that is not understood.
fn genesis_state(entry: &PreparedEntry) -> Result<Option<State>, Violation> {
    let content = entry.content.as_ref().map_err(|malformed| entry_malformed(*malformed))?;
    let Content { header, kind, recorded, touched, bad_signer } = content;
    check_chain(header, 0, NO_LEAF, UnixMs(0))?;
    if *kind != Kind::LedgerCreated as u16 {
        let (expected, found) = (Kind::LedgerCreated as u64, u64::from(*kind));
        return Err(Violation::new(Code::GenesisPlace, expected, found));
    }
    let recorded = recorded.as_ref().map_err(|malformed| event_malformed(*malformed))?;
    check_signatures(&recorded.event, *bad_signer)?;
    if recorded.event.statement.is_none() {
        return Ok(None);
    }
    let link = |subject: &HashedSubject| Link { subject: subject.hash, number: 1, previous: None };
    let links: Vec<Link> = touched.iter().map(link).collect();
    check_links(&links, &header.links)?;
    let mut state = State::begin(recorded, entry.leaf)?;
    state.gifts = Kept::over(Spill::default(), Gift::HOT_MAX);
    state.shipments = Kept::over(Spill::default(), Shipment::HOT_MAX);
    Ok(Some(state))
}

fn entry_malformed(malformed: Malformed) -> Violation {
    Violation::new(Code::EntryMalformed, (), malformed.code)
}

fn event_malformed(malformed: Malformed) -> Violation {
    Violation::new(Code::EventMalformed, (), malformed.code)
}

fn check_chain(
    header: &Header,
    index: EntryIndex,
    previous: LeafHash,
    not_before: UnixMs,
) -> Result<(), Violation> {
    if header.index != index {
        return Err(Violation::new(Code::ChainIndex, index, header.index));
    }
    if header.previous != previous {
        return Err(Violation::new(Code::ChainPrevious, previous, header.previous));
    }
    if header.recorded_at < not_before {
        return Err(Violation::new(Code::ChainTime, not_before.0, header.recorded_at.0));
    }
    Ok(())
}

fn check_signatures(event: &OpenEvent, bad_signer: Option<usize>) -> Result<(), Violation> {
    match bad_signer.and_then(|at| event.head.signers.get(at)) {
        Some(signer) => Err(Violation::new(Code::SignatureInvalid, (), signer.key)),
        None => Ok(()),
    }
}

/// Both lists are ordered by subject; the first link that differs is named.
fn check_links(expected: &[Link], found: &[Link]) -> Result<(), Violation> {
    let differing = expected.iter().zip(found).find(|(expected, found)| expected != found);
    let Some((expected, found)) = differing else {
        if expected.len() == found.len() {
            return Ok(());
        }
        return Err(Violation::new(Code::LinksMismatch, expected.len(), found.len()));
    };
    Err(if expected.subject != found.subject {
        Violation::new(Code::LinksMismatch, expected.subject, found.subject)
    } else if expected.number != found.number {
        let (expected, found) = (u64::from(expected.number), u64::from(found.number));
        Violation::new(Code::LinksMismatch, expected, found)
    } else {
        let leaf = |link: &Link| link.previous.map_or(NO_LEAF, |place| place.leaf);
        Violation::new(Code::LinksMismatch, leaf(expected), leaf(found))
    })
}

/// Whether a violation may be the doing of an earlier entry that was not understood.
fn rests_on_all(violation: &Violation, statement: &Option<Statement>) -> bool {
    match violation.code {
        // What a correction touches depends on its target.
        Code::LinksMismatch => matches!(statement, Some(Statement::Correction(_))),
        code => (Code::PartyUnknown..=Code::SealMismatch).contains(&code),
    }
}

fn mark_failed(state: &mut State, failed: &BTreeMap<SubjectHash, (EntryIndex, Code)>) {
    if failed.is_empty() {
        return;
    }
    let hashed = |gift: Arc<Gift>| {
        failed.get(&Subject::Gift(gift.id).hash()).map(|(index, code)| (gift.id, *index, *code))
    };
    let touched: Vec<_> = state.gifts.iter().filter_map(hashed).collect();
    for (gift, index, code) in touched {
        state.mark_failed(&gift, index, code.as_str());
    }
}
