//! Asks the witnesses beside a writer, for as long as it is open: a thread for each.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use super::error::AskError;
use super::exchange::{self, Witness};
use super::http::Client;
use super::seat::{Next, Seat};
use super::{AskEnd, Asked, known_to, question, settle, unix_seconds, witness};
use crate::ledger::{LedgerError, Log, Witnessed};

/// The witnesses are asked for a newer checkpoint at most every so long.
const EVERY: Duration = Duration::from_secs(10);

/// Asks the witnesses of a ledger that is open for writing. All of it may be called from any number
/// of threads; nothing but [`Self::permit`] and [`Self::wait`] waits.
pub struct Cosigner {
    shared: Arc<Shared>,
}

struct Shared {
    witnessed: Arc<Witnessed>,
    client: Client,
    witnesses: Vec<Witness>,
    opened: Instant,
    state: Mutex<State>,
    /// Something to ask for, or something was answered.
    changed: Condvar,
}

struct State {
    /// None when closed: a log holds on to its folder.
    logs: Option<Logs>,
    /// One for each witness.
    seats: Vec<Seat>,
    /// A witness that has seen more than there is, or something else.
    forbidden: Option<Arc<LedgerError>>,
}

/// The log at three of its checkpoints.
struct Logs {
    newest: Arc<Log>,
    /// What all witnesses are asked for in this round.
    round: Arc<Log>,
    round_began: Instant,
    /// What they are asked for first.
    sealed: Option<Arc<Log>>,
}

/// What a thread asks for; it keeps no folder open.
struct Target(Weak<Log>);

impl Cosigner {
    /// Begins to ask for cosignatures on the newest durable checkpoint: before anything is signed
    /// on top of it, the witnesses tell whether it is their newest as well. `None` where the
    /// policy names nobody who can be asked.
    ///
    /// # Errors
    /// `ledger/io` if a thread cannot be started.
    pub fn start(log: &Log) -> Result<Option<Self>, LedgerError> {
        let witnessed = Arc::clone(log.witnessed());
        let names = witnessed.policy().witnesses().map(|(name, _)| name);
        let witnesses: Vec<Witness> = names.filter_map(|name| witness(&witnessed, name)).collect();
        if witnesses.is_empty() {
            return Ok(None);
        }
        let (log, now) = (Arc::new(log.snapshot()), Instant::now());
        let seat = |witness: &Witness| {
            Seat::new(witnessed.trouble(&witness.name).as_ref(), unix_seconds(), now)
        };
        let state = State {
            seats: witnesses.iter().map(seat).collect(),
            logs: Some(Logs {
                newest: Arc::clone(&log),
                round: log,
                round_began: now,
                sealed: None,
            }),
            forbidden: None,
        };
        let shared = Arc::new(Shared {
            witnessed,
            client: Client::new(),
            witnesses,
            opened: now,
            state: Mutex::new(state),
            changed: Condvar::new(),
        });
        let cosigner = Self { shared: Arc::clone(&shared) };
        for number in 0..shared.witnesses.len() {
            let shared = Arc::clone(&shared);
            // Nobody waits for these threads: they end by themselves, when the last request has
            // been answered or given up.
            thread::Builder::new()
                .name(format!("witness-{number}"))
                .spawn(move || shared.run(number))
                .map_err(|source| LedgerError::Io { doing: "starting to ask witnesses", source })?;
        }
        Ok(Some(cosigner))
    }

    /// Tells of a commit, which is durable. An `urgent` one is a checkpoint that proofs are made
    /// for: it is asked for at once, and its cosignatures are kept.
    pub fn wake(&self, log: &Log, urgent: bool) {
        let mut state = self.shared.state();
        let Some(logs) = &mut state.logs else { return };
        logs.newest = Arc::new(log.snapshot());
        if urgent {
            self.shared.witnessed.hold_sealed(log.checkpoint().checkpoint().size);
            logs.sealed = Some(Arc::clone(&logs.newest));
        }
        drop(state);
        self.shared.changed.notify_all();
    }

    /// Whether something may be signed on top of the log as it was opened: waits until each witness
    /// has told what it has seen, or is left alone because it has failed lately, or so much time has
    /// passed since the opening. Later on it does not wait, and says no if one has told later.
    ///
    /// # Errors
    /// `ledger/behind-witness`, `ledger/forked`.
    pub fn permit(&self, patience: Duration) -> Result<(), Arc<LedgerError>> {
        let told = |seat: &Seat| seat.done.is_some();
        let state = self.shared.wait_until(self.shared.opened + patience, told);
        state.forbidden.clone().map_or(Ok(()), Err)
    }

    /// Asks for the newest checkpoint at once, and waits until each witness has cosigned it, has
    /// failed, or has let so much time pass.
    pub fn wait(&self, patience: Duration) -> Vec<Asked> {
        let newest = {
            let mut state = self.shared.state();
            let Some(logs) = &mut state.logs else { return Vec::new() };
            logs.begin_round();
            logs.newest.checkpoint().checkpoint().size
        };
        self.shared.changed.notify_all();
        let state =
            self.shared.wait_until(Instant::now() + patience, |seat| seat.done >= Some(newest));
        let seats = state.seats.clone();
        drop(state);
        let witnesses = self.shared.witnesses.iter().zip(seats);
        witnesses.map(|(witness, seat)| self.shared.asked(witness, &seat, newest)).collect()
    }
}

