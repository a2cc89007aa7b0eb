//! One contract for every store, and what only a ledger folder has.
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use giftproof::store::{
    COMMIT_OBJECTS_MAX, Commit, CommitError, CreateError, Fault, HEAD_LEN_MAX, LocalStore,
    MemoryStore, OBJECT_LEN_MAX, ObjectName, OpenError, ReadFault, Step, Store, StoreError,
};
use tempfile::TempDir;

/// A place where a store lives and can be opened again.
trait Ground {
    /// Opens a new ledger whose head is `FIRST`, with no objects.
    fn create(&self) -> Arc<dyn Store>;
    /// Closes the store and opens it again.
    fn reopen(&self, store: Arc<dyn Store>) -> Arc<dyn Store>;
}

const FIRST: &[u8] = b"first head";

fn first_commit() -> Commit<'static> {
    Commit { put: vec![], drop_tails: vec![], expected_head: None, head: FIRST }
}

struct InMemory(MemoryStore);

impl Ground for InMemory {
    fn create(&self) -> Arc<dyn Store> {
        self.0.commit(&first_commit()).unwrap();
        Arc::new(self.0.clone())
    }

    fn reopen(&self, _: Arc<dyn Store>) -> Arc<dyn Store> {
        Arc::new(self.0.reopen())
    }
}

struct InFolder(TempDir);

impl Ground for InFolder {
    fn create(&self) -> Arc<dyn Store> {
        Arc::new(LocalStore::create(self.0.path(), &first_commit()).unwrap())
    }

    fn reopen(&self, store: Arc<dyn Store>) -> Arc<dyn Store> {
        drop(store);
        Arc::new(LocalStore::open(self.0.path()).unwrap())
    }
}

/// Runs each function as one test for each kind of store.
macro_rules! contract {
    ($($name:ident),* $(,)?) => {
        mod memory {
            $(#[test] fn $name() { super::$name(&super::InMemory(super::MemoryStore::new())) })*
        }
        mod local {
            $(#[test] fn $name() { super::$name(&super::InFolder(super::tempdir())) })*
        }
    };
}

contract!(
    absent_objects_are_none,
    a_commit_is_read_back_and_survives_a_reopen,
    the_same_bytes_may_be_put_again,
    other_bytes_are_refused_and_nothing_changes,
    the_head_moves_by_compare_and_swap,
    tails_are_dropped,
    the_largest_object_and_head_fit,
    what_is_above_a_limit_is_refused,
    a_long_random_history_equals_a_plain_map,
    of_racing_writers_one_wins_and_readers_see_whole_commits,
);

fn tempdir() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn bundle(index: u64) -> ObjectName {
    ObjectName::Bundle(index)
}

fn tile(level: u8, index: u64) -> ObjectName {
    ObjectName::Tile { level, index }
}

fn tail(first: u64) -> ObjectName {
    ObjectName::Tail { first }
}

fn commit<'a>(
    put: Vec<(ObjectName, Vec<u8>)>,
    expected_head: &'a [u8],
    head: &'a [u8],
) -> Commit<'a> {
    Commit { put, drop_tails: vec![], expected_head: Some(expected_head), head }
}

fn absent_objects_are_none(ground: &dyn Ground) {
    let store = ground.create();
    for name in [bundle(0), tile(0, 0), tail(0)] {
        assert_eq!(store.read(&name).unwrap(), None);
    }
    assert_eq!(store.head().unwrap().as_deref(), Some(FIRST));
}

fn a_commit_is_read_back_and_survives_a_reopen(ground: &dyn Ground) {
    let store = ground.create();
    let put = vec![
        (bundle(7), vec![1; 100_000]),
        (bundle(u64::MAX), vec![]),
        (tile(0, 7), vec![2; 8192]),
        (tile(7, 0), vec![3; 8192]),
        (tail(1792), vec![4; 70_000]),
    ];
    store.commit(&commit(put.clone(), FIRST, b"second")).unwrap();
    let check = |store: &dyn Store| {
        assert_eq!(store.head().unwrap().as_deref(), Some(&b"second"[..]));
        for (name, bytes) in &put {
            assert!(store.read(name).unwrap().as_ref() == Some(bytes), "{name}");
        }
        assert_eq!(store.read(&bundle(0)).unwrap(), None);
        assert_eq!(store.read(&tile(7, 7)).unwrap(), None);
        assert_eq!(store.read(&tail(7)).unwrap(), None);
    };
    check(&*store);
    check(&*ground.reopen(store));
}

fn the_same_bytes_may_be_put_again(ground: &dyn Ground) {
    let store = ground.create();
    let put = vec![(bundle(0), vec![1; 10]), (tail(3), vec![2; 10]), (bundle(0), vec![1; 10])];
    store.commit(&commit(put.clone(), FIRST, b"second")).unwrap();
    store.commit(&commit(put, b"second", b"third")).unwrap();
    let store = ground.reopen(store);
    assert_eq!(store.read(&bundle(0)).unwrap(), Some(vec![1; 10]));
    assert_eq!(store.head().unwrap().as_deref(), Some(&b"third"[..]));
}

