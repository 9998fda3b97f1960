//! The wall clock, injectable.
//!
//! Deadlines are wall-clock instants, so that they survive serialisation, suspend and restarts.
//! The hot path compares `SystemTime`s and never converts to a calendar.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use chrono::{DateTime, Utc};

/// The latest instant that a deadline can name: the last second of the year 9999, the end of what
/// RFC 3339 and every database can write.
pub(crate) const LATEST: i64 = 253_402_300_799;

/// Where a session reads the time of day.
#[derive(Clone, Default)]
pub(crate) struct Clock(Option<Arc<dyn Fn() -> SystemTime + Send + Sync>>);

impl Clock {
    pub(crate) fn new(read: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(read)))
    }

    #[inline]
    pub(crate) fn now(&self) -> SystemTime {
        match &self.0 {
            None => SystemTime::now(),
            Some(read) => read(),
        }
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Clock(injected)" } else { "Clock(system)" })
    }
}

/// The instant as a date, at the nearest one that is representable.
pub(crate) fn to_date(time: SystemTime) -> DateTime<Utc> {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let seconds = i64::try_from(since.as_secs()).unwrap_or(LATEST).min(LATEST);
    DateTime::from_timestamp(seconds, since.subsec_nanos()).unwrap_or_default()
}

/// The date as an instant, at the nearest one between 1970 and 9999.
pub(crate) fn to_time(date: DateTime<Utc>) -> SystemTime {
    let date = clamp(date);
    let seconds = u64::try_from(date.timestamp()).unwrap_or_default();
    UNIX_EPOCH + Duration::new(seconds, date.timestamp_subsec_nanos().min(999_999_999))
}

/// The date, at the nearest one between 1970 and 9999.
pub(crate) fn clamp(date: DateTime<Utc>) -> DateTime<Utc> {
    let latest = DateTime::from_timestamp(LATEST, 0).unwrap_or_default();
    date.clamp(DateTime::UNIX_EPOCH, latest)
}

/// `date` moved by whole seconds, saturating between 1970 and 9999.
pub(crate) fn add_seconds(date: DateTime<Utc>, seconds: i64) -> DateTime<Utc> {
    let moved = date.timestamp().saturating_add(seconds).clamp(0, LATEST);
    clamp(DateTime::from_timestamp(moved, date.timestamp_subsec_nanos()).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_saturate_at_both_ends() {
        let start = DateTime::from_timestamp(1_000, 5).unwrap();
        assert_eq!(add_seconds(start, 60), DateTime::from_timestamp(1_060, 5).unwrap());
        assert_eq!(add_seconds(start, i64::MAX).timestamp(), LATEST);
        assert_eq!(add_seconds(start, i64::MIN).timestamp(), 0);
        assert_eq!(
            to_time(DateTime::<Utc>::MAX_UTC),
            UNIX_EPOCH + Duration::from_secs(LATEST as u64)
        );
        assert_eq!(to_time(DateTime::<Utc>::MIN_UTC), UNIX_EPOCH);
        assert_eq!(to_date(UNIX_EPOCH - Duration::from_secs(9)), DateTime::UNIX_EPOCH);
    }

    #[test]
    fn times_survive_the_round_trip_to_the_nanosecond() {
        let time = UNIX_EPOCH + Duration::new(1_700_000_000, 123_456_789);
        assert_eq!(to_time(to_date(time)), time);
    }
}
