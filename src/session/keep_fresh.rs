//! Renewal while idle: a task that sleeps until the token is due.
//!
//! While it sleeps it holds the session only weakly; the renewal runs in the session's worker. The
//! deadline is wall-clock time and a sleep is not, so it looks again at least every half minute: a
//! machine may have been suspended.

use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep, sleep_until};

use super::driver::Driver;
use super::machine::{Stage, Target};

const LONGEST_SLEEP: Duration = Duration::from_secs(30);
/// When a sleep ends, the clock may have passed the due time by little.
const SHORTEST_SLEEP: Duration = Duration::from_millis(10);

/// Keeps a session's token fresh while there are no requests, until it is dropped; from
/// [`Session::keep_fresh`](crate::Session::keep_fresh). Dropping it does not stop a running
/// renewal.
#[must_use = "the token is kept fresh until this is dropped"]
pub struct KeepFreshGuard(AbortHandle);

impl KeepFreshGuard {
    pub(super) fn start(
        driver: &Arc<Driver>,
        target: &Target,
        runtime: &tokio::runtime::Handle,
    ) -> Self {
        let task = keep_fresh(Arc::downgrade(driver), target.clone());
        Self(runtime.spawn(task).abort_handle())
    }
}

impl Drop for KeepFreshGuard {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl fmt::Debug for KeepFreshGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeepFreshGuard").finish_non_exhaustive()
    }
}

async fn keep_fresh(driver: Weak<Driver>, target: Target) {
    loop {
        let (mut updates, wait) = {
            let Some(driver) = driver.upgrade() else { return };
            let mut updates = driver.subscribe();
            let wait = look(&driver, &target).await;
            if let Wait::For(_) = wait {
                // It looks again soon anyway, and what its own renewal brought is no news.
                updates.mark_unchanged();
            }
            (updates, wait)
        };
        // A token that the application sets ends the wait; so does the end of the session.
        tokio::select! {
            biased;
            changed = updates.changed() => if changed.is_err() { return },
            () = wait.over() => {}
        }
    }
}

/// What to wait for.
enum Wait {
    For(Duration),
    Until(Instant),
    /// For a new token.
    Update,
}

impl Wait {
    async fn over(self) {
        match self {
            Self::For(time) => sleep(time.clamp(SHORTEST_SLEEP, LONGEST_SLEEP)).await,
            Self::Until(instant) => sleep_until(instant.max(Instant::now() + SHORTEST_SLEEP)).await,
            Self::Update => std::future::pending().await,
        }
    }
}

/// Renews if it is time to, and says when to look again.
async fn look(driver: &Arc<Driver>, target: &Target) -> Wait {
    driver.resume();
    let present = driver.present(target);
    let now = driver.config.clock.now();
    let fresh = present.as_ref().filter(|present| present.freshness.stage(now) == Stage::Fresh);
    if let Some(fresh) = fresh {
        return Wait::For(fresh.freshness.due.duration_since(now).unwrap_or_default());
    }
    let settings = &driver.config.settings;
    let error = match driver.another(target, present.as_ref()).await {
        // If it is due already, the provider is not asked again at once.
        Ok(new) => {
            let left = new.freshness.due.duration_since(driver.config.clock.now());
            return Wait::For(left.unwrap_or(settings.backoff.shortest));
        }
        Err(error) => error,
    };
    let now = driver.now();
    match driver.peek(|machine| machine.retry_at(target, settings, &now)) {
        Some(None) => Wait::Update,
        // Another process may store the next login. The store is not asked all the time.
        Some(Some(_)) if error.is_reauthorization_required() => Wait::For(LONGEST_SLEEP),
        Some(Some(at)) => Wait::Until(Driver::instant(at)),
        // Nothing to renew with, or a runtime that is going away.
        None => Wait::For(LONGEST_SLEEP),
    }
}
