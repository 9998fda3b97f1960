//! `SessionBuilder`.

use std::fmt;
use std::future::Future;
use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime};

use super::config::Config;
use super::driver::Driver;
use super::freshness::Policy;
use super::handle::Session;
use super::machine::{Backoff, Home, Settings, Target};
use crate::client::OAuthClient;
use crate::clock::Clock;
use crate::error::BoxError;
use crate::grant::Grant;
use crate::line_end::without_line_end;
use crate::saver::{TokenSaver, WeakSaver, WithDelete};
use crate::store::TokenStore;
use crate::token::Token;

/// How long requests wait for a new token to be saved.
const SAVE_WAIT: Duration = Duration::from_secs(5);
const STORE_TIMEOUT: Duration = Duration::from_secs(5);
const LEASE: Duration = Duration::from_secs(10);
const LEASE_BOUNDS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(3600));
/// Between looks at whether another process has finished a renewal: the first wait, and the longest.
const LOOKS: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(500));
/// The longest wait that can be set, of any kind.
const LONGEST: Duration = Duration::from_secs(24 * 3600);
/// The shortest wait between attempts that can be set: without any, a saver that fails at once would be
/// called without a pause.
const SHORTEST_BACKOFF: Duration = Duration::from_millis(10);
/// How long a grant of the application may take.
const GRANT_TIMEOUT: Duration = Duration::from_secs(60);

impl Session {
    /// A session whose tokens come from this client's token endpoint.
    pub fn builder(client: OAuthClient) -> SessionBuilder {
        SessionBuilder::new(Some(client))
    }

    /// A session whose tokens come from the application's own source, with no token endpoint.
    pub fn from_grant(grant: impl Grant) -> SessionBuilder {
        SessionBuilder::new(None).grant(grant)
    }
}

/// Sets a [`Session`] up.
#[must_use = "a builder does nothing until `build`"]
pub struct SessionBuilder {
    config: Config,
    user: Arc<str>,
    token: Option<Token>,
}

impl SessionBuilder {
    fn new(client: Option<OAuthClient>) -> Self {
        let clock =
            client.as_ref().map_or_else(Clock::default, |client| client.clock_ref().clone());
        let config = Config {
            client,
            grant: None,
            issued_for: Vec::new(),
            saver: None,
            store: None,
            settings: Settings {
                home: Home::Memory,
                has_client: false,
                has_grant: false,
                can_revoke: false,
                manual_refresh: false,
                strict_saving: false,
                foreground: false,
                renew_without_store: false,
                lease: LEASE,
                save_wait: SAVE_WAIT,
                refresh_limit: Duration::ZERO,
                grant_limit: Duration::ZERO,
                backoff: Backoff::default(),
                looks: LOOKS,
            },
            policy: Policy::default(),
            store_timeout: STORE_TIMEOUT,
            grant_timeout: GRANT_TIMEOUT,
            clock,
            #[cfg(feature = "keys")]
            apis: Arc::default(),
        };
        Self { config, user: "".into(), token: None }
    }

    /// The token that the application has stored. If it has expired, it is renewed before the first
    /// use. It is not passed to the saver: it came from there
    /// ([RFC 6749 §1.5](https://www.rfc-editor.org/rfc/rfc6749#section-1.5)).
    pub fn token(mut self, token: Token) -> Self {
        self.token = Some(token);
        self
    }

    /// Begins with a refresh token and no access token: the first request renews
    /// ([RFC 6749 §6](https://www.rfc-editor.org/rfc/rfc6749#section-6)). A line end behind it is
    /// removed. An empty text is no refresh token: the session begins without any token.
    pub fn refresh_token(mut self, refresh_token: impl Into<String>) -> Self {
        let text = without_line_end(refresh_token.into());
        self.token = (!text.is_empty()).then(|| Token::only_refresh_token(text));
        self
    }

    /// Where a token comes from if there is no refresh token, or the provider no longer accepts it:
    /// [`ClientCredentials`](crate::ClientCredentials), or the application's own
    /// ([RFC 6749 §1.3](https://www.rfc-editor.org/rfc/rfc6749#section-1.3)).
    pub fn grant(self, grant: impl Grant) -> Self {
        self.shared_grant(Arc::new(grant))
    }

    pub(crate) fn shared_grant(mut self, grant: Arc<dyn Grant>) -> Self {
        self.config.grant = Some(grant);
        self
    }

    /// The stored tokens are those of a grant for this, which is not there.
    pub(crate) fn issued_for(mut self, issued_for: Vec<(String, String)>) -> Self {
        self.config.issued_for = issued_for;
        self
    }

