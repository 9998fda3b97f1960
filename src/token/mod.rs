//! The token: the provider's response, with an absolute deadline.
//!
//! Invariants: the access token is valid in a header, or there is none: then there is a refresh token, and
//! the deadline has passed; the deadline lies between 1970 and 9999.

mod access_token;
mod deadline;
mod json;
#[cfg(feature = "keys")]
mod key_binding;
mod lifetime;
mod login_deadline;
mod other_tokens;
mod rare;
mod scope;
mod token_target;

pub(crate) use access_token::AccessToken;
pub(crate) use deadline::Deadline;
pub(crate) use json::BOOKKEEPING;
#[cfg(feature = "keys")]
pub(crate) use key_binding::KeyBinding;
pub(crate) use lifetime::Lifetime;
pub(crate) use other_tokens::OtherTokens;
use rare::Rare;
pub(crate) use scope::{asked_scope, is_scope, take_scope};
pub(crate) use token_target::{TokenTarget, is_resource};

use std::borrow::Cow;
use std::fmt;
use std::mem;
use std::num::NonZeroI64;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use chrono::{DateTime, Utc};
use http::HeaderValue;
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};

use crate::clock;
use crate::error::Error;
#[cfg(feature = "keys")]
use crate::keys::SigningKey;
use crate::line_end::without_line_end;

/// A bearer token with its refresh token and its absolute deadline.
///
/// The response of [RFC 6749 §5.1](https://www.rfc-editor.org/rfc/rfc6749#section-5.1), with
/// `expires_in` turned into an instant, counted from the moment before the token request was sent.
///
/// `Debug` shows no secret. Serialising with serde does: that is how a token is stored. The JSON
/// form is that of requests-oauthlib and Authlib (`expires_at` as seconds since 1970, a number);
/// files of these and of Go's x/oauth2 (`expiry`, RFC 3339) load unchanged, and a stored token that
/// has only a negative `expires_in` is expired when loaded. A stored token with only a positive
/// `expires_in` counts from the moment it is loaded, as in requests-oauthlib. A stored token without
/// `access_token`, but with a refresh token, is expired. Any token type is accepted: it was accepted
/// before it was stored.
///
/// If the provider says how long the refresh token lives, the JSON also has the date, as
/// `refresh_token_expires_at`, in addition to what the provider sent. `scope_is_of_renewal` says that
/// `scope` may be less than the login was granted.
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
pub struct Token {
    access_token: AccessToken,
    /// `None`: Bearer, as nearly every token's type is.
    token_type: Option<Box<str>>,
    refresh_token: Option<SecretString>,
    scope: Option<Box<str>>,
    expires_at: Option<DateTime<Utc>>,
    /// Seconds from the token request to the deadline, where they are known.
    lifetime: Option<NonZeroI64>,
    rare: Option<Box<Rare>>,
}

/// The type of nearly every token.
const BEARER: &str = "Bearer";

/// The type of a token that is bound to a key
/// ([RFC 9449 §5](https://www.rfc-editor.org/rfc/rfc9449#section-5)).
pub(crate) const DPOP: &str = "DPoP";

/// Whether it is that type.
pub(crate) fn is_dpop(token_type: &str) -> bool {
    token_type.trim().eq_ignore_ascii_case(DPOP)
}

/// The members of a token, before the check that makes them a [`Token`].
pub(crate) struct Parts {
    pub(crate) access_token: AccessToken,
    pub(crate) token_type: Cow<'static, str>,
    pub(crate) refresh_token: Option<SecretString>,
    pub(crate) scope: Option<Box<str>>,
    pub(crate) expires_at: Option<DateTime<Utc>>,
    /// Seconds from the token request to the deadline, where they are known.
    pub(crate) lifetime: Option<i64>,
    pub(crate) extra: Map<String, Value>,
    /// The key that the login's tokens are bound to, whatever the type of this one.
    #[cfg(feature = "keys")]
    pub(crate) binding: Option<KeyBinding>,
}

impl Token {
    /// A token that is only an access token: no refresh token, lifetime unknown.
    ///
    /// # Errors
    ///
    /// [`Error::is_config`] if the text cannot stand in an `Authorization` header: empty, or
    /// with characters other than printable ASCII
    /// ([RFC 6749 Appendix A.12](https://www.rfc-editor.org/rfc/rfc6749#appendix-A.12)).
    pub fn new(access_token: impl Into<String>) -> Result<Self, Error> {
        let text = Zeroizing::new(access_token.into());
        Ok(Self::of(Parts {
            access_token: Self::sendable(&text)?,
            token_type: BEARER.into(),
            refresh_token: None,
            scope: None,
            expires_at: None,
            lifetime: None,
            extra: Map::new(),
            #[cfg(feature = "keys")]
            binding: None,
        }))
    }

