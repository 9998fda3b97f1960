//! `Deadline`: when a request's own time is over.

use std::time::Duration;

use tokio::time::Instant;

use super::request_options::Handling;
use super::stack::StackRequest;

/// When the request's own timeout ends, if it has one. It bounds all that is done for the request: the wait
/// for a token, each sending, and the renewal after a 401. The waits for a token may have a bound of their
/// own.
#[derive(Clone, Copy)]
pub(super) struct Deadline {
    at: Option<Instant>,
    wait_until: Option<Instant>,
}

impl Deadline {
    /// Counts from now. A request without a bound costs no reading of a clock.
    #[inline(always)]
    pub(super) fn of(request: &impl StackRequest, handling: &Handling) -> Self {
        let after = |time: Duration| Instant::now().checked_add(time);
        Self {
            at: request.timeout().and_then(after),
            wait_until: handling.longest_wait.and_then(after),
        }
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
        let until = [self.at, self.wait_until];
        until.into_iter().flatten().min().map(left_until)
    }
}

fn left_until(at: Instant) -> Duration {
    at.saturating_duration_since(Instant::now())
}
