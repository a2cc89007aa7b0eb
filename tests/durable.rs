//! What was answered is in the log: under planned faults, under `kill -9`, in this order.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::str::FromStr;
use std::sync::{Arc, Condvar, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use giftproof::ledger::{CHECKPOINT_FILE, Ledger};
use giftproof::model::checkpoint::SignedCheckpoint;
use giftproof::model::encoding::Blob;
use giftproof::model::entry::SignedEvent;
use giftproof::model::event::{Capacity, Correction, Kind, Statement};
use giftproof::model::hash::EventHash;
use giftproof::store::{
    Commit, CommitError, Fault, MemoryStore, ObjectName, ReadFault, Step, Store,
};
use giftproof::writer::{Accepted, Refused, Writer};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rayon::prelude::*;

use crate::ledger::{Author, check_ledger, clock, folder_with, genesis, make};
use crate::util::{secret, text};

fn create(store: &Arc<dyn Store>) -> Writer {
    Writer::create_over(Arc::clone(store), None, genesis(), secret("operator"), clock()).unwrap()
}

fn in_memory() -> (MemoryStore, Writer) {
    let store = MemoryStore::new();
    let writer = create(&(Arc::new(store.clone()) as Arc<dyn Store>));
    (store, writer)
}

fn reopened(store: &MemoryStore) -> Result<Writer, giftproof::writer::WriterError> {
    Writer::over(Arc::new(store.reopen()), None, secret("operator"), clock())
}

/// Submits groups of events one after the other; gives what was answered with yes.
fn submit(writer: &Writer, script: &[Vec<SignedEvent>]) -> Vec<Accepted> {
    script.iter().flat_map(|group| writer.submit_many(group.clone())).flatten().collect()
}

/// Single events, a long run, and a group that completes a bundle: every kind of commit.
fn script() -> Vec<Vec<SignedEvent>> {
    let (_, writer) = in_memory();
    let author = Author::of(&writer);
    let mut events = author.donations(254 + 6).into_iter();
    let mut script = vec![vec![author.enrolment("red-cross")]];
    script.extend([249, 1, 1, 7, 1, 1].map(|count| events.by_ref().take(count).collect()));
    script
}

#[test]
fn no_fault_at_any_step_loses_what_was_answered() {
    let script = script();
    let all: usize = script.iter().map(Vec::len).sum();
    let (store, writer) = in_memory();
    let created = store.steps().len();
    assert_eq!(submit(&writer, &script).len(), all);
    drop(writer);
    let steps = (store.steps().len() - created) as u64;
    assert!(steps > 20, "{steps}");

    let torn = |keep| Fault::Torn { keep };
    let reordered = |keep| Fault::Reordered { keep };
    let faults = [
        Fault::NotPersisted,
        Fault::ButPersisted,
        Fault::Full,
        torn(u64::MAX),
        torn(0b101),
        reordered(0b010),
        reordered(u64::MAX),
    ];
    let cases: Vec<_> = (0..steps).flat_map(|step| faults.map(|fault| (step, fault))).collect();
    let refused_openings: usize = cases
        .into_par_iter()
        .map(|(step, fault)| usize::from(!survives(&script, step, fault)))
        .sum();
    // A medium that breaks its promise is found out, and no other is.
    assert!((1..2 * steps as usize).contains(&refused_openings), "{refused_openings}");
}

/// Whether the ledger opens after this fault; if it does, everything must be right.
fn survives(script: &[Vec<SignedEvent>], step: u64, fault: Fault) -> bool {
    let (store, writer) = in_memory();
    store.fail_at(step, fault);
    let answered = submit(&writer, script);
    let all: usize = script.iter().map(Vec::len).sum();
    assert!(answered.len() < all, "{fault:?} at {step} did not happen");
    // A full disk refuses one commit; the writer goes on. All else stops it.
    let probe = script[0][0].clone();
    match (fault, writer.submit(probe)) {
        (Fault::Full, Ok(_)) => {}
        (Fault::Full, other) => panic!("{other:?} after a full disk at {step}"),
        (_, other) => assert_eq!(other.unwrap_err().code(), "writer/stopped"),
    }
    drop(writer);

    let writer = match reopened(&store) {
        Ok(writer) => writer,
        Err(error) => {
            assert!(matches!(fault, Fault::Reordered { .. }), "{error} after {fault:?} at {step}");
            assert_eq!(error.code(), "ledger/missing");
            return false;
        }
    };
    for accepted in &answered {
        let found = writer.with_ledger(|ledger| ledger.index_of(&accepted.hash)).unwrap();
        assert_eq!(found, Some(accepted.index), "{fault:?} at {step}");
    }
    // Whoever did not get an answer submits again, and gets one.
    assert_eq!(submit(&writer, script).len(), all, "{fault:?} at {step}");
    assert_eq!(writer.newest().index, all as u64, "{fault:?} at {step}");
    if step.is_multiple_of(7) {
        writer.with_ledger(check_ledger);
    }
    true
}

#[test]
fn a_full_disk_refuses_and_leaves_nothing_half_done() {
    let (store, writer) = in_memory();
    let author = Author::of(&writer);
    writer.submit(author.enrolment("red-cross")).unwrap();
    let before = writer.with_state(Clone::clone);
    for step in 0..3 {
        store.fail_at(step, Fault::Full);
        for answer in writer.submit_many(author.donations(3)) {
            assert_eq!(answer.unwrap_err().code(), "store/full");
        }
        assert!(writer.with_state(|state| *state == before));
    }
    assert_eq!(writer.submit(author.donation(1)).unwrap().index, 2);
    writer.with_ledger(check_ledger);
}

#[test]
fn a_rule_that_cannot_look_back_refuses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = Some(folder.path());
    let store = MemoryStore::new();
    let shared: Arc<dyn Store> = Arc::new(store.clone());
    let writer = Writer::create_over(shared, path, genesis(), secret("operator"), clock()).unwrap();
    let author = Author::of(&writer);
    writer.submit(author.enrolment("red-cross")).unwrap();
    let donations = author.donations(300);
    assert!(writer.submit_many(donations.clone()).iter().all(Result::is_ok));

    let target = &donations[7];
    let (_, statement) = target.frame.open().unwrap();
    let Some(Statement::Donation(mut donation)) = statement else { panic!() };
    donation.purpose = text("for the hospital");
    let correction = Correction {
        target_index: 9,
        target: target.frame.hash(&author.genesis),
        target_kind: Kind::Donation as u16,
        replacement: Blob::new(Statement::from(donation).to_bytes()).unwrap(),
    };
    let correction = author.event(correction, &[(Capacity::Taker, "red-cross")]);
    let lens = |index| writer.with_ledger(|l| l.log().entry_bytes(index).unwrap().len());
    let bit = 8 * (0..9).map(|index| 2 + lens(index)).sum::<usize>() + 8 * (lens(9) / 2);
    writer.close().unwrap();
    // With the index, nothing has read the corrected entry yet.
    let open = || Writer::over(Arc::new(store.reopen()), path, secret("operator"), clock());
    for fault in [ReadFault::Fails, ReadFault::Missing, ReadFault::Flipped { bit }] {
        for event in [&correction, target] {
            let writer = open().unwrap();
            store.fail_reads(Some(fault));
            let refused = writer.submit(event.clone()).unwrap_err();
            assert_eq!(refused.code(), "writer/stopped", "{fault:?}");
        }
    }
    let writer = open().unwrap();
    assert_eq!(writer.submit(target.clone()).unwrap().index, 9);
    assert_eq!(writer.submit(correction).unwrap().index, 302);
    writer.with_ledger(check_ledger);
}