    /// The first token of a session that has only a refresh token: it has no access token, and is
    /// never sent to an API.
    pub(crate) fn only_refresh_token(refresh_token: String) -> Self {
        Self {
            access_token: AccessToken::none(),
            token_type: None,
            refresh_token: Some(SecretString::from(refresh_token)),
            scope: None,
            expires_at: Some(DateTime::UNIX_EPOCH),
            lifetime: None,
            rare: None,
        }
    }

    /// The text as an access token, or what is wrong with it.
    pub(crate) fn sendable(text: &str) -> Result<AccessToken, Error> {
        AccessToken::new(text).ok_or_else(|| {
            Error::config(
                "the access token is empty or has characters that are not allowed in a header; pass it exactly as the provider gave it",
            )
        })
    }

    pub(crate) fn of(parts: Parts) -> Self {
        let Parts { access_token, token_type, refresh_token, scope, extra, .. } = parts;
        #[cfg(feature = "keys")]
        let access_token = if is_dpop(&token_type) { access_token.bound() } else { access_token };
        let rare = Rare {
            extra,
            #[cfg(feature = "keys")]
            binding: parts.binding,
            ..Rare::default()
        };
        let token_type = token_type.trim();
        let is_bearer = token_type.is_empty() || token_type == BEARER;
        Self {
            access_token,
            token_type: (!is_bearer).then(|| token_type.into()),
            refresh_token,
            scope,
            expires_at: parts.expires_at.map(clock::clamp),
            lifetime: parts.lifetime.and_then(NonZeroI64::new),
            rare: rare.boxed(),
        }
    }

    /// Changes what only some tokens have.
    fn edit<R>(&mut self, edit: impl FnOnce(&mut Rare) -> R) -> R {
        let mut rare = self.rare.take().map_or_else(Rare::default, |rare| *rare);
        let edited = edit(&mut rare);
        self.rare = rare.boxed();
        edited
    }

    /// Forgets when the refresh token expires.
    fn clear_login_deadline(&mut self) {
        if self.rare.is_some() {
            self.edit(|rare| login_deadline::clear(&mut rare.extra));
        }
    }

    /// The token as one that was issued at that moment, with the lifetime that follows from its deadline;
    /// and whether it was expired then. Such a deadline is dropped: the provider's clock or ours is wrong,
    /// and otherwise every request would renew the token. It would, too, if the lifetime were longer than
    /// what is left: a grant may return a token that was issued long before.
    pub(crate) fn issued(mut self, at: DateTime<Utc>) -> (Self, bool) {
        if self.refresh_token_expires_at().is_some_and(|deadline| deadline <= at) {
            self.clear_login_deadline();
        }
        let Some(expires_at) = self.expires_at else { return (self, false) };
        if expires_at <= at {
            self.expires_at = None;
            self.lifetime = None;
            return (self, true);
        }
        let left = (expires_at - at).num_seconds().max(1);
        self.lifetime = NonZeroI64::new(self.lifetime_s().map_or(left, |known| known.min(left)));
        (self, false)
    }

    /// The same token with this refresh token, or without one if the text is empty. A different refresh
    /// token has no deadline yet ([RFC 6749 §1.5](https://www.rfc-editor.org/rfc/rfc6749#section-1.5)).
    pub fn with_refresh_token(mut self, refresh_token: impl Into<String>) -> Self {
        let text = without_line_end(refresh_token.into());
        if self.refresh_token().is_some_and(|old| old != text) {
            self.clear_login_deadline();
        }
        self.refresh_token = (!text.is_empty()).then(|| SecretString::from(text));
        self
    }

    /// The same token with an absolute deadline (to the nanosecond; between 1970 and 9999)
    /// ([RFC 6749 §5.1](https://www.rfc-editor.org/rfc/rfc6749#section-5.1)).
    pub fn with_expires_at(mut self, expires_at: DateTime<Utc>) -> Self {
        self.expires_at = Some(clock::clamp(expires_at));
        self.lifetime = None;
        self
    }

