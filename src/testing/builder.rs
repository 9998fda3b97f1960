use std::io;
use std::time::{Duration, SystemTime};

use super::client::AuthMethod;
use super::clock::Clock;
use super::config::Config;
use super::provider::Provider;

/// Configures a [`Provider`]; made by [`Provider::builder`].
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct ProviderBuilder {
    pub(super) config: Config,
}

impl ProviderBuilder {
    /// How long an access token is accepted: one hour by default.
    ///
    /// `expires_in` is sent as an integer when this is whole seconds, and as a
    /// fraction otherwise.
    pub fn lifetime(mut self, lifetime: Duration) -> Self {
        self.config.lifetime = lifetime;
        self
    }

    /// Leaves `expires_in` out of token responses.
    pub fn no_expires_in(mut self) -> Self {
        self.config.send_expires_in = false;
        self
    }

    /// Whether each refresh issues a new refresh token and retires the old one
    /// (RFC 9700 §2.2.2); on by default.
    ///
    /// When off, the refresh token stays valid and the answer to a refresh has
    /// no `refresh_token`.
    pub fn rotation(mut self, on: bool) -> Self {
        self.config.rotation = on;
        self
    }

    /// Whether a retired refresh token that is presented again revokes its whole
    /// family, access tokens included (RFC 9700 §4.14.2); on by default.
    ///
    /// When off, such a request is only answered with `invalid_grant`.
    pub fn reuse_detection(mut self, on: bool) -> Self {
        self.config.reuse_detection = on;
        self
    }

    /// For how long a retired refresh token is still answered, with the family's
    /// current refresh token and a new access token; zero by default.
    pub fn grace_period(mut self, period: Duration) -> Self {
        self.config.grace_period = period;
        self
    }

    /// The confidential client: `foo` with the secret `potato` by default.
    pub fn client(mut self, id: impl Into<String>, secret: impl Into<String>) -> Self {
        self.config.client.id = id.into();
        self.config.client.secret = Some(secret.into());
        self
    }

    /// A public client instead: it sends its `client_id` in the body and has no
    /// secret (RFC 6749 §2.1).
    pub fn public_client(mut self, id: impl Into<String>) -> Self {
        self.config.client.id = id.into();
        self.config.client.secret = None;
        self
    }

    /// Which authentication methods a confidential client may use: both by default.
    ///
    /// A request that uses another is answered with 401 `invalid_client`.
    pub fn auth_methods(mut self, methods: impl IntoIterator<Item = AuthMethod>) -> Self {
        self.config.client.auth_methods = methods.into_iter().collect();
        self
    }

    /// Whether the `client_credentials` grant issues a refresh token as well;
    /// off by default (RFC 6749 §4.4.3).
    pub fn issue_refresh_token_for_client_credentials(mut self, on: bool) -> Self {
        self.config.client_credentials_refresh = on;
        self
    }

    /// How long each token request takes. The token is issued after the delay.
    pub fn token_delay(mut self, delay: Duration) -> Self {
        self.config.token_delay = delay;
        self
    }

    /// How long each API request takes. The access token is judged before the
    /// delay.
    pub fn api_delay(mut self, delay: Duration) -> Self {
        self.config.api_delay = delay;
        self
    }

    /// The clock for every lifetime, grace and interval: [`SystemTime::now`] by
    /// default.
    pub fn clock(mut self, now: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        self.config.clock = Clock::new(now);
        self
    }

    /// Starts the provider on a free loopback port, on the current Tokio runtime.
    ///
    /// # Errors
    ///
    /// Fails when no loopback port can be bound.
    ///
    /// # Panics
    ///
    /// Panics outside a Tokio runtime.
    #[allow(clippy::unused_async)]
    pub async fn start(self) -> io::Result<Provider> {
        Provider::with_config(self.config)
    }
}