fn other_bytes_are_refused_and_nothing_changes(ground: &dyn Ground) {
    let store = ground.create();
    let put = vec![(bundle(0), vec![1; 10]), (tail(3), vec![2; 10])];
    store.commit(&commit(put, FIRST, b"second")).unwrap();
    let refused = [
        (bundle(0), vec![(bundle(1), vec![5]), (bundle(0), vec![1; 11])]),
        (tail(3), vec![(bundle(1), vec![5]), (tail(3), vec![3; 10])]),
        (bundle(1), vec![(bundle(1), vec![5]), (bundle(1), vec![6])]),
    ];
    for (refused_name, put) in refused {
        let error = store.commit(&commit(put, b"second", b"third")).unwrap_err();
        assert_eq!(error.code(), "store/object-differs");
        assert!(matches!(error, CommitError::ObjectDiffers { name } if name == refused_name));
    }
    let store = ground.reopen(store);
    assert_eq!(store.read(&bundle(0)).unwrap(), Some(vec![1; 10]));
    assert_eq!(store.read(&bundle(1)).unwrap(), None);
    assert_eq!(store.read(&tail(3)).unwrap(), Some(vec![2; 10]));
    assert_eq!(store.head().unwrap().as_deref(), Some(&b"second"[..]));
}

fn the_head_moves_by_compare_and_swap(ground: &dyn Ground) {
    let store = ground.create();
    let put = vec![(bundle(0), vec![1; 10])];
    let error = store.commit(&commit(put.clone(), b"wrong", b"second")).unwrap_err();
    assert_eq!(error.code(), "store/conflict");
    let none = Commit { put, drop_tails: vec![], expected_head: None, head: b"second" };
    assert_eq!(store.commit(&none).unwrap_err().code(), "store/conflict");
    assert_eq!(store.read(&bundle(0)).unwrap(), None);
    assert_eq!(store.head().unwrap().as_deref(), Some(FIRST));
    // Heads of any length replace each other whole, also after a reopen.
    let (long, short) = (vec![7; HEAD_LEN_MAX], vec![]);
    store.commit(&commit(vec![], FIRST, &long)).unwrap();
    let store = ground.reopen(store);
    store.commit(&commit(vec![], &long, &short)).unwrap();
    let store = ground.reopen(store);
    assert_eq!(store.head().unwrap(), Some(short));
}

fn tails_are_dropped(ground: &dyn Ground) {
    let store = ground.create();
    let put = vec![(tail(1), vec![1; 100_000]), (tail(2), vec![2; 10]), (bundle(2), vec![3; 10])];
    store.commit(&commit(put, FIRST, b"second")).unwrap();
    let dropping = Commit {
        put: vec![(tail(3), vec![4; 10])],
        drop_tails: vec![1, 2, 99],
        expected_head: Some(b"second"),
        head: b"third",
    };
    store.commit(&dropping).unwrap();
    let check = |store: &dyn Store| {
        assert_eq!(store.read(&tail(1)).unwrap(), None);
        assert_eq!(store.read(&tail(2)).unwrap(), None);
        assert_eq!(store.read(&tail(3)).unwrap(), Some(vec![4; 10]));
        assert_eq!(store.read(&bundle(2)).unwrap(), Some(vec![3; 10]));
    };
    check(&*store);
    let store = ground.reopen(store);
    check(&*store);
    // What was dropped is absent, so it may be put anew.
    store.commit(&commit(vec![(tail(1), vec![9])], b"third", b"fourth")).unwrap();
    assert_eq!(store.read(&tail(1)).unwrap(), Some(vec![9]));
}

fn the_largest_object_and_head_fit(ground: &dyn Ground) {
    let store = ground.create();
    let largest: Vec<u8> = (0..OBJECT_LEN_MAX).map(|i| (i / 7 % 256) as u8).collect();
    let head = vec![5; HEAD_LEN_MAX];
    let put = vec![(bundle(0), largest.clone()), (tail(256), largest.clone())];
    store.commit(&commit(put, FIRST, &head)).unwrap();
    let store = ground.reopen(store);
    assert!(store.read(&bundle(0)).unwrap() == Some(largest.clone()));
    assert!(store.read(&tail(256)).unwrap() == Some(largest));
    assert!(store.head().unwrap() == Some(head));
}

fn what_is_above_a_limit_is_refused(ground: &dyn Ground) {
    let store = ground.create();
    let large = commit(vec![(bundle(0), vec![0; OBJECT_LEN_MAX + 1])], FIRST, b"second");
    assert_eq!(store.commit(&large).unwrap_err().code(), "store/too-large");
    let head = vec![0; HEAD_LEN_MAX + 1];
    assert_eq!(store.commit(&commit(vec![], FIRST, &head)).unwrap_err().code(), "store/too-large");
    let most = COMMIT_OBJECTS_MAX as u64;
    let put = (0..=most).map(|index| (tile(0, index), vec![1])).collect();
    assert_eq!(store.commit(&commit(put, FIRST, b"x")).unwrap_err().code(), "store/too-many");
    assert_eq!(store.head().unwrap().as_deref(), Some(FIRST));
    let put = (0..most).map(|index| (tile(0, index), vec![1])).collect();
    store.commit(&commit(put, FIRST, b"second")).unwrap();
    let store = ground.reopen(store);
    assert_eq!(store.read(&tile(0, most - 1)).unwrap(), Some(vec![1]));
}

