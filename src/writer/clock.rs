//! What the writer takes for the present.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::model::date::UnixMs;

/// Where `recorded_at` comes from.
#[derive(Clone, Debug)]
pub enum Clock {
    /// The machine's clock.
    System,
    /// A clock that stands still until it is set, so that a run can be repeated byte for byte.
    Manual(ManualClock),
}

impl Clock {
    /// The present.
    pub fn now(&self) -> UnixMs {
        match self {
            Self::System => {
                // Before 1970 is a clock that was never set.
                let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                UnixMs(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
            }
            Self::Manual(clock) => clock.now(),
        }
    }
}

/// A clock that stands still until it is set; its clones are the same clock.
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<AtomicU64>);

impl ManualClock {
    /// A clock that shows this moment.
    pub fn new(now: UnixMs) -> Self {
        Self(Arc::new(AtomicU64::new(now.0)))
    }

    /// Sets the clock.
    pub fn set(&self, now: UnixMs) {
        self.0.store(now.0, Ordering::SeqCst);
    }

    /// What it shows.
    pub fn now(&self) -> UnixMs {
        UnixMs(self.0.load(Ordering::SeqCst))
    }
}
