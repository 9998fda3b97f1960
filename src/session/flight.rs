//! Single flight: work that runs once, detached, for everyone who waits for it.
//!
//! Knows nothing of OAuth. The work is a task of its own: whoever waits holds the cell for its
//! outcome, never the work, so a waiter that is dropped takes nothing with it. If the task panics,
//! waiters learn it. If the runtime that carried it goes away, it drops the work, which leaves word of
//! that in the cell, and one of the waiters may launch anew: nobody hangs. Waiters wake in the order
//! in which they came.
//!
//! Whether to launch or to join is the caller's to decide, under the caller's lock.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, OnceLock};

use futures_util::FutureExt;
use tokio::runtime::Handle;
use tokio::sync::Notify;

/// Work under way, or just ended. Clones wait for the same outcome.
#[derive(Clone)]
pub(crate) struct Flight<T>(Arc<Cell<T>>);

struct Cell<T> {
    outcome: OnceLock<Result<T, Crash>>,
    landed: Notify,
}

/// The work's end of the cell: with it, the flight is over.
struct End<T>(Arc<Cell<T>>);

impl<T> Drop for End<T> {
    fn drop(&mut self) {
        // Refused where there is an outcome.
        let _ = self.0.outcome.set(Err(Crash::CutOff));
        self.0.landed.notify_waiters();
    }
}

/// Why a flight ended without an outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Crash {
    /// The work panicked.
    Panicked,
    /// The runtime that carried the work is gone.
    CutOff,
}

impl<T: Clone + Send + Sync + 'static> Flight<T> {
    /// Starts the work on the runtime. It is not polled before this returns.
    pub(crate) fn launch(runtime: &Handle, work: impl Future<Output = T> + Send + 'static) -> Self {
        let cell = Arc::new(Cell { outcome: OnceLock::new(), landed: Notify::new() });
        let end = End(cell.clone());
        runtime.spawn(async move {
            // The work's state is behind locks that survive poisoning, or dies with it.
            let outcome = AssertUnwindSafe(work).catch_unwind().await;
            let _ = end.0.outcome.set(outcome.map_err(|_| Crash::Panicked));
        });
        Self(cell)
    }

    /// Whether an outcome is still to come.
    pub(crate) fn is_running(&self) -> bool {
        self.0.outcome.get().is_none()
    }

    /// Waits for the outcome. Dropping the future leaves the work running.
    pub(crate) async fn landed(self) -> Result<T, Crash> {
        loop {
            // From here on it is woken, also by what comes before it is polled.
            let landed = self.0.landed.notified();
            if let Some(outcome) = self.0.outcome.get() {
                return outcome.clone();
            }
            landed.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};
    use tokio::sync::Notify;

    #[tokio::test]
    async fn everyone_shares_the_one_outcome() {
        let (gate, runs) = (Arc::new(Notify::new()), Arc::new(AtomicU32::new(0)));
        let flight = Flight::launch(&Handle::current(), {
            let (gate, runs) = (gate.clone(), runs.clone());
            async move {
                gate.notified().await;
                runs.fetch_add(1, Ordering::SeqCst)
            }
        });
        assert!(flight.is_running());
        let waiters: Vec<_> = (0..100).map(|_| tokio::spawn(flight.clone().landed())).collect();
        gate.notify_one();
        for waiter in waiters {
            assert_eq!(waiter.await.unwrap(), Ok(0));
        }
        assert!(!flight.is_running());
        assert_eq!(flight.landed().await, Ok(0));
    }

    #[tokio::test]
    async fn goes_on_when_every_waiter_is_dropped() {
        let (gate, done) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let flight = Flight::launch(&Handle::current(), {
            let (gate, done) = (gate.clone(), done.clone());
            async move {
                gate.notified().await;
                done.notify_one();
            }
        });
        assert!(flight.clone().landed().now_or_never().is_none());
        drop(flight);
        gate.notify_one();
        done.notified().await;
    }

    #[tokio::test]
    async fn a_panic_reaches_the_waiters() {
        let flight: Flight<()> = Flight::launch(&Handle::current(), async { panic!("on purpose") });
        assert_eq!(flight.clone().landed().await, Err(Crash::Panicked));
        assert!(!flight.is_running());
    }

    #[test]
    fn a_runtime_that_goes_away_cuts_the_flight_off() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let flight: Flight<()> = Flight::launch(runtime.handle(), std::future::pending());
        assert!(flight.is_running());
        drop(runtime);
        assert!(!flight.is_running());
        assert_eq!(flight.landed().now_or_never().unwrap(), Err(Crash::CutOff));
    }
}