/// A small generator (splitmix64), so that a seed gives the same history everywhere.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }

    fn bytes(&mut self, len_below: u64) -> Vec<u8> {
        let seed = self.below(256);
        (0..self.below(len_below)).map(|i| ((i >> 3) + i + seed) as u8).collect()
    }
}

fn a_long_random_history_equals_a_plain_map(ground: &dyn Ground) {
    let seed = 1;
    println!("seed {seed}");
    let mut random = Random(seed);
    let mut store = ground.create();
    let mut model: BTreeMap<ObjectName, Vec<u8>> = BTreeMap::new();
    let mut head = FIRST.to_vec();
    for round in 0..400_u64 {
        let put: BTreeMap<ObjectName, Vec<u8>> = (0..random.below(4))
            .map(|_| match random.below(3) {
                0 => (bundle(random.below(1000)), random.bytes(200_000)),
                1 => (tile(random.below(3) as u8, random.below(1000)), random.bytes(9000)),
                _ => (tail(random.below(1000)), random.bytes(50_000)),
            })
            .filter(|(name, _)| !model.contains_key(name))
            .collect();
        let drop_tails: Vec<u64> = model
            .keys()
            .filter_map(|name| match name {
                ObjectName::Tail { first } if random.below(3) == 0 => Some(*first),
                _ => None,
            })
            .collect();
        let new_head = [&round.to_be_bytes()[..], &random.bytes(3000)].concat();
        store
            .commit(&Commit {
                put: put.clone().into_iter().collect(),
                drop_tails: drop_tails.clone(),
                expected_head: Some(&head),
                head: &new_head,
            })
            .unwrap();
        model.extend(put);
        for first in drop_tails {
            model.remove(&tail(first));
        }
        head = new_head;
        if random.below(40) == 0 {
            store = ground.reopen(store);
        }
        if random.below(20) == 0 || round == 399 {
            assert_eq!(store.head().unwrap().as_ref(), Some(&head));
            for index in 0..1000 {
                let tiles = (0..3).map(|level| tile(level, index));
                for name in tiles.chain([bundle(index), tail(index)]) {
                    assert!(store.read(&name).unwrap().as_ref() == model.get(&name), "{name}");
                }
            }
        }
    }
}

/// Two writers extend the log; a head is `n`, and `tail n` is there exactly while the head is `n`.
fn of_racing_writers_one_wins_and_readers_see_whole_commits(ground: &dyn Ground) {
    const COMMITS: u64 = 100;
    let store = ground.create();
    let zero = 0_u64.to_be_bytes();
    store.commit(&commit(vec![(tail(0), vec![0; 40_000])], FIRST, &zero)).unwrap();
    let number = |head: Vec<u8>| u64::from_be_bytes(head.try_into().unwrap());
    let done = &AtomicBool::new(false);
    let won: u64 = thread::scope(|scope| {
        let store = &store;
        let readers = [(); 2].map(|()| {
            scope.spawn(move || {
                while !done.load(Ordering::Relaxed) {
                    let at = number(store.head().unwrap().unwrap());
                    match store.read(&tail(at)).unwrap() {
                        Some(bytes) => assert!(bytes == vec![at as u8; 40_000]),
                        None => assert!(number(store.head().unwrap().unwrap()) > at),
                    }
                }
            })
        });
        let writers = [(); 2].map(|()| {
            scope.spawn(move || {
                let mut won = 0;
                loop {
                    let at = number(store.head().unwrap().unwrap());
                    if at == COMMITS {
                        return won;
                    }
                    let next = at + 1;
                    let result = store.commit(&Commit {
                        put: vec![(tail(next), vec![next as u8; 40_000])],
                        drop_tails: vec![at],
                        expected_head: Some(&at.to_be_bytes()),
                        head: &next.to_be_bytes(),
                    });
                    match result {
                        Ok(()) => won += 1,
                        Err(error) => assert_eq!(error.code(), "store/conflict"),
                    }
                }
            })
        });
        let joined = writers.map(|writer| writer.join());
        done.store(true, Ordering::Relaxed);
        let won = joined.into_iter().map(Result::unwrap).sum();
        for reader in readers {
            reader.join().unwrap();
        }
        won
    });
    assert_eq!(won, COMMITS);
}

// The fault hooks of the memory store.

/// The commit that the fault tests break: steps 0 to 4 are put, put, drop, head, sync.
fn broken_commit() -> Commit<'static> {
    Commit {
        put: vec![(bundle(0), vec![1]), (tile(0, 0), vec![2])],
        drop_tails: vec![9],
        expected_head: Some(b"second"),
        head: b"third",
    }
}

