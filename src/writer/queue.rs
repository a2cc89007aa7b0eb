//! What is on its way through the writer: first in, first out, and bounded.
//!
//! Every event, from its submission to its answer, takes a [`Place`] in one [`Room`]. So the queues
//! between the stages need no bounds of their own, and whoever does not fit learns it at once.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::ledger::LedgerError;
use crate::model::entry::SignedEvent;
use crate::model::key::SecretKey;
use crate::model::signature::SIGNATURE_LEN;

use super::gate::Checked;
use super::{Accepted, Refused};

/// The most events on their way, and the most bytes of them; but for one that is alone.
const ROOM: Size = Size { events: 16_384, bytes: 64 << 20 };

/// The most that a stage takes at a time: enough that checking signatures together pays, and that
/// four bundles share a commit; so few that of 4,096 events both stages have work all the time.
pub(super) const BATCH: Size = Size { events: 1024, bytes: 8 << 20 };

/// The most of a list that is handed in before the first of it are answered.
pub(super) const SLICE: Size = Size { events: 4096, bytes: 8 << 20 };

/// A number of events, and their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) events: usize,
    bytes: usize,
}

impl Size {
    /// One event.
    pub(super) fn of(event: &SignedEvent) -> Self {
        Self { events: 1, bytes: event.frame.body.len() + event.signatures.len() * SIGNATURE_LEN }
    }

    /// No event, but an answer that somebody waits for.
    pub(super) const SEAL: Self = Self { events: 1, bytes: 0 };

    /// Both together, unless that is more than `most`; anything may be added to nothing.
    pub(super) fn plus(self, more: Self, most: Self) -> Option<Self> {
        let sum = Self { events: self.events + more.events, bytes: self.bytes + more.bytes };
        let fits = sum.events <= most.events && sum.bytes <= most.bytes;
        (fits || self.events == 0).then_some(sum)
    }
}

/// How much is on its way.
#[derive(Default)]
pub(super) struct Room {
    taken: Mutex<Taken>,
    left: Condvar,
}

#[derive(Default)]
struct Taken {
    size: Size,
    /// How many wait for a place.
    waiting: usize,
}

impl Room {
    /// Takes room if there is any, or says that there is none.
    pub(super) fn try_take(&self, size: Size) -> bool {
        let mut taken = self.taken();
        let sum = taken.size.plus(size, ROOM);
        taken.size = sum.unwrap_or(taken.size);
        sum.is_some()
    }

    /// Takes room as soon as there is some.
    pub(super) fn take(&self, size: Size) {
        let mut taken = self.taken();
        taken.waiting += 1;
        let full = |taken: &mut Taken| taken.size.plus(size, ROOM).is_none();
        taken = self.left.wait_while(taken, full).unwrap_or_else(PoisonError::into_inner);
        taken.waiting -= 1;
        taken.size.events += size.events;
        taken.size.bytes += size.bytes;
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        // Nothing that holds this lock can leave it half-changed.
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The room that one event takes, until this is dropped. It has been taken before.
pub(super) struct Place {
    pub(super) room: Arc<Room>,
    pub(super) size: Size,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.room.taken();
        taken.size.events -= self.size.events;
        taken.size.bytes -= self.size.bytes;
        if taken.waiting > 0 {
            self.room.left.notify_all();
        }
    }
}

/// Who waits for an answer, and the room that the event takes until then.
///
/// Nobody waits for ever: what is dropped without an answer, by a panic, answers
/// `Refused::Stopped`.
pub(super) struct Answer {
    then: Option<Then>,
    place: Option<Place>,
}

type Then = Box<dyn FnOnce(Result<Accepted, Refused>) + Send>;

impl Answer {
    pub(super) fn new(
        place: Place,
        then: impl FnOnce(Result<Accepted, Refused>) + Send + 'static,
    ) -> Self {
        Self { then: Some(Box::new(then)), place: Some(place) }
    }

    /// Answers, in this thread.
    pub(super) fn give(mut self, outcome: Result<Accepted, Refused>) {
        self.end(outcome);
    }