/// The size that the head written by this step commits to.
fn size_of(head: &[u8]) -> u64 {
    SignedCheckpoint::parse(head).unwrap().checkpoint().size
}

#[test]
fn every_answer_comes_after_sync_and_publication() {
    let folder = tempfile::tempdir().unwrap();
    let store = MemoryStore::new();
    let shared: Arc<dyn Store> = Arc::new(store.clone());
    let operator = secret("operator");
    let path = Some(folder.path());
    let writer = Writer::create_over(shared, path, genesis(), operator, clock()).unwrap();
    writer.submit(Author::of(&writer).enrolment("red-cross")).unwrap();

    let (send, received) = mpsc::channel();
    let checkpoint = folder.path().join(CHECKPOINT_FILE);
    thread::scope(|scope| {
        for thread in 0..8 {
            let (writer, store, checkpoint, send) = (&writer, &store, &checkpoint, send.clone());
            scope.spawn(move || {
                let author = Author::of(writer);
                for number in 1..=20 {
                    let event = author.donation(thread * 1000 + number);
                    let (store, checkpoint, send) =
                        (store.clone(), checkpoint.clone(), send.clone());
                    // Runs in the sequencer's thread, so its place among the steps is certain.
                    writer.submit_then(event, move |answer| {
                        let index = answer.unwrap().index;
                        store.note_answer(index);
                        let published = fs::read(checkpoint).unwrap();
                        send.send(size_of(&published) > index).unwrap();
                    });
                }
            });
        }
    });
    writer.close().unwrap();
    drop(send);
    let published: Vec<bool> = received.iter().collect();
    assert_eq!(published, [true; 160]);

    let (mut written, mut durable, mut answers) = (0, 0, 0);
    for step in store.steps() {
        match step {
            Step::Head(head) => written = size_of(&head),
            Step::Sync => durable = written,
            Step::Answer { entry } => {
                assert!(entry < durable, "entry {entry} was answered at {durable} durable ones");
                answers += 1;
            }
            _ => {}
        }
    }
    assert_eq!(answers, 160);
}