/// A store before [`broken_commit`], and the reopened store after it has failed at a step.
fn after_fault(step: u64, fault: Fault) -> MemoryStore {
    let store = MemoryStore::new();
    store.commit(&first_commit()).unwrap();
    store.commit(&commit(vec![(tail(9), vec![9])], FIRST, b"second")).unwrap();
    store.fail_at(step, fault);
    let error = store.commit(&broken_commit()).unwrap_err();
    assert_eq!(error.code(), "store/outcome-unknown");
    assert_eq!(store.head().unwrap_err().code(), "store/stopped");
    assert_eq!(store.commit(&broken_commit()).unwrap_err().code(), "store/stopped");
    let reopened = store.reopen();
    assert_eq!(store.read(&bundle(0)).unwrap_err().code(), "store/stopped");
    reopened
}

fn contents(store: &MemoryStore) -> (Vec<u8>, Vec<ObjectName>) {
    let names = [bundle(0), tile(0, 0), tail(9)];
    let there = names.into_iter().filter(|name| store.read(name).unwrap().is_some());
    (store.head().unwrap().unwrap(), there.collect())
}

#[test]
fn failed_and_not_persisted_leaves_the_old_state() {
    for step in 0..5 {
        let store = after_fault(step, Fault::NotPersisted);
        assert_eq!(contents(&store), (b"second".to_vec(), vec![tail(9)]));
        store.commit(&broken_commit()).unwrap();
    }
}

#[test]
fn failed_but_persisted_leaves_the_new_state() {
    for step in 0..5 {
        let store = after_fault(step, Fault::ButPersisted);
        assert_eq!(contents(&store), (b"third".to_vec(), vec![bundle(0), tile(0, 0)]));
        assert_eq!(store.commit(&broken_commit()).unwrap_err().code(), "store/conflict");
    }
}

#[test]
fn a_torn_commit_leaves_orphans_that_are_replaced() {
    let kept = |step, keep| contents(&after_fault(step, Fault::Torn { keep }));
    let old = b"second".to_vec();
    assert_eq!(kept(4, 0b01), (old.clone(), vec![bundle(0), tail(9)]));
    assert_eq!(kept(4, 0b10), (old.clone(), vec![tile(0, 0), tail(9)]));
    assert_eq!(kept(1, 0b11), (old.clone(), vec![bundle(0), tail(9)]), "only what was written");
    assert_eq!(kept(0, 0b11), (old, vec![tail(9)]));

    let store = after_fault(4, Fault::Torn { keep: 0b11 });
    store.commit(&commit(vec![(bundle(0), vec![7])], b"second", b"third")).unwrap();
    assert_eq!(store.read(&bundle(0)).unwrap(), Some(vec![7]));
    let again = commit(vec![(bundle(0), vec![8])], b"third", b"fourth");
    assert_eq!(store.commit(&again).unwrap_err().code(), "store/object-differs");
}

#[test]
fn a_reordering_medium_can_lose_objects_under_the_new_head() {
    let store = after_fault(4, Fault::Reordered { keep: 0b10 });
    assert_eq!(contents(&store), (b"third".to_vec(), vec![tile(0, 0)]));
    let store = after_fault(3, Fault::Reordered { keep: 0b10 });
    assert_eq!(contents(&store), (b"second".to_vec(), vec![tile(0, 0), tail(9)]));
}

#[test]
fn a_full_medium_refuses_and_goes_on() {
    let store = MemoryStore::new();
    store.fail_at(1, Fault::Full);
    assert_eq!(store.commit(&first_commit()).unwrap_err().code(), "store/full");
    assert_eq!(store.head().unwrap(), None);
    store.commit(&first_commit()).unwrap();
}

#[test]
fn faults_of_reading_last_until_they_are_taken_back() {
    let store = MemoryStore::new();
    store.commit(&first_commit()).unwrap();
    store.commit(&commit(vec![(bundle(0), vec![0, 0])], FIRST, b"second")).unwrap();
    store.fail_reads(Some(ReadFault::Fails));
    assert_eq!(store.read(&bundle(0)).unwrap_err().code(), "store/io");
    assert_eq!(store.head().unwrap_err().code(), "store/io");
    store.fail_reads(Some(ReadFault::Missing));
    assert_eq!(store.read(&bundle(0)).unwrap(), None);
    store.fail_reads(Some(ReadFault::Flipped { bit: 16 + 9 }));
    assert_eq!(store.read(&bundle(0)).unwrap(), Some(vec![0, 2]));
    store.fail_reads(Some(ReadFault::StaleHead));
    assert_eq!(store.head().unwrap().as_deref(), Some(FIRST));
    store.fail_reads(None);
    assert_eq!(store.read(&bundle(0)).unwrap(), Some(vec![0, 0]));
    assert_eq!(store.head().unwrap().as_deref(), Some(&b"second"[..]));
}

