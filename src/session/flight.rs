//! Single flight: work that runs once, detached, for everyone who waits for it.
//!
//! Knows nothing of OAuth. The work is a task of its own: whoever waits holds a receiver, never
//! the work, so a waiter that is dropped takes nothing with it. If the task panics, waiters learn
//! it. If the runtime that carried it goes away, the sender goes with it, waiters see the channel
//! close, and one of them may launch anew: nobody hangs.
//!
//! Whether to launch or to join is the caller's to decide, under the caller's lock.

use std::future::Future;
use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use tokio::runtime::Handle;
use tokio::sync::watch;

/// Work under way, or just ended. Clones wait for the same outcome.
#[derive(Clone)]
pub(crate) struct Flight<T>(watch::Receiver<Option<Result<T, Crash>>>);

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
        let (landing, flight) = watch::channel(None);
        runtime.spawn(async move {
            // The work's state is behind locks that survive poisoning, or dies with it.
            let outcome = AssertUnwindSafe(work).catch_unwind().await;
            landing.send_replace(Some(outcome.map_err(|_| Crash::Panicked)));
        });
        Self(flight)
    }

    /// Whether an outcome is still to come.
    pub(crate) fn is_running(&self) -> bool {
        self.0.borrow().is_none() && self.0.has_changed().is_ok()
    }

    /// Waits for the outcome. Dropping the future leaves the work running.
    pub(crate) async fn landed(mut self) -> Result<T, Crash> {
        match self.0.wait_for(Option::is_some).await {
            Ok(outcome) => outcome.clone().unwrap_or(Err(Crash::CutOff)),
            Err(_) => Err(Crash::CutOff),
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
