//! The token: what the provider gave, with an absolute deadline.
//!
//! Invariants: the access token can stand in a header, or there is none, and then there is a refresh token
//! and the deadline is over; the deadline lies between 1970 and 9999.

mod access_token;
mod deadline;
mod json;
mod lifetime;
mod scope;

pub(crate) use access_token::AccessToken;
pub(crate) use deadline::Deadline;
pub(crate) use json::BOOKKEEPING;
pub(crate) use lifetime::Lifetime;
pub(crate) use scope::{is_scope, take_scope};

use std::borrow::Cow;
use std::fmt;

use chrono::{DateTime, Utc};
use http::HeaderValue;
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};

use crate::clock;
use crate::error::Error;

/// A bearer token with its refresh token and its absolute deadline.
///
/// The response of [RFC 6749 §5.1](https://www.rfc-editor.org/rfc/rfc6749#section-5.1), with
/// `expires_in` turned into an instant, counted from the moment before the token request was sent.
///
/// `Debug` shows no secret. Serialising with serde does: that is how a token is stored. The JSON
/// form is that of requests-oauthlib and Authlib (`expires_at` as seconds since 1970, a number);
/// what they or Go's x/oauth2 (`expiry`, RFC 3339) wrote is read as it is, and a stored token that
/// has only a negative `expires_in` is expired when loaded. A stored token with only a positive
/// `expires_in` counts from the moment it is loaded, as in requests-oauthlib. A stored token without
/// `access_token`, but with a refresh token, is expired. Its type may be any: what is stored was
/// accepted once.
///
/// ```
/// use reqwest_oauth2::Token;
///
/// let token: Token = serde_json::from_str(
///     r#"{"access_token": "abc", "refresh_token": "def", "token_type": "Bearer", "expires_in": "-30"}"#,
/// )?;
/// assert!(token.expires_at().unwrap() < chrono::DateTime::<chrono::Utc>::from(std::time::SystemTime::now()));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone)]
pub struct Token(Parts);

/// What nearly every token's type is.
const BEARER: Cow<'static, str> = Cow::Borrowed("Bearer");

/// The members of a token, before and after the check that makes them a [`Token`].
#[derive(Clone)]
pub(crate) struct Parts {
    pub(crate) access_token: AccessToken,
    pub(crate) token_type: Cow<'static, str>,
    pub(crate) refresh_token: Option<SecretString>,
    pub(crate) scope: Option<Box<str>>,
    pub(crate) expires_at: Option<DateTime<Utc>>,
    /// Seconds from the token request to the deadline, where they are known.
    pub(crate) lifetime: Option<i64>,
    pub(crate) extra: Map<String, Value>,
}

impl Token {
    /// A token that is only an access token: no refresh token, lifetime unknown.
    ///
    /// # Errors
    ///
    /// [`Error::is_config`] where the text cannot stand in an `Authorization` header: empty, or
    /// with characters other than printable ASCII
    /// ([RFC 6749 Appendix A.12](https://www.rfc-editor.org/rfc/rfc6749#appendix-A.12)).
    pub fn new(access_token: impl Into<String>) -> Result<Self, Error> {
        let text = Zeroizing::new(access_token.into());
        Ok(Self::of(Parts {
            access_token: Self::sendable(&text)?,
            token_type: BEARER,
            refresh_token: None,
            scope: None,
            expires_at: None,
            lifetime: None,
            extra: Map::new(),
        }))
    }

    /// The first token of a session that has only a refresh token: it has no access token, and no API
    /// sees it.
    pub(crate) fn only_refresh_token(refresh_token: String) -> Self {
        Self(Parts {
            access_token: AccessToken::none(),
            token_type: BEARER,
            refresh_token: Some(SecretString::from(refresh_token)),
            scope: None,
            expires_at: Some(DateTime::UNIX_EPOCH),
            lifetime: None,
            extra: Map::new(),
        })
    }

    /// The text as an access token, or what is wrong with it.
    pub(crate) fn sendable(text: &str) -> Result<AccessToken, Error> {
        AccessToken::new(text).ok_or_else(|| {
            Error::config(
                "the access token is empty or has characters that cannot stand in a header; pass it exactly as the provider gave it",
            )
        })
    }

    pub(crate) fn of(mut parts: Parts) -> Self {
        parts.expires_at = parts.expires_at.map(clock::clamp);
        let token_type = parts.token_type.trim();
        if token_type.is_empty() || token_type == BEARER {
            parts.token_type = BEARER;
        } else if token_type.len() < parts.token_type.len() {
            parts.token_type = Cow::Owned(token_type.to_owned());
        }
        if parts.extra.is_empty() {
            // An emptied map keeps its memory, four times that of the rest of the token.
            parts.extra = Map::new();
        }
        Self(parts)
    }

