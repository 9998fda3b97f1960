//! `Deadline`: when a request's own time is over.

use std::future::Future;
use std::time::Duration;

use tokio::time::Instant;

use super::request_options::Handling;
use super::stack::StackRequest;

/// When the request's own timeout ends, if it has one. It bounds all that is done for the request: the wait
/// for a token, each sending, and the renewal after a 401. The waits for a token may have a bound of their
/// own, which the time between them does not count for.
#[derive(Clone, Copy)]
pub(super) struct Deadline {
    at: Option<Instant>,
    wait_left: Option<Duration>,
}

impl Deadline {
    /// Counts from now. A request without a bound costs no reading of a clock.
    #[inline(always)]
    pub(super) fn of(request: &impl StackRequest, handling: &Handling) -> Self {
        let at = request.timeout().and_then(|time| Instant::now().checked_add(time));
        Self { at, wait_left: handling.longest_wait }
    }

    /// Counts the request's own time from now on.
    pub(super) fn begin_anew(&mut self, request: &impl StackRequest) {
        self.at = request.timeout().and_then(|time| Instant::now().checked_add(time));
    }

    /// How much time is left.
    pub(super) fn left(self) -> Option<Duration> {
        self.at.map(left_until)
    }

    /// How much time is left to wait for a token.
    pub(super) fn left_to_wait(self) -> Option<Duration> {
        [self.left(), self.wait_left].into_iter().flatten().min()
    }

    /// Waits for a token: the future is given how much time is left for that.
    pub(super) async fn wait<F: Future>(
        &mut self,
        begin: impl FnOnce(Option<Duration>) -> F,
    ) -> F::Output {
        let began = self.wait_left.map(|_| Instant::now());
        let output = begin(self.left_to_wait()).await;
        if let (Some(left), Some(began)) = (&mut self.wait_left, began) {
            *left = left.saturating_sub(began.elapsed());
        }
        output
    }
}

fn left_until(at: Instant) -> Duration {
    at.saturating_duration_since(Instant::now())
}