impl Drop for Cosigner {
    fn drop(&mut self) {
        // What is still to be answered is not written any more: the folder may be another's then.
        self.shared.witnessed.close();
        self.shared.state().logs = None;
        self.shared.changed.notify_all();
    }
}

impl Logs {
    fn begin_round(&mut self) {
        self.round = Arc::clone(&self.newest);
        self.round_began = Instant::now();
    }

    /// Begins another round if it is time. All witnesses share it: a checkpoint that only some are
    /// asked for never gets a quorum.
    fn keep_time(&mut self, now: Instant) -> Option<Instant> {
        if size(&self.newest) <= size(&self.round) {
            return None;
        }
        let due = self.round_began + EVERY;
        if now < due {
            return Some(due);
        }
        self.begin_round();
        None
    }
}

fn size(log: &Log) -> u64 {
    log.checkpoint().checkpoint().size
}

impl Shared {
    /// The life of one thread.
    fn run(&self, number: usize) {
        let witness = &self.witnesses[number];
        while let Some(target) = self.next(number) {
            let round = target.0.upgrade().map_or(0, |log| size(&log));
            let old = known_to(&self.witnessed, &witness.name).min(round);
            let end = exchange::ask(&self.client, witness, old, |old| {
                let newest = self.state().logs.as_ref().map(|logs| Arc::clone(&logs.newest));
                let newest = newest.ok_or(AskError::Stopped)?;
                // A newer round has taken its place: then the newest will do.
                let target = target.0.upgrade().unwrap_or_else(|| Arc::clone(&newest));
                question(&target, &newest, witness, old)
            });
            self.settle(number, settle(&self.witnessed, &witness.name, end));
        }
    }

    /// Waits for something to ask for; none when closed.
    fn next(&self, number: usize) -> Option<Target> {
        let mut state = self.state();
        loop {
            let now = Instant::now();
            let State { logs, seats, .. } = &mut *state;
            let logs = logs.as_mut()?;
            let next_round = logs.keep_time(now);
            let sealed = logs.sealed.as_ref().map(|log| size(log));
            let until = match (seats[number].next(size(&logs.round), sealed, now), &logs.sealed) {
                (Next::Sealed, Some(log)) => return Some(Target(Arc::downgrade(log))),
                (Next::Sealed | Next::Round, _) => {
                    return Some(Target(Arc::downgrade(&logs.round)));
                }
                (Next::Until(rest), _) => rest.or(next_round),
            };
            let time = until.map(|until| until.saturating_duration_since(now));
            state = self.sleep(state, time);
        }
    }

    fn settle(&self, number: usize, end: Result<AskEnd, AskError>) {
        let failures = self.witnessed.trouble(&self.witnesses[number].name);
        let failures = failures.map_or(1, |trouble| trouble.failures);
        let mut state = self.state();
        match end {
            Ok(AskEnd::Cosigned { size, .. }) => state.seats[number].cosigned(size),
            Ok(_) | Err(AskError::Stopped) => {}
            Err(error) => {
                state.seats[number].failed(failures, Instant::now());
                if let AskError::Ledger(
                    error @ (LedgerError::BehindWitness { .. } | LedgerError::ForkedWitness { .. }),
                ) = error
                {
                    state.forbidden.get_or_insert(Arc::new(error));
                }
            }
        }
        drop(state);
        self.changed.notify_all();
    }

    /// Waits until every witness is so far, or rests, or the time is over; or until signing is
    /// forbidden.
    fn wait_until(
        &self,
        deadline: Instant,
        so_far: impl Fn(&Seat) -> bool,
    ) -> MutexGuard<'_, State> {
        let mut state = self.state();
        loop {
            let now = Instant::now();
            let waits = state.seats.iter().any(|seat| !so_far(seat) && !seat.rests(now));
            if !waits || now >= deadline || state.forbidden.is_some() || state.logs.is_none() {
                return state;
            }
            state = self.sleep(state, Some(deadline - now));
        }
    }

    fn asked(&self, witness: &Witness, seat: &Seat, newest: u64) -> Asked {
        let trouble = self.witnessed.trouble(&witness.name);
        let end = match (self.witnessed.newest_of(&witness.name), trouble) {
            (Some((checkpoint, by)), None) if seat.done >= Some(newest) => {
                AskEnd::Cosigned { size: checkpoint.size, time: by.time }
            }
            (_, Some(trouble)) if seat.rests(Instant::now()) => {
                AskEnd::Failed { code: trouble.code, why: trouble.why }
            }
            _ => AskEnd::Waiting,
        };
        Asked { witness: witness.name.clone(), end }
    }

    fn sleep<'a>(
        &self,
        state: MutexGuard<'a, State>,
        time: Option<Duration>,
    ) -> MutexGuard<'a, State> {
        match time {
            None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            Some(time) => {
                let waited = self.changed.wait_timeout(state, time);
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing that holds this lock can leave it half-changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
