//! The one thread that gives events their places.
//!
//! It takes what waits, puts it through the rules one by one, makes it durable in one commit,
//! lets the checkpoint leave the process, and answers: in this order, so that no crash can take
//! back what was answered or published. The more waits, the more shares a commit.
//!
//! It also makes the seals, as soon as they are due: whoever looks at a ledger that runs finds one
//! that is not older than the ledger's rules say.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, mpsc};
use std::time::Duration;

use crate::cosign::Cosigner;
use crate::ledger::{AppendError, Ledger, LedgerError, Stage};
use crate::model::date::UnixMs;
use crate::model::draft::Draft;
use crate::model::entry::Entry;
use crate::model::event::{Capacity, Statement};
use crate::model::hash::LeafHash;
use crate::model::ident::{EntryIndex, KeyBytes};
use crate::model::key::SecretKey;
use crate::store::CommitError;

use super::clock::Clock;
use super::gate::{Checked, GateFault};
use super::queue::{Answer, Job, Queues, Work};
use super::{Accepted, Refused};

/// So many entries leave something for the next seal to work out: more often, the same would be
/// worked out again and again.
const REFRESH_EVERY: u64 = 4096;

/// Seals that are asked for are at least so far apart, in milliseconds.
const SEALS_APART_MS: u64 = 10_000;

/// A seal that could not be stored is not tried again before, unless something is submitted.
const RETRY_AFTER: Duration = Duration::from_secs(10);

/// Witnesses have so much time after the opening to tell what they have seen, before the first commit
/// goes on without them.
const PATIENCE: Duration = Duration::from_secs(2);

pub(super) struct Sequencer {
    pub(super) ledger: Arc<RwLock<Ledger>>,
    pub(super) queues: Arc<Queues>,
    pub(super) clock: Clock,
    pub(super) key: SecretKey,
    /// The key that an event of the batch in hand brings in.
    pub(super) next_key: Option<SecretKey>,
    pub(super) mark: Option<PathBuf>,
    /// The last commit did not go through.
    pub(super) failing: bool,
    pub(super) cosigner: Option<Arc<Cosigner>>,
    /// Who closes the ledger is told how far it is.
    pub(super) saving: mpsc::Sender<(Stage, u64, u64)>,
}

/// Nobody waits for ever: also when the sequencer ends by a panic, all are answered.
struct StopsQueues(Arc<Queues>);

impl Drop for StopsQueues {
    fn drop(&mut self) {
        self.0.stop(None);
    }
}

impl Sequencer {
    /// Works until no more comes, or the outcome of a commit is unknown.
    pub(super) fn run(mut self) -> Result<(), Cause> {
        let _stops = StopsQueues(Arc::clone(&self.queues));
        let ledger = Arc::clone(&self.ledger);
        let mut refreshed = 0;
        loop {
            let timeout = self.until_seal(&read(&ledger));
            let Some(mut jobs) = self.queues.take_checked(timeout) else { break };
            // Before the lock, since it may wait.
            if let Err(cause) = self.permit() {
                for job in jobs {
                    job.answer.give(Err(Refused::NotStored { cause: Arc::clone(&cause) }));
                }
                self.queues.stop(Some(&cause));
                return Err(cause);
            }
            // Once also without jobs: then a seal may be due.
            loop {
                // Held until the commit is durable: whoever reads sees nothing that can be lost.
                let mut guard = write(&ledger);
                let (answers, stop) = self.batch(&mut guard, &mut jobs);
                drop(guard);
                for (answer, result) in answers {
                    answer.give(result);
                }
                if let Some(cause) = stop {
                    self.queues.stop(Some(&cause));
                    return Err(cause);
                }
                if jobs.is_empty() {
                    break;
                }
            }
            // Their answers are given: nobody waits for this but who comes next.
            let mut ledger = write(&ledger);
            if ledger.state().size >= refreshed + REFRESH_EVERY {
                ledger.refresh_tables();
                refreshed = ledger.state().size;
            }
            ledger.save_index_if_due();
        }
        let mut ledger = write(&ledger);
        if ledger.unindexed() == 0 {
            return Ok(());
        }
        let mut tell = |stage, done, all| {
            // A writer that was dropped by a panic listens no more.
            let _ = self.saving.send((stage, done, all));
        };
        ledger.save_index_telling(&mut tell).map_err(Arc::new)
    }