    /// The same token with a deadline that is unknown: it is used until a 401
    /// ([RFC 6749 §5.1](https://www.rfc-editor.org/rfc/rfc6749#section-5.1)).
    pub fn without_expires_at(mut self) -> Self {
        // Without an access token there is nothing to use.
        if self.header().is_some() {
            self.expires_at = None;
            self.lifetime = None;
        }
        self
    }

    /// The same token with a lifetime: the time from the token request to its deadline, in whole seconds,
    /// at least one. It decides how long before the deadline the token is renewed. Zero means unknown. Of a
    /// token that a [`Grant`](crate::Grant) returns, no more counts than what is left of it.
    ///
    /// Set the deadline first ([`with_expires_at`](Self::with_expires_at) forgets the lifetime). A token
    /// without a deadline has no lifetime
    /// ([RFC 6749 §5.1](https://www.rfc-editor.org/rfc/rfc6749#section-5.1)).
    pub fn with_lifetime(mut self, lifetime: Duration) -> Self {
        let seconds = i64::try_from(lifetime.as_secs()).unwrap_or(i64::MAX).max(1);
        let is_known = self.expires_at.is_some() && !lifetime.is_zero();
        self.lifetime = NonZeroI64::new(seconds).filter(|_| is_known);
        self
    }

    /// The same token with an absolute deadline of its refresh token (to the microsecond; between 2001 and
    /// 9999). After it a session asks for reauthorization, without a request.
    pub fn with_refresh_token_expires_at(mut self, expires_at: DateTime<Utc>) -> Self {
        self.edit(|rare| login_deadline::set(&mut rare.extra, expires_at));
        self
    }

    /// The same token with a refresh token whose deadline is unknown.
    pub fn without_refresh_token_expires_at(mut self) -> Self {
        self.clear_login_deadline();
        self
    }

    /// The same token with a scope: names separated by spaces
    /// ([RFC 6749 §3.3](https://www.rfc-editor.org/rfc/rfc6749#section-3.3)).
    pub fn with_scope(mut self, scope: impl Into<String>) -> Self {
        self.scope = Some(scope.into().into());
        self
    }

    /// The token of a response to a request for this scope: "OPTIONAL, if identical to the scope requested by
    /// the client" ([RFC 6749 §5.1](https://www.rfc-editor.org/rfc/rfc6749#section-5.1)).
    pub(crate) fn after_asking_for(self, scope: Option<&str>) -> Self {
        match scope.filter(|scope| self.scope.is_none() && !scope.is_empty()) {
            Some(scope) => self.with_scope(scope),
            None => self,
        }
    }

    /// The access token ([RFC 6749 §1.4](https://www.rfc-editor.org/rfc/rfc6749#section-1.4)).
    /// A secret. Empty where there is only a refresh token.
    pub fn access_token(&self) -> &str {
        self.access_token.text()
    }

    /// The token type, as the provider or the store has it: `Bearer` or `DPoP` in any spelling, or a stored
    /// type that means Bearer ([RFC 6749 §7.1](https://www.rfc-editor.org/rfc/rfc6749#section-7.1)).
    pub fn token_type(&self) -> &str {
        self.token_type.as_deref().unwrap_or(BEARER)
    }

    /// The refresh token ([RFC 6749 §1.5](https://www.rfc-editor.org/rfc/rfc6749#section-1.5)).
    /// A secret.
    pub fn refresh_token(&self) -> Option<&str> {
        self.refresh_token.as_ref().map(ExposeSecret::expose_secret)
    }

    /// The scope of the access token: what the provider last named, which is less than the login was granted after
    /// a refresh that asked for less; otherwise what the login or the grant asked for
    /// ([RFC 6749 §5.1](https://www.rfc-editor.org/rfc/rfc6749#section-5.1)). `None` if neither is known.
    pub fn scope(&self) -> Option<&str> {
        self.scope.as_deref()
    }

    /// The scope that the login was granted, where that is known.
    pub(crate) fn granted_scope(&self) -> Option<&str> {
        self.scope().filter(|_| !self.scope_is_of_renewal())
    }

    fn scope_is_of_renewal(&self) -> bool {
        self.rare.as_ref().is_some_and(|rare| rare.scope_is_of_renewal)
    }

    /// When the access token expires; `None` if the provider did not say
    /// ([RFC 6749 §5.1](https://www.rfc-editor.org/rfc/rfc6749#section-5.1)).
    pub fn expires_at(&self) -> Option<DateTime<Utc>> {
        self.expires_at
    }

