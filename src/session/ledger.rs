//! What a session remembers between renewals: the flight under way, a token not yet in use, the
//! last failure.
//!
//! Held behind one `std::sync::Mutex`, for a few instructions at a time, never across an await.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::Snapshot;
use super::flight::Flight;
use crate::error::{Error, RetryClass};
use crate::jitter::between;
use crate::token::Token;

/// The longest that a provider's `Retry-After` keeps us from asking.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(3600);

/// `None`: another token took the place of the one the flight was for.
pub(crate) type Landing = Result<Option<Arc<Snapshot>>, Error>;

#[derive(Default)]
pub(crate) struct Ledger {
    pub(crate) flight: Option<Flight<Landing>>,
    /// A token that is the session's next, but not yet in use: its save has not ended. A flight
    /// that was cut off leaves it here for the next one, which then presents no refresh token.
    pub(crate) received: Option<Received>,
    /// Boxed, as is what `quiet` holds: most sessions never have any.
    pub(crate) failure: Option<Box<Failure>>,
    /// An answer to the present refresh token was lost, or is still to come.
    pub(crate) lost_answer: bool,
    /// Raised by each token that the application sets; a flight of an older one is void.
    pub(crate) epoch: u64,
    pub(crate) quiet: Quiet,
}

/// A token on its way to being used.
#[derive(Clone)]
pub(crate) struct Received {
    pub(crate) token: Arc<Token>,
    pub(crate) from: Source,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// The application set it.
    Application,
    /// A renewal brought it.
    Renewal,
}

/// A failed renewal, remembered until the next attempt is permitted.
pub(crate) struct Failure {
    pub(crate) error: Error,
    /// Failed attempts in a row.
    pub(crate) attempts: u32,
    /// When the next attempt is permitted; `None`: not before a new token is set.
    pub(crate) retry_at: Option<Instant>,
}

impl Ledger {
    /// The failure that forbids an attempt now.
    pub(crate) fn forbidding(&self) -> Option<&Failure> {
        self.failure
            .as_deref()
            .filter(|failure| failure.retry_at.is_none_or(|at| Instant::now() < at))
    }

    /// Forgets what led to the token that is now in use.
    pub(crate) fn landed(&mut self) {
        self.flight = None;
        self.received = None;
        self.failure = None;
        self.lost_answer = false;
    }

    /// Remembers a failed attempt. Where siblings may bring a new token, even a final failure is
    /// looked into again.
    pub(crate) fn fail(&mut self, error: Error, backoff: &Backoff, siblings: bool) {
        let attempts =
            self.failure.as_ref().map_or(0, |failure| failure.attempts).saturating_add(1);
        let wait = match error.retry_class() {
            RetryClass::Permanent => siblings.then_some(backoff.shortest),
            RetryClass::Misconfigured => Some(backoff.misconfigured(attempts)),
            RetryClass::Transient => Some(
                backoff
                    .transient(attempts)
                    .max(error.retry_after().unwrap_or_default().min(LONGEST_RETRY_AFTER)),
            ),
        };
        let retry_at = wait.map(|wait| Instant::now() + wait);
        self.failure = Some(Box::new(Failure { error, attempts, retry_at }));
    }
}

/// Bounds of the wait between attempts; exponential, with jitter.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Backoff {
    pub(crate) shortest: Duration,
    pub(crate) longest: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { shortest: Duration::from_secs(1), longest: Duration::from_secs(30) }
    }
}

impl Backoff {
    pub(crate) fn transient(&self, attempts: u32) -> Duration {
        between(self.shortest, doubled(self.shortest, self.longest, attempts))
    }

    /// Somebody has to mend something first: a minute, up to ten.
    fn misconfigured(&self, attempts: u32) -> Duration {
        doubled(
            Duration::from_secs(60).max(self.shortest),
            Duration::from_secs(600).max(self.longest),
            attempts,
        )
    }
}

/// The shortest wait, doubled with each attempt after the first, up to the longest.
fn doubled(shortest: Duration, longest: Duration, attempts: u32) -> Duration {
    let times = 1u32.checked_shl(attempts.saturating_sub(1)).unwrap_or(u32::MAX);
    shortest.saturating_mul(times).min(longest.max(shortest))
}