    /// Whether the witnesses let us sign on top of this log.
    fn permit(&self) -> Result<(), Cause> {
        self.cosigner.as_ref().map_or(Ok(()), |cosigner| cosigner.permit(PATIENCE))
    }

    /// How long nothing need be done if nothing is submitted; none if a seal is due by no clock.
    fn until_seal(&self, ledger: &Ledger) -> Option<Duration> {
        if let Clock::Manual(_) = self.clock {
            // It stands still until it is set, and whoever sets it submits something.
            return None;
        }
        let (state, now) = (ledger.state(), self.clock.now());
        let wait = if state.seal_due(now) {
            Duration::ZERO
        } else {
            // Due is what is recorded later than this.
            let after = state.seal_due_after()?;
            Duration::from_millis((after.0 - now.0).saturating_add(1))
        };
        Some(if self.failing { wait.max(RETRY_AFTER) } else { wait })
    }

    /// Sequences jobs up to a seal, or all, and commits them: the answers to give now, and why to
    /// stop after them. A seal ends its commit, so that a checkpoint ends with it.
    fn batch(&mut self, ledger: &mut Ledger, jobs: &mut Jobs) -> (Answers, Option<Cause>) {
        let mut answers = Answers::with_capacity(jobs.len());
        let mut stop = None;
        while !ends_with_new_seal(ledger) {
            if stop.is_none() && ledger.state().seal_due(self.now(ledger)) {
                stop = self.seal(ledger).err();
                continue;
            }
            let Some(Job { work, answer }) = jobs.pop_front() else { break };
            let result = match &stop {
                None => self.sequence(ledger, work),
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
            let failed = match failed {
                // What is not there cannot be forgotten either: nobody may go on from here.
                Failed::Surely(cause) => match ledger.reload() {
                    Ok(()) => Failed::Surely(cause),
                    Err(error) => Failed::Unknown(Arc::new(error)),
                },
                unknown => unknown,
            };
            // All that was decided in this batch rests on entries that are not there, or may not
            // be, so none of its answers stands; and a seal would be tried again before the rest.
            let refused = failed.refused();
            answers.iter_mut().for_each(|(_, result)| *result = Err(refused.clone()));
            answers.extend(jobs.drain(..).map(|job| (job.answer, Err(refused.clone()))));
            self.failing = true;
            if let Failed::Unknown(cause) = failed {
                stop = Some(cause);
            }
        }
        if let Some(cause) = &stop {
            let refused = Refused::Stopped { cause: Some(Arc::clone(cause)) };
            answers.extend(jobs.drain(..).map(|job| (job.answer, Err(refused.clone()))));
        }
        (answers, stop)
    }

    /// What an entry would be recorded as now.
    fn now(&self, ledger: &Ledger) -> UnixMs {
        self.clock.now().max(ledger.state().recorded_at)
    }

    /// Gives one event its place, in memory.
    fn sequence(
        &mut self,
        ledger: &mut Ledger,
        work: Work<Box<Checked>>,
    ) -> Result<Accepted, Refused> {
        let (checked, new_key) = match work {
            Work::Event(checked, new_key) => (checked, new_key),
            Work::Seal => return self.seal_on_request(ledger),
        };
        let Checked { event, fault, warnings } = *checked;
        let hash = event.hash;
        if let Some(index) = ledger.index_of(&hash).map_err(unreadable)? {
            let (entry, leaf) = known(ledger, index)?;
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
            self.next_key = new_key.map(|key| *key);
        }
        let (index, leaf) = (place.index, place.leaf);
        Ok(Accepted { index, leaf, hash, already: false, signatures_differ: false, warnings })
    }

    fn seal_on_request(&mut self, ledger: &mut Ledger) -> Result<Accepted, Refused> {
        let (state, mut already) = (ledger.state(), false);
        let index = match state.newest_seal() {
            Some(newest) if state.unsealed() == 0 => {
                already = true;
                newest.index
            }
            Some(newest) if self.now(ledger).0 < newest.recorded_at.0 + SEALS_APART_MS => {
                return Err(Refused::Gate(GateFault::SealTooSoon));
            }
            _ => {
                self.seal(ledger).map_err(|cause| Refused::Stopped { cause: Some(cause) })?;
                ledger.newest().index
            }
        };
        let (entry, leaf) = known(ledger, index)?;
        let hash = entry.event.frame.hash(&ledger.state().genesis);
        let warnings = Vec::new();
        Ok(Accepted { index, leaf, hash, already, signatures_differ: false, warnings })
    }

    /// Appends a seal, in memory.
    fn seal(&mut self, ledger: &mut Ledger) -> Result<(), Cause> {
        let now = self.now(ledger);
        let statement = ledger.seal_statement();
        let key = self.next_key.as_ref().unwrap_or(&self.key);
        let state = ledger.state();
        // Two equal statements are two events by their nonce; no two seals are equal. So the nonce
        // may follow from the log, and a run with a clock that is set can be repeated.
        let nonce = *state.last_leaf.as_bytes().first_chunk().expect("a hash has 32 bytes");
        let event = Draft::new(statement, now, nonce)
            .signer(Capacity::Operator, Some(&state.parties.operator), key.public().into())
            .sign(&state.genesis, &[key])
            .and_then(|signed| signed.open(&state.genesis))
            .expect("a seal has few fields, and its signer's key is at hand");
        match ledger.append(event, now) {
            Ok(_) => Ok(()),
            Err(AppendError::Log(error)) => Err(Arc::new(error)),
            Err(refused) => unreachable!("a seal that follows from the state: {refused:?}"),
        }
    }

    /// Makes the batch durable and publishes its checkpoint.
    fn commit(&mut self, ledger: &mut Ledger) -> Result<(), Failed> {
        let (next_key, sealed) = (self.next_key.take(), ends_with_new_seal(ledger));
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
        self.failing = false;
        // A crash here leaves a durable commit that nobody was told of; `open` publishes it.
        ledger.publish(self.mark.as_deref()).map_err(|error| Failed::Unknown(Arc::new(error)))?;
        if let Some(cosigner) = &self.cosigner {
            cosigner.wake(ledger.log(), sealed);
        }
        Ok(())
    }
}

type Cause = Arc<LedgerError>;
type Jobs = VecDeque<Job<Box<Checked>>>;
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

/// Whether the last entry is a seal that is still to be committed.
fn ends_with_new_seal(ledger: &Ledger) -> bool {
    ledger.is_ahead() && ledger.state().unsealed() == 0
}

/// An entry that is in the log, with its leaf hash.
fn known(ledger: &Ledger, index: EntryIndex) -> Result<(Entry, LeafHash), Refused> {
    let entry = ledger.entry(index).map_err(unreadable)?;
    Ok((entry, ledger.log().leaf(index).map_err(unreadable)?))
}

fn unreadable(error: LedgerError) -> Refused {
    Refused::Stopped { cause: Some(Arc::new(error)) }
}

fn read(ledger: &RwLock<Ledger>) -> RwLockReadGuard<'_, Ledger> {
    ledger.read().unwrap_or_else(PoisonError::into_inner)
}

fn write(ledger: &RwLock<Ledger>) -> RwLockWriteGuard<'_, Ledger> {
    // Only this thread writes; if it has panicked, it is not here any more.
    ledger.write().unwrap_or_else(PoisonError::into_inner)
}
