//! A power cut, at any system call, of a process that makes a ledger folder and writes to it.
//!
//! A run under strace gives every call that changed a file, with its bytes. Played back up to a
//! call, with some of what was not synced by then left out and the last write torn, they give the
//! folders that a power cut could have left behind. Each must open, with every event that was
//! acknowledged before that call.

mod disk;
mod trace;

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{Command, Stdio};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rayon::prelude::*;

use self::disk::Disk;
use self::trace::{Call, Traced};
use super::kill::{COUNT, FOLDER, RUN, Said, THREADS};
use super::*;

/// Runs a child under strace; gives all that it did to `folder`, which is empty, and said.
fn traced(folder: &Path) -> Vec<Traced> {
    let trace = tempfile::NamedTempFile::new().unwrap();
    let status = Command::new("strace")
        .args(["-f", "-y", "-xx", "-s", "100000000", "-e", trace::CALLS, "-o"])
        .arg(trace.path())
        .arg(std::env::current_exe().unwrap())
        .args(["faults::kill::child", "--exact", "--ignored", "--nocapture"])
        .env(FOLDER, folder)
        .envs([(RUN, "0"), (THREADS, "3"), (COUNT, "12")])
        .stdout(Stdio::null())
        .status()
        .expect("strace is installed");
    assert!(status.success(), "{status}");
    trace::read(&fs::read_to_string(trace.path()).unwrap(), folder)
}

/// The ledger after the power was cut when so many calls had begun.
fn survives(root: &Path, calls: &[Traced], at: usize, rng: &mut StdRng) {
    let (mut disk, mut said, mut ready) = (Disk::new(root), Said::default(), false);
    for traced in &calls[..at] {
        match &traced.call {
            Call::Say(line) if line == "ready" => ready = true,
            Call::Say(line) => said.hear(line),
            call => disk.play(call, traced.begin, traced.end),
        }
    }
    let folder = tempfile::tempdir().unwrap();
    disk.cut(folder.path(), rng);

    let open = || Writer::open(folder.path(), secret("operator"), clock());
    match open() {
        Ok(writer) => {
            writer.with_ledger(|ledger| {
                said.holds_of(ledger);
                assert_clean(ledger);
            });
            // And it goes on.
            if ready {
                let author = Author::of(&writer);
                let size = writer.with_state(|state| state.size);
                let accepted = writer.submit(author.donation(1_000_000_000)).unwrap();
                assert_eq!(accepted.index, size);
            }
            writer.close().unwrap();
            let trust = fs::read(folder.path().join(giftproof::ledger::TRUST_FILE)).unwrap();
            giftproof::model::trust::TrustFile::parse(&trust).unwrap();
        }
        Err(error) => {
            assert!(!ready, "{error}");
            let none = ["store/unfinished", "store/not-a-ledger"];
            assert!(none.contains(&error.code()), "{error}");
            // What never was a ledger becomes one.
            Writer::create(folder.path(), genesis(), secret("operator"), clock()).unwrap();
        }
    }
}

#[test]
#[ignore = "needs strace"]
fn a_power_cut_costs_nothing_that_was_answered() {
    let folder = tempfile::tempdir().unwrap();
    let calls = traced(folder.path());
    let acks = calls.iter().filter(|traced| traced.call.is_ack()).count();
    assert_eq!(acks, 36);

    let start = rand::rng().random::<u64>();
    println!("{} calls, seed {start}", calls.len());
    let root = folder.path();
    let case = |calls: &[Traced], at: usize, round: usize| {
        let mut rng = StdRng::seed_from_u64(start ^ (at * 100 + round) as u64);
        catch_unwind(AssertUnwindSafe(|| survives(root, calls, at, &mut rng)))
    };
    let rounds = cases(1, 8);
    let cuts: Vec<(usize, usize)> =
        (0..=calls.len()).flat_map(|at| (0..rounds).map(move |round| (at, round))).collect();
    cuts.into_par_iter().for_each(|(at, round)| {
        case(&calls, at, round)
            .unwrap_or_else(|_| panic!("cut at call {at}, round {round}, seed {start}"));
    });

    // Without the syncs of its data files the log would lose what was answered: this test tells.
    let of_log = |call: &Call| matches!(call, Call::Sync(path) if path.ends_with("db"));
    let (syncs, deaf): (Vec<Traced>, Vec<Traced>) =
        calls.into_iter().partition(|traced| of_log(&traced.call));
    assert!(syncs.len() >= 12, "{}", syncs.len());
    assert!((0..100).any(|round| case(&deaf, deaf.len(), round).is_err()));
}
