//! The one thread that gives events their places.
//!
//! It takes what waits, puts it through the rules one by one, makes it durable in one commit,
//! lets the checkpoint leave the process, and answers: in this order, so that no crash can take
//! back what was answered or published. The more waits, the more shares a commit.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock, RwLockWriteGuard};

use crate::ledger::{AppendError, Ledger, LedgerError};
use crate::model::event::Statement;
use crate::model::ident::KeyBytes;
use crate::model::key::SecretKey;
use crate::store::CommitError;

use super::clock::Clock;
use super::gate::{Checked, GateFault};
use super::queue::{Answer, Job, Queue};
use super::{Accepted, Refused};

/// The most events of one commit: 16 bundles and as many tiles, far below the store's limit.
const BATCH_MAX: usize = 4096;

/// The index is written again after so many entries, or a quarter of all, whichever is more: so
/// all writing of it together stays in proportion to the log.
const INDEX_EVERY: u64 = 65_536;

pub(super) struct Sequencer {
    pub(super) ledger: Arc<RwLock<Ledger>>,
    pub(super) queue: Arc<Queue>,
    pub(super) clock: Clock,
    pub(super) key: SecretKey,
    /// The key that an event of the batch in hand brings in.
    pub(super) next_key: Option<SecretKey>,
    pub(super) mark: Option<PathBuf>,
}

/// Nobody waits for ever: also when the sequencer ends by a panic, all are answered.
struct StopsQueue(Arc<Queue>);

impl Drop for StopsQueue {
    fn drop(&mut self) {
        self.0.stop(None);
    }
}

impl Sequencer {
    /// Works until the queue is closed and empty, or the outcome of a commit is unknown.
    pub(super) fn run(mut self) -> Result<(), Cause> {
        let _stops = StopsQueue(Arc::clone(&self.queue));
        let ledger = Arc::clone(&self.ledger);
        while let Some(jobs) = self.queue.take(BATCH_MAX) {
            // Held until the commit is durable: whoever reads sees nothing that can be lost.
            let mut guard = write(&ledger);
            let (answers, stop) = self.batch(&mut guard, jobs);
            drop(guard);
            for (answer, result) in answers {
                answer(result);
            }
            if let Some(cause) = stop {
                self.queue.stop(Some(Arc::clone(&cause)));
                return Err(cause);
            }
        }
        let mut ledger = write(&ledger);
        if ledger.unindexed() == 0 {
            return Ok(());
        }
        ledger.save_index().map_err(Arc::new)
    }

    /// Sequences a batch and commits it: the answers to give now, and why to stop after them.
    fn batch(&mut self, ledger: &mut Ledger, jobs: Vec<Job>) -> (Answers, Option<Cause>) {
        let mut answers = Answers::with_capacity(jobs.len());
        let mut stop = None;
        for Job { checked, new_key, answer } in jobs {
            let result = match &stop {
                None => self.sequence(ledger, checked, new_key),
                Some(_) => Err(Refused::Stopped { cause: stop.clone() }),
            };
            if let Err(Refused::Stopped { cause }) = &result {
                // An earlier entry cannot be read: no rule that looks back can be trusted.
                stop = cause.clone();
            }
            answers.push((answer, result));
        }
        if ledger.is_ahead()
            && let Err(failed) = self.commit(ledger)
        {
            // All that was decided in this batch rests on entries that are not there, or may not
            // be, so none of its answers stands.
            let refused = failed.refused();
            answers.iter_mut().for_each(|(_, result)| *result = Err(refused.clone()));
            stop = match failed {
                Failed::Unknown(cause) => Some(cause),
                Failed::Surely(_) => stop.or(ledger.reload().map_err(Arc::new).err()),
            };
        }
        (answers, stop)
    }

    /// Gives one event its place, in memory.
    fn sequence(
        &mut self,
        ledger: &mut Ledger,
        checked: Checked,
        new_key: Option<SecretKey>,
    ) -> Result<Accepted, Refused> {
        let Checked { event, fault, warnings } = checked;
        let hash = event.hash;
        let unreadable = |error| Refused::Stopped { cause: Some(Arc::new(error)) };
        if let Some(index) = ledger.state().index_of(&hash) {
            let entry = ledger.entry(index).map_err(unreadable)?;
            let leaf = ledger.log().leaf(index).map_err(unreadable)?;
            let signatures_differ = entry.event.signatures != event.signed.signatures;
            return Ok(Accepted { index, leaf, hash, already: true, signatures_differ, warnings });
        }
        if let Some(fault) = fault {
            return Err(Refused::Gate(fault));
        }
        if let Some(Statement::OperatorRotated(rotated)) = &event.statement
            && new_key.as_ref().map(|key| KeyBytes::from(key.public())) != Some(rotated.key)
        {
            return Err(Refused::Gate(GateFault::OperatorKey));
        }
        let rotates = matches!(event.statement, Some(Statement::OperatorRotated(_)));
        let place = ledger.append(event, self.clock.now()).map_err(|error| match error {
            AppendError::Violation(violation) => Refused::Violation(violation),
            AppendError::TooManySubjects { count } => {
                Refused::Gate(GateFault::TooManySubjects { count })
            }
            AppendError::EntryTooLarge { len } => Refused::Gate(GateFault::EntryTooLarge { len }),
            AppendError::Log(error) => unreadable(error),
        })?;
        if rotates {
            self.next_key = new_key;
        }
        let (index, leaf) = (place.index, place.leaf);
        Ok(Accepted { index, leaf, hash, already: false, signatures_differ: false, warnings })
    }

    /// Makes the batch durable and publishes its checkpoint.
    fn commit(&mut self, ledger: &mut Ledger) -> Result<(), Failed> {
        let next_key = self.next_key.take();
        let committed = ledger.commit(next_key.as_ref().unwrap_or(&self.key));
        committed.map_err(|error| match error {
            error @ CommitError::Unknown { .. } | error @ CommitError::Conflict => {
                Failed::Unknown(Arc::new(error.into()))
            }
            error => Failed::Surely(Arc::new(error.into())),
        })?;
        if let Some(next_key) = next_key {
            self.key = next_key;
        }
        // A crash here leaves a durable commit that nobody was told of; `open` publishes it.
        ledger.publish(self.mark.as_deref()).map_err(|error| Failed::Unknown(Arc::new(error)))?;
        if ledger.unindexed() >= INDEX_EVERY.max(ledger.state().size / 4) {
            // Derived: without it, the next opening replays more.
            let _ = ledger.save_index();
        }
        Ok(())
    }
}

type Cause = Arc<LedgerError>;
type Answers = Vec<(Answer, Result<Accepted, Refused>)>;

/// A commit that did not go through.
enum Failed {
    /// Nothing of it is there.
    Surely(Cause),
    /// It may be there: only opening the ledger again tells.
    Unknown(Cause),
}

impl Failed {
    fn refused(&self) -> Refused {
        match self {
            Self::Surely(cause) => Refused::NotStored { cause: Arc::clone(cause) },
            Self::Unknown(cause) => Refused::Stopped { cause: Some(Arc::clone(cause)) },
        }
    }
}

fn write(ledger: &RwLock<Ledger>) -> RwLockWriteGuard<'_, Ledger> {
    // Only this thread writes; if it has panicked, it is not here any more.
    ledger.write().unwrap_or_else(PoisonError::into_inner)
}
