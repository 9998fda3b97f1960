use std::fmt;

use tokio::sync::watch;

/// Keeps requests waiting for as long as it lives.
///
/// Made by [`Provider::hold`](super::Provider::hold) and
/// [`Provider::hold_api`](super::Provider::hold_api). Dropping the last hold of
/// a kind lets every waiting request go, even if a new hold follows at once.
#[must_use = "dropping a hold releases the requests"]
pub struct Hold {
    gate: watch::Sender<State>,
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.gate.send_modify(|state| {
            state.holds -= 1;
            if state.holds == 0 {
                state.openings += 1;
            }
        });
    }
}

impl fmt::Debug for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hold").finish_non_exhaustive()
    }
}

#[derive(Debug, Default)]
struct State {
    holds: usize,
    /// How often the last hold was dropped.
    openings: u64,
}

/// What requests pass through; closed while a [`Hold`] lives.
#[derive(Debug, Default)]
pub(super) struct Gate {
    state: watch::Sender<State>,
}

impl Gate {
    pub(super) fn hold(&self) -> Hold {
        self.state.send_modify(|state| state.holds += 1);
        Hold { gate: self.state.clone() }
    }

    /// Waits until the gate is open or has been open since the call.
    pub(super) async fn pass(&self) {
        let mut watcher = self.state.subscribe();
        let arrived = watcher.borrow().openings;
        // The sender is in `self`, so the channel cannot be closed.
        let _ = watcher.wait_for(|state| state.holds == 0 || state.openings != arrived).await;
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future as _;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    #[test]
    fn waits_for_the_last_hold() {
        let gate = Gate::default();
        let (first, second) = (gate.hold(), gate.hold());
        let mut waiting = pin!(gate.pass());
        let mut context = Context::from_waker(Waker::noop());
        assert_eq!(waiting.as_mut().poll(&mut context), Poll::Pending);
        drop(first);
        assert_eq!(waiting.as_mut().poll(&mut context), Poll::Pending);
        drop(second);
        // A later hold is not for those who waited before.
        let _third = gate.hold();
        assert_eq!(waiting.as_mut().poll(&mut context), Poll::Ready(()));
        assert_eq!(pin!(gate.pass()).poll(&mut context), Poll::Pending);
    }
}