#[test]
fn a_single_read_fails_and_a_copy_is_a_medium_of_its_own() {
    let store = MemoryStore::new();
    let put = vec![(bundle(0), vec![1, 2, 3, 4]), (bundle(1), vec![5])];
    store.commit(&Commit { put, ..first_commit() }).unwrap();
    let read = |index| store.read(&bundle(index)).unwrap();
    let reads = store.reads();
    store.fail_read_at(1, ReadFault::Cut);
    assert_eq!([0, 0, 0].map(read), [vec![1, 2, 3, 4], vec![1, 2], vec![1, 2, 3, 4]].map(Some));
    assert_eq!(store.reads() - reads, 3);
    store.fail_read_at(0, ReadFault::Misplaced);
    assert_eq!([0, 0].map(read), [vec![5], vec![1, 2, 3, 4]].map(Some));
    store.fail_read_at(0, ReadFault::Misplaced);
    assert_eq!([1, 1].map(read), [vec![1, 2, 3, 4], vec![5]].map(Some));

    let copy = store.copy();
    copy.commit(&commit(vec![(bundle(2), vec![6])], FIRST, b"second")).unwrap();
    assert_eq!(read(2), None);
    let reopened = copy.reopen();
    assert_eq!(reopened.read(&bundle(2)).unwrap(), Some(vec![6]));
    assert_eq!(store.head().unwrap().as_deref(), Some(FIRST), "the first is still open");
}

#[test]
fn steps_are_noted_in_their_order() {
    let store = MemoryStore::new();
    store.commit(&first_commit()).unwrap();
    store.note_answer(0);
    let store = store.reopen();
    let put = vec![(bundle(0), vec![1]), (tail(9), vec![2])];
    let second = Commit { put, drop_tails: vec![1], expected_head: Some(FIRST), head: b"second" };
    store.commit(&second).unwrap();
    store.note_answer(9);
    let expected = [
        Step::Head(FIRST.to_vec()),
        Step::Sync,
        Step::Answer { entry: 0 },
        Step::Put(bundle(0)),
        Step::Put(tail(9)),
        Step::Drop { first: 1 },
        Step::Head(b"second".to_vec()),
        Step::Sync,
        Step::Answer { entry: 9 },
    ];
    assert_eq!(store.steps(), expected);
}

// The ledger folder.

const MARKER: &str = "giftproof-ledger";
const UNFINISHED: &str = "giftproof-ledger.unfinished";

fn open_code(folder: &Path) -> &'static str {
    LocalStore::open(folder).map(drop).unwrap_err().code()
}

fn create_code(folder: &Path) -> &'static str {
    LocalStore::create(folder, &first_commit()).map(drop).unwrap_err().code()
}

/// All files below a folder with their bytes.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.insert(path.clone(), fs::read(path).unwrap());
        }
    }
    found
}

fn write_files(from: &Path, to: &Path, files: &BTreeMap<PathBuf, Vec<u8>>) {
    for (path, bytes) in files {
        let path = to.join(path.strip_prefix(from).unwrap());
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
}

#[test]
fn a_second_open_is_refused_and_changes_nothing() {
    let folder = tempdir();
    let store = LocalStore::create(folder.path(), &first_commit()).unwrap();
    let before = files(folder.path());
    assert!(matches!(LocalStore::open(folder.path()), Err(OpenError::Locked)));
    assert_eq!(open_code(folder.path()), "store/locked");
    assert_eq!(create_code(folder.path()), "store/occupied");
    assert!(files(folder.path()) == before);
    store.commit(&commit(vec![], FIRST, b"second")).unwrap();
    drop(store);
    LocalStore::open(folder.path()).unwrap();
}

#[test]
fn what_is_no_ledger_is_told_apart_and_not_touched() {
    let folder = tempdir();
    assert_eq!(open_code(&folder.path().join("absent")), "store/no-folder");
    assert_eq!(open_code(folder.path()), "store/not-a-ledger");
    let file = folder.path().join("file");
    fs::write(&file, b"text").unwrap();
    assert_eq!(open_code(&file), "store/not-a-ledger");
    assert_eq!(open_code(folder.path()), "store/not-a-ledger");
    assert_eq!(create_code(folder.path()), "store/occupied");
    for (text, code) in [
        (&b"giftproof-ledger/v3\n"[..], "store/newer-version"),
        (b"giftproof-ledger/v1\n", "store/older-version"),
        (b"giftproof-ledger/v2", "store/not-a-ledger"),
        (b"", "store/not-a-ledger"),
        (b"\xff\xff", "store/not-a-ledger"),
    ] {
        fs::write(folder.path().join(MARKER), text).unwrap();
        let before = files(folder.path());
        assert_eq!(open_code(folder.path()), code);
        assert_eq!(create_code(folder.path()), "store/occupied");
        assert!(files(folder.path()) == before);
    }
    // A folder with a log but no marker at all is somebody else's.
    let other = tempdir();
    fs::create_dir(other.path().join("log")).unwrap();
    assert_eq!(create_code(other.path()), "store/occupied");
}

#[test]
fn an_interrupted_creation_is_recognised_and_repeated() {
    let done = tempdir();
    drop(LocalStore::create(done.path(), &first_commit()).unwrap());
    let names: Vec<_> =
        fs::read_dir(done.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names.len(), 3, "the marker, the mark and the log only: {names:?}");
    let mut log = files(done.path());
    log.remove(&done.path().join(MARKER));

    // The states that a crash leaves, in their order: the empty marker, the whole marker, a log
    // without and with content.
    let states: [(&[u8], bool); 3] =
        [(b"", false), (b"giftproof-ledger/v2\n", false), (b"giftproof-ledger/v2\n", true)];
    for (marker, with_log) in states {
        let folder = tempdir();
        fs::write(folder.path().join(UNFINISHED), marker).unwrap();
        if with_log {
            write_files(done.path(), folder.path(), &log);
        }
        assert_eq!(open_code(folder.path()), "store/unfinished");
        drop(LocalStore::create(folder.path(), &first_commit()).unwrap());
        let store = LocalStore::open(folder.path()).unwrap();
        assert_eq!(store.head().unwrap().as_deref(), Some(FIRST));
        assert!(!folder.path().join(UNFINISHED).exists());
    }
    // A file that is not ours is never taken for the rest of a creation.
    let folder = tempdir();
    fs::write(folder.path().join(UNFINISHED), b"").unwrap();
    fs::write(folder.path().join("photo"), b"").unwrap();
    assert_eq!(create_code(folder.path()), "store/occupied");
}

#[test]
fn a_creation_with_a_refused_first_commit_makes_no_ledger() {
    let folder = tempdir();
    let refused = commit(vec![], b"some head", FIRST);
    let error = LocalStore::create(folder.path(), &refused).unwrap_err();
    assert!(matches!(error, CreateError::Commit(CommitError::Conflict)));
    assert_eq!(open_code(folder.path()), "store/unfinished");
    LocalStore::create(folder.path(), &first_commit()).unwrap();
}

#[test]
fn a_lost_database_is_damage_and_not_a_new_ledger() {
    let parts =
        ["log/objects", "log/objects/db", "log/objects/conf", "log/recent", "log/recent/db"];
    for lost in parts.into_iter().chain(["log/recent/conf", "log"]) {
        let folder = tempdir();
        drop(LocalStore::create(folder.path(), &first_commit()).unwrap());
        let path = folder.path().join(lost);
        if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) }.unwrap();
        assert_eq!(open_code(folder.path()), "store/damaged", "{lost}");
        assert!(!path.exists(), "{lost}");
    }
    let folder = tempdir();
    drop(LocalStore::create(folder.path(), &first_commit()).unwrap());
    for name in files(&folder.path().join("log")).into_keys().filter(|name| !name.ends_with("conf"))
    {
        fs::write(name, b"").unwrap();
    }
    assert_eq!(open_code(folder.path()), "store/damaged");
}