    /// The token as one that was issued at that moment, with the lifetime that follows from its deadline;
    /// and whether it was expired then. Such a deadline is dropped: a clock is wrong, its own or ours, and
    /// taken at its word the token would be renewed for every request.
    pub(crate) fn issued(mut self, at: DateTime<Utc>) -> (Self, bool) {
        let Some(expires_at) = self.0.expires_at else { return (self, false) };
        if expires_at <= at {
            self.0.expires_at = None;
            self.0.lifetime = None;
            return (self, true);
        }
        self.0.lifetime = self.0.lifetime.or(Some((expires_at - at).num_seconds().max(1)));
        (self, false)
    }

    /// The same token with a refresh token
    /// ([RFC 6749 §1.5](https://www.rfc-editor.org/rfc/rfc6749#section-1.5)).
    pub fn with_refresh_token(mut self, refresh_token: impl Into<String>) -> Self {
        let text = refresh_token.into();
        self.0.refresh_token = (!text.is_empty()).then(|| SecretString::from(text));
        self
    }

    /// The same token with an absolute deadline (to the nanosecond; between 1970 and 9999)
    /// ([RFC 6749 §5.1](https://www.rfc-editor.org/rfc/rfc6749#section-5.1)).
    pub fn with_expires_at(mut self, expires_at: DateTime<Utc>) -> Self {
        self.0.expires_at = Some(clock::clamp(expires_at));
        self.0.lifetime = None;
        self
    }

    /// The same token with a scope: names separated by spaces
    /// ([RFC 6749 §3.3](https://www.rfc-editor.org/rfc/rfc6749#section-3.3)).
    pub fn with_scope(mut self, scope: impl Into<String>) -> Self {
        self.0.scope = Some(scope.into().into());
        self
    }

    /// The access token ([RFC 6749 §1.4](https://www.rfc-editor.org/rfc/rfc6749#section-1.4)).
    /// A secret. Empty where there is only a refresh token.
    pub fn access_token(&self) -> &str {
        self.0.access_token.text()
    }

    /// The token type, as the provider or the store has it: some spelling of `Bearer`, or another type
    /// that means it and that was stored
    /// ([RFC 6749 §7.1](https://www.rfc-editor.org/rfc/rfc6749#section-7.1)).
    pub fn token_type(&self) -> &str {
        &self.0.token_type
    }

    /// The refresh token ([RFC 6749 §1.5](https://www.rfc-editor.org/rfc/rfc6749#section-1.5)).
    /// A secret.
    pub fn refresh_token(&self) -> Option<&str> {
        self.0.refresh_token.as_ref().map(ExposeSecret::expose_secret)
    }

    /// The granted scope, where the provider named one; otherwise it is the scope of the request
    /// ([RFC 6749 §3.3](https://www.rfc-editor.org/rfc/rfc6749#section-3.3)).
    pub fn scope(&self) -> Option<&str> {
        self.0.scope.as_deref()
    }

    /// When the access token expires; `None` where the provider did not say
    /// ([RFC 6749 §5.1](https://www.rfc-editor.org/rfc/rfc6749#section-5.1)).
    pub fn expires_at(&self) -> Option<DateTime<Utc>> {
        self.0.expires_at
    }

    /// The members of the response that this crate does not know, such as `id_token`
    /// ([RFC 6749 §5.1](https://www.rfc-editor.org/rfc/rfc6749#section-5.1)).
    pub fn extra(&self) -> &Map<String, Value> {
        &self.0.extra
    }

    /// The header that requests carry; `None` without an access token.
    pub(crate) fn header(&self) -> Option<&HeaderValue> {
        self.0.access_token.header()
    }

    pub(crate) fn parts(&self) -> &Parts {
        &self.0
    }

    pub(crate) fn lifetime(&self) -> Option<i64> {
        self.0.lifetime
    }

    /// Takes from `old` what the response to a refresh left out.
    ///
    /// "The authorization server MAY issue a new refresh token, in which case the client MUST
    /// discard the old refresh token and replace it with the new refresh token."
    /// ([RFC 6749 §6](https://www.rfc-editor.org/rfc/rfc6749#section-6))
    pub(crate) fn fill_missing_from(mut self, old: &Token) -> Self {
        if self.0.refresh_token.is_none() {
            self.0.refresh_token.clone_from(&old.0.refresh_token);
        }
        if self.0.scope.is_none() {
            self.0.scope.clone_from(&old.0.scope);
        }
        // Such as Salesforce's `instance_url`, and the `id_token` of most providers.
        for (name, value) in &old.0.extra {
            if !self.0.extra.contains_key(name) {
                self.0.extra.insert(name.clone(), value.clone());
            }
        }
        self
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token")
            .field("access_token", &"[redacted]")
            .field("token_type", &self.0.token_type)
            .field("refresh_token", &self.0.refresh_token.as_ref().map(|_| "[redacted]"))
            .field("scope", &self.0.scope)
            .field("expires_at", &self.0.expires_at)
            .field("extra", &self.0.extra.keys().collect::<Vec<_>>())
            .finish()
    }
}
