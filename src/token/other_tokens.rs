//! `OtherTokens`: the access tokens that a login has beside its own, for other resources and scopes.
//!
//! They came with the login's refresh token, and are stored with it, in one more member of its JSON. That
//! member names the refresh token by a digest: a program that puts another login's token into the file, and
//! leaves the member as it was, does not make one user's access token another's.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::Token;

/// The member of a stored token.
pub(super) const MEMBER: &str = "other_access_tokens";
/// How many are kept. Beyond that the one that expires first makes room.
const MOST: usize = 32;

/// The access tokens, each with the key of its [`TokenTarget`](super::TokenTarget). They have no refresh
/// token of their own.
#[derive(Clone, Default)]
pub(crate) struct OtherTokens(Vec<(Arc<str>, Token)>);

/// As they are stored.
#[derive(Serialize, Deserialize)]
struct Stored<T> {
    /// A digest of the refresh token that they came with.
    of: String,
    tokens: T,
}

impl OtherTokens {
    pub(super) const NONE: Self = Self(Vec::new());

    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = (&Arc<str>, &Token)> {
        self.0.iter().map(|(key, token)| (key, token))
    }

    /// Takes in a token, in place of the one for the same target.
    pub(super) fn insert(&mut self, key: Arc<str>, token: Token) {
        self.0.retain(|(other, _)| *other != key);
        if self.0.len() >= MOST {
            let latest = DateTime::<Utc>::MAX_UTC;
            let deadlines = self.0.iter().map(|(_, token)| token.expires_at().unwrap_or(latest));
            if let Some((first, _)) = deadlines.enumerate().min_by_key(|(_, deadline)| *deadline) {
                self.0.remove(first);
            }
        }
        self.0.push((key, token));
    }

    /// The member's value, beside these secrets.
    pub(super) fn to_stored(&self, of: &Token) -> impl Serialize {
        let tokens: BTreeMap<&str, &Token> =
            self.0.iter().map(|(key, token)| (&**key, token)).collect();
        Stored { of: digest(of), tokens }
    }

    /// What the member says; nothing where it belongs to another token. One that cannot be read is left out:
    /// another can be had.
    pub(super) fn read(member: Value, of: &Token) -> Option<Self> {
        let stored: Stored<BTreeMap<String, Value>> = serde_json::from_value(member).ok()?;
        if stored.of != digest(of) {
            return None;
        }
        let mut others = Self::default();
        for (key, token) in stored.tokens {
            let Value::Object(members) = token else { continue };
            let Ok(token) = Token::of_stored::<serde_json::Error>(members) else { continue };
            if token.header().is_some() {
                others.insert(key.into(), token.access_alone());
            }
        }
        (!others.0.is_empty()).then_some(others)
    }
}

