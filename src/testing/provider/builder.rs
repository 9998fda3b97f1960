use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde_json::{Map, Value};

use super::config::{
    Assertions, AuthMethod, Client, Config, KnownClient, MetadataDocument, Need, NeedKind,
    RedirectUris, ResourceDocument,
};
#[cfg(all(feature = "keys", feature = "testing"))]
use super::dpop::DpopRules;
use super::handle::Provider;
use crate::testing::clock::Clock;

/// How a provider is set up and started.
impl Provider {
    /// Starts a provider with the default configuration.
    ///
    /// # Errors
    ///
    /// Fails when no loopback port can be bound.
    ///
    /// # Panics
    ///
    /// Panics outside a Tokio runtime.
    pub async fn start() -> io::Result<Self> {
        Self::builder().start().await
    }

    /// Configures a provider before it starts.
    pub fn builder() -> ProviderBuilder {
        ProviderBuilder::default()
    }
}

/// Configures a [`Provider`]; made by [`Provider::builder`].
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct ProviderBuilder {
    pub(crate) config: Config,
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
    /// When off, the refresh token stays valid and the response to a refresh has
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

    /// The resources that a refresh may ask for (RFC 8707 §2.2): any other is refused with
    /// `invalid_target`. By default every one is given.
    pub fn resources<R: Into<String>>(mut self, resources: impl IntoIterator<Item = R>) -> Self {
        self.config.targets.resources = Some(resources.into_iter().map(Into::into).collect());
        self
    }

    /// Scope names that a refresh may ask for beside what the login was granted, as Microsoft's may for
    /// other resources. By default there are none.
    pub fn more_scopes<S: Into<String>>(mut self, names: impl IntoIterator<Item = S>) -> Self {
        self.config.targets.scopes = names.into_iter().map(Into::into).collect();
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

    /// The public key of the client, as a JWK: it verifies the client's assertions.
    #[cfg(all(feature = "keys", feature = "testing"))]
    #[cfg_attr(docsrs, doc(cfg(feature = "keys")))]
    pub fn client_key(mut self, public_jwk: Map<String, Value>) -> Self {
        self.config.client.key = Some(public_jwk);
        self
    }

    /// Which authentication methods a confidential client may use: by default those
    /// that send its secret.
    ///
    /// A request that uses another is answered with 401 `invalid_client`.
    pub fn auth_methods(mut self, methods: impl IntoIterator<Item = AuthMethod>) -> Self {
        self.config.client.auth_methods = methods.into_iter().collect();
        self
    }

    /// How the provider handles proofs (RFC 9449), until [`Provider::set_dpop`] says otherwise.
    #[cfg(all(feature = "keys", feature = "testing"))]
    #[cfg_attr(docsrs, doc(cfg(feature = "keys")))]
    pub fn dpop(mut self, rules: DpopRules) -> Self {
        self.config.dpop = rules;
        self
    }

    /// Whether requests may be JSON objects in place of forms; off by default.
    pub fn take_json(mut self, on: bool) -> Self {
        self.config.client.takes_json = on;
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

/// The endpoints beside the token endpoint and the API.
impl ProviderBuilder {
    /// Registers a redirect URI; may be called again. Without any, the
    /// authorization endpoint shows an error page.
    ///
    /// They are compared as strings, but for the port of an http URI whose host
    /// is a loopback IP literal (RFC 8252 §7.3).
    pub fn redirect_uri(mut self, uri: impl Into<String>) -> Self {
        self.config.authorization.redirect_uris.register(uri.into());
        self
    }

    /// Whether a request for an authorization code needs a `code_challenge` of
    /// the method `S256` (RFC 7636); off by default.
    pub fn require_pkce(mut self, on: bool) -> Self {
        self.config.authorization.require_pkce = on;
        self
    }

    /// Whether callbacks carry the issuer as `iss` (RFC 9207); on by default.
    pub fn send_iss(mut self, on: bool) -> Self {
        self.config.authorization.send_iss = on;
        self
    }

    /// Whether the authorization endpoint shows a page where the user logs in and
    /// allows or denies; off by default: the user allows at once.
    ///
    /// The form of the page has the fields `username`, `password` and `decision`,
    /// which is `allow` or `deny`; it is posted to the URL of the page.
    pub fn login_page(mut self, on: bool) -> Self {
        self.config.authorization.page = on;
        self
    }

    /// Whether authorization requests have to be pushed first, as the metadata then
    /// says; off by default (RFC 9126 §5). Those that are pushed are taken in any case.
    pub fn require_pushed_authorization_requests(mut self, on: bool) -> Self {
        self.config.authorization.require_pushed = on;
        self
    }

    /// How long a device code and its user code are good for: ten minutes by
    /// default (RFC 8628 §3.2).
    pub fn device_lifetime(mut self, lifetime: Duration) -> Self {
        self.config.device.lifetime = lifetime;
        self
    }

    /// The `interval` of the device flow: five seconds by default. `None` leaves
    /// it out, which means five seconds as well (RFC 8628 §3.2).
    pub fn device_interval(mut self, interval: Option<Duration>) -> Self {
        self.config.device.interval = interval;
        self
    }

    /// Whether a device that polls before the interval is over, by the provider's
    /// clock, is answered with `slow_down`; off by default. Each `slow_down` makes
    /// the interval five seconds longer (RFC 8628 §3.5).
    pub fn enforce_device_interval(mut self, on: bool) -> Self {
        self.config.device.enforce_interval = on;
        self
    }

    /// Which assertions the JWT bearer grant accepts (RFC 7523): any by default.
    ///
    /// Token exchange (RFC 8693) accepts these as subject tokens too; by default
    /// only live access tokens of this provider.
    pub fn accept_assertions(
        mut self,
        accepts: impl Fn(&str) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.config.assertions = Some(Assertions::new(accepts));
        self
    }

    /// Edits the metadata document each time before it is served; the last such
    /// edit counts.
    pub fn metadata(
        mut self,
        edit: impl Fn(&mut Map<String, Value>) + Send + Sync + 'static,
    ) -> Self {
        self.config.metadata.edit = Some(Arc::new(edit));
        self
    }

    /// Which metadata documents are served: both by default.
    pub fn discovery(mut self, documents: impl IntoIterator<Item = MetadataDocument>) -> Self {
        self.config.metadata.documents = documents.into_iter().collect();
        self
    }

    /// Where the API's own metadata is served (RFC 9728): nowhere by default. Once it is anywhere, the
    /// challenge to a request without a token has no `error`.
    pub fn protected_resource(
        mut self,
        documents: impl IntoIterator<Item = ResourceDocument>,
    ) -> Self {
        self.config.resource.documents = documents.into_iter().collect();
        self
    }

    /// Edits the API's metadata each time before it is served; the last such edit counts.
    pub fn resource_metadata(
        mut self,
        edit: impl Fn(&mut Map<String, Value>) + Send + Sync + 'static,
    ) -> Self {
        self.config.resource.edit = Some(Arc::new(edit));
        self
    }

    /// Whether each authorization, device authorization and token request must have the API's URL as
    /// a `resource` (RFC 8707); off by default. Otherwise it is answered with `invalid_target`.
    pub fn require_resource(mut self, on: bool) -> Self {
        self.config.resource.required = on;
        self
    }

    /// The scope that requests to this path of the API, and below it, need; may be called again. A
    /// token without it is answered with 403 `insufficient_scope` (RFC 6750 §3.1).
    pub fn require_scope(mut self, path: impl Into<String>, scope: impl Into<String>) -> Self {
        let (path, scope) = (path.into(), scope.into());
        self.config.resource.needs.push(Need { path, kind: NeedKind::Scope(scope) });
        self
    }

    /// How the user must have logged in for requests to this path of the API, and below it: with this
    /// one of the `acr_values` (any, if it is empty), at most `max_age` ago. Otherwise it is answered
    /// with 401 `insufficient_user_authentication` (RFC 9470). So is each login on another device: the
    /// provider does not know how its user logged in.
    pub fn require_log_in(
        mut self,
        path: impl Into<String>,
        acr: impl Into<String>,
        max_age: Option<Duration>,
    ) -> Self {
        let (path, acr) = (path.into(), acr.into());
        self.config.resource.needs.push(Need { path, kind: NeedKind::LogIn { acr, max_age } });
        self
    }

    /// Whether clients may register themselves (RFC 7591); off by default.
    pub fn registration(mut self, on: bool) -> Self {
        self.config.registration.open = on;
        self
    }

    /// How long the secret of a client that registered itself is good for, and is said to be
    /// (`client_secret_expires_at`); for ever by default. After that its requests are answered with
    /// `invalid_client`.
    pub fn client_secret_lifetime(mut self, lifetime: Duration) -> Self {
        self.config.registration.secret_lifetime = Some(lifetime);
        self
    }

    /// Edits the answer to each registration before it is sent; the last such edit counts.
    pub fn registration_response(
        mut self,
        edit: impl Fn(&mut Map<String, Value>) + Send + Sync + 'static,
    ) -> Self {
        self.config.registration.edit = Some(Arc::new(edit));
        self
    }

    /// A client that is known by the document at the URL that is its id; may be called again. The
    /// provider fetches nothing: this is what is at the URL.
    pub fn client_id_document(mut self, url: impl Into<String>, document: &Value) -> Self {
        let client = Client { id: url.into(), secret: None, ..Client::default() };
        let redirect_uris = RedirectUris::read(document.get("redirect_uris")).unwrap_or_default();
        self.config.registration.documents.push(KnownClient {
            client,
            redirect_uris,
            secret_ends: None,
        });
        self
    }

    /// The path of the issuer identifier, such as `/tenant1`; empty by default.
    ///
    /// The metadata documents move with it (RFC 8414 §3.1 and §5), and everything
    /// else stays where it is.
    pub fn issuer_path(mut self, path: impl Into<String>) -> Self {
        self.config.metadata.issuer_path = path.into();
        self
    }
}
