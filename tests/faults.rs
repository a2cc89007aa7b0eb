//! Whatever fails, and wherever: what was answered is in the log, once, in the order of the answers,
//! and nothing is in it that was not submitted.
//!
//! - [`steps`]: a medium that fails at every step of every commit, alone and in pairs.
//! - [`reads`]: a medium that fails, lies or rots at every read.
//! - [`files`]: the files beside the log.
//! - [`kill`]: processes that are killed while they write.
//! - [`full`]: a disk that fills up under a real ledger folder.
//! - [`power`]: a power cut, at any system call, of a real ledger folder.
//!
//! Each suite is short unless the variable `GIFTPROOF_TEST_LONG` is set.

mod files;
mod full;
pub mod kill;
mod power;
mod reads;
mod steps;

use std::path::Path;
use std::sync::Arc;

use giftproof::ledger::Ledger;
use giftproof::model::entry::SignedEvent;
use giftproof::model::event::Kind;
use giftproof::model::hash::EventHash;
use giftproof::model::state::State;
use giftproof::store::MemoryStore;
use giftproof::verify::{Options, Outcome, audit};
use giftproof::writer::{Writer, WriterError};

use crate::ledger::{Author, check_ledger, clock, genesis};
use crate::util::secret;

/// How many cases: `short`, or `long` where time does not matter.
pub fn cases(short: usize, long: usize) -> usize {
    if std::env::var_os("GIFTPROOF_TEST_LONG").is_some() { long } else { short }
}

/// The events of a log after entry 0, in order, without the writer's own seals.
pub fn events_in(ledger: &Ledger) -> Vec<EventHash> {
    let genesis = ledger.state().genesis;
    (1..ledger.state().size)
        .map(|index| ledger.entry(index).unwrap().event.frame)
        .filter(|frame| frame.kind != Kind::EpochSealed as u16)
        .map(|frame| frame.hash(&genesis))
        .collect()
}

/// An auditor finds nothing, and no entry is there twice.
pub fn assert_clean(ledger: &Ledger) {
    let trust = ledger.trust().unwrap();
    let report = audit(ledger, Some(&trust), &Options::default()).unwrap();
    assert_eq!(report.outcome(), Outcome::Clean, "{:?}", report.failures.first());
    assert_eq!(report.entries, ledger.state().size);
    let mut events = events_in(ledger);
    let count = events.len();
    events.sort();
    events.dedup();
    assert_eq!(events.len(), count, "an event is in the log twice");
}

/// An event, and the code under which it is refused, if it is.
type Case = (SignedEvent, Option<&'static str>);

/// What a ledger holds by what its writer has answered: the naive model.
#[derive(Clone, Default)]
struct Told {
    /// Acknowledged events, from entry 1 on: nothing but the script is in the log.
    log: Vec<EventHash>,
    /// New events of the last group that failed: nobody knows whether they are in the log.
    unknown: Vec<EventHash>,
}

impl Told {
    /// Submits a group, and holds each answer against the script and what was answered before.
    fn submit(&mut self, writer: &Writer, group: &[Case]) {
        let genesis = writer.genesis();
        let events = group.iter().map(|(event, _)| event.clone()).collect();
        let mut unknown = Vec::new();
        for ((event, refusal), answer) in group.iter().zip(writer.submit_many(events)) {
            let hash = event.frame.hash(&genesis);
            let known = self.log.iter().position(|known| *known == hash);
            match (answer, refusal) {
                (Err(failed), _) if ["writer/stopped", "store/full"].contains(&failed.code()) => {
                    if refusal.is_none() && known.is_none() && !unknown.contains(&hash) {
                        unknown.push(hash);
                    }
                }
                (Err(refused), Some(code)) => assert_eq!(refused.code(), *code),
                (Ok(accepted), None) => {
                    assert_eq!(accepted.already, known.is_some());
                    assert_eq!(accepted.index, 1 + known.unwrap_or(self.log.len()) as u64);
                    if known.is_none() {
                        self.log.push(hash);
                    }
                }
                (answer, _) => panic!("{answer:?} instead of {refusal:?}"),
            }
        }
        if !unknown.is_empty() && self.unknown.is_empty() {
            self.unknown = unknown;
        }
    }

    /// Holds a ledger that was opened again against what was answered: what was acknowledged, in
    /// that order, then so many of the events whose fate was unknown. Gives this number.
    fn settle(&mut self, writer: &Writer) -> usize {
        let log = writer.with_ledger(events_in);
        let more = log.strip_prefix(&self.log[..]).expect("what was answered is in the log");
        assert!(self.unknown.starts_with(more), "in the log is what was not submitted");
        let found = more.len();
        (self.log, self.unknown) = (log, Vec::new());
        found
    }
}

fn over(store: &MemoryStore, folder: Option<&Path>) -> Result<Writer, WriterError> {
    Writer::over(Arc::new(store.clone()), folder, secret("operator"), clock())
}

/// A ledger in memory with the charity and so many entries; its log, and who writes more.
fn ledger_of(entries: u64, folder: Option<&Path>) -> (MemoryStore, Told, Author) {
    let store = MemoryStore::new();
    let shared = Arc::new(store.clone());
    let writer =
        Writer::create_over(shared, folder, genesis(), secret("operator"), clock()).unwrap();
    let author = Author::of(&writer);
    let mut told = Told::default();
    let mut group = vec![(author.enrolment("red-cross"), None)];
    group.extend(author.donations(entries - 2).into_iter().map(|event| (event, None)));
    told.submit(&writer, &group);
    writer.close().unwrap();
    (store, told, author)
}

/// All that a ledger says holds, by its entries and by an auditor.
fn assert_whole(writer: &Writer) {
    writer.with_ledger(|ledger| {
        check_ledger(ledger);
        assert_clean(ledger);
    });
}

/// The state, without the entries.
fn state_of(writer: &Writer) -> State {
    writer.with_state(State::clone)
}
