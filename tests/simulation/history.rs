//! One history: what is submitted, what goes wrong meanwhile, and what must have become of it.

use std::fs;
use std::sync::Arc;

use giftproof::model::date::UnixMs;
use giftproof::model::entry::{Entry, SignedEvent};
use giftproof::model::event::*;
use giftproof::store::{Fault, MemoryStore, ReadFault};
use giftproof::writer::{Accepted, Clock, ManualClock, Refused, Writer, WriterError};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tempfile::TempDir;

use super::office::{Office, Paper};
use crate::balance::{Act, Both, story};
use crate::faults::assert_clean;
use crate::ledger::{check_ledger, genesis};
use crate::util::*;

/// A seal that is asked for comes so long after the one before, in milliseconds.
const SEALS_APART_MS: u64 = 10_000;

/// The naive models, and the log that follows from what they accepted.
#[derive(Clone)]
struct Model {
    both: Both,
    office: Office,
}

/// What must become of an event.
#[derive(Clone)]
enum Fate {
    /// It is accepted, and then this holds.
    New(Box<Model>),
    /// It is in the log already, at this index or as this event of the same group.
    Again,
    /// It is refused, under this code if it is known.
    Refused(Option<&'static str>),
}

struct Planned {
    event: SignedEvent,
    fate: Fate,
}

/// How often things have happened.
#[derive(Clone, Default)]
pub struct Met([u64; 11]);

const NEW: usize = 0;
const AGAIN: usize = 1;
const REFUSED: usize = 2;
const SEALED: usize = 3;
const ROTATED: usize = 4;
const STOPPED: usize = 5;
const FULL: usize = 6;
const CRASHED: usize = 7;
const NOT_OPENED: usize = 8;
const OLD_HEAD: usize = 9;
const TORN_APART: usize = 10;

impl Met {
    pub fn and(mut self, other: &Self) -> Self {
        self.0.iter_mut().zip(other.0).for_each(|(count, more)| *count += more);
        self
    }

    pub fn counts(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let names = [
            "an event accepted",
            "an event repeated",
            "an event refused",
            "a seal",
            "a new key",
            "a stop",
            "a full disk",
            "a crash",
            "an opening that failed",
            "an old head that was found out",
            "a broken promise that was found out",
        ];
        names.into_iter().zip(self.0)
    }
}

pub struct History {
    rng: StdRng,
    acts: Vec<(Act, Option<usize>)>,
    model: Model,
    store: MemoryStore,
    /// The files beside the log, where there are any.
    folder: Option<TempDir>,
    clock: ManualClock,
    writer: Option<Writer>,
    /// The name of the operator's key, and how often it has changed.
    operator: (String, u32),
    /// Index and time of the newest seal.
    sealed: Option<(u64, u64)>,
    met: Met,
}

impl History {
    pub fn new(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_be_bytes());
        let source = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
        let mut runner = TestRunner::new_with_rng(Config::default(), source);
        let acts = story().new_tree(&mut runner).unwrap().current();

        let both = Both::new();
        let folder = rng.random_bool(0.3).then(|| tempfile::tempdir().unwrap());
        let (store, clock) = (MemoryStore::new(), ManualClock::new(UnixMs(START_MS)));
        let writer = Writer::create_over(
            Arc::new(store.clone()),
            folder.as_ref().map(TempDir::path),
            genesis(),
            secret("operator"),
            Clock::Manual(clock.clone()),
        );
        let writer = writer.unwrap();
        clock.set(both.world.now);
        let cast = both.world.log.entries[1..].iter().map(|entry| entry.event.clone()).collect();
        writer.submit_many(cast).into_iter().for_each(|answer| drop(answer.unwrap()));
        let model = Model { both, office: Office::new() };
        Self {
            rng,
            acts,
            model,
            store,
            folder,
            clock,
            writer: Some(writer),
            operator: ("operator".to_owned(), 0),
            sealed: None,
            met: Met::default(),
        }
    }

    /// Lives through it; says what has happened in it.
    pub fn live(mut self) -> Met {
        self.check();
        let mut acts = std::mem::take(&mut self.acts).into_iter();
        while !acts.as_slice().is_empty() {
            self.between();
            let count = if self.rng.random_bool(0.6) { 1 } else { self.rng.random_range(2..6) };
            let acts: Vec<_> = acts.by_ref().take(count).collect();
            self.group(acts);
        }
        self.restart(false);
        self.check();
        self.model.both.agree("at the end").unwrap();
        self.writer().with_ledger(|ledger| {
            assert_clean(ledger);
            check_ledger(ledger);
        });
        self.old_head();
        self.broken_promise();
        self.met
    }

