//! `SessionBuilder`.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::Session;
use super::core::{Config, Core};
use super::freshness::Policy;
use super::ledger::Backoff;
use crate::client::OAuthClient;
use crate::clock::Clock;
use crate::error::BoxError;
use crate::grant::Grant;
use crate::saver::{TokenSaver, WithDelete};
use crate::store::TokenStore;
use crate::token::Token;

/// How long a renewal waits for the saver before requests go on with the unsaved token.
const SAVE_WAIT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a lease of the store lasts, unless it is extended.
const LEASE: Duration = Duration::from_secs(10);
/// The longest wait between attempts that can be set.
const LONGEST_BACKOFF: Duration = Duration::from_secs(24 * 3600);
/// How long a grant of the application may take.
const GRANT_TIMEOUT: Duration = Duration::from_secs(60);

/// Sets a [`Session`] up.
#[must_use = "a builder does nothing until `build`"]
pub struct SessionBuilder {
    config: Config,
    user: Arc<str>,
    token: Option<Token>,
}

impl SessionBuilder {
    pub(super) fn new(client: Option<OAuthClient>) -> Self {
        let clock =
            client.as_ref().map_or_else(Clock::default, |client| client.clock_ref().clone());
        let config = Config {
            client,
            grant: None,
            saver: None,
            store: None,
            lease: LEASE,
            unrecorded: false,
            policy: Policy::default(),
            backoff: Backoff::default(),
            manual: false,
            strict_saving: false,
            save_wait_timeout: SAVE_WAIT_TIMEOUT,
            grant_timeout: GRANT_TIMEOUT,
            clock,
        };
        Self { config, user: "".into(), token: None }
    }

    /// The token that the application has stored; one that has expired is renewed
    /// before the first use. It is not handed to the saver: it came from there
    /// ([RFC 6749 §1.5](https://www.rfc-editor.org/rfc/rfc6749#section-1.5)).
    pub fn token(mut self, token: Token) -> Self {
        self.token = Some(token);
        self
    }

    /// Begins with a refresh token and no access token: the first request renews
    /// ([RFC 6749 §6](https://www.rfc-editor.org/rfc/rfc6749#section-6)).
    pub fn refresh_token(mut self, refresh_token: impl Into<String>) -> Self {
        self.token = Some(Token::only_refresh_token(refresh_token.into()));
        self
    }

    /// Where a token comes from when there is no refresh token, or none that is still accepted:
    /// [`ClientCredentials`](crate::ClientCredentials), or the application's own
    /// ([RFC 6749 §1.3](https://www.rfc-editor.org/rfc/rfc6749#section-1.3)).
    pub fn grant(mut self, grant: impl Grant) -> Self {
        self.config.grant = Some(Arc::new(grant));
        self
    }

    /// What saves each new token before any request carries it: a closure
    /// `|token| async move { … }`, or an `async fn(Token)`, that returns a `Result<(), E>`. See
    /// [`TokenSaver`] for how it is called.
    ///
    /// A provider may have replaced the refresh token by the time it is called for the first time:
    /// make sure when you start that what it writes to can be written to.
    pub fn on_new_token<F, Fut, E>(self, save: F) -> Self
    where
        F: Fn(Token) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<BoxError> + 'static,
    {
        self.saver(save)
    }

    /// As [`on_new_token`](Self::on_new_token), with a [`TokenSaver`] of the application's own.
    pub fn saver(mut self, saver: impl TokenSaver) -> Self {
        self.config.saver = Some(Arc::new(saver));
        self
    }

