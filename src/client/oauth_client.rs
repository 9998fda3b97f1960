//! `OAuthClient`: the client's registration with a provider.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::HeaderValue;
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::http_client::HttpClient;
use super::post::{Endpoint, post};
use super::settings::{Endpoints, Settings};
use super::{
    BasicEncoding, ClientAuthentication, Form, Provider, Registration, TokenRequest, endpoint_url,
    method,
};
use crate::clock::Clock;
use crate::error::Error;
use crate::line_end::without_line_end;
use crate::observe::ClientFields;
use crate::wire::{HttpResponse, ResponseRules};

/// The client's registration with a provider, and the provider's token endpoint
/// ([RFC 6749 §2](https://www.rfc-editor.org/rfc/rfc6749#section-2)).
///
/// Cheap to clone; clones share connections (on one runtime) and the detected authentication method. Setters
/// take and return it by value, so set it up before you share it.
///
/// ```
/// use reqwest_oauth2::OAuthClient;
///
/// let app = OAuthClient::new("foo", "https://provider.com/token")?.secret("potato");
/// # Ok::<(), reqwest_oauth2::Error>(())
/// ```
#[derive(Clone)]
pub struct OAuthClient(pub(super) Arc<Settings>);

impl OAuthClient {
    /// A client with its id and the provider's token endpoint. With an empty id, no `client_id` is sent:
    /// for servers that register no clients.
    ///
    /// # Errors
    ///
    /// [`Error::is_config`] if the URL is not absolute, not https (loopback excepted), has a
    /// fragment or user info, or has a parameter of the protocol (`client_id`, `state`) in its query
    /// ([RFC 6749 §3.2](https://www.rfc-editor.org/rfc/rfc6749#section-3.2)).
    pub fn new(client_id: impl Into<String>, token_url: impl AsRef<str>) -> Result<Self, Error> {
        Ok(Self::with_url(
            client_id.into(),
            endpoint_url::parse(token_url.as_ref(), "token endpoint", false)?,
        ))
    }

