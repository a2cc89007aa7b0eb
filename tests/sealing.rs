//! The writer's seals: when it makes them, and that what it makes is true.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use giftproof::ledger::Ledger;
use giftproof::model::checkpoint::SignedCheckpoint;
use giftproof::model::date::UnixMs;
use giftproof::model::entry::SignedEvent;
use giftproof::model::event::*;
use giftproof::model::seal::Sort;
use giftproof::model::subject::Subject;
use giftproof::store::{Commit, CommitError, Fault, MemoryStore, ObjectName, Store, StoreError};
use giftproof::verify::{Options, Outcome, audit};
use giftproof::writer::{Clock, ManualClock, Writer};

use crate::ledger::{Author, check_ledger};
use crate::util::*;

fn genesis(seal_entries: u32, seal_seconds: u32) -> SignedEvent {
    let rules = Rules { seal_entries, seal_seconds, ..rules() };
    World::under(rules).log.entries[0].event.clone()
}

/// A store that remembers the size of every head.
#[derive(Default)]
struct Heads {
    store: MemoryStore,
    sizes: Mutex<Vec<u64>>,
}

impl Store for Heads {
    fn read(&self, name: &ObjectName) -> Result<Option<Vec<u8>>, StoreError> {
        self.store.read(name)
    }

    fn head(&self) -> Result<Option<Vec<u8>>, StoreError> {
        self.store.head()
    }

    fn commit(&self, commit: &Commit<'_>) -> Result<(), CommitError> {
        self.store.commit(commit)?;
        let size = SignedCheckpoint::parse(commit.head).unwrap().checkpoint().size;
        self.sizes.lock().unwrap().push(size);
        Ok(())
    }
}

struct Office {
    store: Arc<Heads>,
    clock: ManualClock,
    writer: Writer,
    author: Author,
}

impl Office {
    /// A ledger with these rules, and the charity as entry 1.
    fn new(seal_entries: u32, seal_seconds: u32) -> Self {
        let store = Arc::new(Heads::default());
        let clock = ManualClock::new(UnixMs(START_MS));
        let genesis = genesis(seal_entries, seal_seconds);
        let writer = Writer::create_over(
            Arc::clone(&store) as Arc<dyn Store>,
            None,
            genesis,
            secret("operator"),
            Clock::Manual(clock.clone()),
        )
        .unwrap();
        let author = Author::of(&writer);
        writer.submit(author.enrolment("red-cross")).unwrap();
        Self { store, clock, writer, author }
    }

    fn donate(&self, quantity: u64) -> u64 {
        self.writer.submit(self.author.donation(quantity)).unwrap().index
    }

    fn wait(&self, ms: u64) {
        self.clock.set(UnixMs(self.clock.now().0 + ms));
    }

    fn seals(&self) -> Vec<u64> {
        self.writer.with_ledger(seals)
    }

    /// The rules hold from the first entry on, an auditor finds nothing, and every checkpoint
    /// that covers a new seal ends with one.
    fn check(&self) {
        self.writer.with_ledger(check);
        let (seals, heads) = (self.seals(), self.store.sizes.lock().unwrap().clone());
        for seal in seals {
            assert!(heads.contains(&(seal + 1)), "{seal} in {heads:?}");
        }
    }
}

/// Where the seals of a ledger are.
fn seals(ledger: &Ledger) -> Vec<u64> {
    let is_seal =
        |index: &u64| ledger.entry(*index).unwrap().event.frame.kind == Kind::EpochSealed as u16;
    (0..ledger.state().size).filter(is_seal).collect()
}

fn check(ledger: &Ledger) {
    check_ledger(ledger);
    let trust = ledger.trust().unwrap();
    let report = audit(ledger, Some(&trust), &Options::default()).unwrap();
    assert_eq!(report.outcome(), Outcome::Clean, "{:?}", report.failures.first());
    assert_eq!(report.events.get(&Kind::EpochSealed).map_or(0, |n| *n), seals(ledger).len() as u64);
}

#[test]
fn a_seal_stands_after_so_many_entries() {
    let office = Office::new(8, 0);
    let accepted = office.writer.submit_many(office.author.donations(20));
    let indexes: Vec<u64> = accepted.into_iter().map(|answer| answer.unwrap().index).collect();
    // Entries 0 to 7, their seal, eight more, their seal, and so on.
    assert_eq!(office.seals(), [8, 17]);
    assert_eq!(indexes, (2..8).chain(9..17).chain(18..24).collect::<Vec<_>>());
    office.check();
    assert_eq!(office.donate(50), 24);
    assert_eq!(office.donate(51), 25);
    assert_eq!(office.seals(), [8, 17, 26]);
    office.check();
}

#[test]
fn every_entry_can_have_its_seal() {
    let office = Office::new(1, 0);
    office.writer.submit_many(office.author.donations(3));
    assert_eq!(office.seals(), [1, 3, 5, 7, 9]);
    office.check();
}

#[test]
fn a_seal_stands_before_what_comes_after_its_time() {
    let office = Office::new(0, 600);
    office.wait(600_000);
    assert_eq!(office.donate(1), 2);
    office.wait(1);
    assert_eq!(office.donate(2), 4);
    assert_eq!(office.seals(), [3]);
    // It counts from the first entry after the seal, not from the seal.
    office.wait(600_000);
    assert_eq!(office.donate(3), 5);
    office.check();
}

