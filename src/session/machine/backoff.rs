//! `Backoff`: the wait between attempts; exponential, with jitter.

use std::time::Duration;

/// The longest that a provider's `Retry-After` keeps us from asking.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(3600);

/// How many times longer than the longest wait the waits after responses grow that are not the provider's: to
/// five minutes by default.
const FOREIGN: u32 = 10;

/// Bounds of the wait between attempts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Backoff {
    pub(crate) shortest: Duration,
    pub(crate) longest: Duration,
}

/// Why a token request brought no token, as far as the next one is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum FailureClass {
    /// It may well work next time. With what the provider said in `Retry-After`.
    Transient(Option<Duration>),
    /// Not the provider's word: a page, an empty body, a redirect. Somebody may have to mend something, so the
    /// waits grow further. `in_doubt`: it was a success, so the refresh token may have been replaced.
    Foreign { in_doubt: bool, retry_after: Option<Duration> },
    /// Somebody has to mend something first: the client's configuration, or a grant that the provider
    /// refuses.
    Misconfigured,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { shortest: Duration::from_secs(1), longest: Duration::from_secs(30) }
    }
}

impl Backoff {
    /// The wait after the given number of failed attempts in a row.
    pub(crate) fn after(&self, class: FailureClass, attempts: u32, jitter: u32) -> Duration {
        match class {
            FailureClass::Transient(retry_after) => self
                .transient(attempts, jitter)
                .max(retry_after.unwrap_or_default().min(LONGEST_RETRY_AFTER)),
            FailureClass::Foreign { retry_after, .. } => {
                let longest = self.longest.saturating_mul(FOREIGN);
                between(self.shortest, doubled(self.shortest, longest, attempts), jitter)
                    .max(retry_after.unwrap_or_default().min(LONGEST_RETRY_AFTER))
            }
            FailureClass::Misconfigured => doubled(
                Duration::from_secs(60).max(self.shortest),
                Duration::from_secs(600).max(self.longest),
                attempts,
            ),
        }
    }

    pub(crate) fn transient(&self, attempts: u32, jitter: u32) -> Duration {
        between(self.shortest, doubled(self.shortest, self.longest, attempts), jitter)
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

    #[test]
    fn transient_waits_double_within_their_bounds() {
        let backoff = Backoff::default();
        for (attempts, longest) in
            [(1, 1), (2, 2), (3, 4), (5, 16), (6, 30), (40, 30), (u32::MAX, 30)]
        {
            let wait = |jitter| backoff.transient(attempts, jitter);
            assert_eq!(wait(0), Duration::from_secs(1), "{attempts}");
            assert_eq!(wait(u32::MAX), Duration::from_secs(longest), "{attempts}");
        }
    }

    #[test]
    fn waits_after_what_is_not_the_providers_word_grow_to_minutes() {
        for (attempts, longest) in [(1, 1), (2, 2), (6, 32), (9, 256), (10, 300), (u32::MAX, 300)] {
            for in_doubt in [false, true] {
                let class = FailureClass::Foreign { in_doubt, retry_after: None };
                let wait = |jitter| Backoff::default().after(class, attempts, jitter);
                assert_eq!(wait(0), Duration::from_secs(1), "{attempts}");
                assert_eq!(wait(u32::MAX), Duration::from_secs(longest), "{attempts}");
            }
        }
    }

    #[test]
    fn retry_after_goes_before_up_to_an_hour() {
        let after = |seconds| {
            let class = FailureClass::Transient(Some(Duration::from_secs(seconds)));
            Backoff::default().after(class, 1, 0)
        };
        assert_eq!(after(0), Duration::from_secs(1));
        assert_eq!(after(120), Duration::from_secs(120));
        assert_eq!(after(1_000_000), Duration::from_secs(3600));
    }

    #[test]
    fn a_misconfigured_client_asks_again_after_one_to_ten_minutes() {
        for (attempts, minutes) in [(1, 1), (2, 2), (4, 8), (5, 10), (99, 10)] {
            let wait = Backoff::default().after(FailureClass::Misconfigured, attempts, u32::MAX);
            assert_eq!(wait, Duration::from_secs(60 * minutes), "{attempts}");
        }
    }
}