    /// What deletes the saved token after [`Session::sign_out`]: a closure `|| async move { … }`
    /// that returns a `Result<(), E>`. To be called after [`on_new_token`](Self::on_new_token).
    pub fn on_sign_out<F, Fut, E>(mut self, delete: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<BoxError> + 'static,
    {
        let saver = self.config.saver.take();
        self.config.saver = Some(Arc::new(WithDelete { saver, delete }));
        self
    }

    /// Keeps the token of this user in a [store](crate::store) that other processes share, in place of
    /// a saver. The session begins with what is stored, renews it under a lease, and takes what a
    /// sibling has renewed ([RFC 9700 §4.14.2](https://www.rfc-editor.org/rfc/rfc9700#section-4.14.2)).
    /// `user` is the application's own name for the user: an id that never changes. The stored token
    /// counts, also where [`token`](Self::token) gave another; [`Session::set_token`] replaces it.
    ///
    /// While the store is down the token in memory serves until it expires; see
    /// [`renew_without_store`](Self::renew_without_store) for what then. A request that needs a token which
    /// a sibling renews waits for three [leases](Self::lease_ttl) at most.
    pub fn store(mut self, store: impl TokenStore, user: impl Into<Arc<str>>) -> Self {
        self.config.store = Some(Arc::new(store));
        self.user = user.into();
        self
    }

    /// How long siblings wait for this process, should it die while it renews the token. Extended
    /// while it lives, so this need not be longer than a token request. 10 seconds by default, at
    /// least 1. After the store was down, or has lost its content, an expired token waits for half of
    /// it: whoever held a lease takes it back first.
    pub fn lease_ttl(mut self, time: Duration) -> Self {
        self.config.lease = time.max(Duration::from_secs(1));
        self
    }

    /// Renew a token with a refresh token also while the [store](Self::store) is down, and record it
    /// when it is back. By default such a renewal is an error ([`Error::is_store`](crate::Error::is_store)):
    /// with a provider that rotates refresh tokens, siblings that go on to present the old one would
    /// end the login ([RFC 9700 §4.14.2](https://www.rfc-editor.org/rfc/rfc9700#section-4.14.2)).
    /// Tokens of a grant are always renewed.
    pub fn renew_without_store(mut self) -> Self {
        self.config.unrecorded = true;
        self
    }

    /// Renew only when told to: an expired token is an error
    /// ([`Error::is_expired`](crate::Error::is_expired)), a 401 is returned as it is, and
    /// [`Session::refresh`] is the application's to call
    /// ([RFC 6750 §3.1](https://www.rfc-editor.org/rfc/rfc6750#section-3.1)).
    pub fn manual_refresh(mut self) -> Self {
        self.config.manual = true;
        self
    }

    /// Requests get the saver's error rather than a token that is not saved. The token is kept;
    /// saving is tried again, and no second token is asked for.
    pub fn strict_saving(mut self) -> Self {
        self.config.strict_saving = true;
        self
    }

    /// How long a renewal waits for the saver before requests go on with the new token while
    /// saving continues, and how long a call of a store may take. 5 seconds by default.
    pub fn save_wait_timeout(mut self, wait: Duration) -> Self {
        self.config.save_wait_timeout = wait;
        self
    }

    /// How long before its deadline a token is renewed in the background; jittered by a quarter
    /// either way, and at most half of the lifetime. By default a fifth of the lifetime, but at
    /// least 10 seconds and at most 5 minutes
    /// ([RFC 6749 §5.1](https://www.rfc-editor.org/rfc/rfc6749#section-5.1)).
    pub fn refresh_lead(mut self, lead: Duration) -> Self {
        self.config.policy.lead = Some(lead);
        self
    }

    /// How long before its deadline a token is no longer used, against clocks that differ; at most
    /// a tenth of the lifetime. 10 seconds by default
    /// ([RFC 6749 §5.1](https://www.rfc-editor.org/rfc/rfc6749#section-5.1)).
    pub fn expiry_margin(mut self, margin: Duration) -> Self {
        self.config.policy.margin = Some(margin);
        self
    }

    /// The shortest and the longest wait between attempts while renewing or saving fails. 1 and 30
    /// seconds by default, a day at most; a provider's `Retry-After` goes before, up to an hour.
    pub fn backoff(mut self, shortest: Duration, longest: Duration) -> Self {
        let shortest = shortest.min(LONGEST_BACKOFF);
        let longest = longest.clamp(shortest, LONGEST_BACKOFF);
        self.config.backoff = Backoff { shortest, longest };
        self
    }

    /// How long a [`Grant`] may take. 60 seconds by default. A refresh has its own limit,
    /// [`OAuthClient::timeout`].
    pub fn grant_timeout(mut self, timeout: Duration) -> Self {
        self.config.grant_timeout = timeout;
        self
    }

    /// The wall clock that deadlines are measured by, for tests. By default the client's.
    pub fn clock(mut self, now: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        let clock = Clock::new(now);
        self.config.client = self.config.client.map(|client| client.with_clock(clock.clone()));
        self.config.clock = clock;
        self
    }

    /// What any number of sessions may share.
    pub(crate) fn into_config(self) -> Config {
        self.config
    }

    /// The session. Nothing is sent and nothing is spawned.
    pub fn build(self) -> Session {
        Session(Arc::new(Core::new(Arc::new(self.config), self.user, self.token)))
    }
}

impl fmt::Debug for SessionBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionBuilder")
            .field("client", &self.config.client)
            .field("token", &self.token)
            .finish_non_exhaustive()
    }
}