    /// As [`new`](Self::new), for a token endpoint over plain http, inside a service mesh that encrypts
    /// the traffic itself. Anybody who can read the traffic reads the client's secret and the tokens
    /// ([RFC 6749 §10.3](https://www.rfc-editor.org/rfc/rfc6749#section-10.3)).
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new), plain http excepted.
    pub fn new_over_plain_http(
        client_id: impl Into<String>,
        token_url: impl AsRef<str>,
    ) -> Result<Self, Error> {
        let url = endpoint_url::parse(token_url.as_ref(), "token endpoint", true)?;
        Ok(Self::with_url(client_id.into(), url))
    }

    fn with_url(id: String, token: Url) -> Self {
        Self::with_endpoints(id, Endpoints::of_token(token))
    }

    pub(super) fn with_endpoints(id: String, endpoints: Endpoints) -> Self {
        Self(Arc::new(Settings::new(without_line_end(id), endpoints)))
    }

    #[cfg(feature = "keys")]
    pub(super) fn settings(&self) -> &Settings {
        &self.0
    }

    pub(super) fn with(mut self, edit: impl FnOnce(&mut Settings)) -> Self {
        edit(Arc::make_mut(&mut self.0));
        self
    }

    /// The client's secret. It is sent as HTTP Basic unless
    /// [`authentication`](Self::authentication) says otherwise
    /// ([RFC 6749 §2.3.1](https://www.rfc-editor.org/rfc/rfc6749#section-2.3.1)). A line end behind it, as in a
    /// file, is removed.
    pub fn secret(self, secret: impl Into<String>) -> Self {
        let secret = SecretString::from(without_line_end(secret.into()));
        self.with(|settings| settings.secret = Some(secret))
    }

    /// How the client authenticates
    /// ([RFC 6749 §2.3](https://www.rfc-editor.org/rfc/rfc6749#section-2.3)). By default it follows from what
    /// the client was given, and from the provider's metadata: see [`ClientAuthentication`].
    pub fn authentication(self, method: ClientAuthentication) -> Self {
        self.with(|settings| {
            settings.authentication = Some(method);
            settings.found_methods = Arc::default();
        })
    }

    /// How id and secret are encoded for HTTP Basic
    /// ([RFC 6749 §2.3.1](https://www.rfc-editor.org/rfc/rfc6749#section-2.3.1)).
    pub fn basic_encoding(self, encoding: BasicEncoding) -> Self {
        self.with(|settings| settings.basic_encoding = encoding)
    }

    /// The HTTP client for token requests, a [`reqwest::Client`] or, with the feature `middleware`, a
    /// `ClientWithMiddleware`: its proxy, TLS settings and layers (such as tracing) apply. Build it with
    /// [`reqwest::redirect::Policy::none`]: a response that came by way of a redirect is refused, but only after the
    /// redirect was followed. The default client follows no redirect, waits at most 10 seconds for a connection, and
    /// uses the environment's proxy unless the token endpoint is on loopback, and shares no connection between Tokio
    /// runtimes. If several runtimes use yours, and one of them is not always driven, build it with
    /// `pool_max_idle_per_host(0)`: a request over a connection of that runtime gets no answer. With your own client, this
    /// crate no longer checks that endpoints from metadata stay out of your network:
    /// [`discover_with`](Self::discover_with), [`PublicResolver`](crate::PublicResolver).
    pub fn http_client(self, http: impl Into<HttpClient>) -> Self {
        let http = http.into();
        self.with(|settings| settings.http = Some(http))
    }

    /// Uses the provider's endpoints for clients with a certificate, if its metadata names any, for tokens that
    /// are bound to the certificate of the [`http_client`](Self::http_client). The methods
    /// [`TlsClientAuth`](ClientAuthentication::TlsClientAuth) and
    /// [`SelfSignedTlsClientAuth`](ClientAuthentication::SelfSignedTlsClientAuth) do so without this call
    /// ([RFC 8705 §5](https://www.rfc-editor.org/rfc/rfc8705#section-5)). Give the client for the API the same
    /// certificate ([§3](https://www.rfc-editor.org/rfc/rfc8705#section-3)).
    pub fn mtls_endpoints(self) -> Self {
        self.with(|settings| settings.mtls_endpoints = true)
    }

    /// The `User-Agent` of every request to the provider
    /// ([RFC 9110 §10.1.5](https://www.rfc-editor.org/rfc/rfc9110#section-10.1.5)). By default
    /// `reqwest-oauth2/` and the version; with an [`http_client`](Self::http_client) of the application's,
    /// the one of that client, which may be none: some firewalls refuse that.
    ///
    /// # Errors
    ///
    /// [`Error::is_config`] if it has characters that are not allowed in a header.
    pub fn user_agent(self, user_agent: impl AsRef<str>) -> Result<Self, Error> {
        let header = HeaderValue::from_str(user_agent.as_ref()).map_err(|_| {
            Error::config("the user agent has characters that are not allowed in a header")
        })?;
        Ok(self.with(|settings| settings.user_agent = Some(header)))
    }

    /// The total time that one token request may take, from connecting to the last byte of the
    /// response; a second try after a lost response is within it. 30 seconds by default. If closures, signatures or
    /// a saver's check leave less than 3 seconds of it (or than a tenth), nothing is sent: nobody would hear the
    /// answer.
    pub fn timeout(self, timeout: Duration) -> Self {
        self.with(|settings| settings.timeout = timeout)
    }

    /// The longest response that is read, in bytes after decompression. 1 MiB by default.
    pub fn max_response_bytes(self, bytes: usize) -> Self {
        self.with(|settings| settings.max_response_bytes = bytes)
    }

    /// A token type by which this provider means Bearer, such as eBay's `User Access Token`. Letter
    /// case and white space around it do not matter. Any other type than Bearer is refused
    /// ([RFC 6749 §7.1](https://www.rfc-editor.org/rfc/rfc6749#section-7.1)).
    pub fn accept_token_type(self, token_type: impl Into<String>) -> Self {
        let token_type = token_type.into();
        self.with(|settings| settings.rules.bearer_types.push(token_type))
    }

    /// An error code of this provider that means that the refresh token is no longer valid. It ends the
    /// login, as `invalid_grant` does. LinkedIn, for example, sends `invalid_request`. It is found beside other
    /// codes, and where others have a description. It may be a number (`190`). Letter case does not matter; may be
    /// called again.
    ///
    /// `invalid_grant` and codes that cannot mean anything else, such as GitHub's `bad_refresh_token`, are
    /// known. After any other code the refresh token is presented again later
    /// ([RFC 6749 §5.2](https://www.rfc-editor.org/rfc/rfc6749#section-5.2)).
    pub fn ends_login(self, error_code: impl Into<String>) -> Self {
        let error_code = error_code.into();
        self.with(|settings| settings.rules.ends_login.push(error_code))
    }

    /// The wall clock for deadlines, for tests. By default the system's.
    pub fn clock(self, now: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        self.with_clock(Clock::new(now))
    }

    pub(crate) fn with_clock(self, clock: Clock) -> Self {
        self.with(|settings| settings.clock = clock)
    }

    /// A token request with the given `grant_type`, for grants of your own
    /// ([RFC 6749 §4.5](https://www.rfc-editor.org/rfc/rfc6749#section-4.5)).
    pub fn token_request(&self, grant_type: impl Into<String>) -> TokenRequest<'_> {
        TokenRequest::new(&self.0, grant_type.into())
    }

    /// The client id ([RFC 6749 §2.2](https://www.rfc-editor.org/rfc/rfc6749#section-2.2)).
    pub fn client_id(&self) -> &str {
        &self.0.id
    }

    /// POSTs to an endpoint, authenticated as this client.
    pub(crate) async fn post<T>(
        &self,
        endpoint: Endpoint<'_>,
        form: &Form,
        read: impl Fn(&HttpResponse<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        post(&self.0, endpoint, form, self.0.timeout, read).await
    }

    /// The application's rules for the provider's responses.
    pub(crate) fn rules(&self) -> &ResponseRules {
        &self.0.rules
    }

    /// Whether the provider takes no authorization request that was not pushed
    /// ([RFC 9126 §5](https://www.rfc-editor.org/rfc/rfc9126#section-5)).
    pub(crate) fn requires_pushed_requests(&self) -> bool {
        let says = |provider: &Provider| provider.says("require_pushed_authorization_requests");
        self.0.provider.as_ref().is_some_and(says)
    }

    pub(crate) fn endpoints(&self) -> &Endpoints {
        &self.0.endpoints
    }

    /// What spans say of this client.
    pub(crate) fn span_fields(&self) -> ClientFields<'_> {
        ClientFields { client_id: &self.0.id, host: self.0.endpoints.token.host_str() }
    }

    /// Identifies the provider: its issuer, else its token endpoint.
    pub(crate) fn identity(&self) -> &str {
        let endpoints = &self.0.endpoints;
        endpoints.issuer.as_ref().map_or(endpoints.token.as_str(), |issuer| &issuer.text)
    }

    /// How long one token request may take.
    pub(crate) fn timeout_limit(&self) -> std::time::Duration {
        self.0.timeout
    }

    pub(crate) fn clock_ref(&self) -> &Clock {
        &self.0.clock
    }

    /// The authentication method of a client with a secret, unless the application sets one.
    pub(crate) fn default_authentication(self, method: ClientAuthentication) -> Self {
        self.with(|settings| settings.default_authentication = method)
    }

    /// The provider, as its metadata describes it; `None` where the application named the endpoints.
    pub fn provider(&self) -> Option<&Provider> {
        self.0.provider.as_ref()
    }

    /// Whether nothing authenticates it: it has no secret, no key and no assertion.
    pub(crate) fn is_public(&self) -> bool {
        matches!(method::chosen(&self.0), Ok(ClientAuthentication::None))
    }

    /// Whether this one has the secret of the other one, if that has one.
    pub(crate) fn has_secret_of(&self, other: &Self) -> bool {
        let is_own = |secret: &SecretString| {
            self.0.secret.as_ref().is_some_and(|own| own.expose_secret() == secret.expose_secret())
        };
        other.0.secret.as_ref().is_none_or(is_own)
    }

    /// The registration that it was made of.
    pub(crate) fn registration(&self) -> Option<&Registration> {
        self.0.registration.as_ref()
    }

    pub(super) fn of_registration(self, registration: Registration) -> Self {
        self.with(|settings| settings.registration = Some(registration))
    }

    pub(super) fn of_provider(self, provider: Provider) -> Self {
        self.with(|settings| settings.provider = Some(provider))
    }
}

impl fmt::Debug for OAuthClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let settings = &*self.0;
        f.debug_struct("OAuthClient")
            .field("client_id", &settings.id)
            .field(
                "token_endpoint",
                &format_args!("{}", settings.endpoints.token.origin().ascii_serialization()),
            )
            .field("authentication", &method::chosen(settings).ok())
            .field("secret", &settings.secret.as_ref().map(|_| "[redacted]"))
            .field("timeout", &settings.timeout)
            .field("max_response_bytes", &settings.max_response_bytes)
            .field("rules", &settings.rules)
            .field("clock", &settings.clock)
            .finish_non_exhaustive()
    }
}
