use std::fmt;

use tokio::sync::watch;

/// Keeps requests waiting for as long as it lives.
///
/// Made by [`Provider::pause_token_requests`](crate::testing::Provider::pause_token_requests),
/// [`Provider::pause_api`](crate::testing::Provider::pause_api) and
/// [`Provider::pause_revocations`](crate::testing::Provider::pause_revocations). Dropping the last guard of
/// a kind lets every waiting request go, even if a new pause follows at once.
#[must_use = "dropping the guard releases the requests"]
pub struct PauseGuard {
    gate: watch::Sender<State>,
}

impl Drop for PauseGuard {
    fn drop(&mut self) {
        self.gate.send_modify(|state| {
            state.guards -= 1;
            if state.guards == 0 {
                state.openings += 1;
            }
        });
    }
}

impl fmt::Debug for PauseGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PauseGuard").finish_non_exhaustive()
    }
}

#[derive(Debug, Default)]
struct State {
    guards: usize,
    /// How often the last guard was dropped.
    openings: u64,
}

/// What requests pass through; closed while a [`PauseGuard`] lives.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    state: watch::Sender<State>,
}

impl Gate {
    pub(crate) fn pause(&self) -> PauseGuard {
        self.state.send_modify(|state| state.guards += 1);
        PauseGuard { gate: self.state.clone() }
    }

    /// Waits until the gate is open or has been open since the call.
    pub(crate) async fn pass(&self) {
        let mut watcher = self.state.subscribe();
        let arrived = watcher.borrow().openings;
        // The sender is in `self`, so the channel cannot be closed.
        let _ = watcher.wait_for(|state| state.guards == 0 || state.openings != arrived).await;
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future as _;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    #[test]
    fn waits_for_the_last_guard() {
        let gate = Gate::default();
        let (first, second) = (gate.pause(), gate.pause());
        let mut waiting = pin!(gate.pass());
        let mut context = Context::from_waker(Waker::noop());
        assert_eq!(waiting.as_mut().poll(&mut context), Poll::Pending);
        drop(first);
        assert_eq!(waiting.as_mut().poll(&mut context), Poll::Pending);
        drop(second);
        // A later pause is not for those who waited before.
        let _third = gate.pause();
        assert_eq!(waiting.as_mut().poll(&mut context), Poll::Ready(()));
        assert_eq!(pin!(gate.pass()).poll(&mut context), Poll::Pending);
    }
}