#[test]
fn a_log_behind_its_mark_is_damage() {
    let folder = tempdir();
    let mark = folder.path().join("giftproof-mark");
    let store = LocalStore::create(folder.path(), &first_commit()).unwrap();
    store.commit(&commit(vec![], FIRST, b"second")).unwrap();
    drop(store);
    let older = files(folder.path());
    assert_eq!(older[&mark], *b"\0\0\0\0\0\0\0\x02\xff\xff\xff\xff\xff\xff\xff\xfd");
    let store = LocalStore::open(folder.path()).unwrap();
    store.commit(&commit(vec![], b"second", b"third")).unwrap();
    drop(store);
    let newer_mark = fs::read(&mark).unwrap();

    // The log of two commits under the mark of three.
    fs::remove_dir_all(folder.path().join("log")).unwrap();
    write_files(folder.path(), folder.path(), &older);
    fs::write(&mark, newer_mark).unwrap();
    assert_eq!(open_code(folder.path()), "store/damaged");
    // A mark that is behind, torn or lost, as a power cut may leave it, does no harm.
    for kept in [&b"\0\0\0\0\0\0\0\x01\xff\xff\xff\xff\xff\xff\xff\xfe"[..], b"\0\0\0", b""] {
        fs::write(&mark, kept).unwrap();
        let store = LocalStore::open(folder.path()).unwrap();
        assert_eq!(store.head().unwrap().as_deref(), Some(&b"second"[..]));
    }
    fs::remove_file(&mark).unwrap();
    LocalStore::open(folder.path()).unwrap();
}

