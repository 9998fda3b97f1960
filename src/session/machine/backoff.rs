//! `Backoff`: the wait between attempts; exponential, with jitter.

use std::time::Duration;

/// The longest that a provider's `Retry-After` keeps us from asking.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(3600);

/// After responses that may not come from the provider, the longest wait is this many times longer: five
/// minutes by default.
const FOREIGN: u32 = 10;

/// Bounds of the wait between attempts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Backoff {
    pub(crate) shortest: Duration,
    pub(crate) longest: Duration,
}

/// Why a token request brought no token, as far as it matters for the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum FailureClass {
    /// It may well work next time. With what the provider said in `Retry-After`.
    Transient(Option<Duration>),
    /// Perhaps not from the provider: a page, an empty body, a redirect. Somebody may have to fix something,
    /// so the waits grow longer. `in_doubt`: the status was a success, so the refresh token may have been
    /// replaced.
    Foreign { in_doubt: bool, retry_after: Option<Duration> },
    /// Somebody has to fix something first: the client's configuration, or a grant that the provider
    /// refuses. With what the provider said in `Retry-After`.
    Misconfigured(Option<Duration>),
    /// Nothing was sent: the configuration of this process has to be fixed first. Another one may renew.
    Local,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { shortest: Duration::from_secs(1), longest: Duration::from_secs(30) }
    }
}

impl Backoff {
    /// The wait after the given number of failed attempts in a row. Every wait is jittered, also the
    /// first one, so that sessions that failed together do not try again together.
    pub(crate) fn after(&self, class: FailureClass, attempts: u32, jitter: u32) -> Duration {
        let no_sooner = |wait: Duration| wait.max(self.shortest) + self.spread(attempts, jitter);
        match class {
            FailureClass::Transient(None) => self.transient(attempts, jitter),
            FailureClass::Transient(Some(retry_after)) => {
                no_sooner(retry_after.min(LONGEST_RETRY_AFTER))
            }
            FailureClass::Foreign { retry_after, .. } => {
                Self { longest: self.longest.saturating_mul(FOREIGN), ..*self }.after(
                    FailureClass::Transient(retry_after),
                    attempts,
                    jitter,
                )
            }
            FailureClass::Misconfigured(retry_after) => {
                let longest = Duration::from_secs(600).max(self.longest);
                let wait = doubled(Duration::from_secs(60), longest, attempts);
                no_sooner(wait.max(retry_after.unwrap_or_default().min(LONGEST_RETRY_AFTER)))
            }
            FailureClass::Local => self.after(FailureClass::Misconfigured(None), attempts, jitter),
        }
    }

    pub(crate) fn transient(&self, attempts: u32, jitter: u32) -> Duration {
        (self.shortest + self.spread(attempts, jitter)).min(self.longest.max(self.shortest))
    }

    /// What jitter adds to the shortest wait: at most the wait itself, doubled with each attempt.
    fn spread(&self, attempts: u32, jitter: u32) -> Duration {
        let longest = self.longest.saturating_sub(self.shortest);
        between(Duration::ZERO, doubled(self.shortest, longest, attempts), jitter)
    }
}

/// A wait between the two; `jitter` says where, from zero to `u32::MAX`. To the millisecond, as timers
/// are.
pub(super) fn between(shortest: Duration, longest: Duration, jitter: u32) -> Duration {
    let more = longest.saturating_sub(shortest).as_millis().try_into().unwrap_or(u64::MAX);
    let part = u128::from(more) * u128::from(jitter) / u128::from(u32::MAX);
    shortest + Duration::from_millis(part.try_into().unwrap_or(u64::MAX))
}

/// The shortest wait, doubled with each attempt after the first, up to the longest.
pub(super) fn doubled(shortest: Duration, longest: Duration, attempts: u32) -> Duration {
    let times = 1u32.checked_shl(attempts.saturating_sub(1)).unwrap_or(u32::MAX);
    shortest.saturating_mul(times).min(longest.max(shortest))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIDDLE: u32 = u32::MAX / 2 + 1;

    fn seconds(wait: Duration) -> f64 {
        wait.as_secs_f64()
    }

    #[test]
    fn waits_lie_between_the_shortest_and_one_that_doubles() {
        let backoff = Backoff::default();
        for (attempts, middle, longest) in [
            (1, 1.5, 2.0),
            (2, 2.0, 3.0),
            (3, 3.0, 5.0),
            (5, 9.0, 17.0),
            (6, 15.5, 30.0),
            (40, 15.5, 30.0),
            (u32::MAX, 15.5, 30.0),
        ] {
            let class = FailureClass::Transient(None);
            let wait = |jitter| seconds(backoff.after(class, attempts, jitter));
            assert_eq!((wait(0), wait(MIDDLE), wait(u32::MAX)), (1.0, middle, longest));
        }
    }

    #[test]
    fn waits_after_what_is_not_the_providers_word_grow_to_minutes() {
        for (attempts, longest) in [(1, 2), (2, 3), (6, 33), (9, 257), (10, 300), (u32::MAX, 300)] {
            for in_doubt in [false, true] {
                let class = FailureClass::Foreign { in_doubt, retry_after: None };
                let wait = |jitter| Backoff::default().after(class, attempts, jitter);
                assert_eq!(wait(0), Duration::from_secs(1), "{attempts}");
                assert_eq!(wait(u32::MAX), Duration::from_secs(longest), "{attempts}");
            }
        }
    }

    #[test]
    fn retry_after_comes_first_up_to_an_hour_and_jitter_on_top() {
        for (retry_after, attempts, shortest, longest) in [
            (0, 1, 1.0, 2.0),
            (1, 1, 1.0, 2.0),
            (120, 1, 120.0, 121.0),
            (120, 3, 120.0, 124.0),
            (120, 40, 120.0, 149.0),
            (1_000_000, 1, 3600.0, 3601.0),
        ] {
            let class = FailureClass::Transient(Some(Duration::from_secs(retry_after)));
            let after = |jitter| seconds(Backoff::default().after(class, attempts, jitter));
            assert_eq!((after(0), after(u32::MAX)), (shortest, longest), "{retry_after}");
        }
        // Also where the backoff itself is of one length.
        let second = Duration::from_secs(1);
        let backoff = Backoff { shortest: second, longest: second };
        assert_eq!(backoff.after(FailureClass::Transient(None), 1, u32::MAX), second);
        let class = FailureClass::Transient(Some(second * 120));
        assert_eq!(seconds(backoff.after(class, 1, u32::MAX)), 121.0);
    }

    #[test]
    fn a_misconfigured_client_asks_again_after_one_to_ten_minutes_and_jitter() {
        for (retry_after, attempts, shortest, longest) in [
            (None, 1, 60.0, 61.0),
            (None, 2, 120.0, 122.0),
            (None, 4, 480.0, 488.0),
            (None, 5, 600.0, 616.0),
            (None, 99, 600.0, 629.0),
            (Some(59), 1, 60.0, 61.0),
            (Some(300), 1, 300.0, 301.0),
            (Some(300), 4, 480.0, 488.0),
            (Some(1_000_000), 99, 3600.0, 3629.0),
        ] {
            let class = FailureClass::Misconfigured(retry_after.map(Duration::from_secs));
            let after = |jitter| seconds(Backoff::default().after(class, attempts, jitter));
            assert_eq!((after(0), after(u32::MAX)), (shortest, longest), "{attempts}");
        }
    }
}
