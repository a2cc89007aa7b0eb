//! Processes that are killed at any moment while 16 threads write, one after the other on the same
//! ledger folder.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::str::FromStr;
use std::thread;
use std::time::Duration;

use giftproof::ledger::Ledger;
use giftproof::model::entry::SignedEvent;
use giftproof::model::hash::EventHash;
use giftproof::writer::{Refused, Writer};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::{assert_clean, cases, events_in};
use crate::ledger::{Author, check_ledger, clock, folder_with, make};
use crate::util::secret;

pub const FOLDER: &str = "GIFTPROOF_TEST_FOLDER";
pub const RUN: &str = "GIFTPROOF_TEST_RUN";
pub const THREADS: &str = "GIFTPROOF_TEST_THREADS";
pub const COUNT: &str = "GIFTPROOF_TEST_COUNT";

fn number(variable: &str) -> u64 {
    std::env::var(variable).unwrap().parse().unwrap()
}

pub fn say(line: String) {
    std::io::stdout().lock().write_all(line.as_bytes()).unwrap();
}

/// Writes to a ledger folder from many threads and says on standard output what it tries and what
/// is answered, each line in one system call. Makes the ledger if the folder is empty. Does
/// nothing where no test has started it.
#[test]
#[ignore = "a process that other tests start, and .ci/strace.py"]
fn child() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let folder = Path::new(&folder);
    if folder.read_dir().is_ok_and(|mut names| names.next().is_none()) {
        make(folder, 2);
    }
    let writer = Writer::open(folder, secret("operator"), clock()).unwrap();
    let (run, threads, count) = (number(RUN), number(THREADS), number(COUNT));
    say("\nready\n".to_owned());
    thread::scope(|scope| {
        for thread in 0..threads {
            let writer = &writer;
            scope.spawn(move || {
                let author = Author::of(writer);
                for number in 0..count {
                    // Another quantity in every run: a new event, whatever came before.
                    let event = author.donation(1 + (run * 100 + thread) * 1_000_000 + number);
                    submit_aloud(writer, event).unwrap();
                }
            });
        }
    });
    writer.close().unwrap();
}

/// Submits an event; says before that it is tried, and after it which index was answered.
pub fn submit_aloud(writer: &Writer, event: SignedEvent) -> Result<(), Refused> {
    let hash = event.frame.hash(&writer.genesis());
    say(format!("try {hash}\n"));
    let index = writer.submit(event)?.index;
    say(format!("ack {hash} {index}\n"));
    Ok(())
}

/// Makes the folder that [`child`] writes to.
#[test]
#[ignore = "for .ci/strace.py"]
fn make_folder() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    make(Path::new(&folder), 2);
}

fn start_child(folder: &Path, run: u64) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["faults::kill::child", "--exact", "--ignored", "--nocapture"])
        .env(FOLDER, folder)
        .env(RUN, run.to_string())
        .env(THREADS, "16")
        .env(COUNT, "1000000")
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// What children said until they were killed.
#[derive(Default)]
pub struct Said {
    pub tried: BTreeSet<EventHash>,
    pub answered: BTreeMap<EventHash, u64>,
}

impl Said {
    /// Hears one line. The last may have been cut off.
    pub fn hear(&mut self, line: &str) {
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["try", hash] => drop(self.tried.insert(EventHash::from_str(hash).unwrap())),
            ["ack", hash, index] => {
                let hash = EventHash::from_str(hash).unwrap();
                self.answered.insert(hash, index.parse().unwrap());
            }
            _ => {}
        }
    }

    /// What was answered is in the log in its place, and nothing that was not submitted.
    pub fn holds_of(&self, ledger: &Ledger) {
        let events = events_in(ledger);
        for (hash, index) in &self.answered {
            assert_eq!(events[*index as usize - 1], *hash, "entry {index}");
            assert_eq!(ledger.index_of(hash).unwrap(), Some(*index));
        }
        // Entry 1 is the charity.
        let stranger = events.iter().skip(1).find(|hash| !self.tried.contains(hash));
        assert_eq!(stranger, None, "nobody has submitted this");
    }
}

/// Runs a child and kills it after so many answers and a while. Says whether an event was on its
/// way then.
fn kill_one(folder: &Path, run: u64, answers: usize, wait: Duration, said: &mut Said) -> bool {
    let mut child = start_child(folder, run);
    let (tried, answered) = (said.tried.len(), said.answered.len());
    let mut killed = false;
    // The pipe still holds what the child said before it died.
    for line in BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok) {
        said.hear(&line);
        let begun = said.tried.len() > tried;
        if !killed && begun && said.answered.len() - answered >= answers {
            thread::sleep(wait);
            child.kill().unwrap();
            killed = true;
        }
    }
    let status = child.wait().unwrap();
    assert!(killed && !status.success(), "the child ended by itself: {status}");
    said.tried.len() - tried > said.answered.len() - answered
}

#[test]
fn nothing_answered_is_lost_by_kill_9() {
    let (folder, _) = folder_with(2);
    let seed = rand::rng().random::<u64>();
    println!("seed {seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let (mut said, mut underway) = (Said::default(), 0);
    let kills = cases(20, 200);
    for run in 0..kills as u64 {
        let wait = Duration::from_micros(rng.random_range(0..3000));
        let answers = rng.random_range(0..60);
        underway += usize::from(kill_one(folder.path(), run, answers, wait, &mut said));
        // Now and then one is killed while it opens the ledger that the last one left.
        if run.is_multiple_of(5) {
            let mut child = start_child(folder.path(), 1000 + run);
            thread::sleep(Duration::from_millis(rng.random_range(0..60)));
            child.kill().unwrap();
            let mut out = BufReader::new(child.stdout.take().unwrap()).lines();
            out.by_ref().map_while(Result::ok).for_each(|line| said.hear(&line));
            child.wait().unwrap();
        }
        let mut ledger = Ledger::open(folder.path()).unwrap();
        for (hash, index) in &said.answered {
            assert_eq!(ledger.index_of(hash).unwrap(), Some(*index), "run {run}, seed {seed}");
        }
        if run.is_multiple_of(10) {
            said.holds_of(&ledger);
            assert_clean(&ledger);
        }
        // So that the next opening replays what this run wrote, and not everything.
        ledger.save_index().unwrap();
    }
    assert!(underway > kills / 2, "too few kills hit events without an answer: {underway}");
    let ledger = Ledger::open(folder.path()).unwrap();
    assert!(said.answered.len() > 10 * kills, "{}", said.answered.len());
    said.holds_of(&ledger);
    assert_clean(&ledger);
    check_ledger(&ledger);
}