    /// What saves each new token before any request carries it: a closure
    /// `|token| async move { … }`, or an `async fn(Token)`, that returns a `Result<(), E>`. See
    /// [`TokenSaver`] for how it is called.
    ///
    /// When it is first called, the provider may already have replaced the refresh token. So check
    /// when you start that it can save, or use a [`saver`](Self::saver) with [`TokenSaver::check`].
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

    /// As [`saver`](Self::saver), for a saver that owns the session: the session does not keep it alive, so
    /// both are dropped with the saver's last owner.
    ///
    /// Once the saver is dropped, no refresh token is presented any more, since a new one could not be
    /// saved. If it is dropped during a renewal, the new token is lost: call [`Session::shutdown`] before.
    ///
    /// ```
    /// use std::sync::{Arc, Weak};
    /// use reqwest_oauth2::{BoxError, OAuthClient, Session, Token, TokenSaver};
    ///
    /// struct Account {
    ///     session: Session,
    /// }
    ///
    /// #[async_trait::async_trait]
    /// impl TokenSaver for Account {
    ///     async fn save(&self, token: Token) -> Result<(), BoxError> {
    ///         Ok(std::fs::write("token.json", serde_json::to_vec(&token)?)?)
    ///     }
    /// }
    ///
    /// let client = OAuthClient::new("id", "https://provider.com/token")?;
    /// let account = Arc::new_cyclic(|account| Account {
    ///     session: Session::builder(client).weak_saver(account.clone()).build(),
    /// });
    /// # drop(account.session.clone());
    /// # Ok::<(), reqwest_oauth2::Error>(())
    /// ```
    pub fn weak_saver<S: TokenSaver>(mut self, saver: Weak<S>) -> Self {
        self.config.saver = Some(Arc::new(WeakSaver(saver)));
        self
    }

    /// What deletes the saved token after [`Session::sign_out`]: a closure `|| async move { … }`
    /// that returns a `Result<(), E>`. Call it after [`on_new_token`](Self::on_new_token).
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

    /// Keeps the token in a [store](crate::store) that other processes share, in place of a saver. The
    /// session begins with the stored token, and takes tokens that another process has renewed
    /// ([RFC 9700 §4.14.2](https://www.rfc-editor.org/rfc/rfc9700#section-4.14.2)). `user` is an id of
    /// the application's that never changes. The key of the record is everything that the token is
    /// issued for: issuer, client, user, and the scope, resource and audience of the session's grant.
    ///
    /// A stored token takes precedence over one from [`token`](Self::token), and so does the record of a
    /// sign-out. So the given token is not used before the store was read, or has failed.
    /// [`Session::set_token`] replaces what is stored. While the store is down the token in memory works until it
    /// expires; for what happens then see [`renew_without_store`](Self::renew_without_store).
    pub fn store(mut self, store: impl TokenStore, user: impl Into<Arc<str>>) -> Self {
        self.config.store = Some(Arc::new(store));
        self.user = user.into();
        self
    }

    /// The lease: how long other processes wait for a renewal of this one before they consider it
    /// dead and renew the token themselves. A live process extends its lease, so this can be shorter
    /// than a token request takes. 10 seconds by default; between 1 second and 1 hour.
    ///
    /// If refresh tokens rotate, make it longer than any pause of the process (a suspended machine, a
    /// stopped container). A process that stops for a whole lease after it has presented the refresh
    /// token loses the login if another process takes over.
    pub fn lease_ttl(mut self, time: Duration) -> Self {
        let (shortest, longest) = LEASE_BOUNDS;
        self.config.settings.lease = time.clamp(shortest, longest);
        self
    }

    /// How long one call of the [store](Self::store) may take. 5 seconds by default; a day at most. A
    /// write that a renewal depends on may take at most half of [`lease_ttl`](Self::lease_ttl).
    pub fn store_timeout(mut self, timeout: Duration) -> Self {
        self.config.store_timeout = timeout.min(LONGEST);
        self
    }

    /// Uses refresh tokens even while the [store](Self::store) is down, and stores the new token when
    /// the store is back. By default such a renewal is an error
    /// ([`Error::is_store`](crate::Error::is_store)): with a provider that rotates refresh tokens, other
    /// processes that still present the old one would end the login
    /// ([RFC 9700 §4.14.2](https://www.rfc-editor.org/rfc/rfc9700#section-4.14.2)). Tokens of a grant
    /// are always renewed.
    pub fn renew_without_store(mut self) -> Self {
        self.config.settings.renew_without_store = true;
        self
    }

