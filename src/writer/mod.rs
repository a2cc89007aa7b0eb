//! The writer: the one way by which events come into a ledger.
//!
//! Whoever submits has its event parsed and its signatures checked at the gate in
//! its own thread. One sequencer thread does the rest. Invariants:
//!
//! - An event is answered with its index only when its entry, the tree and the checkpoint over it
//!   are durable, and the checkpoint has left the process.
//! - An event body is in the log once; submitting it again answers with its index.
//! - A refused event leaves no trace. It is refused under the code under which an auditor would
//!   report it, or one of the gate's own.
//! - Nothing is signed on top of a log of which a witness has seen more, or something else.
//! - If the outcome of a commit is unknown, nothing more is signed: all are answered
//!   [`Refused::Stopped`], and the ledger must be opened again.

mod clock;
mod gate;
mod queue;
mod sequencer;

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rayon::prelude::*;
use thiserror::Error;

use crate::cosign::{Asked, Cosigner};
use crate::ledger::{Ledger, LedgerError, Log, TRUST_FILE};
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
use queue::{Job, Queue, Work};
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
    /// `writer/busy`: too many events wait already; submit it again later.
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
    queue: Arc<Queue>,
    /// Where the policy names witnesses who can be asked.
    cosigner: Option<Arc<Cosigner>>,
    gate: Gate,
    clock: Clock,
    genesis: LeafHash,
    thread: Option<JoinHandle<Result<(), Arc<LedgerError>>>>,
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
        let store = LocalStore::open(dir).map_err(LedgerError::from)?;
        Self::over(Arc::new(store), Some(dir), operator, clock)
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
        let Operator { key, mark } = operator.into();
        let ledger = Ledger::over(store, folder)?;
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
        let queue = Arc::new(Queue::default());
        let sequencer = Sequencer {
            ledger: Arc::clone(&ledger),
            queue: Arc::clone(&queue),
            clock: clock.clone(),
            key,
            next_key: None,
            mark,
            failing: false,
            cosigner: cosigner.clone(),
        };
        let thread = thread::Builder::new()
            .name("sequencer".to_owned())
            .spawn(move || sequencer.run())
            .map_err(|source| LedgerError::Io { doing: "starting the sequencer", source })?;
        let (gate, thread) = (Gate::new(genesis), Some(thread));
        Ok(Self { ledger, queue, cosigner, gate, clock, genesis, thread })
    }

    /// Submits an event, and waits until it is durable.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn submit(&self, event: SignedEvent) -> Result<Accepted, Refused> {
        self.submit_later(event).wait()
    }

    /// Submits an event; its signatures are checked before this returns, the answer comes later.
    pub fn submit_later(&self, event: SignedEvent) -> Pending {
        let (answer, pending) = channel();
        self.submit_then(event, answer);
        pending
    }

    /// Submits an event, and calls `answer` with the outcome: in the sequencer's thread, which
    /// waits meanwhile, or in this one if the gate refuses.
    pub fn submit_then(
        &self,
        event: SignedEvent,
        answer: impl FnOnce(Result<Accepted, Refused>) + Send + 'static,
    ) {
        match self.gate.check(event, self.clock.now()) {
            Ok(checked) => {
                self.enqueue(vec![Job::event(checked, None, answer)]);
            }
            Err(refused) => answer(Err(refused)),
        }
    }

    /// Submits events in this order, and waits for all. Signatures are checked on all cores, and as
    /// many events as fit share a commit.
    pub fn submit_many(&self, events: Vec<SignedEvent>) -> Vec<Result<Accepted, Refused>> {
        let now = self.clock.now();
        let checked: Vec<_> =
            events.into_par_iter().map(|event| self.gate.check(event, now)).collect();
        let mut jobs = Vec::with_capacity(checked.len());
        let pending: Vec<Pending> = checked
            .into_iter()
            .map(|checked| {
                let (answer, pending) = channel();
                match checked {
                    Ok(checked) => {
                        jobs.push(Job::event(checked, None, answer));
                    }
                    Err(refused) => answer(Err(refused)),
                }
                pending
            })
            .collect();
        self.enqueue(jobs);
        pending.into_iter().map(Pending::wait).collect()
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
        let checked = self.gate.check(event, self.clock.now())?;
        let (answer, pending) = channel();
        self.enqueue(vec![Job::event(checked, Some(new_key), answer)]);
        pending.wait()
    }

    /// Asks for a seal over all that is in the log when its turn comes, and waits for it: the
    /// checkpoint then ends with it. If nothing is unsealed, the newest seal is the answer.
    ///
    /// # Errors
    /// [`Refused`]; `gate/seal-too-soon` less than ten seconds after the newest seal.
    pub fn seal(&self) -> Result<Accepted, Refused> {
        let (answer, pending) = channel();
        self.enqueue(vec![Job { work: Work::Seal, answer: Box::new(answer) }]);
        pending.wait()
    }

    fn enqueue(&self, jobs: Vec<Job>) {
        if let Err((refused, jobs)) = self.queue.push(jobs) {
            jobs.into_iter().for_each(|job| (job.answer)(Err(refused.clone())));
        }
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
    pub fn close(mut self) -> Result<(), WriterError> {
        match self.stop() {
            Ok(outcome) => outcome.map_err(WriterError::Stopped),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }

    fn stop(&mut self) -> thread::Result<Result<(), Arc<LedgerError>>> {
        self.queue.close();
        let ended = self.thread.take().map_or(Ok(Ok(())), JoinHandle::join);
        // The sequencer had the other one: who still asks witnesses lets go of the folder.
        self.cosigner = None;
        ended
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // What failed was answered to those who submitted; `close` tells the rest.
        let _ = self.stop();
    }
}

fn channel() -> (impl FnOnce(Result<Accepted, Refused>) + Send + 'static, Pending) {
    let (send, receive) = mpsc::sync_channel(1);
    // Whoever has stopped waiting does not want the answer.
    (move |answer| drop(send.send(answer)), Pending(receive))
}
