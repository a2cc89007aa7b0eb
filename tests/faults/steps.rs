//! A medium that fails at a step of a commit: every step of a scripted run, every way to fail, and
//! then once more while the rest is submitted again.

use std::panic::{AssertUnwindSafe, catch_unwind};

use giftproof::model::event::Capacity;
use giftproof::store::{Fault, MemoryStore, ReadFault};
use rayon::prelude::*;

use super::*;
use crate::util::{line, recorded};

const FAULTS: [Fault; 7] = [
    Fault::NotPersisted,
    Fault::ButPersisted,
    Fault::Full,
    Fault::Torn { keep: u64::MAX },
    Fault::Torn { keep: 0b101 },
    Fault::Reordered { keep: 0b010 },
    Fault::Reordered { keep: u64::MAX },
];

/// A fault, and the steps of commits that go well before it.
type Planned = (u64, Fault);

struct Script {
    /// Two entries short of a full bundle.
    store: MemoryStore,
    told: Told,
    /// Single events, several, one that completes the bundle, and what is refused or repeated.
    groups: Vec<Vec<Case>>,
    /// The steps of all commits of the groups.
    steps: u64,
}

impl Script {
    fn new() -> Self {
        let (store, told, author) = ledger_of(251, None);
        let new = |count| -> Vec<Case> {
            author.donations(count).into_iter().map(|event| (event, None)).collect()
        };
        let mut bad = author.donation(9);
        bad.signatures[0][40] ^= 1;
        let of_nobody = recorded("hospital-a", vec![line(1, "masks", 5, "piece", &[])]);
        let of_nobody = author.event(of_nobody, &[(Capacity::Taker, "hospital-a")]);
        let mut mixed = new(3);
        mixed.insert(1, (bad, Some("signature/invalid")));
        mixed.insert(3, (of_nobody, Some("party/unknown")));
        mixed.push(mixed[0].clone());
        let mut last = new(1);
        last.push(mixed[0].clone());
        let groups = vec![new(1), new(2), mixed, new(1), last];
        let mut script = Self { store, told, groups, steps: 0 };
        let store = script.store.copy().reopen();
        let (before, writer) = (store.steps().len(), over(&store, None).unwrap());
        let mut told = script.told.clone();
        script.groups.iter().for_each(|group| told.submit(&writer, group));
        assert_eq!((told.log.len(), told.unknown.len()), (258, 0));
        script.steps = (store.steps().len() - before) as u64;
        script
    }

    /// Whether the ledger opens after each of these faults; if it does, everything must be right.
    fn survives(&self, faults: &[Planned]) -> bool {
        let (mut store, mut told) = (self.store.copy(), self.told.clone());
        let mut failed = false;
        for (after, fault) in faults {
            store = store.reopen();
            let writer = over(&store, None).unwrap();
            store.fail_at(*after, *fault);
            self.groups.iter().for_each(|group| told.submit(&writer, group));
            // The second fault may wait for a step that does not come: little was left to do.
            let hit = !told.unknown.is_empty();
            assert!(hit || failed, "it did not happen");
            failed = true;
            // A full disk refuses one commit, and the writer goes on. All else stops it.
            match fault {
                Fault::Full => {
                    told.unknown.clear();
                    told.submit(&writer, &self.groups[0]);
                }
                _ if hit => {
                    let probe = writer.submit(self.groups[0][0].0.clone());
                    assert_eq!(probe.unwrap_err().code(), "writer/stopped");
                }
                _ => {}
            }
            drop(writer);

            store = store.reopen();
            let writer = match over(&store, None) {
                Ok(writer) => writer,
                Err(error) => {
                    assert!(matches!(fault, Fault::Reordered { .. }), "{error}");
                    assert_eq!(error.code(), "ledger/missing");
                    return false;
                }
            };
            let unknown = told.unknown.len();
            let found = told.settle(&writer);
            match fault {
                Fault::NotPersisted | Fault::Torn { .. } | Fault::Full => assert_eq!(found, 0),
                Fault::ButPersisted => assert_eq!(found, unknown),
                _ => assert!(found == 0 || found == unknown, "half a commit"),
            }
        }
        let writer = over(&store.reopen(), None).unwrap();
        // Whoever did not get an answer submits again, and gets one.
        self.groups.iter().for_each(|group| told.submit(&writer, group));
        assert_eq!((told.log.len(), told.unknown.len()), (258, 0));
        assert_eq!(writer.with_ledger(events_in), told.log);
        writer.with_ledger(assert_clean);
        true
    }
}