    /// The medium gives the head of before. With the files beside the log that is found out; without
    /// them it is an older copy, and still the beginning of the log.
    fn old_head(&mut self) {
        self.writer.take().expect("it is open").close().unwrap();
        self.store = self.store.reopen();
        self.store.fail_read_at(0, ReadFault::StaleHead);
        match self.try_open() {
            // The newest commit has brought in another key.
            Err(error) if error.code() == "ledger/wrong-operator-key" => {
                assert!(self.operator.1 > 0, "{error}");
            }
            Err(error) => {
                let found_out = ["ledger/rolled-back", "ledger/missing"];
                assert!(found_out.contains(&error.code()), "{error}");
                self.met.0[OLD_HEAD] += 1;
            }
            Ok(writer) => writer.with_ledger(|ledger| {
                assert!(self.folder.is_none(), "an old head was not found out");
                let known = &self.model.both.world.log.entries;
                let size = ledger.checkpoint().checkpoint().size;
                assert!(size < known.len() as u64);
                for (index, entry) in (0..size).zip(known) {
                    assert_eq!(ledger.entry(index).unwrap(), *entry);
                }
            }),
        }
        self.store = self.store.reopen();
        self.writer = Some(self.try_open().unwrap());
        self.follow(&[], 0);
    }

    /// The medium says that a commit has failed, and keeps its head without all that comes before:
    /// the ledger opens whole, or it is told what is missing.
    fn broken_promise(&mut self) {
        let world = &self.model.both.world;
        let later = self.clock.now().0.max(world.state.recorded_at.0) + 86_400_000;
        self.clock.set(UnixMs(later));
        let (steps, keep) = (self.rng.random_range(0..4), self.rng.random());
        self.store.fail_at(steps, Fault::Reordered { keep });
        // Something to commit, unless the newest entry is a seal.
        let answer = self.writer().seal();
        if let Err(refused) = &answer {
            assert_eq!(refused.code(), "writer/stopped");
        }
        drop(self.writer.take());
        self.store = self.store.reopen();
        self.lose_files();
        match self.try_open() {
            Ok(writer) => {
                self.writer = Some(writer);
                self.follow(&[], usize::from(answer.is_ok_and(|accepted| !accepted.already)));
            }
            Err(error) => {
                // In a missing object's place may be what an earlier commit left there half-done.
                let damage = ["ledger/missing", "ledger/root", "ledger/damaged"];
                assert!(damage.contains(&error.code()), "{error}");
                assert!(answer.is_err(), "what was answered is lost");
                self.met.0[TORN_APART] += 1;
            }
        }
    }

    fn writer(&self) -> &Writer {
        self.writer.as_ref().expect("there is one between two openings")
    }

    /// What may happen at any time.
    fn between(&mut self) {
        let now = self.clock.now().0;
        match self.rng.random_range(0..14) {
            0 => self.clock.set(UnixMs(now + self.rng.random_range(0..20_000))),
            1 => self.clock.set(UnixMs(now + self.rng.random_range(0..3 * 86_400_000))),
            // A clock that is set back; what was recorded stays in order.
            2 => self.clock.set(UnixMs(now - self.rng.random_range(0..60_000))),
            3..6 => {
                let keep = self.rng.random();
                let faults =
                    [Fault::NotPersisted, Fault::ButPersisted, Fault::Full, Fault::Torn { keep }];
                let fault = faults[self.rng.random_range(0..faults.len())];
                self.store.fail_at(self.rng.random_range(0..5), fault);
            }
            6 => self.restart(true),
            7 => self.restart(false),
            8 => self.seal(),
            9 => self.rotate(),
            _ => {}
        }
    }

    /// Ends the writer, in peace or by a crash, and opens the ledger again.
    fn restart(&mut self, crash: bool) {
        let writer = self.writer.take().expect("there is one between two openings");
        if crash {
            self.met.0[CRASHED] += 1;
            self.store = self.store.reopen();
            drop(writer);
        } else if writer.close().is_ok() {
            self.store = self.store.reopen();
        }
        self.lose_files();
        self.open();
    }

    /// What was not synced may be gone.
    fn lose_files(&mut self) {
        let Some(folder) = &self.folder else { return };
        for file in ["index/state", "checkpoint"] {
            let path = folder.path().join(file);
            let Ok(bytes) = fs::read(&path) else { continue };
            match self.rng.random_range(0..6) {
                0 => fs::remove_file(&path).unwrap(),
                1 => fs::write(&path, []).unwrap(),
                2 => fs::write(&path, &bytes[..self.rng.random_range(0..=bytes.len())]).unwrap(),
                _ => {}
            }
        }
    }

