//! When a token is due for renewal, and when it may no longer be used: pure arithmetic.
//!
//! With a lifetime L (the deadline less the moment the request was sent; less the moment of
//! loading, where that is not known, as for most tokens that another program stored):
//!
//! - *lead* = L/5, at least 10 seconds, at most 5 minutes, and never more than L/2;
//!   *due* = deadline − lead, the lead jittered by a quarter either way;
//!   a lead that the application chose is at most L/2 too, but only of a lifetime that is known;
//! - *margin* = L/10, at most 10 seconds; *expired* = deadline − margin.
//!
//! The lead's floor is what a slow token endpoint may take: with a fifth alone, a token of 3
//! seconds would be renewed 0.15 to 0.45 s before it counts as expired, and requests would wait for
//! any endpoint that is slower. With the floor (half of 3 s here) the window is at least 0.8 s.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use chrono::{DateTime, Utc};

use super::machine::Stage;
use crate::clock;

/// An instant before every clock, also one that was never set.
fn always() -> SystemTime {
    UNIX_EPOCH.checked_sub(Duration::from_secs(300 * 365 * 24 * 3600)).unwrap_or(UNIX_EPOCH)
}

/// An instant that no clock reaches.
fn never() -> SystemTime {
    clock::to_time(DateTime::<Utc>::MAX_UTC) + Duration::from_secs(1)
}

/// Longer than any token lives; a jittered lead stays within a `Duration`.
const LONGEST_LEAD: Duration = Duration::from_secs(10_000 * 366 * 24 * 3600);

/// The earliest time before the end of a login at which a warning is given.
const LONGEST_WARNING: Duration = Duration::from_secs(24 * 3600);

/// How lead and margin are chosen.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Policy {
    /// In place of L/5 within 10 s and 5 min; still at most L/2, where L is known.
    pub(crate) lead: Option<Duration>,
    /// In place of 10 s; still at most L/10.
    pub(crate) margin: Option<Duration>,
}

/// The two instants that requests are measured against; `due <= expired`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Freshness {
    pub(crate) due: SystemTime,
    pub(crate) expired: SystemTime,
}

impl Freshness {
    /// Used until a 401: the lifetime is unknown.
    pub(crate) fn unlimited() -> Self {
        Self { due: never(), expired: never() }
    }

    /// Not to be used.
    pub(crate) fn expired() -> Self {
        Self { due: always(), expired: always() }
    }

    /// Of a token that nothing can renew: used until its deadline.
    pub(crate) fn until(deadline: DateTime<Utc>) -> Self {
        let deadline = clock::to_time(deadline);
        Self { due: deadline, expired: deadline }
    }

    /// Of a token that was `issued` then, as far as that is known, and lives to the deadline; `jitter` is in
    /// `-1.0..=1.0`.
    pub(crate) fn of(
        issued: Option<SystemTime>,
        now: SystemTime,
        deadline: DateTime<Utc>,
        policy: Policy,
        jitter: f64,
    ) -> Self {
        let deadline = clock::to_time(deadline);
        let Ok(life) = deadline.duration_since(issued.unwrap_or(now)) else {
            return Self::expired();
        };
        let lead = match policy.lead {
            // The rest of its life says nothing about the lifetime of the next token.
            Some(lead) if issued.is_none() => lead.min(LONGEST_LEAD),
            Some(lead) => lead.min(life / 2),
            None => {
                (life / 5).clamp(Duration::from_secs(10), Duration::from_secs(300)).min(life / 2)
            }
        };
        let lead = lead.mul_f64(1.0 + jitter.clamp(-1.0, 1.0) / 4.0);
        let margin = policy.margin.unwrap_or(Duration::from_secs(10)).min(life / 10);
        let expired = deadline - margin;
        Self { due: deadline.checked_sub(lead).unwrap_or_else(always).min(expired), expired }
    }

    pub(crate) fn stage(&self, now: SystemTime) -> Stage {
        if now < self.due {
            Stage::Fresh
        } else if now < self.expired {
            Stage::Due
        } else {
            Stage::Expired
        }
    }
}