    /// The time from the token request to the deadline, in whole seconds; `None` where it is not known
    /// ([RFC 6749 §5.1](https://www.rfc-editor.org/rfc/rfc6749#section-5.1)).
    pub fn lifetime(&self) -> Option<Duration> {
        let seconds = self.lifetime.and_then(|seconds| u64::try_from(seconds.get()).ok());
        seconds.filter(|seconds| *seconds > 0).map(Duration::from_secs)
    }

    /// When the refresh token expires; `None` if there is none, or if the provider did not say.
    /// Providers say it as a lifetime that counts from the token request (`refresh_token_expires_in`,
    /// `refresh_expires_in`, `x_refresh_token_expires_in`) or as a date (`refresh_token_expires_at`).
    /// In a stored token a lifetime alone does not count: its beginning is unknown.
    pub fn refresh_token_expires_at(&self) -> Option<DateTime<Utc>> {
        self.refresh_token().and_then(|_| login_deadline::read(self.extra()))
    }

    /// How long the refresh token lives, as the provider said with it, in seconds.
    pub(crate) fn refresh_token_lifetime(&self) -> Option<i64> {
        login_deadline::lifetime(self.extra())
    }

    /// Whether requests with the token need a proof
    /// ([RFC 9449 §5](https://www.rfc-editor.org/rfc/rfc9449#section-5)).
    #[cfg(feature = "keys")]
    pub(crate) fn is_dpop(&self) -> bool {
        is_dpop(self.token_type())
    }

    /// The same token, bound to this key, such as a token that another program obtained with the key. Its
    /// type becomes DPoP. The key is saved with the token, unless a [`Signer`](crate::Signer) holds it
    /// ([RFC 9449 §5](https://www.rfc-editor.org/rfc/rfc9449#section-5)).
    #[cfg(feature = "keys")]
    #[cfg_attr(docsrs, doc(cfg(feature = "keys")))]
    pub fn with_dpop_key(mut self, key: SigningKey) -> Self {
        self.token_type = Some(DPOP.into());
        self.access_token = self.access_token.bound();
        self.with_binding(KeyBinding::Own(key))
    }

    /// The thumbprint of the key that the login's tokens are bound to
    /// ([RFC 9449 §6](https://www.rfc-editor.org/rfc/rfc9449#section-6)).
    #[cfg(feature = "keys")]
    #[cfg_attr(docsrs, doc(cfg(feature = "keys")))]
    pub fn dpop_thumbprint(&self) -> Option<&str> {
        self.binding().map(KeyBinding::thumbprint)
    }

    #[cfg(feature = "keys")]
    pub(crate) fn binding(&self) -> Option<&KeyBinding> {
        self.rare.as_ref()?.binding.as_ref()
    }

    /// The same token, of a login with that key.
    #[cfg(feature = "keys")]
    pub(crate) fn with_binding(mut self, binding: KeyBinding) -> Self {
        self.edit(|rare| rare.binding = Some(binding));
        self
    }

    /// The members of the response that this crate does not know, such as `id_token`; and
    /// `refresh_token_expires_at`, where the provider said how long the refresh token lives
    /// ([RFC 6749 §5.1](https://www.rfc-editor.org/rfc/rfc6749#section-5.1)).
    pub fn extra(&self) -> &Map<String, Value> {
        static NONE: LazyLock<Map<String, Value>> = LazyLock::new(Map::new);
        self.rare.as_ref().map_or(&*NONE, |rare| &rare.extra)
    }

    /// The access tokens for other targets, each with the key of its target.
    pub(crate) fn others(&self) -> impl ExactSizeIterator<Item = (&Arc<str>, &Self)> {
        static NONE: OtherTokens = OtherTokens::NONE;
        let others = self.rare.as_ref().and_then(|rare| rare.others.as_deref());
        others.unwrap_or(&NONE).iter()
    }

    /// The same login with an access token for another target. The refresh token that came with it is the
    /// login's from now on.
    pub(crate) fn with_other(mut self, key: Arc<str>, mut answer: Self) -> Self {
        if let Some(refresh_token) = answer.refresh_token.take() {
            self = self.with_refresh_token(refresh_token.expose_secret());
        }
        self.edit(|rare| {
            answer.edit(|of_answer| {
                login_deadline::transfer(&mut of_answer.extra, &mut rare.extra);
                #[cfg(feature = "keys")]
                if let Some(binding) = of_answer.binding.take() {
                    rare.binding = Some(binding);
                }
            });
            Arc::make_mut(rare.others.get_or_insert_default()).insert(key, answer.access_alone());
        });
        self
    }