    /// Renews and saves within the call, not in the background. A token that is due is renewed before
    /// the request goes on, and the call returns when the new token is saved. So the runtime may end
    /// after any call. For command-line tools, and for programs that make a runtime for each call
    /// ([`block_on`](https://docs.rs/tokio/latest/tokio/runtime/struct.Runtime.html#method.block_on)).
    ///
    /// If the renewal of a token that is still valid fails, the request goes on with that token. So it does if
    /// its own timeout ends meanwhile; then that begins anew.
    pub fn foreground(mut self) -> Self {
        self.config.settings.foreground = true;
        self
    }

    /// Renews only when the application calls [`Session::refresh`]. An expired token is an error
    /// ([`Error::is_expired`](crate::Error::is_expired)), and a 401 is returned to the caller
    /// ([RFC 6750 §3.1](https://www.rfc-editor.org/rfc/rfc6750#section-3.1)). With a [store](Self::store), the
    /// session reads that first, at most once in the shortest [`backoff`](Self::backoff).
    pub fn manual_refresh(mut self) -> Self {
        self.config.settings.manual_refresh = true;
        self
    }

    /// If a new token cannot be saved, requests get the saver's error and do not use the token. The
    /// session keeps the token and tries to save it again; it does not ask for a second one.
    pub fn strict_saving(mut self) -> Self {
        self.config.settings.strict_saving = true;
        self
    }

    /// How long requests wait for a new token to be saved; saving then continues in the background. 5
    /// seconds by default; a day at most.
    pub fn save_wait_timeout(mut self, wait: Duration) -> Self {
        self.config.settings.save_wait = wait.min(LONGEST);
        self
    }

    /// How long before its deadline a token is renewed in the background. Jittered by up to a quarter either way. At
    /// most half of the lifetime, if that is known. By default a fifth of the lifetime, but at least 10 seconds and
    /// at most 5 minutes ([RFC 6749 §5.1](https://www.rfc-editor.org/rfc/rfc6749#section-5.1)).
    pub fn refresh_lead(mut self, lead: Duration) -> Self {
        self.config.policy.lead = Some(lead);
        self
    }

    /// How long before its deadline a token is no longer used, in case clocks differ. At most a
    /// tenth of the lifetime. 10 seconds by default
    /// ([RFC 6749 §5.1](https://www.rfc-editor.org/rfc/rfc6749#section-5.1)).
    pub fn expiry_margin(mut self, margin: Duration) -> Self {
        self.config.policy.margin = Some(margin);
        self
    }

    /// The shortest and the longest wait between attempts while renewing or saving fails. 1 and 30 seconds
    /// by default, at least 10 milliseconds, at most a day. A provider's `Retry-After` takes precedence, up
    /// to an hour. Every wait is jittered, and never shorter than a `Retry-After`.
    pub fn backoff(mut self, shortest: Duration, longest: Duration) -> Self {
        let shortest = shortest.clamp(SHORTEST_BACKOFF, LONGEST);
        let longest = longest.clamp(shortest, LONGEST);
        self.config.settings.backoff = Backoff { shortest, longest };
        self
    }

    /// How long a [`Grant`] may take. 60 seconds by default. A refresh has its own limit,
    /// [`OAuthClient::timeout`].
    pub fn grant_timeout(mut self, timeout: Duration) -> Self {
        self.config.grant_timeout = timeout.min(LONGEST);
        self
    }

    /// The wall clock that deadlines are measured by, for tests. By default the client's.
    pub fn clock(mut self, now: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        let clock = Clock::new(now);
        self.config.client = self.config.client.map(|client| client.with_clock(clock.clone()));
        self.config.clock = clock;
        self
    }

    /// Settings that several sessions may share.
    pub(crate) fn into_config(mut self) -> Config {
        let config = &mut self.config;
        let client = config.client.as_ref();
        let of_client = client.map(|client| client.timeout_limit().min(LONGEST));
        let of_grant = config.grant.as_ref().map(|_| config.grant_timeout);
        let settings = &mut config.settings;
        settings.has_client = client.is_some();
        settings.has_grant = config.grant.is_some();
        settings.can_revoke = client.is_some_and(|client| client.endpoints().revocation.is_some());
        settings.refresh_limit = of_client.unwrap_or_default();
        settings.grant_limit = of_grant.unwrap_or_default();
        settings.home = match (&config.store, &config.saver) {
            (Some(_), _) => Home::Store,
            (None, Some(_)) => Home::Saver,
            (None, None) => Home::Memory,
        };
        self.config
    }

    /// The session. Nothing is sent and nothing is spawned.
    pub fn build(mut self) -> Session {
        let (user, token) = (self.user.clone(), self.token.take());
        Session(Arc::new(Driver::new(Arc::new(self.into_config()), user, token)), Target::OWN)
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