    fn end(&mut self, outcome: Result<Accepted, Refused>) {
        // First the room: whoever has the answer may submit the next at once.
        self.place = None;
        if let Some(then) = self.then.take() {
            then(outcome);
        }
    }

    fn size(&self) -> Size {
        self.place.as_ref().map_or_else(Size::default, |place| place.size)
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.end(Err(Refused::Stopped { cause: None }));
    }
}

/// Something to do, and who waits for it. `E` is an event in the form of the stage that is next.
pub(super) struct Job<E> {
    pub(super) work: Work<E>,
    pub(super) answer: Answer,
}

/// What is to be recorded.
pub(super) enum Work<E> {
    /// An event, with the operator's next key where it brings one in.
    Event(E, Option<Box<SecretKey>>),
    /// A seal, which only the sequencer can make.
    Seal,
}

/// The queues before the two stages.
///
/// The gate takes a whole [`BATCH`] as soon as there is one and nothing that it has checked waits;
/// less only when the sequencer has nothing to do. So one works while the other does; and the more
/// signatures are checked together, and events share a commit, the less each of them costs.
#[derive(Default)]
pub(super) struct Queues {
    state: Mutex<State>,
    for_gate: Condvar,
    for_sequencer: Condvar,
}

#[derive(Default)]
struct State {
    /// Events as they came, for the gate.
    submitted: Waiting<SignedEvent>,
    /// Events that have passed the gate, for the sequencer.
    checked: Waiting<Box<Checked>>,
    gate_waits: bool,
    sequencer_waits: bool,
    /// Why the sequencer has stopped by itself.
    cause: Option<Arc<LedgerError>>,
}

struct Waiting<E> {
    jobs: VecDeque<Job<E>>,
    /// Nothing more is taken in.
    closed: bool,
}

impl<E> Default for Waiting<E> {
    fn default() -> Self {
        Self { jobs: VecDeque::new(), closed: false }
    }
}

impl<E> Waiting<E> {
    /// Puts jobs at the end, or gives them back if the queue is closed.
    fn extend<J: IntoIterator<Item = Job<E>>>(&mut self, jobs: J) -> Option<J> {
        if self.closed {
            return Some(jobs);
        }
        self.jobs.extend(jobs);
        None
    }

    /// Takes what waits, at most a [`BATCH`].
    fn take(&mut self) -> VecDeque<Job<E>> {
        let mut size = Size::default();
        let fit = self.jobs.iter().take_while(|job| {
            let sum = size.plus(job.answer.size(), BATCH);
            size = sum.unwrap_or(size);
            sum.is_some()
        });
        let count = fit.count();
        self.jobs.drain(..count).collect()
    }
}

impl State {
    fn gate_may_take(&self) -> bool {
        let waiting = self.submitted.jobs.len();
        let worthwhile = self.sequencer_waits || waiting >= BATCH.events;
        self.submitted.closed || waiting > 0 && worthwhile && self.checked.jobs.is_empty()
    }

    fn sequencer_may_take(&self) -> bool {
        self.checked.closed || !self.checked.jobs.is_empty()
    }
}

impl Queues {
    /// Leaves work for the gate.
    pub(super) fn submit(&self, jobs: impl IntoIterator<Item = Job<SignedEvent>>) {
        self.put(jobs, |state| &mut state.submitted);
    }

    /// Leaves what has passed the gate for the sequencer.
    pub(super) fn pass(&self, jobs: Vec<Job<Box<Checked>>>) {
        self.put(jobs, |state| &mut state.checked);
    }

    /// Puts jobs at the end of a queue; if it is closed, they are answered so.
    fn put<E>(
        &self,
        jobs: impl IntoIterator<Item = Job<E>>,
        queue: impl FnOnce(&mut State) -> &mut Waiting<E>,
    ) {
        let mut state = self.state();
        let refused = queue(&mut state).extend(jobs);
        self.wake(&mut state);
        let cause = state.cause.clone();
        drop(state);
        for job in refused.into_iter().flatten() {
            job.answer.give(Err(Refused::Stopped { cause: cause.clone() }));
        }
    }