    /// The same token with a scope that may be less than was granted.
    fn with_scope_of_renewal(mut self) -> Self {
        self.edit(|rare| rare.scope_is_of_renewal = true);
        self
    }

    /// The same login with these access tokens for other targets.
    fn with_others(mut self, others: Option<OtherTokens>) -> Self {
        if others.is_some() {
            self.edit(|rare| rare.others = others.map(Arc::new));
        }
        self
    }

    /// The same login without access tokens for other targets.
    pub(crate) fn without_others(mut self) -> Self {
        self.edit(|rare| rare.others = None);
        self
    }

    /// The access token without what belongs to the login.
    fn access_alone(mut self) -> Self {
        self.refresh_token = None;
        self.edit(|rare| *rare = Rare { extra: mem::take(&mut rare.extra), ..Rare::default() });
        self
    }

    /// The header that requests carry; `None` without an access token.
    pub(crate) fn header(&self) -> Option<&HeaderValue> {
        self.access_token.header()
    }

    /// Seconds from the token request to the deadline, where they are known.
    pub(crate) fn lifetime_s(&self) -> Option<i64> {
        self.lifetime.map(NonZeroI64::get)
    }

    /// Reads how long the refresh token lives that came with these members, in the response to a request
    /// that was sent at that moment.
    pub(crate) fn settle_login_deadline(members: &mut Map<String, Value>, sent_at: DateTime<Utc>) {
        login_deadline::settle(members, sent_at);
    }