/// A store that notes how many bytes each commit writes.
struct Weighing {
    inner: MemoryStore,
    commits: Mutex<Vec<(Vec<ObjectName>, usize)>>,
}

impl Store for Weighing {
    fn read(&self, name: &ObjectName) -> Result<Option<Vec<u8>>, giftproof::store::StoreError> {
        self.inner.read(name)
    }

    fn head(&self) -> Result<Option<Vec<u8>>, giftproof::store::StoreError> {
        self.inner.head()
    }

    fn commit(&self, commit: &Commit<'_>) -> Result<(), CommitError> {
        let names = commit.put.iter().map(|(name, _)| *name).collect();
        let len = commit.put.iter().map(|(_, bytes)| bytes.len()).sum::<usize>();
        self.commits.lock().unwrap().push((names, len + commit.head.len()));
        self.inner.commit(commit)
    }
}

#[test]
fn a_commit_of_one_event_writes_the_entry_and_a_checkpoint() {
    let store = Arc::new(Weighing { inner: MemoryStore::new(), commits: Mutex::default() });
    let writer = create(&(Arc::clone(&store) as Arc<dyn Store>));
    let author = Author::of(&writer);
    writer.submit(author.enrolment("red-cross")).unwrap();
    for event in author.donations(598) {
        writer.submit(event).unwrap();
    }
    let commits = store.commits.lock().unwrap().clone();
    assert_eq!(commits.len(), 600);
    for (index, (names, len)) in (0..).zip(&commits) {
        let entry = writer.with_ledger(|ledger| ledger.log().entry_bytes(index).unwrap().len());
        if index % 256 == 255 {
            let tile = ObjectName::Tile { level: 0, index: index / 256 };
            assert_eq!(*names, [ObjectName::Bundle(index / 256), tile]);
        } else {
            assert_eq!(*names, [ObjectName::Tail { first: index }]);
            assert!(*len <= entry + 2 + 256, "{len} bytes for an entry of {entry}");
        }
    }
    writer.with_ledger(check_ledger);
}

/// A store whose commits wait at a barrier while it is down.
struct Barred {
    inner: MemoryStore,
    down: Mutex<bool>,
    changed: Condvar,
}

impl Store for Barred {
    fn read(&self, name: &ObjectName) -> Result<Option<Vec<u8>>, giftproof::store::StoreError> {
        self.inner.read(name)
    }

    fn head(&self) -> Result<Option<Vec<u8>>, giftproof::store::StoreError> {
        self.inner.head()
    }

    fn commit(&self, commit: &Commit<'_>) -> Result<(), CommitError> {
        let down = self.down.lock().unwrap();
        drop(self.changed.wait_while(down, |down| *down).unwrap());
        self.inner.commit(commit)
    }
}

#[test]
fn a_full_queue_says_busy_and_what_waits_shares_a_commit() {
    let store = Arc::new(Barred {
        inner: MemoryStore::new(),
        down: Mutex::new(false),
        changed: Condvar::new(),
    });
    let writer = create(&(Arc::clone(&store) as Arc<dyn Store>));
    let author = Author::of(&writer);
    let enrolment = author.enrolment("red-cross");
    writer.submit(enrolment.clone()).unwrap();
    let heads = |store: &MemoryStore| {
        store.steps().iter().filter(|step| matches!(step, Step::Head(_))).count()
    };
    let before = heads(&store.inner);

    *store.down.lock().unwrap() = true;
    let mut pending: Vec<_> =
        author.donations(50).into_iter().map(|event| writer.submit_later(event)).collect();
    let big = vec![enrolment.clone(); 17_000];
    thread::scope(|scope| {
        let many = scope.spawn(|| writer.submit_many(big));
        // One commit waits at the barrier; behind it the queue fills up.
        let (send, answers) = mpsc::channel();
        let busy = loop {
            let send = send.clone();
            writer.submit_then(enrolment.clone(), move |answer| drop(send.send(answer)));
            if let Ok(answer) = answers.try_recv() {
                break answer;
            }
        };
        assert!(matches!(busy, Err(Refused::Busy)), "{busy:?}");
        *store.down.lock().unwrap() = false;
        store.changed.notify_all();
        assert!(many.join().unwrap().into_iter().all(|answer| answer.unwrap().already));
        drop(send);
        assert!(answers.iter().all(|answer| answer.unwrap().already));
    });
    let indexes: Vec<u64> = pending.drain(..).map(|p| p.wait().unwrap().index).collect();
    assert_eq!(indexes, (2..52).collect::<Vec<_>>());
    // 50 events: one commit for what came before the barrier, a few for all else.
    assert!(heads(&store.inner) - before <= 3);
    writer.with_ledger(check_ledger);
}

