//! The deadline of an access token, under the names and in the units that providers and other libraries
//! give it.
//!
//! A response: what names a moment after the request goes before what does not, and a lifetime before a
//! date. A stored token: a date goes before a lifetime, which counts from the load. A number that would
//! lie decades ahead as a lifetime is an epoch, and an epoch past the year 9999 is in milliseconds.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use super::Lifetime;
use crate::clock;
use crate::http_date::http_date;

/// Lifetimes in seconds, the best first: Zoho has milliseconds in `expires_in` beside `expires_in_sec`;
/// `expires` is old Facebook's, or a date elsewhere.
const LIFETIMES: [&str; 3] = ["expires_in_sec", "expires_in", "expires"];
/// Dates, the best first: Azure's identity endpoints have `expires_on`, x/oauth2 stores `expiry`, Google's
/// library for Node `expiry_date`.
const DATES: [&str; 4] = ["expires_at", "expires_on", "expiry", "expiry_date"];

/// No access token lives for so many seconds (31 years), and no token was issued so long after 1970.
const EPOCH: i64 = 1_000_000_000;

/// The deadline that some members name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Deadline {
    At(DateTime<Utc>),
    /// After so many seconds.
    After(i64),
    Unknown,
    /// There is something in its place that says nothing: unknown, and worth a warning.
    Unreadable,
}

impl Deadline {
    /// Whether this member says when the token expires.
    pub(crate) fn is_member(name: &str) -> bool {
        LIFETIMES.iter().chain(&DATES).any(|other| *other == name)
    }

    /// The deadline of a response to a request that was sent at that moment; in the past only where no
    /// member names a later one.
    pub(crate) fn of_response(members: &Map<String, Value>, sent_at: DateTime<Utc>) -> Self {
        let all: Vec<Self> = found(&LIFETIMES, members, sent_at, Self::of_lifetime)
            .chain(found(&DATES, members, sent_at, Self::of_date))
            .collect();
        let ahead = all.iter().find(|deadline| deadline.from(sent_at).is_some_and(|d| d > sent_at));
        let readable = || all.iter().find(|deadline| deadline.from(sent_at).is_some());
        let deadline = ahead.or_else(readable).or_else(|| all.first());
        deadline.copied().unwrap_or(Self::Unknown)
    }

    /// The deadline of a stored token that is loaded at that moment, and the lifetime beside it.
    pub(crate) fn of_stored(
        members: &Map<String, Value>,
        now: DateTime<Utc>,
    ) -> (Self, Option<i64>) {
        let relative: Vec<Self> = found(&LIFETIMES, members, now, Self::of_lifetime).collect();
        let lifetime = relative.iter().find_map(|deadline| match deadline {
            Self::After(seconds) => Some(*seconds),
            _ => None,
        });
        let mut dates = found(&DATES, members, now, Self::of_date).chain(relative.iter().copied());
        let date = dates.find(|deadline| matches!(deadline, Self::At(_)));
        let deadline = date.or(lifetime.map(Self::After)).unwrap_or(Self::Unknown);
        (deadline, lifetime.filter(|seconds| *seconds > 0))
    }

    /// As a date, if lifetimes count from that moment.
    pub(crate) fn from(self, start: DateTime<Utc>) -> Option<DateTime<Utc>> {
        match self {
            Self::At(date) => Some(date),
            Self::After(seconds) => Some(clock::add_seconds(start, seconds)),
            Self::Unknown | Self::Unreadable => None,
        }
    }

    fn of_lifetime(value: &Value, now: DateTime<Utc>) -> Self {
        match Lifetime::read(value) {
            Lifetime::Seconds(seconds) if seconds < EPOCH => Self::After(seconds),
            Lifetime::Unknown => Self::Unknown,
            Lifetime::Seconds(_) => Self::of_date(value, now),
            Lifetime::NotANumber => match Self::of_date(value, now) {
                Self::Unknown if !is_never(value) => Self::Unreadable,
                deadline => deadline,
            },
        }
    }

    /// An epoch, also as text, or a date of RFC 3339 or of HTTP.
    pub(crate) fn of_date(value: &Value, now: DateTime<Utc>) -> Self {
        let date = match value {
            Value::Number(number) => number.as_f64().map(epoch),
            Value::String(text) => {
                let text = text.trim();
                let date = DateTime::parse_from_rfc3339(text).ok().map(|date| date.to_utc());
                match date.or_else(|| http_date(text, now)) {
                    Some(_) if is_never(value) => None,
                    Some(date) => Some(clock::clamp(date)),
                    None => number(text).map(epoch),
                }
            }
            _ => None,
        };
        date.map_or(Self::Unknown, Self::At)
    }
}

fn found<'a>(
    names: &'a [&str],
    members: &'a Map<String, Value>,
    now: DateTime<Utc>,
    read: fn(&Value, DateTime<Utc>) -> Deadline,
) -> impl Iterator<Item = Deadline> + 'a {
    let said = names.iter().filter_map(|name| members.get(*name));
    let said = said.map(move |value| read(value, now));
    said.filter(|deadline| *deadline != Deadline::Unknown)
}

/// The zero date of x/oauth2.
fn is_never(value: &Value) -> bool {
    let date = value.as_str().and_then(|text| DateTime::parse_from_rfc3339(text.trim()).ok());
    date.is_some_and(|date| date.timestamp() == -62_135_596_800)
}

/// Rust reads "inf" and "nan" as floats; no provider means them.
fn number(text: &str) -> Option<f64> {
    let is_numeric = text.bytes().all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b));
    text.parse().ok().filter(|_| is_numeric)
}

fn epoch(number: f64) -> DateTime<Utc> {
    #[allow(clippy::cast_precision_loss)]
    let latest = clock::LATEST as f64;
    let seconds = if number > latest { number / 1e3 } else { number };
    // A cast from float to integer saturates.
    #[allow(clippy::cast_possible_truncation)]
    let date = DateTime::from_timestamp_micros((seconds * 1e6).round() as i64);
    let out_of_range = if number < 0.0 { DateTime::UNIX_EPOCH } else { DateTime::<Utc>::MAX_UTC };
    clock::clamp(date.unwrap_or(out_of_range))
}