    /// Opens the ledger; at first perhaps with a read that fails.
    fn open(&mut self) {
        if self.rng.random_bool(0.2) {
            let bit = self.rng.random_range(0..1 << 20);
            let faults = [
                ReadFault::Fails,
                ReadFault::Missing,
                ReadFault::Cut,
                ReadFault::Misplaced,
                ReadFault::Flipped { bit },
            ];
            let fault = faults[self.rng.random_range(0..faults.len())];
            self.store.fail_read_at(self.rng.random_range(0..6), fault);
            match self.try_open() {
                Ok(writer) => {
                    self.writer = Some(writer);
                    return;
                }
                Err(error) => {
                    let damage = [
                        "store/io",
                        "ledger/missing",
                        "ledger/damaged",
                        "ledger/root",
                        "ledger/entry",
                    ];
                    assert!(damage.contains(&error.code()), "{error} after {fault:?}");
                    self.met.0[NOT_OPENED] += 1;
                }
            }
            self.store = self.store.reopen();
        }
        self.writer = Some(self.try_open().unwrap());
    }

    fn try_open(&self) -> Result<Writer, WriterError> {
        Writer::over(
            Arc::new(self.store.clone()),
            self.folder.as_ref().map(TempDir::path),
            secret(&self.operator.0),
            Clock::Manual(self.clock.clone()),
        )
    }

    /// Takes note of an answer that leaves something open; says whether it is one.
    fn failed(&mut self, answer: &Result<Accepted, Refused>) -> bool {
        match answer.as_ref().map_err(Refused::code) {
            Err("writer/stopped") => self.met.0[STOPPED] += 1,
            Err("store/full") => self.met.0[FULL] += 1,
            _ => return false,
        }
        true
    }

    /// Opens the ledger again if this answer says that it must be.
    fn recover(&mut self, answer: &Result<Accepted, Refused>) {
        if matches!(answer, Err(Refused::Stopped { .. })) {
            drop(self.writer.take());
            self.store = self.store.reopen();
            self.lose_files();
            self.open();
        }
    }

    fn seal(&mut self) {
        let world = &self.model.both.world;
        let now = self.clock.now().0.max(world.state.recorded_at.0);
        let expected = match self.sealed {
            Some((index, _)) if index + 1 == world.state.size => Ok(true),
            Some((_, at)) if now < at + SEALS_APART_MS => Err("gate/seal-too-soon"),
            _ => Ok(false),
        };
        let answer = self.writer().seal();
        if !self.failed(&answer) {
            let found = answer.as_ref().map(|accepted| accepted.already);
            assert_eq!(found.map_err(Refused::code), expected);
        }
        self.recover(&answer);
        self.follow(&[], usize::from(answer.is_ok_and(|accepted| !accepted.already)));
    }

    fn rotate(&mut self) {
        let name = format!("operator-{}", self.operator.1 + 1);
        let two = [REGISTRARS[0], REGISTRARS[1]].map(|name| (Capacity::Registrar, name));
        let world = &mut self.model.both.world;
        world.now = self.clock.now();
        let draft = world.draft(OperatorRotated { key: key(&name) }, &two);
        let draft = draft.signer(Capacity::NewKey, Some(&handle("operator")), key(&name));
        let event = sign(&draft, &world.state.genesis);
        let after = Box::new(self.model.clone());
        let plan = [Planned { event: event.clone(), fate: Fate::New(after) }];
        let answer = self.writer().rotate_operator(event, secret(&name));
        if !self.failed(&answer) {
            answer.as_ref().unwrap();
        }
        if matches!(answer, Err(Refused::Stopped { .. })) {
            // Only one of the two keys opens the ledger: the log knows which.
            drop(self.writer.take());
            self.store = self.store.reopen();
            match self.try_open() {
                Ok(writer) => self.writer = Some(writer),
                Err(error) => {
                    assert_eq!(error.code(), "ledger/wrong-operator-key");
                    self.operator = (name, self.operator.1 + 1);
                    self.open();
                }
            }
        } else if answer.is_ok() {
            self.operator = (name, self.operator.1 + 1);
        }
        let found = self.follow(&plan, usize::from(answer.is_ok()));
        if found == 1 {
            self.met.0[ROTATED] += 1;
        }
        // A key that did not come in is never tried again.
        self.operator.1 += u32::from(found == 0);
    }

