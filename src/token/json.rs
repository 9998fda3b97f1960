//! How a token is written to storage and read back.
//!
//! Written: the JSON of requests-oauthlib and Authlib. Read: theirs, x/oauth2's, our own.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use secrecy::SecretString;
use secrecy::zeroize::Zeroizing;
use serde::de::Error as _;
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Number, Value};

#[cfg(feature = "keys")]
use super::key_binding;
use super::other_tokens::{MEMBER as OTHERS, OtherTokens};
use super::{AccessToken, BEARER, Deadline, Parts, Token, take_scope};
use crate::clock::{self, Clock};
use crate::lenient_json::LenientJson;

/// The members that `Token` has fields for, beside those of its deadline; any other is `extra`.
const KNOWN: [&str; 7] = [
    "access_token",
    "token_type",
    "refresh_token",
    "scope",
    SCOPE_IS_OF_RENEWAL,
    OTHERS,
    BOOKKEEPING,
];

/// Beside a `scope` that does not say what the login was granted.
const SCOPE_IS_OF_RENEWAL: &str = "scope_is_of_renewal";

/// What a session writes beside a token that is in a store. No member of the token: a token file that an
/// application reads by itself loads without it.
pub(crate) const BOOKKEEPING: &str = "reqwest_oauth2";

/// From this second on (in 2242) a float does not tell one microsecond from the next.
const COARSE: i64 = 1 << 33;

