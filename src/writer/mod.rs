//! The writer: the one way by which events come into a ledger.
//!
//! Whoever submits leaves the event in a queue. Two threads take from there what waits, each as much
//! as it can use: the gate reads events and checks their signatures, on all cores; the sequencer
//! gives them their places and makes them durable. So one works on what comes while the other waits
//! for the medium, and the more events come, the more share a batch of signatures and a commit.
//! Invariants:
//!
//! - An event is answered with its index only when its entry, the tree and the checkpoint over it
//!   are durable, and the checkpoint has left the process.
//! - An event body is in the log once; submitting it again answers with its index.
//! - Events keep the order in which they were submitted, and so do their places in the log.
//! - What is on its way is bounded, in events and in bytes: whoever does not fit is refused at once
//!   with [`Refused::Busy`], or waits where it has a list of them.
//! - A refused event leaves no trace. It is refused under the code under which an auditor would
//!   report it, or one of the gate's own.
//! - Nothing is signed on top of a log of which a witness has seen more, or something else.
//! - If the outcome of a commit is unknown, nothing more is signed: all are answered
//!   [`Refused::Stopped`], and the ledger must be opened again.

mod clock;
mod gate;
mod queue;
mod sequencer;
mod texts;

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use thiserror::Error;

use crate::cosign::{Asked, Cosigner};
use crate::ledger::{Ledger, LedgerError, Log, Stage, TRUST_FILE};
use crate::model::encoding::Malformed;
use crate::model::entry::{NO_LEAF, SignedEvent};
use crate::model::event::Anchor;
use crate::model::hash::{EventHash, LeafHash};
use crate::model::ident::{EntryIndex, KeyBytes};
use crate::model::key::SecretKey;
use crate::model::state::State;
use crate::model::violation::{Code, Violation};
use crate::store::{Commit, LocalStore, Store};

pub use clock::{Clock, ManualClock};
pub use gate::{GateFault, SIGNED_AHEAD_MAX_MS, SignerFault, Warning};

use gate::Gate;
use queue::{Answer, Job, Place, Queues, Room, SLICE, Size, Work};
use sequencer::Sequencer;

/// An event that is in the log, durably.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// Its entry.
    pub index: EntryIndex,
    /// The entry's leaf hash.
    pub leaf: LeafHash,
    /// What names the event.
    pub hash: EventHash,
    /// It was in the log before, and nothing was written now.
    pub already: bool,
    /// It was in the log before, with other (valid) signatures; those in the log stay.
    pub signatures_differ: bool,
    /// What its signer may not have meant.
    pub warnings: Vec<Warning>,
}

/// Why an event is not accepted.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum Refused {
    /// Its bytes are not the one spelling of an event; the code says where.
    #[error("the event is malformed: {0}")]
    Malformed(#[from] Malformed),
    /// `signature/invalid`: the signature at this position, counted from 0.
    #[error("signature {position}, of key {key}: {fault}")]
    Signature { position: usize, key: KeyBytes, fault: SignerFault },
    /// It breaks a rule of the gate.
    #[error(transparent)]
    Gate(GateFault),
    /// It breaks a rule of the ledger.
    #[error(transparent)]
    Violation(Violation),
    /// The storage has refused it, for instance because the disk is full. It is not in the log, and
    /// may be submitted again.
    #[error("the event was not stored: {cause}")]
    NotStored { cause: Arc<LedgerError> },
    /// `writer/stopped`: the writer has stopped. Whether the event is in the log is unknown: open
    /// the ledger again, and submit it again.
    #[error(
        "the writer has stopped; open the ledger again, then submit the event again{}",
        because(cause)
    )]
    Stopped { cause: Option<Arc<LedgerError>> },
    /// `writer/busy`: 16,384 events, or 64 MiB of them, are on their way already; submit it again
    /// later.
    #[error("too many events are waiting")]
    Busy,
}

