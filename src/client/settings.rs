//! `Settings`: all that an [`OAuthClient`](super::OAuthClient) knows.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::{HeaderValue, Response};
use secrecy::SecretString;
use url::Url;

use super::client_assertion::AssertionSettings;
#[cfg(feature = "keys")]
use super::dpop::Dpop;
use super::http_client::HttpClient;
use super::method::FoundMethods;
use super::own_clients::own_http;
use super::shape::Shape;
use super::{BasicEncoding, ClientAuthentication, Provider, Registration, RequestKind};
use crate::clock::Clock;
use crate::error::Error;
use crate::wire::ResponseRules;

/// The provider's endpoints, as far as they are known.
#[derive(Clone)]
pub(crate) struct Endpoints {
    pub(crate) token: Url,
    pub(crate) authorization: Option<Url>,
    pub(crate) device_authorization: Option<Url>,
    pub(crate) pushed_authorization: Option<Url>,
    pub(crate) revocation: Option<Url>,
    pub(crate) introspection: Option<Url>,
    pub(crate) issuer: Option<Issuer>,
}

impl Endpoints {
    /// The token endpoint alone.
    pub(crate) fn of_token(token: Url) -> Self {
        Self {
            token,
            authorization: None,
            device_authorization: None,
            pushed_authorization: None,
            revocation: None,
            introspection: None,
            issuer: None,
        }
    }
}

/// Who the provider says it is ([RFC 8414 §2](https://www.rfc-editor.org/rfc/rfc8414#section-2)).
#[derive(Clone)]
pub(crate) struct Issuer {
    pub(crate) text: String,
    /// Its callbacks carry `iss`
    /// ([RFC 9207 §3](https://www.rfc-editor.org/rfc/rfc9207#section-3)).
    pub(crate) in_callback: bool,
}

pub(super) type MapHttpResponse =
    dyn Fn(RequestKind, Response<Vec<u8>>) -> Response<Vec<u8>> + Send + Sync;

#[derive(Clone)]
pub(super) struct Settings {
    pub(super) id: String,
    pub(super) secret: Option<SecretString>,
    pub(super) endpoints: Endpoints,
    /// What the provider's metadata says, where it was asked for.
    pub(super) provider: Option<Provider>,
    /// The registration that it was made of.
    pub(super) registration: Option<Registration>,
    pub(super) authentication: Option<ClientAuthentication>,
    /// The method of a client with a secret, unless the application sets one.
    pub(super) default_authentication: ClientAuthentication,
    pub(super) basic_encoding: BasicEncoding,
    /// In the order in which they apply.
    pub(super) shapes: Vec<Shape>,
    pub(super) map_http_response: Option<Arc<MapHttpResponse>>,
    pub(super) timeout: Duration,
    pub(super) max_response_bytes: usize,
    pub(super) rules: ResponseRules,
    pub(super) clock: Clock,
    /// Sent with every request to the provider; by default that of the HTTP client.
    pub(super) user_agent: Option<HeaderValue>,
    pub(super) http: Option<HttpClient>,
    /// Built at the first token request, where the application gave none.
    pub(super) own_http: Arc<OnceLock<HttpClient>>,
    #[cfg(feature = "keys")]
    pub(super) dpop: Dpop,
    pub(super) assertions: AssertionSettings,
    /// The endpoints are those for clients with a certificate, where the provider has such.
    pub(super) mtls_endpoints: bool,
    pub(super) found_methods: Arc<FoundMethods>,
}

/// The default limits.
pub(super) const TIMEOUT: Duration = Duration::from_secs(30);
pub(super) const MAX_RESPONSE_BYTES: usize = 1024 * 1024;

impl Settings {
    pub(super) fn new(id: String, endpoints: Endpoints) -> Self {
        Self {
            id,
            secret: None,
            endpoints,
            provider: None,
            registration: None,
            authentication: None,
            default_authentication: ClientAuthentication::ClientSecretBasic,
            basic_encoding: BasicEncoding::default(),
            shapes: Vec::new(),
            map_http_response: None,
            timeout: TIMEOUT,
            max_response_bytes: MAX_RESPONSE_BYTES,
            rules: ResponseRules::default(),
            clock: Clock::default(),
            user_agent: None,
            http: None,
            own_http: Arc::default(),
            #[cfg(feature = "keys")]
            dpop: Dpop::default(),
            assertions: AssertionSettings::default(),
            mtls_endpoints: false,
            found_methods: Arc::default(),
        }
    }

    pub(super) fn http(&self) -> Result<&HttpClient, Error> {
        if let Some(http) = self.http.as_ref().or_else(|| self.own_http.get()) {
            return Ok(http);
        }
        let built = own_http(&self.endpoints.token, None)?;
        Ok(self.own_http.get_or_init(|| built))
    }
}
