//! How many a minute: a token bucket.

/// What one costs. A minute's allowance is earned by the second.
const COST: u64 = 60;

/// Holds the allowance of one minute at most.
#[derive(Debug)]
pub(super) struct Bucket {
    /// In parts of which one costs [`COST`].
    credit: u64,
    /// The latest second that was earned for.
    earned_to: u64,
}

impl Bucket {
    /// Holds all that it can.
    pub(super) fn full() -> Self {
        Self { credit: u64::MAX, earned_to: 0 }
    }

    /// Takes one, or says after how many seconds there will be one. A clock that goes back earns
    /// nothing until it is where it was.
    pub(super) fn take(&mut self, per_minute: u32, now_unix_seconds: u64) -> Result<(), u64> {
        let rate = u64::from(per_minute);
        let seconds = now_unix_seconds.saturating_sub(self.earned_to);
        self.earned_to = self.earned_to.max(now_unix_seconds);
        let earned = seconds.saturating_mul(rate);
        self.credit = self.credit.saturating_add(earned).min(rate * COST);
        if self.credit < COST {
            return Err((COST - self.credit).div_ceil(rate));
        }
        self.credit -= COST;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minutes_allowance_then_one_as_often_as_it_is_earned() {
        let mut bucket = Bucket::full();
        let mut take = |now| bucket.take(3, now);
        // Three from the start; the next is earned after 60 / 3 = 20 seconds, and only then.
        assert_eq!([take(1000), take(1000), take(1000)], [Ok(()); 3]);
        assert_eq!(take(1000), Err(20));
        assert_eq!(take(1019), Err(1));
        assert_eq!(take(1020), Ok(()));
        assert_eq!(take(900), Err(20));
        // However long nothing was asked for, three are saved up.
        assert_eq!([take(9000), take(9000), take(9000)], [Ok(()); 3]);
        assert_eq!(take(9000), Err(20));
    }
}