#[test]
fn no_fault_at_any_step_loses_what_was_answered() {
    let script = Script::new();
    assert!(script.steps > 15, "{}", script.steps);
    let all: Vec<Planned> =
        (0..script.steps).flat_map(|step| FAULTS.map(|fault| (step, fault))).collect();
    let refused: usize =
        all.par_iter().map(|planned| usize::from(!run(&script, &[*planned]))).sum();
    // A medium that breaks its promise is found out, and no other is.
    assert!((1..2 * script.steps as usize).contains(&refused), "{refused}");
}

#[test]
fn no_pair_of_faults_loses_what_was_answered() {
    let script = Script::new();
    let all: Vec<Planned> =
        (0..script.steps).flat_map(|step| FAULTS.map(|fault| (step, fault))).collect();
    // A prime, so that every step and fault comes in both places.
    let stride = cases(331, 1);
    let pairs = (0..all.len() * all.len()).step_by(stride);
    let pairs: Vec<[Planned; 2]> =
        pairs.map(|pair| [all[pair / all.len()], all[pair % all.len()]]).collect();
    pairs.par_iter().for_each(|pair| _ = run(&script, pair));
}

/// Runs a case, and says which one it was if it fails.
fn run(script: &Script, faults: &[Planned]) -> bool {
    let outcome = catch_unwind(AssertUnwindSafe(|| script.survives(faults)));
    outcome.unwrap_or_else(|_| panic!("with {faults:?}"))
}

#[test]
fn a_full_disk_refuses_and_leaves_nothing_half_done() {
    let (store, mut told, author) = ledger_of(2, None);
    let store = store.reopen();
    let writer = over(&store, None).unwrap();
    let before = state_of(&writer);
    for step in 0..3 {
        store.fail_at(step, Fault::Full);
        for answer in writer.submit_many(author.donations(3)) {
            assert_eq!(answer.unwrap_err().code(), "store/full");
        }
        assert!(state_of(&writer) == before);
    }
    told.submit(&writer, &[(author.donation(1), None)]);
    assert_eq!(told.log.len(), 2);
    assert_whole(&writer);
}

/// The medium is full, and the log that is then read again, to forget the commit, cannot be read.
#[test]
fn what_cannot_be_read_after_a_full_disk_stops_the_writer() {
    let (store, told, author) = ledger_of(260, None);
    let group: Vec<Case> = (1001..1004).map(|n| (author.donation(n), None)).collect();
    let submit = |writer: &Writer| {
        let answers = writer.submit_many(group.iter().map(|(event, _)| event.clone()).collect());
        let codes = answers.into_iter().map(|answer| answer.map_or_else(|e| e.code(), |_| "in it"));
        codes.collect::<Vec<_>>()
    };
    let begin = |fault| {
        let store = store.copy().reopen();
        let writer = over(&store, None).unwrap();
        if let Some(fault) = fault {
            store.fail_at(0, fault);
        }
        (store.reads(), writer, store)
    };
    let (before, writer, store) = begin(None);
    assert_eq!(submit(&writer), ["in it"; 3]);
    assert_eq!(store.reads(), before, "new donations are taken without a look at the log");
    let (before, writer, store) = begin(Some(Fault::Full));
    assert_eq!(submit(&writer), ["store/full"; 3]);
    let reads = store.reads() - before;
    assert!(reads > 3, "{reads} of the head, the tree and the entries");

    for read in 0..reads {
        for fault in [ReadFault::Fails, ReadFault::Missing, ReadFault::Cut] {
            // The first is of the head, of which there is no part.
            if read == 0 && fault != ReadFault::Fails {
                continue;
            }
            let (_, writer, store) = begin(Some(Fault::Full));
            store.fail_read_at(read, fault);
            // Not `store/full`: readers may see what is not there, so the ledger is to be opened.
            assert_eq!(submit(&writer), ["writer/stopped"; 3], "{fault:?} at {read}");
            assert_eq!(submit(&writer), ["writer/stopped"; 3], "{fault:?} at {read}");
            drop(writer);

            let writer = over(&store.reopen(), None).unwrap();
            let mut told = told.clone();
            assert_eq!((told.settle(&writer), told.log.len()), (0, 259));
            told.submit(&writer, &group);
            assert_whole(&writer);
        }
    }
}