/// Keeps 401s from renewing, after a renewal has not helped against them.
#[derive(Default)]
pub(crate) struct Quiet(Option<Box<Period>>);

struct Period {
    until: Instant,
    times: u32,
    /// The token whose rejection brought it about.
    generation: u64,
}

impl Quiet {
    pub(crate) fn is_on(&self) -> bool {
        self.0.as_ref().is_some_and(|period| Instant::now() < period.until)
    }

    /// Whether it was brought about by that token, be it over or not.
    pub(crate) fn was_for(&self, generation: u64) -> bool {
        self.0.as_ref().is_some_and(|period| period.generation == generation)
    }

    /// A minute, doubled each time in a row, up to an hour. Whether it begins with that.
    pub(crate) fn extend(&mut self, generation: u64) -> bool {
        let begins = !self.is_on();
        if begins {
            let times = self.0.as_ref().map_or(0, |period| period.times).saturating_add(1);
            let wait = doubled(Duration::from_secs(60), Duration::from_secs(3600), times);
            let until = Instant::now() + wait;
            self.0 = Some(Box::new(Period { until, times, generation }));
        }
        begins
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{ErrorResponse, Kind};
    use http::StatusCode;

    fn refused(status: u16, retry_after: Option<u64>) -> Error {
        Error::new(Kind::Refused(ErrorResponse {
            endpoint: "token endpoint",
            status: Some(StatusCode::from_u16(status).unwrap()),
            code: (status == 401).then(|| "invalid_client".to_owned()),
            description: None,
            uri: None,
            retry_after: retry_after.map(Duration::from_secs),
        }))
    }

    fn waits(ledger: &Ledger) -> Option<Duration> {
        ledger.failure.as_ref().unwrap().retry_at.map(|at| at - Instant::now())
    }

    #[tokio::test(start_paused = true)]
    async fn backoff_doubles_within_its_bounds_and_honours_retry_after() {
        let backoff = Backoff::default();
        let mut ledger = Ledger::default();
        for expected in [1, 2, 4, 8, 16, 30, 30] {
            ledger.fail(refused(503, None), &backoff, false);
            let wait = waits(&ledger).unwrap();
            assert!(
                wait >= Duration::from_secs(1) && wait <= Duration::from_secs(expected),
                "{wait:?} {expected}"
            );
        }
        ledger.fail(refused(429, Some(120)), &backoff, false);
        assert_eq!(waits(&ledger), Some(Duration::from_secs(120)));
        ledger.fail(refused(429, Some(1_000_000)), &backoff, false);
        assert_eq!(waits(&ledger), Some(LONGEST_RETRY_AFTER));
        // A success in between begins the count anew.
        ledger.landed();
        assert!(ledger.failure.is_none());
        ledger.fail(refused(503, None), &backoff, false);
        assert_eq!(waits(&ledger), Some(Duration::from_secs(1)));
        ledger.fail(refused(400, None), &backoff, false);
        assert_eq!(waits(&ledger), None);
        assert!(ledger.forbidding().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_misconfigured_client_asks_again_after_a_minute_and_not_sooner() {
        let mut ledger = Ledger::default();
        ledger.fail(refused(401, None), &Backoff::default(), false);
        tokio::time::advance(Duration::from_secs(59)).await;
        assert!(ledger.forbidding().is_some());
        tokio::time::advance(Duration::from_secs(2)).await;
        assert!(ledger.forbidding().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn quiet_lasts_a_minute_then_two() {
        let mut quiet = Quiet::default();
        assert!(!quiet.is_on());
        for minutes in [1, 2, 4, 8, 16, 32, 60, 60] {
            quiet.extend(minutes);
            quiet.extend(99);
            assert!(quiet.was_for(minutes) && !quiet.was_for(99));
            tokio::time::advance(Duration::from_secs(60 * minutes - 1)).await;
            assert!(quiet.is_on(), "{minutes}");
            tokio::time::advance(Duration::from_secs(2)).await;
            assert!(!quiet.is_on(), "{minutes}");
        }
    }
}
