//! The deadline of the refresh token, under the names that providers give it. It is kept among the
//! members that this crate does not know, as a date: a stored token says the same whenever it is loaded.
//!
//! In doubt the deadline is unknown. It ends no login by itself that the provider would still renew.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use super::{Deadline, Lifetime, json};
use crate::clock::{self, Clock};

/// Seconds from the token request: GitHub, Microsoft and eBay; Keycloak and TikTok; Intuit.
const LIFETIMES: [&str; 3] =
    ["refresh_token_expires_in", "refresh_expires_in", "x_refresh_token_expires_in"];
/// Dates, ours first, which is Square's too.
const DATES: [&str; 4] =
    [OURS, "refresh_expires_at", "refresh_token_expires_on", "refresh_token_valid_time"];
const OURS: &str = "refresh_token_expires_at";

/// Longer than any login that has a deadline (31 years): a number above it means "never".
const LONGEST: i64 = 1_000_000_000;
/// No login has ended before (2001): such a date means nothing.
const EARLIEST: i64 = 1_000_000_000;

/// Whether this member is a date of the refresh token. A lifetime is none: it is kept as it was sent.
pub(super) fn is_date(name: &str) -> bool {
    DATES.contains(&name)
}

/// Whether any member says something of the deadline, be it readable or not.
pub(super) fn is_stated(members: &Map<String, Value>) -> bool {
    let is_member = |name: &str| is_date(name) || LIFETIMES.contains(&name);
    members.iter().any(|(name, value)| is_member(name) && !value.is_null())
}

/// The deadline, of the members of a token. A lifetime alone says nothing: nobody knows what it counts
/// from.
pub(super) fn read(members: &Map<String, Value>) -> Option<DateTime<Utc>> {
    // For the century of a date of HTTP alone.
    let now = clock::to_date(Clock::default().now());
    DATES.iter().find_map(|name| date(members.get(*name)?, now))
}

/// How long the refresh token lives, as the provider said with it.
pub(super) fn lifetime(members: &Map<String, Value>) -> Option<i64> {
    LIFETIMES.iter().find_map(|name| seconds(members.get(*name)?))
}

pub(super) fn set(members: &mut Map<String, Value>, deadline: DateTime<Utc>) {
    clear(members);
    members.insert(OURS.to_owned(), Value::Number(json::epoch(clock::clamp(deadline))));
}

/// Moves all that is said of the deadline from the members of an answer to those of the login.
pub(super) fn transfer(answer: &mut Map<String, Value>, login: &mut Map<String, Value>) {
    let is_ours = |name: &str| is_date(name) || LIFETIMES.contains(&name);
    if is_stated(answer) {
        login.retain(|name, _| !is_ours(name));
        login.extend(
            answer.iter().filter(|(name, _)| is_ours(name)).map(|(n, v)| (n.clone(), v.clone())),
        );
    }
    answer.retain(|name, _| !is_ours(name));
}

pub(super) fn clear(members: &mut Map<String, Value>) {
    members.retain(|name, _| !is_date(name));
}

/// Adds the date to the members of a response to a request that was sent at that moment. What the provider
/// sent stays as it is, but for a date that was over then or lies too far ahead.
pub(super) fn settle(members: &mut Map<String, Value>, sent_at: DateTime<Utc>) {
    let latest = clock::add_seconds(sent_at, LONGEST);
    members.retain(|name, value| {
        let date = Some(&*value).filter(|_| is_date(name)).and_then(|it| date(it, sent_at));
        date.is_none_or(|date| date > sent_at && date <= latest)
    });
    if members.get(OURS).and_then(|it| date(it, sent_at)).is_some() {
        return;
    }
    if let Some(seconds) = lifetime(members) {
        let deadline = clock::add_seconds(sent_at, seconds);
        members.insert(OURS.to_owned(), Value::Number(json::epoch(deadline)));
    }
}

fn seconds(value: &Value) -> Option<i64> {
    Lifetime::read(value).seconds().filter(|seconds| (1..=LONGEST).contains(seconds))
}

fn date(value: &Value, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let Deadline::At(date) = Deadline::of_date(value, now) else { return None };
    (EARLIEST..clock::LATEST).contains(&date.timestamp()).then_some(date)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const SENT: i64 = 1_800_000_000;

    fn settled(members: Value) -> Map<String, Value> {
        let Value::Object(mut members) = members else { panic!("{members}") };
        settle(&mut members, DateTime::from_timestamp(SENT, 500_000_000).unwrap());
        members
    }

    fn deadline(members: Value) -> Option<f64> {
        #[allow(clippy::cast_precision_loss)]
        read(&settled(members)).map(|date| date.timestamp_micros() as f64 / 1e6)
    }

    #[test]
    fn a_lifetime_counts_from_the_request_under_each_name_and_in_each_form() {
        for name in LIFETIMES {
            for value in [json!(86_400), json!("86400"), json!(86_400.0), json!(" 86400 ")] {
                assert_eq!(deadline(json!({name: value})), Some(1_800_086_400.5), "{name}");
            }
        }
    }

    #[test]
    fn a_date_is_taken_as_it_is_under_each_name_and_in_each_form() {
        for name in DATES {
            for value in [
                json!(1_800_086_400),
                json!("1800086400"),
                json!(1_800_086_400_000_i64),
                json!("2027-01-16T08:00:00Z"),
                json!("2027-01-16T09:00:00+01:00"),
                json!("Saturday, 16-Jan-27 08:00:00 GMT"),
            ] {
                let members = json!({name: value});
                assert_eq!(deadline(members.clone()), Some(1_800_086_400.0), "{members}");
                assert_eq!(Value::Object(settled(members.clone())), members);
            }
        }
    }

    #[test]
    fn what_says_nothing_that_can_be_meant_is_unknown() {
        for name in LIFETIMES {
            for value in [
                json!(null),
                json!(0),
                json!("0"),
                json!(0.5),
                json!(-1),
                json!("-86400"),
                json!(""),
                json!("never"),
                json!("inf"),
                json!("NaN"),
                json!(true),
                json!([86_400]),
                json!({"seconds": 86_400}),
                json!(i32::MAX),
                json!(u32::MAX),
                json!(i64::MAX),
                json!(u64::MAX),
                json!(1e300),
                json!("1e400"),
            ] {
                let members = json!({name: value});
                assert_eq!(deadline(members.clone()), None, "{members}");
                assert_eq!(Value::Object(settled(members.clone())), members);
            }
        }
        for name in DATES {
            for value in [
                json!(0),
                json!(-1),
                json!(86_400),
                json!(SENT),
                json!(i64::MAX),
                json!(1e300),
                json!("never"),
                json!("0001-01-01T00:00:00Z"),
                json!("9999-12-31T23:59:59Z"),
                json!("2026-12-31T23:59:59Z"),
                json!(true),
            ] {
                assert_eq!(deadline(json!({name: value})), None, "{name}: {value}");
            }
        }
    }

    #[test]
    fn a_date_that_was_over_gives_way_to_a_lifetime_and_is_not_believed_later() {
        let members = json!({"refresh_token_expires_at": SENT - 1, "refresh_expires_in": 60});
        assert_eq!(deadline(members), Some(1_800_000_060.5));
        let alone = settled(json!({"refresh_expires_at": SENT}));
        assert!(alone.is_empty(), "{alone:?}");
    }

    #[test]
    fn a_lifetime_without_a_date_says_nothing_once_it_is_stored() {
        let Value::Object(stored) = json!({"refresh_token_expires_in": 86_400}) else { panic!() };
        assert_eq!((read(&stored), lifetime(&stored)), (None, Some(86_400)));
    }
}