impl Serialize for Token {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("access_token", self.access_token())?;
        map.serialize_entry("token_type", self.token_type())?;
        if let Some(refresh_token) = self.refresh_token() {
            map.serialize_entry("refresh_token", refresh_token)?;
        }
        if let Some(scope) = self.scope() {
            map.serialize_entry("scope", scope)?;
        }
        if self.scope_is_of_renewal() {
            map.serialize_entry(SCOPE_IS_OF_RENEWAL, &true)?;
        }
        if let Some(date) = self.expires_at() {
            map.serialize_entry("expires_at", &epoch(date))?;
        }
        if let Some(lifetime) = self.lifetime {
            map.serialize_entry("expires_in", &lifetime)?;
        }
        #[cfg(feature = "keys")]
        if let Some(binding) = self.binding() {
            map.serialize_entry(key_binding::THUMBPRINT, binding.thumbprint())?;
            if let Some(pem) = binding.pem() {
                map.serialize_entry(key_binding::KEY, pem.as_str())?;
            }
        }
        for (name, value) in self.extra().iter().filter(|(name, _)| !is_known(name)) {
            map.serialize_entry(name, value)?;
        }
        if let Some(others) = self.rare.as_ref().and_then(|rare| rare.others.as_ref()) {
            map.serialize_entry(OTHERS, &others.to_stored(self))?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Token {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Read anything first: the error of a map would show the unexpected value, which may be the
        // bare token.
        match LenientJson::deserialize(deserializer)?.0 {
            Value::Object(members) => Self::of_stored(members),
            _ => Err(D::Error::custom("a stored token is a JSON object")),
        }
    }
}

impl Token {
    /// The token that is stored as these members.
    pub(crate) fn of_stored<E: serde::de::Error>(
        mut members: Map<String, Value>,
    ) -> Result<Self, E> {
        let refresh_token = text(&mut members, "refresh_token").map(SecretString::from);
        let access_token = match members.remove("access_token") {
            None | Some(Value::Null) if refresh_token.is_some() => AccessToken::none(),
            Some(Value::String(text)) if text.is_empty() && refresh_token.is_some() => {
                AccessToken::none()
            }
            Some(Value::String(text)) => {
                Self::sendable(&Zeroizing::new(text)).map_err(E::custom)?
            }
            _ => return Err(E::custom("a stored token needs an access_token")),
        };
        // Whatever its type: it was accepted before it was stored.
        let token_type = text(&mut members, "token_type").map_or(BEARER.into(), Cow::Owned);
        #[cfg(feature = "keys")]
        let binding = key_binding::KeyBinding::take(&mut members).map_err(E::custom)?;
        #[cfg(not(feature = "keys"))]
        if super::is_dpop(&token_type) {
            return Err(E::custom(
                "the stored token is bound to a key (DPoP); enable the feature `keys`",
            ));
        }
        let scope = take_scope(&mut members);
        let now = clock::to_date(Clock::default().now());
        let (deadline, lifetime) = Deadline::of_stored(&members, now);
        let expires_at = match access_token.header() {
            Some(_) => deadline.from(now),
            None => Some(DateTime::UNIX_EPOCH),
        };
        let others = members.remove(OTHERS);
        let scope_is_of_renewal = members.remove(SCOPE_IS_OF_RENEWAL) == Some(Value::Bool(true));
        members.retain(|name, _| !is_known(name));
        let token = Token::of(Parts {
            access_token,
            token_type,
            refresh_token,
            scope,
            expires_at,
            lifetime,
            extra: members,
            #[cfg(feature = "keys")]
            binding,
        });
        let others = others.and_then(|member| OtherTokens::read(member, &token));
        let token = token.with_others(others);
        Ok(if scope_is_of_renewal { token.with_scope_of_renewal() } else { token })
    }
}

#[cfg(feature = "oauth2")]
impl Token {
    /// The token of a response with these members that has just come. Its deadline is that of a response: it
    /// counts from now, and is not in the past, whatever date another clock has put beside it.
    pub(crate) fn just_issued<E: serde::de::Error>(
        mut members: Map<String, Value>,
    ) -> Result<Self, E> {
        let now = clock::to_date(Clock::default().now());
        let deadline = Deadline::of_response(&members, now).from(now);
        Self::settle_login_deadline(&mut members, now);
        let token = Self::of_stored(members)?;
        let token = match deadline {
            Some(deadline) => token.with_expires_at(deadline),
            None => token.without_expires_at(),
        };
        Ok(token.issued(now).0)
    }
}

/// Seconds since 1970, to the microsecond, so that a token of two seconds does not lose one of them; whole
/// seconds as an integer, which every reader takes.
pub(super) fn epoch(date: DateTime<Utc>) -> Number {
    let micros = date.timestamp_micros();
    #[allow(clippy::cast_precision_loss)]
    let fraction = Number::from_f64(micros as f64 / 1e6);
    let is_coarse = micros % 1_000_000 == 0 || date.timestamp() >= COARSE;
    fraction.filter(|_| !is_coarse).unwrap_or_else(|| Number::from(micros / 1_000_000))
}

fn is_known(name: &str) -> bool {
    #[cfg(feature = "keys")]
    if [key_binding::THUMBPRINT, key_binding::KEY].contains(&name) {
        return true;
    }
    KNOWN.contains(&name) || Deadline::is_member(name)
}

fn text(members: &mut Map<String, Value>, name: &str) -> Option<String> {
    match members.remove(name) {
        Some(Value::String(text)) if !text.is_empty() => Some(text),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::time::SystemTime;

    fn load(stored: Value) -> Token {
        serde_json::from_value(stored).unwrap()
    }

    fn epoch(token: &Token) -> Option<f64> {
        #[allow(clippy::cast_precision_loss)]
        token.expires_at().map(|date| date.timestamp_micros() as f64 / 1e6)
    }

    #[test]
    fn what_other_libraries_wrote_loads_as_it_is() {
        for (library, stored, expires_at, scope) in [
            (
                "requests-oauthlib",
                json!({"access_token": "at", "refresh_token": "rt", "token_type": "Bearer", "expires_in": 3600,
                       "expires_at": 1_700_000_000.5, "scope": ["a", "b"]}),
                Some(1_700_000_000.5),
                Some("a b"),
            ),
            (
                "Authlib",
                json!({"access_token": "at", "refresh_token": "rt", "token_type": "bearer", "expires_at": 1_700_000_000,
                       "scope": "a b"}),
                Some(1_700_000_000.0),
                Some("a b"),
            ),
            (
                "x/oauth2",
                json!({"access_token": "at", "refresh_token": "rt", "token_type": "Bearer",
                       "expiry": "2023-11-14T23:13:20.25+01:00"}),
                Some(1_700_000_000.25),
                None,
            ),
            (
                "x/oauth2, never expiring",
                json!({"access_token": "at", "refresh_token": "rt", "expiry": "0001-01-01T00:00:00Z"}),
                None,
                None,
            ),
            (
                "a database's text column",
                json!({"access_token": "at", "refresh_token": "rt", "expires_at": "1700000000"}),
                Some(1_700_000_000.0),
                None,
            ),
            (
                "nulls",
                json!({"access_token": "at", "refresh_token": "rt", "token_type": null, "expires_at": null, "scope": null}),
                None,
                None,
            ),
        ] {
            let token = load(stored);
            assert_eq!(
                (token.access_token(), token.refresh_token()),
                ("at", Some("rt")),
                "{library}"
            );
            assert_eq!(epoch(&token), expires_at, "{library}");
            assert_eq!(token.scope(), scope, "{library}");
            assert!(token.extra().is_empty(), "{library}");
        }
    }

    #[test]
    fn what_python_wrote_loads_whatever_else_it_has() {
        let deep = "[".repeat(500) + &"]".repeat(500);
        for (member, extra) in [
            (r#""name":"Bob \ud83d""#, json!({"name": "Bob \u{fffd}"})),
            (r#""\ude00":1"#, json!({"\u{fffd}": 1})),
            (r#""user":{"n":1e400}"#, json!({"user": {"n": "1e400"}})),
        ] {
            let stored = format!(
                r#"{{{member},"access_token":"at","refresh_token":"rt","expires_at":1700000000.5}}"#
            );
            let token: Token = serde_json::from_str(&stored).unwrap();
            assert_eq!((token.access_token(), token.refresh_token()), ("at", Some("rt")));
            assert_eq!(epoch(&token), Some(1_700_000_000.5));
            assert_eq!(json!(token.extra()), extra);
        }
        let stored = format!(r#"{{"access_token":"at","refresh_token":"rt","x":{deep}}}"#);
        let token: Token = serde_json::from_str(&stored).unwrap();
        assert_eq!(token.refresh_token(), Some("rt"));
        let damaged = r#"{"access_token":"\ud83d","refresh_token":"rt"}"#;
        serde_json::from_str::<Token>(damaged).unwrap_err();
    }

    #[test]
    fn a_relative_lifetime_counts_from_the_load() {
        for (expires_in, seconds) in [(json!("-30"), -30), (json!(-1), -1), (json!(3600), 3600)] {
            let before = clock::to_date(SystemTime::now());
            let deadline =
                load(json!({"access_token": "at", "expires_in": expires_in})).expires_at().unwrap();
            let after = clock::to_date(SystemTime::now());
            assert!(clock::add_seconds(before, seconds) <= deadline, "{expires_in}");
            assert!(deadline <= clock::add_seconds(after, seconds), "{expires_in}");
        }
        assert!(load(json!({"access_token": "at", "expires_in": 0})).expires_at().is_none());
    }

    #[test]
    fn deadlines_out_of_range_saturate() {
        for (stored, expected) in [
            (json!(1e30), 253_402_300_799),
            (json!(-1e30), 0),
            (json!(u64::MAX), 253_402_300_799),
            (json!("9999-12-31T23:59:59Z"), 253_402_300_799),
            (json!("1e30"), 253_402_300_799),
        ] {
            let token = load(json!({"access_token": "at", "expires_at": stored}));
            assert_eq!(token.expires_at().unwrap().timestamp(), expected, "{stored}");
        }
        for unreadable in [json!("soon"), json!("inf"), json!([]), json!(true)] {
            assert!(
                load(json!({"access_token": "at", "expires_at": unreadable}))
                    .expires_at()
                    .is_none()
            );
        }
    }

    #[test]
    fn deadlines_under_other_names_and_in_other_units_are_read() {
        for (members, expires_at) in [
            (json!({"expires_on": "1700000060", "expires_in": "3600"}), 1_700_000_060),
            (json!({"expires": 1_700_000_060}), 1_700_000_060),
            (json!({"expires": "2023-11-14T22:14:20Z"}), 1_700_000_060),
            (json!({"expires": "Tue, 14 Nov 2023 22:14:20 GMT"}), 1_700_000_060),
            (json!({"expires": "Tuesday, 14-Nov-23 22:14:20 GMT"}), 1_700_000_060),
            (json!({"expires_at": "Tue Nov 14 22:14:20 2023"}), 1_700_000_060),
            (json!({"expires_in": 1_700_000_060}), 1_700_000_060),
            (json!({"expires_at": 1_700_000_060_000_i64}), 1_700_000_060),
            (json!({"expires_at": "1700000060000"}), 1_700_000_060),
            (json!({"expires_at": null, "expiry": "2023-11-14T22:14:20Z"}), 1_700_000_060),
            (json!({"expires_at": "0001-01-01T00:00:00Z", "expires_on": 5}), 5),
            (json!({"expiry_date": 1_700_000_060_000_i64}), 1_700_000_060),
            (json!({"expires_at": 1_700_000_060, "expires_in": -30}), 1_700_000_060),
        ] {
            let mut stored = members.clone();
            stored["access_token"] = json!("at");
            let token = load(stored);
            assert_eq!(token.expires_at().unwrap().timestamp(), expires_at, "{members}");
            assert!(token.extra().is_empty(), "{members}");
        }
        let zoho = json!({"access_token": "at", "expires_at": 1_700_000_000, "expires_in": 3_600_000,
                          "expires_in_sec": 3600});
        assert_eq!(load(zoho).lifetime_s(), Some(3600));
    }

    #[test]
    fn a_token_of_another_type_loads_and_is_saved_as_it_was() {
        for (stored, loaded) in [
            ("User Access Token", "User Access Token"),
            ("bot", "bot"),
            (" bearer ", "bearer"),
            ("BEARER", "BEARER"),
            (" ", "Bearer"),
            ("", "Bearer"),
        ] {
            let token = load(json!({"access_token": "at", "token_type": stored}));
            assert_eq!(token.token_type(), loaded, "{stored:?}");
            assert_eq!(token.header().unwrap(), "Bearer at");
            assert_eq!(serde_json::to_value(&token).unwrap()["token_type"], loaded);
        }
    }

    #[test]
    fn a_refresh_token_alone_is_an_expired_token() {
        for access_token in [json!(null), json!("")] {
            let stored = json!({"access_token": access_token, "refresh_token": "rt", "expires_in": 3600,
                                "scopes": "a", "id_token": "x"});
            for token in [load(stored.clone()), load(serde_json::to_value(load(stored)).unwrap())] {
                assert_eq!((token.access_token(), token.refresh_token()), ("", Some("rt")));
                assert!(token.header().is_none());
                assert_eq!(token.expires_at(), Some(DateTime::UNIX_EPOCH));
                assert_eq!((token.scope(), &token.extra()["id_token"]), (Some("a"), &json!("x")));
            }
        }
        assert_eq!(load(json!({"refresh_token": "rt"})).refresh_token(), Some("rt"));
    }

    #[test]
    fn a_deadline_is_loaded_as_it_was_saved() {
        let at = |seconds, micros: u32| DateTime::from_timestamp(seconds, micros * 1_000).unwrap();
        for (deadline, loaded) in [
            (at(1_700_000_000, 123_457), at(1_700_000_000, 123_457)),
            (at(COARSE - 1, 999_999), at(COARSE - 1, 999_999)),
            (at(COARSE - 1, 1), at(COARSE - 1, 1)),
            (at(219_699_475_199, 999_999), at(219_699_475_199, 0)),
            // A leap second.
            (at(1_483_228_799, 1_000_000), at(1_483_228_800, 0)),
        ] {
            let token = Token::new("at").unwrap().with_expires_at(deadline);
            let stored = serde_json::to_string(&token).unwrap();
            let token: Token = serde_json::from_str(&stored).unwrap();
            assert_eq!(token.expires_at(), Some(loaded), "{stored}");
            assert_eq!(serde_json::to_string(&token).unwrap(), stored);
        }
    }

    #[test]
    fn what_we_write_is_what_python_reads() {
        let token = load(
            json!({"access_token": "at", "refresh_token": "rt", "expires_at": 1_700_000_000,
                                "expires_in": 60, "scope": "a", "id_token": "x", "expiry": "junk"}),
        );
        assert_eq!(
            serde_json::to_value(&token).unwrap(),
            json!({"access_token": "at", "token_type": "Bearer", "refresh_token": "rt", "scope": "a",
                   "expires_at": 1_700_000_000, "expires_in": 60, "id_token": "x"})
        );
        let fraction = load(json!({"access_token": "at", "expires_at": 1_700_000_000.25}));
        assert_eq!(serde_json::to_value(&fraction).unwrap()["expires_at"], json!(1_700_000_000.25));
    }

    #[test]
    fn what_is_no_token_is_refused_with_a_reason() {
        for (stored, reason) in [
            (json!("s3cret"), "a stored token is a JSON object"),
            (json!(["s3cret"]), "a stored token is a JSON object"),
            (json!({}), "a stored token needs an access_token"),
            (json!({"access_token": null}), "a stored token needs an access_token"),
            (json!({"access_token": "a\nb"}), "not allowed in a header"),
            (json!({"access_token": ""}), "the access token is empty"),
            (json!({"access_token": 7, "refresh_token": "rt"}), "needs an access_token"),
        ] {
            let error = serde_json::from_value::<Token>(stored.clone()).unwrap_err();
            assert!(error.to_string().contains(reason), "{stored}: {error}");
            assert!(!error.to_string().contains("s3cret"), "{stored}: {error}");
        }
    }
}