const FOLDER: &str = "GIFTPROOF_TEST_FOLDER";
const RUN: &str = "GIFTPROOF_TEST_RUN";
const THREADS: &str = "GIFTPROOF_TEST_THREADS";
const COUNT: &str = "GIFTPROOF_TEST_COUNT";

fn number(variable: &str) -> u64 {
    std::env::var(variable).unwrap().parse().unwrap()
}

fn say(line: String) {
    std::io::stdout().lock().write_all(line.as_bytes()).unwrap();
}

/// Writes to a ledger folder from many threads and says on standard output what it tries and what
/// is answered, each line in one system call.
#[test]
#[ignore = "a process that other tests start, and .ci/strace.py"]
fn child() {
    let folder = std::env::var(FOLDER).expect("started by another test");
    let writer = Writer::open(Path::new(&folder), secret("operator"), clock()).unwrap();
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
                    let hash = event.frame.hash(&writer.genesis());
                    say(format!("try {hash}\n"));
                    let index = writer.submit(event).unwrap().index;
                    say(format!("ack {hash} {index}\n"));
                }
            });
        }
    });
    writer.close().unwrap();
}

/// Makes the folder that [`child`] writes to.
#[test]
#[ignore = "for .ci/strace.py"]
fn make_folder() {
    let folder = std::env::var(FOLDER).expect("started by .ci/strace.py");
    make(Path::new(&folder), 2);
}

fn start_child(folder: &Path, run: u64) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["durable::child", "--exact", "--ignored", "--nocapture"])
        .env(FOLDER, folder)
        .env(RUN, run.to_string())
        .env(THREADS, "16")
        .env(COUNT, "1000000")
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// What a child said until it was killed.
#[derive(Default)]
struct Said {
    tried: usize,
    answered: BTreeMap<EventHash, u64>,
}

/// Runs a child and kills it after so many answers.
fn killed(folder: &Path, run: u64, answers: usize) -> Said {
    let mut child = start_child(folder, run);
    let mut said = Said::default();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut killed = false;
    // The pipe still holds what the child said before it died.
    while let Some(Ok(line)) = lines.next() {
        let mut words = line.split(' ');
        match (words.next(), words.next(), words.next()) {
            (Some("try"), Some(_), None) => said.tried += 1,
            (Some("ack"), Some(hash), Some(index)) => {
                let hash = EventHash::from_str(hash).unwrap();
                said.answered.insert(hash, index.parse().unwrap());
            }
            _ => {}
        }
        if !killed && said.tried > 0 && said.answered.len() >= answers {
            child.kill().unwrap();
            killed = true;
        }
    }
    let status = child.wait().unwrap();
    assert!(killed && !status.success(), "the child ended by itself: {status}");
    said
}

#[test]
fn nothing_answered_is_lost_by_kill_9() {
    let (folder, _) = folder_with(2);
    let seed = rand::rng().random::<u64>();
    println!("seed {seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let mut answered = BTreeMap::new();
    let (mut unanswered_kills, mut run) = (0, 0);
    while run < 50 || unanswered_kills < 40 {
        assert!(run < 200, "too few kills hit events without an answer");
        let said = killed(folder.path(), run, rng.random_range(0..60));
        unanswered_kills += usize::from(said.tried > said.answered.len());
        answered.extend(said.answered);
        let mut ledger = Ledger::open(folder.path()).unwrap();
        for (hash, index) in &answered {
            assert_eq!(ledger.index_of(hash).unwrap(), Some(*index), "run {run}, seed {seed}");
        }
        if run.is_multiple_of(10) {
            check_ledger(&ledger);
        }
        // So that the next opening replays what this run wrote, and not everything.
        ledger.save_index().unwrap();
        run += 1;
        // Now and then one is killed while it opens the ledger, or a little later.
        if run.is_multiple_of(5) {
            let mut child = start_child(folder.path(), 1000 + run);
            thread::sleep(Duration::from_millis(rng.random_range(0..60)));
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
    let ledger = Ledger::open(folder.path()).unwrap();
    assert!(answered.len() > 500, "{}", answered.len());
    assert!(ledger.state().size >= 2 + answered.len() as u64);
    check_ledger(&ledger);
}
