//! What is answered is in the log, durably and in this order. What faults do to it is in `faults.rs`.

use std::fs;
use std::sync::{Arc, Condvar, Mutex, mpsc};
use std::thread;

use giftproof::ledger::CHECKPOINT_FILE;
use giftproof::model::checkpoint::SignedCheckpoint;
use giftproof::model::event::Capacity;
use giftproof::store::{Commit, CommitError, MemoryStore, ObjectName, ReadFault, Step, Store};
use giftproof::writer::{Refused, Writer};

use crate::faults::events_in;
use crate::ledger::{Author, check_ledger, clock, genesis};
use crate::util::{line, recorded, secret};

fn create(store: &Arc<dyn Store>) -> Writer {
    Writer::create_over(Arc::clone(store), None, genesis(), secret("operator"), clock()).unwrap()
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
    let correction = author.correction(9, target);
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

impl Barred {
    fn new() -> Arc<Self> {
        let (inner, changed) = (MemoryStore::new(), Condvar::new());
        Arc::new(Self { inner, down: Mutex::new(false), changed })
    }
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
    let store = Barred::new();
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

/// The most events on their way, as [`Refused::Busy`] says.
const PLACES: usize = 16_384;

#[test]
fn of_many_submitters_so_many_are_taken_and_all_of_these_recorded() {
    let store = Barred::new();
    let writer = create(&(Arc::clone(&store) as Arc<dyn Store>));
    let author = Author::of(&writer);
    writer.submit(author.enrolment("red-cross")).unwrap();
    *store.down.lock().unwrap() = true;

    // Each submitter hands in new donations until it is told that there is no room. Nothing is
    // answered before the store is up, so nobody gets the place of another.
    let (send, answers) = mpsc::channel();
    let submit = |thread: u64, send: mpsc::Sender<_>| {
        let (author, here) = (Author::of(&writer), thread::current().id());
        let (tell, busy) = mpsc::channel();
        let numbers = (1..).take_while(|number| {
            let event = author.donation(thread * 100_000 + number);
            let hash = event.frame.hash(&author.genesis);
            let (send, tell) = (send.clone(), tell.clone());
            writer.submit_then(event, move |answer| match answer {
                Err(Refused::Busy) if thread::current().id() == here => tell.send(()).unwrap(),
                answer => send.send((hash, answer.map(|accepted| accepted.index))).unwrap(),
            });
            busy.try_recv().is_err()
        });
        numbers.count()
    };
    let taken: usize = thread::scope(|scope| {
        let threads = [(); 32].map(|()| send.clone()).into_iter().zip(1..);
        let submit = &submit;
        let threads = threads.map(|(send, thread)| scope.spawn(move || submit(thread, send)));
        let threads: Vec<_> = threads.collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(taken, PLACES);
    assert!(answers.try_recv().is_err(), "an answer before its commit");
    let late = author.donation(9_999_999);
    assert!(matches!(writer.submit(late.clone()), Err(Refused::Busy)));

    *store.down.lock().unwrap() = false;
    store.changed.notify_all();
    drop(send);
    let mut accepted: Vec<_> = answers.iter().map(|(hash, index)| (index.unwrap(), hash)).collect();
    assert_eq!(accepted.len(), PLACES);
    assert!(!writer.submit(late.clone()).unwrap().already);
    accepted.sort_unstable();
    writer.with_ledger(|ledger| {
        let log = events_in(ledger);
        let (expected, ends) = (accepted.iter().map(|(_, hash)| *hash), log.len() - 1);
        assert_eq!(log[1..ends], expected.collect::<Vec<_>>());
        assert_eq!(log[ends], late.frame.hash(&author.genesis));
        for (index, hash) in &accepted {
            assert_eq!(ledger.index_of(hash).unwrap(), Some(*index));
        }
    });
}

/// The most bytes of events on their way, as [`Refused::Busy`] says.
const ROOM: usize = 64 << 20;

#[test]
fn large_events_are_refused_before_memory_runs_out_and_taken_again_later() {
    let store = Barred::new();
    let writer = create(&(Arc::clone(&store) as Arc<dyn Store>));
    let author = Author::of(&writer);
    writer.submit(author.enrolment("red-cross")).unwrap();
    let item = "口罩".repeat(30);
    let lines = (1..=100).map(|number| line(number, &item, 1, "piece", &[])).collect();
    let large = author.event(recorded("red-cross", lines), &[(Capacity::Taker, "red-cross")]);
    let len = large.frame.body.len() + 64;
    assert!(len > 20_000, "{len}");

    *store.down.lock().unwrap() = true;
    // Something that is not in the log yet waits at the barrier, and all else behind it.
    let first = writer.submit_later(author.donation(1));
    let here = thread::current().id();
    let (send, answers) = mpsc::channel();
    let (busy, mut on_their_way) = (Arc::new(Mutex::new(false)), 0);
    loop {
        let (send, busy_now) = (send.clone(), Arc::clone(&busy));
        writer.submit_then(large.clone(), move |answer| {
            if thread::current().id() == here {
                *busy_now.lock().unwrap() = matches!(answer, Err(Refused::Busy));
            } else {
                send.send(answer.map(|accepted| accepted.index)).unwrap();
            }
        });
        if *busy.lock().unwrap() {
            break;
        }
        on_their_way += 1;
    }
    // All but the one before them is of this length.
    assert!((ROOM / len - 1..=ROOM / len).contains(&on_their_way), "{on_their_way} of {len}");
    *store.down.lock().unwrap() = false;
    store.changed.notify_all();
    first.wait().unwrap();
    drop(send);
    let indexes: Vec<u64> = answers.iter().map(|answer| answer.unwrap()).collect();
    assert_eq!(indexes, vec![3; on_their_way]);
    assert!(writer.submit(large).unwrap().already);
    writer.with_ledger(check_ledger);
}
