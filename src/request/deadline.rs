//! `Deadline`: when a request's own time is over.

use std::time::Duration;

use reqwest::Request;
use tokio::time::Instant;

/// When the request's own timeout ends, if it has one. It bounds all that is done for the request: the wait
/// for a token, each sending, and the renewal after a 401.
#[derive(Clone, Copy)]
pub(super) struct Deadline(Option<Instant>);

impl Deadline {
    /// Counts from now. A request without a timeout costs no reading of a clock.
    #[inline]
    pub(super) fn of(request: &Request) -> Self {
        Self(request.timeout().and_then(|timeout| Instant::now().checked_add(*timeout)))
    }

    /// How much time is left.
    pub(super) fn left(self) -> Option<Duration> {
        self.0.map(|at| at.saturating_duration_since(Instant::now()))
    }
}
