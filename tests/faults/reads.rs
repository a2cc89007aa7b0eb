//! A medium that fails, lies or rots at a single read: every read of a scripted run, from opening
//! the ledger to closing it.

use std::panic::{AssertUnwindSafe, catch_unwind};

use giftproof::ledger::LedgerError;
use giftproof::store::ReadFault;
use rayon::prelude::*;

use super::*;
use crate::util::copy_folder;

const FAULTS: [ReadFault; 8] = [
    ReadFault::Fails,
    ReadFault::Missing,
    ReadFault::Cut,
    ReadFault::Misplaced,
    ReadFault::StaleHead,
    ReadFault::Flipped { bit: 0 },
    ReadFault::Flipped { bit: 4_001 },
    ReadFault::Flipped { bit: usize::MAX },
];

struct Script {
    store: MemoryStore,
    /// The files beside the log, with an index from before the last entries.
    folder: tempfile::TempDir,
    told: Told,
    /// One that is in the log, a correction of it, and a new one.
    events: [SignedEvent; 3],
}

/// What a run has said: in words, since answers cannot be compared; or a code.
type Said = Result<String, &'static str>;

impl Script {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (store, mut told, author) = ledger_of(259, Some(folder.path()));
        let (indexed, saved) = (folder.path().join("index/state"), folder.path().join("saved"));
        std::fs::copy(&indexed, &saved).unwrap();
        let store = store.reopen();
        let writer = over(&store, Some(folder.path())).unwrap();
        for event in author.donations(4) {
            told.submit(&writer, &[(event, None)]);
        }
        let old = writer.with_ledger(|ledger| ledger.entry(9).unwrap().event);
        writer.close().unwrap();
        std::fs::rename(&saved, &indexed).unwrap();

        let correction = author.correction(9, &old);
        let events = [old, correction, author.donation(77)];
        Self { store, folder, told, events }
    }

    /// Everything that a writer and a reader ask of a store, in this order. Ends when nothing more
    /// can be done.
    fn run(&self, store: &MemoryStore, folder: &Path) -> Vec<Said> {
        let of = |error: LedgerError| error.code();
        let mut said: Vec<Said> = Vec::new();
        let writer = match over(store, Some(folder)) {
            Ok(writer) => writer,
            Err(error) => return vec![Err(error.code())],
        };
        for event in &self.events {
            let answer = writer.submit(event.clone());
            said.push(answer.map(|a| format!("{a:?}")).map_err(|error| error.code()));
        }
        writer.with_ledger(|ledger| {
            for index in [0, 9, 255, 256, 262] {
                said.push(ledger.entry(index).map(|entry| format!("{entry:?}")).map_err(of));
                let proof = ledger.log().inclusion_proof(index, 263);
                said.push(proof.map(|proof| format!("{proof:?}")).map_err(of));
            }
            let proof = ledger.log().consistency_proof(100, 263);
            said.push(proof.map(|proof| format!("{proof:?}")).map_err(of));
        });
        said.push(writer.close().map(|()| String::new()).map_err(|error| error.code()));
        said
    }

    /// A copy of the medium and of the files, as they were at the beginning.
    fn begin(&self) -> (MemoryStore, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        copy_folder(self.folder.path(), folder.path());
        (self.store.copy().reopen(), folder)
    }

    fn survives(&self, right: &[Said], read: u64, fault: ReadFault) {
        let (store, folder) = self.begin();
        store.fail_read_at(read, fault);
        let said = self.run(&store, folder.path());
        let damage = [
            "store/io",
            "store/stopped",
            "writer/stopped",
            "ledger/missing",
            "ledger/damaged",
            "ledger/head",
            "ledger/root",
            "ledger/entry",
            "ledger/empty",
        ];
        // The head before the newest is no damage: it is a ledger of before.
        let stale = ["ledger/rolled-back", "ledger/missing"];
        for (said, right) in said.iter().zip(right) {
            match said {
                Ok(_) => assert_eq!(said, right),
                Err(code) if fault == ReadFault::StaleHead => {
                    assert!(stale.contains(code), "{code}")
                }
                Err(code) => assert!(damage.contains(code), "{code}"),
            }
        }

        let writer = over(&store.reopen(), Some(folder.path())).unwrap();
        let mut told = self.told.clone();
        let new = &self.events[1..];
        let answers = said.iter().skip(1);
        for (event, _) in new.iter().zip(answers).filter(|(_, answer)| answer.is_ok()) {
            told.log.push(event.frame.hash(&writer.genesis()));
        }
        told.settle(&writer);
        let again: Vec<Case> = self.events.iter().map(|event| (event.clone(), None)).collect();
        // Order is that of the answers: what failed comes after what did not.
        for case in again {
            told.submit(&writer, &[case]);
        }
        assert_eq!(told.log.len(), self.told.log.len() + 2);
        assert_whole(&writer);
    }
}

#[test]
fn no_fault_of_a_read_leads_to_a_wrong_answer() {
    let script = Script::new();
    let (store, folder) = script.begin();
    let before = store.reads();
    let right = script.run(&store, folder.path());
    assert!(right.iter().all(Result::is_ok), "{right:?}");
    let reads = store.reads() - before;
    assert!(reads >= 8, "{reads}");
    let all: Vec<_> = (0..reads).flat_map(|read| FAULTS.map(|fault| (read, fault))).collect();
    all.into_par_iter().for_each(|(read, fault)| {
        let run = AssertUnwindSafe(|| script.survives(&right, read, fault));
        catch_unwind(run).unwrap_or_else(|_| panic!("with {fault:?} at read {read}"));
    });
}