    /// What the gate is to do next; none when no more comes.
    pub(super) fn take_submitted(&self) -> Option<VecDeque<Job<SignedEvent>>> {
        let mut state = self.state();
        while !state.gate_may_take() {
            state.gate_waits = true;
            state = self.for_gate.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.gate_waits = false;
        Some(state.submitted.take()).filter(|jobs| !jobs.is_empty())
    }

    /// What the sequencer is to do next, perhaps nothing after `timeout`; none when no more comes.
    pub(super) fn take_checked(
        &self,
        timeout: Option<Duration>,
    ) -> Option<VecDeque<Job<Box<Checked>>>> {
        let mut state = self.state();
        state.sequencer_waits = !state.sequencer_may_take();
        self.wake(&mut state);
        let idle = |state: &mut State| !state.sequencer_may_take();
        state = match timeout {
            None => {
                let waited = self.for_sequencer.wait_while(state, idle);
                waited.unwrap_or_else(PoisonError::into_inner)
            }
            Some(timeout) => {
                let waited = self.for_sequencer.wait_timeout_while(state, timeout, idle);
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
        };
        state.sequencer_waits = false;
        if state.checked.jobs.is_empty() && state.checked.closed {
            return None;
        }
        let jobs = state.checked.take();
        self.wake(&mut state);
        Some(jobs)
    }

    /// Takes nothing more in; what waits is still to be done.
    pub(super) fn close(&self) {
        let mut state = self.state();
        state.submitted.closed = true;
        self.wake(&mut state);
    }

    /// The gate ends: nothing more passes it, and what has passed is still to be done.
    pub(super) fn close_gate(&self) {
        let mut state = self.state();
        (state.submitted.closed, state.checked.closed) = (true, true);
        let submitted = std::mem::take(&mut state.submitted.jobs);
        self.wake(&mut state);
        drop(state);
        submitted
            .into_iter()
            .for_each(|job| job.answer.give(Err(Refused::Stopped { cause: None })));
    }

    /// The sequencer ends: whatever waits, and whatever comes, is answered so.
    pub(super) fn stop(&self, cause: Option<&Arc<LedgerError>>) {
        let mut state = self.state();
        (state.submitted.closed, state.checked.closed) = (true, true);
        state.cause = state.cause.take().or(cause.cloned());
        let submitted = std::mem::take(&mut state.submitted.jobs);
        let checked = std::mem::take(&mut state.checked.jobs);
        self.wake(&mut state);
        drop(state);
        let answers = submitted.into_iter().map(|job| job.answer);
        for answer in answers.chain(checked.into_iter().map(|job| job.answer)) {
            answer.give(Err(Refused::Stopped { cause: cause.cloned() }));
        }
    }

    /// Wakes whoever waits for what is there now.
    fn wake(&self, state: &mut State) {
        if state.gate_waits && state.gate_may_take() {
            state.gate_waits = false;
            self.for_gate.notify_one();
        }
        if state.sequencer_waits && state.sequencer_may_take() {
            self.for_sequencer.notify_one();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing that holds this lock can leave it half-changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(bytes: usize) -> Size {
        Size { events: 1, bytes }
    }

    #[test]
    fn room_is_bounded_by_events_and_by_bytes() {
        let room = Arc::new(Room::default());
        assert!(room.try_take(Size { events: ROOM.events, bytes: 0 }));
        assert!(!room.try_take(event(0)));
        drop(Place { room: Arc::clone(&room), size: Size { events: ROOM.events, bytes: 0 } });

        let half = event(ROOM.bytes / 2);
        assert!(room.try_take(half) && room.try_take(half));
        assert!(!room.try_take(event(1)));
        assert!(room.try_take(event(0)));
        drop(Place { room: Arc::clone(&room), size: half });
        assert!(room.try_take(event(1)));
        assert!(!room.try_take(half));
    }

    #[test]
    fn what_is_larger_than_the_room_gets_in_alone() {
        let room = Arc::new(Room::default());
        let huge = event(ROOM.bytes + 1);
        assert!(room.try_take(huge));
        assert!(!room.try_take(event(0)));
        drop(Place { room: Arc::clone(&room), size: huge });
        assert!(room.try_take(event(0)));
        assert!(!room.try_take(huge));
    }

    #[test]
    fn a_batch_ends_before_the_event_that_is_too_many() {
        let room = Arc::new(Room::default());
        let mut queue = Waiting::<()>::default();
        let job = |bytes| {
            let place = Place { room: Arc::clone(&room), size: event(bytes) };
            room.take(place.size);
            Job { work: Work::Seal, answer: Answer::new(place, |_| ()) }
        };
        let third = BATCH.bytes / 3;
        queue.jobs.extend([third, third, third, third, BATCH.bytes + 1, 0].map(job));
        let taken: Vec<usize> = (0..4).map(|_| queue.take().len()).collect();
        assert_eq!(taken, [3, 1, 1, 1]);
        queue.jobs.extend((0..BATCH.events + 1).map(|_| job(0)));
        assert_eq!(queue.take().len(), BATCH.events);
        assert_eq!(queue.take().len(), 1);
    }

    fn seals<E>(room: &Arc<Room>, count: usize) -> Vec<Job<E>> {
        let seal = |_| {
            let place = Place { room: Arc::clone(room), size: Size::SEAL };
            room.take(place.size);
            Job { work: Work::Seal, answer: Answer::new(place, |_| ()) }
        };
        (0..count).map(seal).collect()
    }

    #[test]
    fn the_gate_takes_less_than_a_batch_only_while_the_sequencer_waits() {
        let (queues, room) = (Queues::default(), Arc::new(Room::default()));
        queues.submit(seals(&room, BATCH.events - 1));
        assert!(!queues.state().gate_may_take());
        queues.submit(seals(&room, 2));
        assert_eq!(queues.take_submitted().unwrap().len(), BATCH.events);
        assert!(!queues.state().gate_may_take());

        let long = Some(Duration::from_secs(60));
        let (submitted, checked) = std::thread::scope(|scope| {
            let sequencer = scope.spawn(|| queues.take_checked(long).unwrap().len());
            let submitted = queues.take_submitted().unwrap().len();
            queues.pass(seals(&room, 3));
            (submitted, sequencer.join().unwrap())
        });
        assert_eq!((submitted, checked), (1, 3));

        // Nor does it run ahead of the sequencer by more than a batch.
        queues.pass(seals(&room, 1));
        queues.submit(seals(&room, BATCH.events));
        assert!(!queues.state().gate_may_take());
        assert_eq!(queues.take_checked(None).unwrap().len(), 1);
        assert_eq!(queues.take_submitted().unwrap().len(), BATCH.events);
    }

    #[test]
    fn what_waits_when_nothing_more_comes_is_still_done() {
        let (queues, room) = (Queues::default(), Arc::new(Room::default()));
        queues.submit(seals(&room, 2));
        queues.pass(seals(&room, 1));
        queues.close();
        assert_eq!(queues.take_submitted().unwrap().len(), 2);
        assert!(queues.take_submitted().is_none());
        queues.close_gate();
        assert_eq!(queues.take_checked(None).unwrap().len(), 1);
        assert!(queues.take_checked(None).is_none());
    }

    #[test]
    fn an_answer_that_is_dropped_says_stopped() {
        let room = Arc::new(Room::default());
        let (send, answers) = std::sync::mpsc::channel();
        let place = Place { room: Arc::clone(&room), size: event(ROOM.bytes) };
        room.take(place.size);
        let answer = Answer::new(place, move |outcome: Result<Accepted, Refused>| {
            send.send(outcome.unwrap_err().code()).unwrap();
        });
        drop(answer);
        assert_eq!(answers.iter().collect::<Vec<_>>(), ["writer/stopped"]);
        assert!(room.try_take(event(ROOM.bytes)));
    }
}
