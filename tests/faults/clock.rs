//! Time: tokio's paused time, and a wall clock beside it that can be put forward and back.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

const BEGINNING: i64 = 1_800_000_000;

#[derive(Clone)]
pub struct Clock {
    began: Instant,
    /// Seconds that the wall clock has been put forward.
    ahead: Arc<AtomicI64>,
}

impl Clock {
    pub fn new() -> Self {
        Self { began: Instant::now(), ahead: Arc::default() }
    }

    /// Since the schedule began; only ever grows.
    pub fn now(&self) -> Duration {
        self.began.elapsed()
    }

    /// What the session takes for the time of day.
    pub fn wall(&self) -> SystemTime {
        let seconds = BEGINNING + self.ahead.load(Ordering::Relaxed);
        UNIX_EPOCH + Duration::from_secs(u64::try_from(seconds).unwrap()) + self.now()
    }

    pub fn jump(&self, seconds: i64) {
        self.ahead.fetch_add(seconds, Ordering::Relaxed);
    }
}