fn because(cause: &Option<Arc<LedgerError>>) -> String {
    cause.as_ref().map_or(String::new(), |cause| format!(" ({cause})"))
}

impl Refused {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Malformed(malformed) => malformed.code,
            Self::Signature { .. } => Code::SignatureInvalid.as_str(),
            Self::Gate(fault) => fault.code(),
            Self::Violation(violation) => violation.code.as_str(),
            Self::NotStored { cause } => cause.code(),
            Self::Stopped { .. } => "writer/stopped",
            Self::Busy => "writer/busy",
        }
    }
}

/// Why there is no writer.
#[derive(Debug, Error)]
pub enum WriterError {
    /// The ledger; the code is its own.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The genesis event; the code is that of the refusal.
    #[error("the genesis event is refused: {0}")]
    Genesis(Refused),
    /// The writer had stopped, or has now failed to write the index.
    #[error(transparent)]
    Stopped(Arc<LedgerError>),
}

impl WriterError {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Ledger(error) => error.code(),
            Self::Genesis(refused) => refused.code(),
            Self::Stopped(error) => error.code(),
        }
    }
}

/// The operator: its secret key, and where it keeps the mark of the newest checkpoint it signed.
#[derive(Debug)]
pub struct Operator {
    /// The key.
    pub key: SecretKey,
    /// A file beside the key, which does not go into the backups of the ledger folder: a ledger
    /// that is behind it was put back, and nothing is signed on top.
    pub mark: Option<PathBuf>,
}

impl From<SecretKey> for Operator {
    fn from(key: SecretKey) -> Self {
        Self { key, mark: None }
    }
}

/// An answer that is still to come.
pub struct Pending(mpsc::Receiver<Result<Accepted, Refused>>);

impl Pending {
    /// Waits for it.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn wait(self) -> Result<Accepted, Refused> {
        self.0.recv().unwrap_or(Err(Refused::Stopped { cause: None }))
    }
}

/// A ledger that is open for writing. All of it may be called from any number of threads.
pub struct Writer {
    ledger: Arc<RwLock<Ledger>>,
    queues: Arc<Queues>,
    room: Arc<Room>,
    /// Where the policy names witnesses who can be asked.
    cosigner: Option<Arc<Cosigner>>,
    clock: Clock,
    genesis: LeafHash,
    gate: Option<JoinHandle<()>>,
    sequencer: Option<JoinHandle<Result<(), Arc<LedgerError>>>>,
    /// How far the sequencer is with the index when it ends.
    saving: Mutex<mpsc::Receiver<(Stage, u64, u64)>>,
}