    /// Submits acts, papers, repetitions and broken events together.
    fn group(&mut self, acts: Vec<(Act, Option<usize>)>) {
        self.model.both.world.now = self.clock.now();
        let mut model = self.model.clone();
        let mut plan: Vec<Planned> = Vec::new();
        for (act, aim) in acts {
            if let Some((draft, after)) = model.both.plan(&act, aim) {
                let event = sign(&draft, &model.both.world.state.genesis);
                let fate = match after {
                    Some(both) => {
                        model.both = both;
                        Fate::New(Box::new(model.clone()))
                    }
                    None => Fate::Refused(None),
                };
                plan.push(Planned { event, fate });
            }
            if self.rng.random_bool(0.3) {
                let paper = Paper::any(&mut self.rng);
                plan.extend(paper_of(&mut model, &paper));
            }
            if self.rng.random_bool(0.1) {
                let old = &model.both.world.log.entries;
                let event = old[self.rng.random_range(1..old.len())].event.clone();
                // Seals are the operator's own; nobody submits them.
                if event.frame.kind != Kind::EpochSealed as u16 {
                    plan.push(Planned { event, fate: Fate::Again });
                }
            }
            if self.rng.random_bool(0.1)
                && let Some(Planned { event, fate: Fate::New(_) }) = plan.last()
            {
                let event = event.clone();
                plan.push(Planned { event, fate: Fate::Again });
            }
            if self.rng.random_bool(0.1)
                && let Some(Planned { event, .. }) = plan.first()
            {
                let mut event = event.clone();
                let byte = self.rng.random_range(32..63);
                event.signatures[0][byte] ^= 1;
                plan.push(Planned { event, fate: Fate::Refused(Some("signature/invalid")) });
            }
        }

        let events = plan.iter().map(|planned| planned.event.clone()).collect();
        let answers = self.writer().submit_many(events);
        let (mut acknowledged, mut stopped) = (0, None);
        for (planned, answer) in plan.iter().zip(&answers) {
            if self.failed(answer) {
                stopped = Some(answer);
                continue;
            }
            match (&planned.fate, answer) {
                (Fate::New(_), Ok(accepted)) => {
                    assert!(!accepted.already);
                    acknowledged += 1;
                    self.met.0[NEW] += 1;
                }
                (Fate::Again, Ok(accepted)) => {
                    assert!(accepted.already && !accepted.signatures_differ);
                    self.met.0[AGAIN] += 1;
                }
                (Fate::Refused(code), Err(refused)) => {
                    assert!(code.is_none_or(|code| refused.code() == code), "{refused}");
                    self.met.0[REFUSED] += 1;
                }
                (fate, answer) => panic!("{answer:?}, but {}", words(fate)),
            }
        }
        if let Some(answer) = stopped {
            self.recover(answer);
        }
        self.follow(&plan, acknowledged);
    }

    /// Reads on in the log: what is new there are the first of the planned events, all that were
    /// acknowledged among them, and seals. Byte by byte they are what the model makes of them.
    /// Gives how many there are.
    fn follow(&mut self, plan: &[Planned], acknowledged: usize) -> usize {
        let known = self.model.both.world.state.size;
        let found: Vec<Entry> = self.writer().with_ledger(|ledger| {
            (known..ledger.state().size).map(|index| ledger.entry(index).unwrap()).collect()
        });
        let mut planned = plan.iter().filter_map(|planned| match &planned.fate {
            Fate::New(after) => Some((&planned.event, after)),
            _ => None,
        });
        for entry in &found {
            let world = &mut self.model.both.world;
            world.now = UnixMs(self.clock.now().0.max(world.state.recorded_at.0));
            world.submit_signed(entry.event.clone()).expect("it follows the rules");
            assert_eq!(world.log.entries.last(), Some(entry));
            if entry.event.frame.kind == Kind::EpochSealed as u16 {
                self.sealed = Some((entry.header.index, entry.header.recorded_at.0));
                self.met.0[SEALED] += 1;
                continue;
            }
            let (event, after) = planned.next().expect("nothing that was not submitted");
            assert_eq!(entry.event, *event);
            let mut after = (**after).clone();
            std::mem::swap(&mut after.both.world, &mut self.model.both.world);
            self.model = after;
        }
        assert!(found.len() >= acknowledged, "what was answered is not there");
        self.check();
        found.len()
    }

    /// The ledger is exactly what the model says.
    fn check(&self) {
        let world = &self.model.both.world;
        self.writer().with_state(|state| assert!(*state == world.state, "another state"));
    }
}

fn paper_of(model: &mut Model, paper: &Paper) -> Option<Planned> {
    let Both { world, gifts, .. } = &model.both;
    let (draft, refusal) = model.office.write(paper, world, gifts)?;
    let event = sign(&draft, &world.state.genesis);
    let fate = match refusal {
        Some(code) => Fate::Refused(Some(code)),
        None => {
            model.office.accepted(paper, event.frame.hash(&world.state.genesis), gifts);
            Fate::New(Box::new(model.clone()))
        }
    };
    Some(Planned { event, fate })
}

fn words(fate: &Fate) -> String {
    match fate {
        Fate::New(_) => "it is to be accepted".to_owned(),
        Fate::Again => "it is in the log".to_owned(),
        Fate::Refused(code) => format!("it is to be refused: {code:?}"),
    }
}
