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

/// The most that a stage takes at a time: 16 bundles and as many tiles share a commit then, far
/// below the store's limit.
pub(super) const BATCH: Size = Size { events: 4096, bytes: 8 << 20 };

/// A number of events, and their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Size {
    events: usize,
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
#[derive(Default)]
pub(super) struct Queues {
    /// Events as they came, for the gate.
    pub(super) submitted: Queue<SignedEvent>,
    /// Events that have passed the gate, for the sequencer.
    pub(super) checked: Queue<Box<Checked>>,
}

impl Queues {
    /// Stops both: whatever waits, and whatever comes, is answered so.
    pub(super) fn stop(&self, cause: Option<&Arc<LedgerError>>) {
        self.submitted.stop(cause);
        self.checked.stop(cause);
    }
}

/// The queue before a stage.
pub(super) struct Queue<E> {
    waiting: Mutex<Waiting<E>>,
    changed: Condvar,
}

struct Waiting<E> {
    jobs: VecDeque<Job<E>>,
    /// Nothing more is taken in; with a cause if the sequencer has stopped by itself.
    closed: bool,
    cause: Option<Arc<LedgerError>>,
}

impl<E> Default for Queue<E> {
    fn default() -> Self {
        let waiting = Waiting { jobs: VecDeque::new(), closed: false, cause: None };
        Self { waiting: Mutex::new(waiting), changed: Condvar::new() }
    }
}

impl<E> Queue<E> {
    /// Puts jobs at the end; if the queue is closed, they are answered so.
    pub(super) fn push(&self, jobs: impl IntoIterator<Item = Job<E>>) {
        let mut waiting = self.waiting();
        if !waiting.closed {
            waiting.jobs.extend(jobs);
            self.changed.notify_all();
            return;
        }
        let cause = waiting.cause.clone();
        drop(waiting);
        for job in jobs {
            job.answer.give(Err(Refused::Stopped { cause: cause.clone() }));
        }
    }

    /// Takes what waits, at most a [`BATCH`]; waits for the first, but not beyond `timeout`. `None`
    /// when closed and empty.
    pub(super) fn take(&self, timeout: Option<Duration>) -> Option<VecDeque<Job<E>>> {
        let mut waiting = self.waiting();
        let idle = |waiting: &mut Waiting<E>| waiting.jobs.is_empty() && !waiting.closed;
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
        let mut size = Size::default();
        let fit = waiting.jobs.iter().take_while(|job| {
            let sum = size.plus(job.answer.size(), BATCH);
            size = sum.unwrap_or(size);
            sum.is_some()
        });
        let count = fit.count();
        let jobs = waiting.jobs.drain(..count).collect();
        // For whoever waits in `until_empty`; there is nobody else who could mistake it.
        self.changed.notify_all();
        Some(jobs)
    }

    /// Waits until nothing waits here, or nothing more is taken in.
    pub(super) fn until_empty(&self) {
        let full = |waiting: &mut Waiting<E>| !waiting.jobs.is_empty() && !waiting.closed;
        drop(self.changed.wait_while(self.waiting(), full));
    }

    /// Takes nothing more in; what waits is still to be taken.
    pub(super) fn close(&self) {
        self.waiting().closed = true;
        self.changed.notify_all();
    }

    /// Takes nothing more in; whatever waits, and whatever comes, is answered so.
    pub(super) fn stop(&self, cause: Option<&Arc<LedgerError>>) {
        let jobs = {
            let mut waiting = self.waiting();
            waiting.closed = true;
            waiting.cause = waiting.cause.take().or(cause.cloned());
            std::mem::take(&mut waiting.jobs)
        };
        self.changed.notify_all();
        for job in jobs {
            job.answer.give(Err(Refused::Stopped { cause: cause.cloned() }));
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting<E>> {
        // Nothing that holds this lock can leave it half-changed.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
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
        let queue = Queue::<()>::default();
        let job = |bytes| {
            let place = Place { room: Arc::clone(&room), size: event(bytes) };
            room.take(place.size);
            Job { work: Work::Seal, answer: Answer::new(place, |_| ()) }
        };
        let third = BATCH.bytes / 3;
        queue.push([third, third, third, third, BATCH.bytes + 1, 0].map(job));
        let taken: Vec<usize> = (0..4).map(|_| queue.take(None).unwrap().len()).collect();
        assert_eq!(taken, [3, 1, 1, 1]);
        queue.push((0..BATCH.events + 1).map(|_| job(0)));
        assert_eq!(queue.take(None).unwrap().len(), BATCH.events);
        assert_eq!(queue.take(None).unwrap().len(), 1);
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