/// Of the refresh token, or of the access token where there is none.
fn digest(token: &Token) -> String {
    let secret = token.refresh_token().unwrap_or(token.access_token());
    Sha256::digest(secret)[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn token(text: &str) -> Token {
        Token::new(text).unwrap()
    }

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 0).unwrap()
    }

    fn shown(token: &Token) -> Vec<(String, String)> {
        let others = token.others();
        others.map(|(key, token)| (key.to_string(), token.access_token().to_owned())).collect()
    }

    fn load(stored: Value) -> Token {
        serde_json::from_value(stored).unwrap()
    }

    #[test]
    fn they_are_stored_with_the_login_and_loaded_as_they_were() {
        let other = token("at-b").with_expires_at(at(1_800_000_060)).with_scope("b");
        let login = token("at").with_refresh_token("rt").with_other("scope=b".into(), other);
        let stored = serde_json::to_value(&login).unwrap();
        assert_eq!(
            stored,
            json!({"access_token": "at", "token_type": "Bearer", "refresh_token": "rt",
                   "other_access_tokens": {
                       "of": "cdffd5dd8ca8126c",
                       "tokens": {"scope=b": {"access_token": "at-b", "token_type": "Bearer",
                                              "scope": "b", "expires_at": 1_800_000_060}}}})
        );
        let loaded = load(stored.clone());
        assert_eq!(shown(&loaded), [("scope=b".to_owned(), "at-b".to_owned())]);
        assert_eq!(serde_json::to_value(&loaded).unwrap(), stored);
        assert!(loaded.extra().is_empty());
        // They are the login's, and not those of another token beside them.
        for secret in ["access_token", "refresh_token"] {
            let mut replaced = stored.clone();
            replaced[secret] = json!("another");
            let expected = usize::from(secret == "access_token");
            assert_eq!(shown(&load(replaced)).len(), expected, "{secret}");
        }
    }

    #[test]
    fn what_cannot_be_read_costs_nothing_else() {
        let login = token("at").with_refresh_token("rt").with_other("scope=b".into(), token("x"));
        let good = serde_json::to_value(&login).unwrap();
        for (name, broken) in [("of", json!(7)), ("tokens", json!([])), ("tokens", Value::Null)] {
            let mut stored = good.clone();
            stored[MEMBER][name] = broken;
            assert_eq!(load(stored).refresh_token(), Some("rt"));
        }
        let mut stored = good.clone();
        stored[MEMBER]["tokens"]["scope=c"] = json!({"access_token": "a\nb"});
        stored[MEMBER]["tokens"]["scope=d"] = json!({"refresh_token": "stray"});
        stored[MEMBER]["tokens"]["scope=e"] =
            json!({"access_token": "y", "refresh_token": "stray"});
        let loaded = load(stored);
        let kept = [("scope=b", "x"), ("scope=e", "y")];
        assert_eq!(shown(&loaded), kept.map(|(k, t)| (k.to_owned(), t.to_owned())));
        assert!(loaded.others().all(|(_, token)| token.refresh_token().is_none()));
    }

    #[test]
    fn what_is_nested_deep_in_one_of_them_does_not_keep_the_login_from_loading() {
        let deep = "[".repeat(126) + &"]".repeat(126);
        let other = format!(r#"{{"access_token":"at-b","x":{deep}}}"#);
        let login = token("at").with_refresh_token("rt");
        let login = login.with_other("scope=b".into(), serde_json::from_str(&other).unwrap());
        let loaded: Token = serde_json::from_str(&serde_json::to_string(&login).unwrap()).unwrap();
        assert_eq!(loaded.refresh_token(), Some("rt"));
        assert_eq!(shown(&loaded), [("scope=b".to_owned(), "at-b".to_owned())]);
    }

    #[test]
    fn the_one_that_expires_first_makes_room() {
        let mut login = token("at").with_refresh_token("rt");
        let most = i64::try_from(MOST).unwrap();
        let of = |n: i64| token("x").with_expires_at(at(1_800_000_000 - n));
        for n in 0..most {
            login = login.with_other(format!("scope={n}").into(), of(n));
        }
        // In place of itself it needs none.
        login = login.with_other("scope=0".into(), token("no deadline"));
        assert_eq!(login.others().len(), MOST);
        login = login.with_other("scope=new".into(), of(10_000));
        assert_eq!(login.others().len(), MOST);
        let gone = format!("scope={}", most - 1);
        assert!(login.others().all(|(key, _)| **key != *gone));
        login = login.with_other("scope=newer".into(), of(0));
        assert!(login.others().all(|(key, _)| &**key != "scope=new"));
        assert!(login.others().any(|(key, _)| &**key == "scope=0"));
    }

    #[test]
    fn the_refresh_token_of_an_answer_and_its_deadline_are_the_logins() {
        let login =
            token("at").with_refresh_token("rt-1").with_refresh_token_expires_at(at(1_800_000_000));
        let answer = |refresh_token: &str| {
            token("at-b")
                .with_refresh_token(refresh_token)
                .with_refresh_token_expires_at(at(1_900_000_000))
        };
        for (answer, refresh_token, deadline) in [
            (token("at-b"), "rt-1", Some(1_800_000_000)),
            (token("at-b").with_refresh_token("rt-1"), "rt-1", Some(1_800_000_000)),
            (token("at-b").with_refresh_token("rt-2"), "rt-2", None),
            (answer("rt-1"), "rt-1", Some(1_900_000_000)),
            (answer("rt-2"), "rt-2", Some(1_900_000_000)),
        ] {
            let login = login.clone().with_other("scope=b".into(), answer);
            assert_eq!(login.access_token(), "at");
            assert_eq!(login.refresh_token(), Some(refresh_token));
            assert_eq!(login.refresh_token_expires_at().map(|at| at.timestamp()), deadline);
            let (_, other) = login.others().next().unwrap();
            assert_eq!((other.access_token(), other.refresh_token()), ("at-b", None));
            assert!(other.extra().is_empty(), "{:?}", other.extra());
        }
    }
}