#[test]
fn objects_of_a_commit_without_its_head_are_taken_away() {
    let folder = tempdir();
    let store = LocalStore::create(folder.path(), &first_commit()).unwrap();
    let kept = vec![(bundle(0), vec![1; 50_000])];
    store.commit(&commit(kept, FIRST, b"second")).unwrap();
    drop(store);
    // What a crash in the middle of a commit leaves: the list, one object whole, one in part.
    let objects = folder.path().join("log/objects");
    // sled lets its lock go some time after it was dropped.
    let config = sled::Config::new().path(&objects).segment_size(1 << 20);
    let wait = |_| thread::sleep(Duration::from_millis(10));
    let open = || (0..500).find_map(|_| config.open().map_err(wait).ok()).unwrap();
    let name = |index: u64| [&[b'b', 0][..], &index.to_be_bytes()].concat();
    let db = open();
    let places = db.open_tree("places").unwrap();
    // 50,000 bytes are five chunks.
    let first = 5_u64.to_be_bytes();
    assert_eq!(places.get(4_u64.to_be_bytes()).unwrap().unwrap(), vec![1; 50_000 - 4 * 12_288]);
    assert!(places.get(first).unwrap().unwrap().is_empty());
    let list = [3_u64, 5, 8].map(u64::to_be_bytes).concat();
    let list = [list, name(1), name(2)].concat();
    db.open_tree("last").unwrap().insert(b"", list).unwrap();
    places.insert(first, &[7]).unwrap();
    let extent = [&first[..], &1_u32.to_be_bytes()].concat();
    db.open_tree("names").unwrap().insert(name(1), extent).unwrap();
    places.insert(6_u64.to_be_bytes(), vec![7; 12_288]).unwrap();
    drop((places, db));

    let store = LocalStore::open(folder.path()).unwrap();
    assert_eq!(store.head().unwrap().as_deref(), Some(&b"second"[..]));
    assert_eq!(store.read(&bundle(0)).unwrap(), Some(vec![1; 50_000]));
    assert_eq!(store.read(&bundle(1)).unwrap(), None);
    let others = vec![(bundle(1), vec![8; 10]), (bundle(2), vec![9; 100_000])];
    store.commit(&commit(others, b"second", b"third")).unwrap();
    drop(store);
    let store = LocalStore::open(folder.path()).unwrap();
    assert_eq!(store.read(&bundle(1)).unwrap(), Some(vec![8; 10]));
    assert_eq!(store.read(&bundle(2)).unwrap(), Some(vec![9; 100_000]));
    drop(store);
    // The places are filled again.
    assert_eq!(open().open_tree("places").unwrap().get(first).unwrap().unwrap(), vec![8; 10]);
}

#[test]
fn objects_behind_the_head_are_damage() {
    let folder = tempdir();
    let store = LocalStore::create(folder.path(), &first_commit()).unwrap();
    store.commit(&commit(vec![(bundle(0), vec![1; 10])], FIRST, b"second")).unwrap();
    drop(store);
    let objects = folder.path().join("log/objects");
    let older = files(&objects);
    let store = LocalStore::open(folder.path()).unwrap();
    store.commit(&commit(vec![(bundle(1), vec![1; 10])], b"second", b"third")).unwrap();
    store.commit(&commit(vec![(tail(512), vec![1; 10])], b"third", b"fourth")).unwrap();
    drop(store);
    fs::remove_dir_all(&objects).unwrap();
    write_files(&objects, &objects, &older);
    assert_eq!(open_code(folder.path()), "store/damaged");
}

/// The head that [`fill`] ends with.
const LAST: &[u8] = b"head 44";

/// Commits 45 times and gives back the bundles and tiles: five segments of the objects' database.
fn fill(store: &LocalStore) -> BTreeMap<ObjectName, Vec<u8>> {
    let mut objects = BTreeMap::new();
    let mut head = FIRST.to_vec();
    for round in 0..45_u64 {
        let mut put = vec![(tail(round), vec![round as u8; 2000])];
        if round % 3 == 0 {
            put.push((bundle(round), (0..300_000).map(|i| (i % 251) as u8).collect()));
            put.push((tile(0, round), vec![round as u8; 8192]));
        }
        let next = format!("head {round}").into_bytes();
        store
            .commit(&Commit {
                put: put.clone(),
                drop_tails: round.checked_sub(1).into_iter().collect(),
                expected_head: Some(&head),
                head: &next,
            })
            .unwrap();
        objects
            .extend(put.into_iter().filter(|(name, _)| !matches!(name, ObjectName::Tail { .. })));
        head = next;
    }
    objects
}

/// Opens a damaged ledger and uses it; only typed errors may come out. Tells what was found.
fn exercise(folder: &Path, objects: &BTreeMap<ObjectName, Vec<u8>>) -> &'static str {
    let store = match LocalStore::open(folder) {
        Ok(store) => store,
        Err(error) => {
            assert!(!matches!(error, OpenError::NoFolder | OpenError::Locked), "{error}");
            return error.code();
        }
    };
    let mut found = "opens as it was";
    for (name, bytes) in objects {
        match store.read(name) {
            Ok(Some(read)) if read == *bytes => {}
            Ok(Some(_)) => found = "opens with other bytes",
            Ok(None) => found = "opens with objects missing",
            Err(StoreError::Damaged { .. } | StoreError::Stopped) => found = "store/damaged",
            Err(error) => panic!("{error}"),
        }
    }
    if let Ok(Some(head)) = store.head() {
        if head != LAST {
            found = "opens with an older head";
        }
        let next = vec![(bundle(1000), vec![1; 300_000])];
        match store.commit(&commit(next, &head, b"after the damage")) {
            Ok(()) => {}
            Err(CommitError::Store(_) | CommitError::Unknown { .. }) => found = "store/damaged",
            Err(error) => panic!("{error}"),
        }
    }
    found
}