#[test]
fn a_seal_comes_by_itself_when_its_time_has_run_out() {
    let folder = tempfile::tempdir().unwrap();
    let operator = secret("operator");
    let writer = Writer::create(folder.path(), genesis(0, 1), operator, Clock::System).unwrap();
    let unsealed = || writer.with_state(|state| state.unsealed());
    let until = Instant::now() + Duration::from_secs(60);
    while unsealed() > 0 && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(20));
    }
    writer.with_ledger(|ledger| assert_eq!(seals(ledger), [1]));
    writer.close().unwrap();
    // Nothing has changed since: also when it is opened again, there is nothing to seal.
    let writer = Writer::open(folder.path(), secret("operator"), Clock::System).unwrap();
    std::thread::sleep(Duration::from_millis(1_200));
    writer.with_ledger(|ledger| {
        assert_eq!(seals(ledger), [1]);
        check(ledger);
    });
}

#[test]
fn a_seal_can_be_asked_for_now_and_then() {
    let office = Office::new(0, 0);
    let first = office.writer.seal().unwrap();
    assert_eq!((first.index, first.already), (2, false));
    let again = office.writer.seal().unwrap();
    assert_eq!((again.index, again.already), (2, true));
    assert_eq!((again.leaf, again.hash), (first.leaf, first.hash));
    office.donate(1);
    office.wait(9_999);
    assert_eq!(office.writer.seal().unwrap_err().code(), "gate/seal-too-soon");
    office.wait(1);
    assert_eq!(office.writer.seal().unwrap().index, 4);
    // What the operator makes elsewhere is judged as any event.
    let statement = office.writer.with_state(|state| state.clone().seal_statement());
    let event = office.author.event(statement, &[(Capacity::Operator, "operator")]);
    assert_eq!(office.writer.submit(event).unwrap_err().code(), "seal/nothing-new");
    office.check();
}

#[test]
fn what_is_sealed_is_proven_while_the_log_goes_on() {
    let office = Office::new(0, 0);
    let sealed = office.writer.submit(office.author.donation(1)).unwrap().hash;
    office.writer.seal().unwrap();
    let later = office.writer.submit(office.author.donation(2)).unwrap().hash;
    office.writer.with_state(|state| {
        let table = state.table(Sort::Gifts);
        let [sealed, later] = [sealed, later].map(Subject::Gift);
        let claims = [(sealed.hash(), state.row(&sealed)), (later.hash(), None)];
        assert!(claims[0].1.is_some() && state.row(&later).is_some());
        let proof = table.prove(&[sealed.hash(), later.hash()]);
        let newest = state.newest_seal().unwrap().index;
        let entry = office.writer.snapshot().entry(newest).unwrap();
        let Some(Statement::EpochSealed(seal)) = entry.event.frame.open().unwrap().1 else {
            panic!("the newest seal is one");
        };
        assert_eq!(proof.verify(&claims, &seal.gifts), Ok(()));
    });
}

#[test]
fn a_new_operator_seals_with_its_own_key() {
    let office = Office::new(3, 0);
    let statement = OperatorRotated { key: key("operator-2") };
    let who = [(Capacity::Registrar, REGISTRARS[0]), (Capacity::Registrar, REGISTRARS[1])];
    let draft = World::bare().draft(statement, &who);
    let draft = draft.signer(Capacity::NewKey, Some(&handle("operator")), key("operator-2"));
    let keys = [REGISTRARS[0], REGISTRARS[1], "operator-2"].map(secret);
    let event = draft.sign(&office.author.genesis, &keys.each_ref()).unwrap();
    office.writer.rotate_operator(event, secret("operator-2")).unwrap();
    assert_eq!(office.seals(), [3]);
    let seal = office.writer.snapshot().entry(3).unwrap();
    let (head, _) = seal.event.frame.open().unwrap();
    assert_eq!(head.signers[0].key, key("operator-2"));
    office.writer.with_ledger(check);
}

#[test]
fn a_seal_that_cannot_be_stored_is_made_later() {
    let office = Office::new(3, 0);
    office.store.store.fail_at(0, Fault::NotPersisted);
    let refused = office.writer.submit_many(office.author.donations(5));
    assert!(refused.iter().all(|answer| answer.is_err()));
    office.check_if_open();
}

impl Office {
    /// The writer may have stopped; what is stored is whole, and goes on.
    fn check_if_open(self) {
        let Self { store, clock, writer, author } = self;
        drop(writer);
        let store = Arc::new(Heads { store: store.store.reopen(), sizes: Mutex::default() });
        let operator = secret("operator");
        let writer = Writer::over(
            Arc::clone(&store) as Arc<dyn Store>,
            None,
            operator,
            Clock::Manual(clock.clone()),
        )
        .unwrap();
        let office = Self { store, clock, writer, author };
        let accepted = office.writer.submit_many(office.author.donations(5));
        assert!(accepted.iter().all(|answer| answer.is_ok()));
        assert_eq!(office.seals(), [3, 7]);
        office.writer.with_ledger(check);
    }
}

#[test]
fn seals_are_the_same_with_and_without_the_index() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::Manual(ManualClock::new(UnixMs(START_MS)));
    let operator = || secret("operator");
    let writer = Writer::create(folder.path(), genesis(7, 0), operator(), clock.clone()).unwrap();
    let author = Author::of(&writer);
    writer.submit(author.enrolment("red-cross")).unwrap();
    writer.submit_many(author.donations(40));
    let state = writer.with_state(Clone::clone);
    writer.close().unwrap();
    let reopened = |folder: &Path| {
        let ledger = Ledger::open(folder).unwrap();
        check(&ledger);
        assert!(*ledger.state() == state);
        let subjects = [Subject::Party(handle("red-cross")).hash()];
        ledger.state().table(Sort::Parties).prove(&subjects)
    };
    let with = reopened(folder.path());
    std::fs::remove_dir_all(folder.path().join("index")).unwrap();
    assert_eq!(reopened(folder.path()), with);
    let writer = Writer::open(folder.path(), operator(), clock).unwrap();
    writer.submit_many(author.donations(20));
    writer.with_ledger(check);
}
