//! What a witness's thread is to do next: a plain calculation, apart from threads and sockets.

use std::time::{Duration, Instant};

use crate::ledger::Trouble;

/// A witness that has failed is asked again after so long, and after twice as long each time.
const REST_MIN: Duration = Duration::from_secs(10);
/// A witness that fails is asked again after so long at the latest.
const REST_MAX: Duration = Duration::from_secs(3600);

/// How far asking one witness has come.
#[derive(Clone, Debug, Default)]
pub(super) struct Seat {
    /// The size of the newest checkpoint that it has cosigned since this was opened; none: it has
    /// not answered yet.
    pub(super) done: Option<u64>,
    /// It is left alone until then.
    pub(super) rests_until: Option<Instant>,
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Ask for the sealed checkpoint.
    Sealed,
    /// Ask for the checkpoint of the round.
    Round,
    /// Wait until then, or until something happens.
    Until(Option<Instant>),
}

impl Seat {
    /// A witness with what is remembered of it from earlier. One that contradicted the log does not
    /// rest: whoever opens an older copy a second time is told so a second time.
    pub(super) fn new(trouble: Option<&Trouble>, unix_seconds: u64, now: Instant) -> Self {
        let failed = trouble.filter(|trouble| !trouble.contradicts());
        let rests_until = failed.and_then(|trouble| {
            let rest = rest(trouble.failures);
            let since = Duration::from_secs(unix_seconds.saturating_sub(trouble.at_unix_seconds));
            (since < rest).then(|| now + (rest - since))
        });
        Self { done: None, rests_until }
    }

    /// Whether it is left alone for now.
    pub(super) fn rests(&self, now: Instant) -> bool {
        self.rests_until.is_some_and(|until| now < until)
    }

    /// What to do next, given the sizes of the round's checkpoint and of the sealed one.
    pub(super) fn next(&self, round: u64, sealed: Option<u64>, now: Instant) -> Next {
        if self.rests(now) {
            return Next::Until(self.rests_until);
        }
        let lacks = |size: u64| self.done.is_none_or(|done| done < size);
        match sealed {
            Some(sealed) if lacks(sealed) => Next::Sealed,
            _ if lacks(round) => Next::Round,
            _ => Next::Until(None),
        }
    }

    /// It has cosigned a checkpoint of this size.
    pub(super) fn cosigned(&mut self, size: u64) {
        self.done = self.done.max(Some(size));
        self.rests_until = None;
    }

    /// It has failed so many times, one after the other.
    pub(super) fn failed(&mut self, failures: u32, now: Instant) {
        self.rests_until = Some(now + rest(failures));
    }
}

/// 10 s, 20 s, 40 s, up to an hour.
fn rest(failures: u32) -> Duration {
    let doubled = 1u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX);
    REST_MIN.saturating_mul(doubled).min(REST_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trouble(failures: u32, at_unix_seconds: u64) -> Trouble {
        Trouble { failures, at_unix_seconds, code: String::new(), why: String::new() }
    }

    #[test]
    fn a_sealed_checkpoint_is_asked_for_first_and_each_only_once() {
        let now = Instant::now();
        let mut seat = Seat::default();
        assert_eq!(seat.next(10, Some(8), now), Next::Sealed);
        seat.cosigned(8);
        assert_eq!(seat.next(10, Some(8), now), Next::Round);
        seat.cosigned(10);
        assert_eq!(seat.next(10, Some(8), now), Next::Until(None));
        // What came late does not take it back.
        seat.cosigned(9);
        assert_eq!(seat.next(10, None, now), Next::Until(None));
        assert_eq!(seat.next(11, None, now), Next::Round);
    }

    #[test]
    fn who_fails_rests_longer_each_time_and_at_most_an_hour() {
        let now = Instant::now();
        let mut seat = Seat::default();
        let rests: Vec<u64> = (1..=11).map(|failures| rest(failures).as_secs()).collect();
        assert_eq!(rests, [10, 20, 40, 80, 160, 320, 640, 1280, 2560, 3600, 3600]);
        assert_eq!(rest(u32::MAX), REST_MAX);
        seat.failed(2, now);
        let until = now + Duration::from_secs(20);
        assert_eq!(seat.next(10, Some(10), now), Next::Until(Some(until)));
        assert_eq!(seat.next(10, None, until), Next::Round);
    }

    #[test]
    fn a_rest_goes_on_after_opening_again() {
        let now = Instant::now();
        let rests = |at| Seat::new(Some(&trouble(3, at)), 1000, now).rests_until;
        assert_eq!(rests(990), Some(now + Duration::from_secs(30)));
        assert_eq!(rests(960), None);
        // A clock that was put back makes no rest longer than it is.
        assert_eq!(rests(5000), Some(now + Duration::from_secs(40)));
        assert_eq!(Seat::new(None, 1000, now).rests_until, None);
    }

    #[test]
    fn who_contradicts_the_log_is_asked_again_at_each_opening() {
        let now = Instant::now();
        for code in ["ledger/behind-witness", "ledger/forked"] {
            let trouble = Trouble { code: code.to_owned(), ..trouble(3, 990) };
            assert_eq!(Seat::new(Some(&trouble), 1000, now).rests_until, None);
        }
    }
}
