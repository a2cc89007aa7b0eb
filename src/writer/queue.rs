//! What waits for the sequencer: first in, first out, and bounded.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::ledger::LedgerError;
use crate::model::key::SecretKey;

use super::gate::Checked;
use super::{Accepted, Refused};

/// No more is taken in while so many events wait.
pub(super) const WAITING_MAX: usize = 16_384;

/// What an event is answered with: called once, in the sequencer's thread.
pub(super) type Answer = Box<dyn FnOnce(Result<Accepted, Refused>) + Send>;

/// What waits.
pub(super) struct Job {
    pub(super) work: Work,
    pub(super) answer: Answer,
}

impl Job {
    pub(super) fn event(
        checked: Checked,
        new_key: Option<SecretKey>,
        answer: impl FnOnce(Result<Accepted, Refused>) + Send + 'static,
    ) -> Self {
        Self { work: Work::Event(Box::new((checked, new_key))), answer: Box::new(answer) }
    }
}

/// What is to be recorded.
pub(super) enum Work {
    /// An event, with the operator's next key where it brings one in.
    Event(Box<(Checked, Option<SecretKey>)>),
    /// A seal, which only the sequencer can make.
    Seal,
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

    /// Takes what waits, at most `max`; waits for the first, but not beyond `timeout`. `None` when
    /// closed and empty.
    pub(super) fn take(&self, max: usize, timeout: Option<Duration>) -> Option<VecDeque<Job>> {
        let mut waiting = self.waiting();
        let idle = |waiting: &mut Waiting| waiting.jobs.is_empty() && !waiting.closed;
        waiting = match timeout {
            None => self.changed.wait_while(waiting, idle).unwrap_or_else(PoisonError::into_inner),
            Some(timeout) => {
                let waited = self.changed.wait_timeout_while(waiting, timeout, idle);
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
        };
        if waiting.jobs.is_empty() && waiting.closed {
            return None;
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
