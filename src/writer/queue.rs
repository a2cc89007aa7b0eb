//! What waits for the sequencer: first in, first out, and bounded.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::ledger::LedgerError;
use crate::model::key::SecretKey;

use super::gate::Checked;
use super::{Accepted, Refused};

/// No more is taken in while so many events wait.
pub(super) const WAITING_MAX: usize = 16_384;

/// What an event is answered with: called once, in the sequencer's thread.
pub(super) type Answer = Box<dyn FnOnce(Result<Accepted, Refused>) + Send>;

/// An event that waits.
pub(super) struct Job {
    pub(super) checked: Checked,
    /// The operator's next key, where the event brings one in.
    pub(super) new_key: Option<SecretKey>,
    pub(super) answer: Answer,
}

/// The queue between those who submit and the sequencer.
#[derive(Default)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Default)]
struct Waiting {
    jobs: VecDeque<Job>,
    /// Nothing more is taken in; with a cause if the sequencer has stopped by itself.
    closed: bool,
    cause: Option<Arc<LedgerError>>,
}

impl Queue {
    /// Puts events at the end, all or none.
    ///
    /// # Errors
    /// `Refused::Busy`, `Refused::Stopped`, with the events.
    pub(super) fn push(&self, jobs: Vec<Job>) -> Result<(), (Refused, Vec<Job>)> {
        let mut waiting = self.waiting();
        if waiting.closed {
            let cause = waiting.cause.clone();
            return Err((Refused::Stopped { cause }, jobs));
        }
        if waiting.jobs.len() >= WAITING_MAX {
            return Err((Refused::Busy, jobs));
        }
        waiting.jobs.extend(jobs);
        self.changed.notify_one();
        Ok(())
    }

    /// Takes what waits, at most `max`; waits for the first. `None` when closed and empty.
    pub(super) fn take(&self, max: usize) -> Option<Vec<Job>> {
        let mut waiting = self.waiting();
        while waiting.jobs.is_empty() {
            if waiting.closed {
                return None;
            }
            waiting = self.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
        let count = waiting.jobs.len().min(max);
        Some(waiting.jobs.drain(..count).collect())
    }

    /// Takes nothing more in; what waits is still to be taken.
    pub(super) fn close(&self) {
        self.waiting().closed = true;
        self.changed.notify_all();
    }

    /// Stops: whatever waits is answered so.
    pub(super) fn stop(&self, cause: Option<Arc<LedgerError>>) {
        let jobs = {
            let mut waiting = self.waiting();
            waiting.closed = true;
            waiting.cause = waiting.cause.take().or(cause.clone());
            std::mem::take(&mut waiting.jobs)
        };
        for job in jobs {
            (job.answer)(Err(Refused::Stopped { cause: cause.clone() }));
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        // Nothing that holds this lock can leave it half-changed.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
