use std::fmt;
use std::io;
use std::sync::Arc;

use serde_json::Value;

use super::config::{Config, DEFAULT_SCOPE};
use super::counts::Counts;
use super::grants::{LogIn, Owner, token_json};
use super::recorded::{RecordedApiRequest, RecordedTokenRequest};
use super::server;
use super::server::Server;
use super::state::Shared;

/// A running OAuth 2 authorization server and protected API.
///
/// This is a handle: clones share one server, which stops when the last of them
/// is dropped.
///
/// Once a token request has arrived in full it is served to the end, even if
/// the client closes the connection meanwhile.
#[derive(Clone)]
pub struct Provider {
    pub(crate) shared: Arc<Shared>,
    /// Runs as long as it is kept.
    _server: Arc<Server>,
}

impl Provider {
    pub(crate) fn with_config(config: Config) -> io::Result<Self> {
        let listener = server::bind()?;
        let origin = format!("http://{}", listener.local_addr()?);
        let shared = Arc::new(Shared::new(config, origin));
        let server = Server::start(listener, Arc::clone(&shared));
        Ok(Self { shared, _server: Arc::new(server) })
    }

    /// The token response of a new family, as if a user had just logged in with the configured client.
    ///
    /// It changes none of the [`Counts`].
    #[must_use]
    pub fn log_in(&self) -> Value {
        let config = &self.shared.config;
        let now = config.clock.now();
        let mut state = self.shared.lock();
        let families = &mut state.credentials.families;
        let client_id = &config.client.id;
        let issued = families.begin(client_id, DEFAULT_SCOPE, Owner::User, true, config, now);
        state.log_ins.began_family(issued.family, LogIn::plain(now));
        token_json(issued, config)
    }

    /// What has been counted so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.shared.counts()
    }

    /// The last 10,000 requests to the token endpoint, in order of arrival.
    #[must_use]
    pub fn token_requests(&self) -> Vec<RecordedTokenRequest> {
        self.shared.lock().token_requests.to_vec()
    }

    /// The last 10,000 requests to the revocation endpoint, in order of arrival.
    #[must_use]
    pub fn revocation_requests(&self) -> Vec<RecordedTokenRequest> {
        self.shared.lock().revocation_requests.to_vec()
    }

    /// The last 10,000 pushed authorization requests, in order of arrival.
    #[must_use]
    pub fn pushed_authorization_requests(&self) -> Vec<RecordedTokenRequest> {
        self.shared.lock().pushed_requests.to_vec()
    }

    /// The last 10,000 requests to the API, in order of arrival.
    #[must_use]
    pub fn api_requests(&self) -> Vec<RecordedApiRequest> {
        self.shared.lock().api_requests.to_vec()
    }

    /// The last 10,000 requests to the device authorization endpoint, in order of arrival.
    #[must_use]
    pub fn device_requests(&self) -> Vec<RecordedTokenRequest> {
        self.shared.lock().device_requests.to_vec()
    }

    /// The queries of the last 10,000 requests to the authorization endpoint, in order of
    /// arrival.
    #[must_use]
    pub fn authorization_requests(&self) -> Vec<String> {
        self.shared.lock().authorization_requests.to_vec()
    }

    /// What clients said of themselves to be registered, in order of arrival (RFC 7591 §3.1).
    #[must_use]
    pub fn registrations(&self) -> Vec<Value> {
        self.shared.lock().registrations.clone()
    }

    /// Waits until [`Counts::token_requests`] is at least `n`.
    pub async fn wait_for_token_requests(&self, n: u64) {
        let reached = |counts: &Counts| counts.token_requests >= n;
        self.shared.counts_reach(reached).await;
    }

    /// Waits until [`Counts::api_requests`] is at least `n`.
    pub async fn wait_for_api_requests(&self, n: u64) {
        let reached = |counts: &Counts| counts.api_requests >= n;
        self.shared.counts_reach(reached).await;
    }

    /// Whether the API would take this access token now; what
    /// [`reject_all`](Self::reject_all) says does not matter here.
    #[must_use]
    pub fn accepts_access_token(&self, token: &str) -> bool {
        let now = self.shared.config.clock.now();
        self.shared.lock().credentials.families.accepts_access(token, now)
    }

    /// The resources that the refresh asked for which brought this access token (RFC 8707 §2.2).
    #[must_use]
    pub fn resources_of(&self, access_token: &str) -> Vec<String> {
        self.shared.lock().credentials.families.resources(access_token)
    }

    /// Whether this refresh token is the current one of a family that is not
    /// revoked.
    #[must_use]
    pub fn accepts_refresh_token(&self, token: &str) -> bool {
        self.shared.lock().credentials.families.accepts_refresh(token)
    }
}

/// Where everything is.
impl Provider {
    /// The origin, such as `http://127.0.0.1:49152`.
    #[must_use]
    pub fn origin(&self) -> String {
        self.shared.origin.clone()
    }

    /// The issuer identifier (RFC 8414 §2): the origin, and what
    /// [`ProviderBuilder::issuer_path`](crate::testing::ProviderBuilder::issuer_path) says.
    #[must_use]
    pub fn issuer(&self) -> String {
        self.shared.issuer()
    }

    /// The URL of the authorization endpoint.
    #[must_use]
    pub fn authorize_url(&self) -> String {
        self.origin() + "/authorize"
    }

    /// The URL of the endpoint for pushed authorization requests (RFC 9126).
    #[must_use]
    pub fn pushed_authorization_request_url(&self) -> String {
        self.origin() + "/par"
    }

    /// The URL of the token endpoint.
    #[must_use]
    pub fn token_url(&self) -> String {
        self.origin() + "/token"
    }

    /// The URL of the device authorization endpoint.
    #[must_use]
    pub fn device_authorization_url(&self) -> String {
        self.origin() + "/device_authorization"
    }

    /// The URL of the revocation endpoint.
    #[must_use]
    pub fn revocation_url(&self) -> String {
        self.origin() + "/revoke"
    }

    /// The URL of the introspection endpoint.
    #[must_use]
    pub fn introspection_url(&self) -> String {
        self.origin() + "/introspect"
    }

    /// The URL of the protected API; every path below it belongs to it too.
    #[must_use]
    pub fn api_url(&self) -> String {
        self.shared.api_url()
    }
}

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Provider")
            .field("origin", &self.origin())
            .field("counts", &self.counts())
            .finish_non_exhaustive()
    }
}
