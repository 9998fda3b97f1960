//! `Limit`: how long a request to the provider may take, with all that is done for it.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::time::{Instant, timeout_at};

use crate::error::{BoxError, Error, Kind};

/// A request is sent only if at least this much is left to hear its answer, or a tenth of a shorter limit: the
/// answer may bring the only refresh token.
const LEAST_TIME: Duration = Duration::from_secs(3);

/// Ends at a moment; errors name the whole of it, however little of it is left.
#[derive(Clone, Copy)]
pub(super) struct Limit {
    chosen: Duration,
    ends_at: Instant,
}

impl Limit {
    /// `left`: what is left of `chosen`.
    pub(super) fn new(chosen: Duration, left: Duration) -> Self {
        let now = Instant::now();
        // Far enough away where the time cannot be added.
        let far = || now + Duration::from_secs(365 * 24 * 3600);
        Self { chosen, ends_at: now.checked_add(left).unwrap_or_else(far) }
    }

    /// Whether enough of it is left to send a request and to hear the answer.
    pub(super) fn has_room(self) -> bool {
        self.ends_at.saturating_duration_since(Instant::now()) >= LEAST_TIME.min(self.chosen / 10)
    }

    /// What came before the request took so long that nobody would hear the answer.
    pub(super) fn too_late(self) -> Error {
        let name = "the preparation of the request";
        Error::new(Kind::ClosureTimeout { name, limit: self.chosen })
    }

    /// Bounds an exchange with the provider: when the time is up, its response counts as lost.
    pub(super) async fn exchange<T>(
        self,
        endpoint: &'static str,
        exchange: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let late = || Error::new(Kind::Timeout { endpoint, limit: self.chosen });
        timeout_at(self.ends_at, exchange).await.unwrap_or_else(|_| Err(late()))
    }

    /// Bounds a closure of the application's that is asked before anything is sent. It may panic, or never
    /// end.
    pub(super) async fn closure<T>(
        self,
        name: &'static str,
        call: impl Future<Output = Result<T, BoxError>>,
    ) -> Result<T, Error> {
        match timeout_at(self.ends_at, AssertUnwindSafe(call).catch_unwind()).await {
            Ok(Ok(Ok(outcome))) => Ok(outcome),
            Ok(Ok(Err(source))) => Err(failed(name, source)),
            Ok(Err(_)) => Err(Error::new(Kind::Panicked(name))),
            Err(_) => Err(Error::new(Kind::ClosureTimeout { name, limit: self.chosen })),
        }
    }
}

/// What is wrong with a key or a setting is said as it is. Every other error of this crate is about a request
/// that the closure has made, maybe to another provider: it says nothing of this one, nor of the login.
fn failed(name: &'static str, source: BoxError) -> Error {
    match source.downcast::<Error>() {
        Ok(ours) if matches!(ours.kind(), Kind::Config(_) | Kind::Signing { .. }) => *ours,
        Ok(source) => Error::new(Kind::Closure { name, source }),
        Err(source) => Error::new(Kind::Closure { name, source }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_request_has_room_while_its_answer_can_be_heard() {
        let millis = Duration::from_millis;
        for (chosen, least) in [(30_000, 3000), (1000, 100), (300_000, 3000), (0, 0)] {
            let has_room = |left| Limit::new(millis(chosen), left).has_room();
            assert!(has_room(millis(chosen)) && has_room(millis(least)), "{chosen}");
            if let Some(less) = millis(least).checked_sub(Duration::from_nanos(1)) {
                assert!(!has_room(less), "{chosen}");
            }
        }
        assert!(Limit::new(Duration::MAX, Duration::MAX).has_room());
    }
}
