//! How a token is written to storage and read back.
//!
//! Written: the JSON of requests-oauthlib and Authlib. Read: theirs, x/oauth2's, our own.

use chrono::{DateTime, Utc};
use secrecy::SecretString;
use serde::de::Error as _;
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use super::{Lifetime, Parts, Token};
use crate::clock::{self, Clock};

/// The members that `Token` has fields for; any other is `extra`.
const KNOWN: [&str; 7] =
    ["access_token", "token_type", "refresh_token", "scope", "expires_at", "expires_in", "expiry"];

impl Serialize for Token {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let parts = self.parts();
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("access_token", self.access_token())?;
        map.serialize_entry("token_type", self.token_type())?;
        if let Some(refresh_token) = self.refresh_token() {
            map.serialize_entry("refresh_token", refresh_token)?;
        }
        if let Some(scope) = self.scope() {
            map.serialize_entry("scope", scope)?;
        }
        if let Some(date) = self.expires_at() {
            // To the microsecond, so that a token of two seconds does not lose one of them; whole
            // seconds as an integer, which every reader takes.
            let micros = date.timestamp_micros();
            if micros % 1_000_000 == 0 {
                map.serialize_entry("expires_at", &(micros / 1_000_000))?;
            } else {
                #[allow(clippy::cast_precision_loss)]
                map.serialize_entry("expires_at", &(micros as f64 / 1e6))?;
            }
        }
        if let Some(lifetime) = parts.lifetime {
            map.serialize_entry("expires_in", &lifetime)?;
        }
        for (name, value) in parts.extra.iter().filter(|(name, _)| !KNOWN.contains(&name.as_str()))
        {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Token {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut members = Map::deserialize(deserializer)?;
        let access_token = match members.remove("access_token") {
            Some(Value::String(text)) => SecretString::from(text),
            _ => return Err(D::Error::custom("a stored token needs an access_token")),
        };
        let token_type = text(&mut members, "token_type").unwrap_or_else(|| "Bearer".to_owned());
        let refresh_token = text(&mut members, "refresh_token").map(SecretString::from);
        let scope = crate::wire::scope(members.remove("scope"));
        let (expires_at, lifetime) = deadline(&mut members);
        members.retain(|name, _| !KNOWN.contains(&name.as_str()));
        let parts = Parts {
            access_token,
            token_type,
            refresh_token,
            scope,
            expires_at,
            lifetime,
            extra: members,
        };
        Token::checked(parts).map_err(D::Error::custom)
    }
}

fn text(members: &mut Map<String, Value>, name: &str) -> Option<String> {
    match members.remove(name) {
        Some(Value::String(text)) if !text.is_empty() => Some(text),
        _ => None,
    }
}

/// The deadline and the lifetime: an absolute deadline goes before a relative one.
fn deadline(members: &mut Map<String, Value>) -> (Option<DateTime<Utc>>, Option<i64>) {
    let absolute =
        ["expires_at", "expiry"].into_iter().find_map(|name| members.get(name).and_then(date));
    let relative = members.get("expires_in").and_then(|value| Lifetime::read(value).seconds());
    match (absolute, relative) {
        (Some(date), lifetime) => (Some(date), lifetime.filter(|seconds| *seconds > 0)),
        (None, Some(seconds)) => {
            let now = clock::to_date(Clock::default().now());
            (Some(clock::add_seconds(now, seconds)), None)
        }
        (None, None) => (None, None),
    }
}

/// An epoch number (Authlib, requests-oauthlib), also as a string, or an RFC 3339 date (x/oauth2,
/// whose zero date means "never expires").
pub(crate) fn date(value: &Value) -> Option<DateTime<Utc>> {
    let epoch = |seconds: f64| {
        let micros = (seconds * 1e6).round();
        #[allow(clippy::cast_possible_truncation)]
        let date = DateTime::from_timestamp_micros(micros as i64);
        Some(clock::clamp(date.unwrap_or(if micros < 0.0 {
            DateTime::UNIX_EPOCH
        } else {
            DateTime::<Utc>::MAX_UTC
        })))
    };
    match value {
        Value::Number(number) => epoch(number.as_f64()?),
        Value::String(text) => match DateTime::parse_from_rfc3339(text.trim()) {
            Ok(date) if date.timestamp() == -62_135_596_800 => None,
            Ok(date) => Some(clock::clamp(date.to_utc())),
            Err(_) => epoch(text.trim().parse().ok().filter(|s: &f64| s.is_finite())?),
        },
        _ => None,
    }
}