/// Whether a login expires soon: in its last tenth, and the last day; or before the access token is due, so
/// that nothing renews it in time.
pub(crate) fn is_soon(
    deadline: SystemTime,
    lifetime: Option<Duration>,
    due: Option<SystemTime>,
    now: SystemTime,
) -> bool {
    let Ok(left) = deadline.duration_since(now) else { return false };
    let warning = lifetime.map_or(LONGEST_WARNING, |life| LONGEST_WARNING.min(life / 10));
    !left.is_zero() && (left <= warning || due.is_some_and(|due| deadline <= due))
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: u64 = 1_700_000_000;

    fn at(seconds: f64) -> SystemTime {
        let start = UNIX_EPOCH + Duration::from_secs(START);
        let by = Duration::from_secs_f64(seconds.abs());
        if seconds < 0.0 { start - by } else { start + by }
    }

    fn deadline(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(i64::try_from(START).unwrap() + seconds, 0).unwrap()
    }

    fn of(life: i64, jitter: f64) -> (f64, f64) {
        let freshness =
            Freshness::of(Some(at(0.0)), at(0.0), deadline(life), Policy::default(), jitter);
        let since = |time: SystemTime| time.duration_since(at(0.0)).unwrap().as_secs_f64();
        (since(freshness.due), since(freshness.expired))
    }

    #[test]
    fn due_and_expired_of_lifetimes_from_2_seconds_to_30_days() {
        for (life, due, expired) in [
            (2, 1.0, 1.8),
            (3, 1.5, 2.7),
            (20, 10.0, 18.0),
            (60, 48.0, 54.0),
            (100, 80.0, 90.0),
            (600, 480.0, 590.0),
            (1500, 1200.0, 1490.0),
            (3600, 3300.0, 3590.0),
            (2_592_000, 2_591_700.0, 2_591_990.0),
        ] {
            assert_eq!(of(life, 0.0), (due, expired), "{life}");
        }
    }

    #[test]
    fn jitter_moves_the_lead_by_a_quarter_either_way_and_nothing_else() {
        assert_eq!(of(3600, 1.0), (3600.0 - 375.0, 3590.0));
        assert_eq!(of(3600, -1.0), (3600.0 - 225.0, 3590.0));
        assert_eq!(of(3, 1.0), (3.0 - 1.875, 2.7));
        assert_eq!(of(3, -1.0), (3.0 - 1.125, 2.7));
        assert_eq!(of(3600, -9.0), of(3600, -1.0));
    }

    #[test]
    fn a_500_ms_endpoint_renews_a_3_second_token_before_it_expires_at_any_jitter() {
        let (due, expired) = of(3, -1.0);
        assert!(due + 0.5 < expired);
    }

    #[test]
    fn stages_change_at_the_nanosecond() {
        let freshness =
            Freshness::of(Some(at(0.0)), at(0.0), deadline(100), Policy::default(), 0.0);
        let ns = Duration::from_nanos(1);
        for (time, stage) in [
            (at(80.0) - ns, Stage::Fresh),
            (at(80.0), Stage::Due),
            (at(90.0) - ns, Stage::Due),
            (at(90.0), Stage::Expired),
            (at(1e9), Stage::Expired),
            (UNIX_EPOCH, Stage::Fresh),
        ] {
            assert_eq!(freshness.stage(time), stage, "{time:?}");
        }
    }

    #[test]
    fn own_lead_and_margin_stay_within_the_lifetime() {
        let of = |lead, margin| {
            let policy = Policy {
                lead: Some(Duration::from_secs(lead)),
                margin: Some(Duration::from_secs(margin)),
            };
            let freshness = Freshness::of(Some(at(0.0)), at(0.0), deadline(100), policy, 0.0);
            (freshness.due, freshness.expired)
        };
        assert_eq!(of(30, 5), (at(70.0), at(95.0)));
        assert_eq!(of(90, 90), (at(50.0), at(90.0)));
        assert_eq!(of(0, 5), (at(95.0), at(95.0)));
    }

    #[test]
    fn an_own_lead_is_kept_where_only_the_deadline_is_known() {
        let of = |issued, left, lead, jitter| {
            let policy = Policy { lead: Some(Duration::from_secs(lead)), margin: None };
            let freshness = Freshness::of(issued, at(0.0), deadline(left), policy, jitter);
            (freshness.due, freshness.expired)
        };
        assert_eq!(of(None, 60, 300, 0.0), (at(-240.0), at(54.0)));
        assert_eq!(of(None, 60, 300, 1.0), (at(-315.0), at(54.0)));
        assert_eq!(of(None, 600, 300, 0.0), (at(300.0), at(590.0)));
        assert_eq!(of(Some(at(-3540.0)), 60, 300, 0.0), (at(-240.0), at(50.0)));
        assert_eq!(of(Some(at(0.0)), 60, 300, 0.0), (at(30.0), at(54.0)));
        let (due, expired) = of(None, 60, u64::MAX, 1.0);
        assert_eq!(Freshness { due, expired }.stage(UNIX_EPOCH), Stage::Due);
    }

    #[test]
    fn a_login_expires_soon_from_the_nanosecond_on() {
        let (ns, day, hour) = (Duration::from_nanos(1), 86_400.0, Duration::from_secs(3600));
        let end = at(100.0 * day);
        let left = |seconds: f64| end - Duration::from_secs_f64(seconds);
        for (lifetime, due, since) in [
            (None, None, left(day)),
            (Some(hour), None, left(360.0)),
            (Some(hour * 24 * 100), None, left(day)),
            (Some(hour * 24 * 5), None, left(day / 2.0)),
            (Some(hour), Some(end - ns), left(360.0)),
        ] {
            assert!(!is_soon(end, lifetime, due, since - ns), "{lifetime:?}");
            assert!(is_soon(end, lifetime, due, since), "{lifetime:?}");
            assert!(is_soon(end, lifetime, due, end - ns), "{lifetime:?}");
            // Then it is over.
            assert!(!is_soon(end, lifetime, due, end), "{lifetime:?}");
            assert!(!is_soon(end, lifetime, due, end + ns), "{lifetime:?}");
        }
        // Nothing renews it before it ends.
        assert!(is_soon(end, Some(hour), Some(end), left(day)));
    }

    #[test]
    fn unknown_never_ends_and_the_past_is_expired() {
        let latest = clock::to_time(DateTime::<Utc>::MAX_UTC);
        assert_eq!(Freshness::unlimited().stage(latest), Stage::Fresh);
        let unset = UNIX_EPOCH - Duration::from_secs(1);
        assert_eq!(Freshness::expired().stage(unset), Stage::Expired);
        assert_eq!(
            Freshness::of(Some(at(1.0)), at(1.0), deadline(0), Policy::default(), 0.0),
            Freshness::expired()
        );
        assert_eq!(Freshness::until(deadline(0)).stage(at(0.0)), Stage::Expired);
        assert_eq!(Freshness::until(deadline(1)).stage(at(0.0)), Stage::Fresh);
    }
}