impl Writer {
    /// Creates a ledger folder with its entry 0.
    ///
    /// # Errors
    /// `store/occupied` and others of the store; the genesis event's refusal;
    /// `ledger/wrong-operator-key` if the event names another one; `ledger/mark-taken` if the
    /// operator's mark is of a ledger already.
    pub fn create(
        dir: &Path,
        genesis: SignedEvent,
        operator: impl Into<Operator>,
        clock: Clock,
    ) -> Result<Self, WriterError> {
        let local = |commit: &Commit<'_>| -> Result<Arc<dyn Store>, LedgerError> {
            Ok(Arc::new(LocalStore::create(dir, commit)?))
        };
        Self::begin(local, Some(dir), genesis, operator.into(), clock)
    }

    /// As [`Self::create`], in any empty store; `folder` is for the files beside the log.
    ///
    /// # Errors
    /// As [`Self::create`].
    pub fn create_over(
        store: Arc<dyn Store>,
        folder: Option<&Path>,
        genesis: SignedEvent,
        operator: impl Into<Operator>,
        clock: Clock,
    ) -> Result<Self, WriterError> {
        let commit = |commit: &Commit<'_>| store.commit(commit).map(|()| Arc::clone(&store));
        Self::begin(commit, folder, genesis, operator.into(), clock)
    }

    fn begin<E: Into<LedgerError>>(
        commit: impl FnOnce(&Commit<'_>) -> Result<Arc<dyn Store>, E>,
        folder: Option<&Path>,
        genesis: SignedEvent,
        operator: Operator,
        clock: Clock,
    ) -> Result<Self, WriterError> {
        let now = clock.now();
        let checked = Gate::new(NO_LEAF).check(genesis, now).map_err(WriterError::Genesis)?;
        if let Some(fault) = checked.fault {
            return Err(WriterError::Genesis(Refused::Gate(fault)));
        }
        operator.mark.as_deref().map_or(Ok(()), Ledger::check_mark_is_new)?;
        let store = Ledger::begin(checked.event, &operator.key, now, commit)?;
        Self::over(store, folder, operator, clock)
    }

    /// Opens a ledger folder.
    ///
    /// # Errors
    /// As [`Ledger::open`]; `ledger/wrong-operator-key`; `ledger/rolled-back`, `ledger/forked` and
    /// `ledger/mark-unreadable` by the operator's mark.
    pub fn open(
        dir: &Path,
        operator: impl Into<Operator>,
        clock: Clock,
    ) -> Result<Self, WriterError> {
        Self::open_telling(dir, operator, clock, &mut |_, _, _| {})
    }

    /// As [`Self::open`]. `progress` is told how much of a stage is done, and how much there is.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_telling(
        dir: &Path,
        operator: impl Into<Operator>,
        clock: Clock,
        progress: &mut dyn FnMut(Stage, u64, u64),
    ) -> Result<Self, WriterError> {
        let store = LocalStore::open(dir).map_err(LedgerError::from)?;
        let ledger = Ledger::over_telling(Arc::new(store), Some(dir), progress)?;
        Self::of_ledger(ledger, Some(dir), operator.into(), clock)
    }

    /// As [`Self::open`], for any store; `folder` is for the files beside the log.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn over(
        store: Arc<dyn Store>,
        folder: Option<&Path>,
        operator: impl Into<Operator>,
        clock: Clock,
    ) -> Result<Self, WriterError> {
        Self::of_ledger(Ledger::over(store, folder)?, folder, operator.into(), clock)
    }

    fn of_ledger(
        ledger: Ledger,
        folder: Option<&Path>,
        operator: Operator,
        clock: Clock,
    ) -> Result<Self, WriterError> {
        let Operator { key, mark } = operator;
        let (expected, found) =
            (ledger.state().parties.operator_key_at(ledger.state().size), key.public().into());
        if expected != found {
            return Err(LedgerError::WrongOperatorKey { expected, found }.into());
        }
        mark.as_deref().map_or(Ok(()), |mark| ledger.check_mark(mark))?;
        // The newest commit may be one that a crash has kept from being published.
        ledger.publish(mark.as_deref())?;
        if let Some(folder) = folder {
            ledger.write_trust_if_absent(&folder.join(TRUST_FILE))?;
        }

        // Durable and published: the witnesses are asked while the first events come in.
        let cosigner = Cosigner::start(ledger.log())?.map(Arc::new);
        let genesis = ledger.state().genesis;
        let ledger = Arc::new(RwLock::new(ledger));
        let queues = Arc::new(Queues::default());
        let (told, saving) = mpsc::channel();
        let sequencer = Sequencer {
            ledger: Arc::clone(&ledger),
            queues: Arc::clone(&queues),
            clock: clock.clone(),
            key,
            next_key: None,
            mark,
            failing: false,
            cosigner: cosigner.clone(),
            saving: told,
        };
        let mut writer = Self {
            ledger,
            queues: Arc::clone(&queues),
            room: Arc::default(),
            cosigner,
            clock: clock.clone(),
            genesis,
            gate: None,
            sequencer: None,
            saving: Mutex::new(saving),
        };
        writer.sequencer = Some(start("sequencer", move || sequencer.run())?);
        writer.gate = Some(start("gate", move || Gate::new(genesis).run(&queues, &clock))?);
        Ok(writer)
    }

    /// Submits an event, and waits until it is durable.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn submit(&self, event: SignedEvent) -> Result<Accepted, Refused> {
        self.submit_later(event).wait()
    }

    /// Submits an event; the answer comes later.
    pub fn submit_later(&self, event: SignedEvent) -> Pending {
        let (answer, pending) = channel();
        self.submit_then(event, answer);
        pending
    }

    /// Submits an event, and calls `answer` with the outcome: in a thread of the writer, which
    /// waits meanwhile, or in this one if there is no room.
    pub fn submit_then(
        &self,
        event: SignedEvent,
        answer: impl FnOnce(Result<Accepted, Refused>) + Send + 'static,
    ) {
        let size = Size::of(&event);
        self.enqueue(Work::Event(event, None), size, answer);
    }

    /// Submits events in this order, and waits for all: where there is no room for more, too. As
    /// many as fit share a commit.
    pub fn submit_many(&self, events: Vec<SignedEvent>) -> Vec<Result<Accepted, Refused>> {
        let mut answers = Vec::with_capacity(events.len());
        let mut pending = VecDeque::new();
        let mut events = events.into_iter().peekable();
        while events.peek().is_some() {
            // A slice for each of the two stages: while they work, the next one is made.
            if pending.len() == 2 {
                answers.extend(pending.pop_front().into_iter().flatten().map(Pending::wait));
            }
            let mut size = Size::default();
            let mut fits = |event: &SignedEvent| {
                let sum = size.plus(Size::of(event), SLICE);
                size = sum.unwrap_or(size);
                sum.is_some()
            };
            let slice: Vec<SignedEvent> =
                std::iter::from_fn(|| events.next_if(&mut fits)).collect();
            self.room.take(size);
            let (jobs, slice): (Vec<_>, Vec<_>) = slice
                .into_iter()
                .map(|event| {
                    let (answer, pending) = channel();
                    let place = Place { room: Arc::clone(&self.room), size: Size::of(&event) };
                    let work = Work::Event(event, None);
                    (Job { work, answer: Answer::new(place, answer) }, pending)
                })
                .unzip();
            self.queues.submit(jobs);
            pending.push_back(slice);
        }
        answers.extend(pending.into_iter().flatten().map(Pending::wait));
        answers
    }

    /// Submits the event that changes the operator's key, with the new key, which signs every
    /// checkpoint from this event on.
    ///
    /// # Errors
    /// [`Refused`]; `gate/operator-key` if the event names another key.
    pub fn rotate_operator(
        &self,
        event: SignedEvent,
        new_key: SecretKey,
    ) -> Result<Accepted, Refused> {
        let (answer, pending) = channel();
        let size = Size::of(&event);
        self.enqueue(Work::Event(event, Some(Box::new(new_key))), size, answer);
        pending.wait()
    }

    /// Asks for a seal over all that is in the log when its turn comes, and waits for it: the
    /// checkpoint then ends with it. If nothing is unsealed, the newest seal is the answer.
    ///
    /// # Errors
    /// [`Refused`]; `gate/seal-too-soon` less than ten seconds after the newest seal.
    pub fn seal(&self) -> Result<Accepted, Refused> {
        let (answer, pending) = channel();
        self.enqueue(Work::Seal, Size::SEAL, answer);
        pending.wait()
    }

    /// Leaves work for the gate if there is room for it.
    fn enqueue(
        &self,
        work: Work<SignedEvent>,
        size: Size,
        answer: impl FnOnce(Result<Accepted, Refused>) + Send + 'static,
    ) {
        if !self.room.try_take(size) {
            return answer(Err(Refused::Busy));
        }
        let place = Place { room: Arc::clone(&self.room), size };
        self.queues.submit([Job { work, answer: Answer::new(place, answer) }]);
    }

    /// Reads the ledger as of the newest commit. The sequencer waits meanwhile: nothing may be
    /// submitted inside, and for what takes long there is a [`Self::snapshot`] of the log.
    ///
    /// After the writer has stopped, this may show entries of the commit with unknown outcome.
    pub fn with_ledger<T>(&self, read: impl FnOnce(&Ledger) -> T) -> T {
        // Poisoned by a panic of the sequencer, which then has stopped.
        read(&self.ledger.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads the state as of the newest commit, for instance to draft an event.
    pub fn with_state<T>(&self, read: impl FnOnce(&State) -> T) -> T {
        self.with_ledger(|ledger| read(ledger.state()))
    }

    /// The log as of the newest commit, to be read while the writer goes on.
    pub fn snapshot(&self) -> Log {
        self.with_ledger(|ledger| ledger.log().snapshot())
    }

    /// Asks the witnesses for the newest commit, and waits at most so long for them; gives what
    /// became of each. Nobody has to: they are asked anyway, some seconds later.
    pub fn ask_witnesses(&self, patience: Duration) -> Vec<Asked> {
        self.cosigner.as_ref().map_or_else(Vec::new, |cosigner| cosigner.wait(patience))
    }

    /// The leaf hash of entry 0, which every signature is bound to.
    pub fn genesis(&self) -> LeafHash {
        self.genesis
    }

    /// The newest entry, for signers to name as the one that they had seen.
    pub fn newest(&self) -> Anchor {
        self.with_ledger(Ledger::newest)
    }

    /// What the writer takes for the present.
    pub fn now(&self) -> crate::model::date::UnixMs {
        self.clock.now()
    }

    /// Takes nothing more in, finishes what waits, and saves the index.
    ///
    /// # Errors
    /// [`WriterError::Stopped`].
    pub fn close(self) -> Result<(), WriterError> {
        self.close_telling(&mut |_, _, _| {})
    }

    /// As [`Self::close`]. `progress` is told how much of the index is written, and how much there
    /// is.
    ///
    /// # Errors
    /// As [`Self::close`].
    pub fn close_telling(
        mut self,
        progress: &mut dyn FnMut(Stage, u64, u64),
    ) -> Result<(), WriterError> {
        match self.stop(progress) {
            Ok(outcome) => outcome.map_err(WriterError::Stopped),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }

    fn stop(
        &mut self,
        progress: &mut dyn FnMut(Stage, u64, u64),
    ) -> thread::Result<Result<(), Arc<LedgerError>>> {
        self.queues.close();
        // The gate closes the queue behind it when the one before it is empty; unless it was never
        // started.
        let gate = self.gate.take().map_or(Ok(()), JoinHandle::join);
        self.queues.close_gate();
        // Ends with the sequencer.
        let saving = self.saving.get_mut().unwrap_or_else(PoisonError::into_inner);
        saving.iter().for_each(|(stage, done, all)| progress(stage, done, all));
        let sequencer = self.sequencer.take().map_or(Ok(Ok(())), JoinHandle::join);
        // The sequencer had the other one: who still asks witnesses lets go of the folder.
        self.cosigner = None;
        gate.and(sequencer)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // What failed was answered to those who submitted; `close` tells the rest.
        let _ = self.stop(&mut |_, _, _| {});
    }
}

fn start<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>, LedgerError> {
    thread::Builder::new()
        .name(name.to_owned())
        .spawn(work)
        .map_err(|source| LedgerError::Io { doing: "starting a thread of the writer", source })
}

fn channel() -> (impl FnOnce(Result<Accepted, Refused>) + Send + 'static, Pending) {
    let (send, receive) = mpsc::sync_channel(1);
    // Whoever has stopped waiting does not want the answer.
    (move |answer| drop(send.send(answer)), Pending(receive))
}