/// Opens copies of a ledger, each with one bit flipped in one of its files.
///
/// An error tells, or the head is the newest: no panic, no endless wait, and no silent loss of the
/// newest commits. An object that is missing or has other bytes is allowed, since the layer above
/// looks for each object under the head and checks its hashes.
fn flip_bits(source: &Path, objects: &BTreeMap<ObjectName, Vec<u8>>, seed: u64) {
    println!("seed {seed}");
    let pristine = files(source);
    let control = tempdir();
    write_files(source, control.path(), &pristine);
    assert_eq!(exercise(control.path(), objects), "opens as it was");

    let mut random = Random(seed);
    let mut outcomes: BTreeMap<&str, u32> = BTreeMap::new();
    for (path, bytes) in &pristine {
        // sled fills the unused end of its data file with one byte.
        let used = 1 + bytes.iter().rposition(|&byte| byte != bytes[bytes.len() - 1]).unwrap_or(0);
        let samples = if path.ends_with("db") { 120 } else { 20 };
        for _ in 0..samples {
            let bit = random.below(8 * used as u64);
            let folder = tempdir();
            write_files(source, folder.path(), &pristine);
            let mut damaged = bytes.clone();
            damaged[(bit / 8) as usize] ^= 1 << (bit % 8);
            fs::write(folder.path().join(path.strip_prefix(source).unwrap()), damaged).unwrap();
            let (send, receive) = mpsc::channel();
            let (at, objects) = (folder.path().to_owned(), objects.clone());
            thread::spawn(move || send.send(exercise(&at, &objects)));
            let outcome = receive.recv_timeout(Duration::from_secs(60));
            let outcome = outcome.unwrap_or_else(|end| panic!("{path:?} bit {bit}: {end}"));
            *outcomes.entry(outcome).or_default() += 1;
        }
    }
    println!("{outcomes:?}");
    assert!(outcomes.values().sum::<u32>() >= 160);
    assert!(outcomes.contains_key("store/damaged"));
    assert_eq!(outcomes.get("opens with an older head"), None);
}

#[test]
fn flipped_bits_in_a_ledger_of_one_session_give_typed_errors() {
    let source = tempdir();
    let store = LocalStore::create(source.path(), &first_commit()).unwrap();
    let objects = fill(&store);
    drop(store);
    flip_bits(source.path(), &objects, 20);
}

#[test]
fn flipped_bits_in_a_reopened_ledger_give_typed_errors() {
    let source = tempdir();
    let store = LocalStore::create(source.path(), &first_commit()).unwrap();
    let objects = fill(&store);
    drop(store);
    drop(LocalStore::open(source.path()).unwrap());
    flip_bits(source.path(), &objects, 21);
}

/// The length of all files of a ledger that has taken so many bytes of entries in commits of so
/// many bundles or, where that is 0, in one tail after the other.
fn folder_len(entries_len: usize, run_len: usize) -> usize {
    let folder = tempdir();
    let store = LocalStore::create(folder.path(), &first_commit()).unwrap();
    let mut random = Random(run_len as u64);
    let mut noise = |len: usize| (0..len).map(|_| random.below(256) as u8).collect::<Vec<u8>>();
    let (mut head, mut bundled, mut tails, mut tail_len) = (FIRST.to_vec(), 0, Vec::new(), 0);
    let mut written = 0;
    while written < entries_len {
        let mut put = Vec::new();
        let mut drop_tails = Vec::new();
        tail_len += run_len;
        written += run_len;
        while tail_len >= BUNDLE_LEN {
            put.push((bundle(bundled), noise(BUNDLE_LEN)));
            put.push((tile(0, bundled), noise(8192)));
            bundled += 1;
            tail_len -= BUNDLE_LEN;
            drop_tails = std::mem::take(&mut tails);
        }
        if drop_tails.is_empty() && put.is_empty() || tail_len > 0 {
            put.push((tail(written as u64), noise(run_len.min(tail_len))));
            tails.push(written as u64);
        }
        let next = noise(250);
        store.commit(&Commit { put, drop_tails, expected_head: Some(&head), head: &next }).unwrap();
        head = next;
    }
    drop(store);
    files(folder.path()).values().map(Vec::len).sum()
}

/// 256 entries of 480 bytes.
const BUNDLE_LEN: usize = 122_880;

#[test]
fn a_folder_is_little_longer_than_its_entries_whatever_the_commits() {
    let len = 96 * BUNDLE_LEN;
    for run_len in [480 * 40, BUNDLE_LEN, 16 * BUNDLE_LEN] {
        let found = folder_len(len, run_len);
        // A tile adds 1/15 to its bundle; what is recent takes a few segments, however long the log.
        let most = len + len / 5 + (5 << 20);
        assert!(found < most, "{found} bytes for {len} in runs of {run_len}");
    }
}

#[test]
fn no_value_grows_beyond_what_the_database_keeps_inline() {
    let folder = tempdir();
    let store = LocalStore::create(folder.path(), &first_commit()).unwrap();
    let mut head = FIRST.to_vec();
    for round in 0..60_u64 {
        let put =
            vec![(bundle(round), vec![round as u8; 1_000_000]), (tail(round), vec![1; 90_000])];
        let next = vec![round as u8; HEAD_LEN_MAX - round as usize];
        let drop_tails = if round % 20 == 19 { (0..round).collect() } else { vec![] };
        store.commit(&Commit { put, drop_tails, expected_head: Some(&head), head: &next }).unwrap();
        head = next;
        for blobs in ["log/objects/blobs", "log/recent/blobs"] {
            assert_eq!(fs::read_dir(folder.path().join(blobs)).unwrap().count(), 0);
        }
    }
}