    /// Takes from `old` what the response to a refresh left out.
    ///
    /// "The authorization server MAY issue a new refresh token, in which case the client MUST
    /// discard the old refresh token and replace it with the new refresh token."
    /// ([RFC 6749 §6](https://www.rfc-editor.org/rfc/rfc6749#section-6))
    pub(crate) fn fill_missing_from(mut self, old: &Token) -> Self {
        // The deadline belongs to the refresh token: that of another one is not known.
        let is_same = self.refresh_token().is_none_or(|new| old.refresh_token() == Some(new));
        let keeps_deadline = is_same && !login_deadline::is_stated(self.extra());
        if self.refresh_token.is_none() {
            self.refresh_token.clone_from(&old.refresh_token);
        }
        if self.scope.is_none() {
            self.scope.clone_from(&old.scope);
        }
        if self.scope != old.scope || old.scope_is_of_renewal() {
            self = self.with_scope_of_renewal();
        }
        let Some(old) = &old.rare else { return self };
        self.edit(|rare| {
            #[cfg(feature = "keys")]
            if rare.binding.is_none() {
                rare.binding.clone_from(&old.binding);
            }
            if rare.others.is_none() {
                rare.others.clone_from(&old.others);
            }
            // Such as Salesforce's `instance_url`, and the `id_token` of most providers.
            for (name, value) in &old.extra {
                let is_deadline = login_deadline::is_date(name);
                let has_value = |new: &Value| !(new.is_null() || new.as_str() == Some(""));
                let is_missing = !rare.extra.get(name).is_some_and(has_value);
                if is_missing && (keeps_deadline || !is_deadline) {
                    rare.extra.insert(name.clone(), value.clone());
                }
            }
        });
        self
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token")
            .field("access_token", &"[redacted]")
            .field("token_type", &self.token_type())
            .field("refresh_token", &self.refresh_token.as_ref().map(|_| "[redacted]"))
            .field("scope", &self.scope)
            .field("expires_at", &self.expires_at)
            .field("extra", &self.extra().keys().collect::<Vec<_>>())
            .field("others", &self.others().map(|(key, _)| key).collect::<Vec<_>>())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 0).unwrap()
    }

    #[test]
    fn deadlines_and_lifetimes_are_set_unset_and_read() {
        let token = Token::new("at").unwrap();
        assert_eq!((token.expires_at(), token.lifetime()), (None, None));
        // Without a deadline there is no lifetime.
        assert_eq!(token.clone().with_lifetime(Duration::from_secs(60)).lifetime(), None);
        let token = token.with_expires_at(at(1_800_000_060));
        for (set, read) in [
            (Duration::from_secs(60), Some(Duration::from_secs(60))),
            (Duration::from_millis(1_999), Some(Duration::from_secs(1))),
            (Duration::from_nanos(1), Some(Duration::from_secs(1))),
            (Duration::ZERO, None),
        ] {
            let token = token.clone().with_lifetime(set);
            assert_eq!((token.expires_at(), token.lifetime()), (Some(at(1_800_000_060)), read));
            let stored = serde_json::to_string(&token).unwrap();
            assert_eq!(serde_json::from_str::<Token>(&stored).unwrap().lifetime(), read);
            assert_eq!(token.with_expires_at(at(1_800_000_000)).lifetime(), None);
        }
        let token = token.with_lifetime(Duration::MAX).without_expires_at();
        assert_eq!((token.expires_at(), token.lifetime()), (None, None));
        // Without an access token there is nothing to use.
        let expired = Token::only_refresh_token("rt".to_owned());
        assert_eq!(expired.without_expires_at().expires_at(), Some(DateTime::UNIX_EPOCH));
    }

    #[test]
    fn the_scope_of_a_renewal_says_nothing_of_the_grant_once_it_is_another_one() {
        let token = || Token::new("at").unwrap();
        let renewed = |scope: &str, old: &Token| token().with_scope(scope).fill_missing_from(old);
        let login = token().with_scope("a b");
        for renewed in [token().fill_missing_from(&login), renewed("a b", &login)] {
            assert_eq!(renewed.granted_scope(), Some("a b"));
            assert_eq!(serde_json::to_value(&renewed).unwrap().get("scope_is_of_renewal"), None);
        }
        assert_eq!(renewed("a", &token()).granted_scope(), None, "it was never known");
        let less = renewed("a", &login);
        let stored = serde_json::to_value(&less).unwrap();
        assert_eq!(
            stored,
            serde_json::json!({"access_token": "at", "token_type": "Bearer", "scope": "a",
                               "scope_is_of_renewal": true})
        );
        let loaded: Token = serde_json::from_value(stored).unwrap();
        assert!(loaded.extra().is_empty());
        for less in [less, loaded] {
            for later in [
                token().fill_missing_from(&less),
                renewed("a", &less),
                less.clone().with_other("scope=b".into(), token()).with_refresh_token("rt"),
            ] {
                assert_eq!((later.scope(), later.granted_scope()), (Some("a"), None));
            }
        }
        let other: Token = serde_json::from_str(
            r#"{"access_token": "at", "scope": "a", "scope_is_of_renewal": "no"}"#,
        )
        .unwrap();
        assert_eq!(other.granted_scope(), Some("a"));
    }

    #[test]
    fn a_member_without_a_value_is_one_that_is_left_out() {
        let token = |members: &str| -> Token {
            serde_json::from_str(&format!(r#"{{"access_token": "at"{members}}}"#)).unwrap()
        };
        let old = token(r#", "id_token": "it", "instance_url": "https://i.example", "n": 1"#);
        for renewed in ["", r#", "id_token": "", "instance_url": null, "n": "" "#] {
            assert_eq!(token(renewed).fill_missing_from(&old).extra(), old.extra());
        }
        let renewed = token(r#", "id_token": "new", "n": 0"#).fill_missing_from(&old);
        assert_eq!(
            (&renewed.extra()["id_token"], &renewed.extra()["n"]),
            (&"new".into(), &0.into())
        );
    }

    #[test]
    fn the_deadline_of_the_refresh_token_is_set_unset_and_read() {
        let token = Token::new("at").unwrap().with_refresh_token_expires_at(at(1_800_000_000));
        assert_eq!(token.refresh_token_expires_at(), None, "there is no refresh token");
        let token = token.with_refresh_token("rt");
        assert_eq!(token.refresh_token_expires_at(), Some(at(1_800_000_000)));
        let same = token.clone().with_refresh_token("rt");
        assert_eq!(same.refresh_token_expires_at(), Some(at(1_800_000_000)));
        let other = token.clone().with_refresh_token("other");
        assert_eq!(other.refresh_token_expires_at(), None);
        let unset = token.without_refresh_token_expires_at();
        assert_eq!(unset.refresh_token_expires_at(), None);
        assert_eq!(
            serde_json::to_value(&unset).unwrap(),
            serde_json::json!({"access_token": "at", "token_type": "Bearer", "refresh_token": "rt"})
        );
    }
}
