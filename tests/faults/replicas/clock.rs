//! Time, for several runtimes: one monotonic clock for all, and a wall clock for each process.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::runtime::Handle;
use tokio::time::Instant;

/// So many processes at most.
pub const PROCESSES: usize = 3;
const BEGINNING: u64 = 1_800_000_000;

#[derive(Clone, Default)]
pub struct Clock(Arc<Inner>);

#[derive(Default)]
struct Inner {
    /// Where the schedule begins on the runtimes' clocks.
    origin: OnceLock<Instant>,
    /// How far all runtimes have come, in milliseconds.
    reached: AtomicU64,
    /// Seconds that the wall clock of each process has been put forward.
    ahead: [AtomicI64; PROCESSES],
}

impl Clock {
    /// Since the schedule began. Within a runtime by that one's clock, which may be a little ahead.
    pub fn now(&self) -> Duration {
        match self.0.origin.get() {
            Some(origin) if Handle::try_current().is_ok() => {
                Instant::now().saturating_duration_since(*origin)
            }
            _ => self.reached(),
        }
    }

    pub fn reached(&self) -> Duration {
        Duration::from_millis(self.0.reached.load(Ordering::Relaxed))
    }

    pub fn reach(&self, time: Duration) {
        self.0.reached.store(time.as_millis().try_into().unwrap(), Ordering::Relaxed);
    }

    /// The instant on the runtimes' clocks. The first runtime says where they begin: long after it was
    /// built, so that every later one can be moved there.
    pub fn instant(&self, time: Duration) -> Instant {
        *self.0.origin.get_or_init(|| Instant::now() + Duration::from_secs(3600)) + time
    }

    pub fn wall(&self, process: usize) -> SystemTime {
        let seconds = self.0.ahead[process].load(Ordering::Relaxed);
        let seconds = BEGINNING.saturating_add_signed(seconds);
        UNIX_EPOCH + Duration::from_secs(seconds) + self.now()
    }

    /// Puts the wall clock forward or back; never by more than the limit in all.
    pub fn jump(&self, process: usize, seconds: i64, limit: i64) {
        let ahead = &self.0.ahead[process];
        let moved = ahead.load(Ordering::Relaxed) + seconds;
        ahead.store(moved.clamp(-limit, limit), Ordering::Relaxed);
    }
}
