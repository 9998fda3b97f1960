use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};

use super::assertions::Assertions;
use super::builder::ProviderBuilder;
use super::discovery::MetadataDocument;

/// What goes beyond the token endpoint and the API.
impl ProviderBuilder {
    /// Registers a redirect URI; may be called again. Without any, the
    /// authorization endpoint shows an error page.
    ///
    /// They are compared as strings, but for the port of an http URI whose host
    /// is a loopback IP literal (RFC 8252 §7.3).
    pub fn redirect_uri(mut self, uri: impl Into<String>) -> Self {
        self.config.login.redirect_uris.register(uri.into());
        self
    }

    /// Whether a request for an authorization code needs a `code_challenge` of
    /// the method `S256` (RFC 7636); off by default.
    pub fn require_pkce(mut self, on: bool) -> Self {
        self.config.login.require_pkce = on;
        self
    }

    /// Whether callbacks carry the issuer as `iss` (RFC 9207); on by default.
    pub fn send_iss(mut self, on: bool) -> Self {
        self.config.login.send_iss = on;
        self
    }

    /// Whether the authorization endpoint shows a page where the user logs in and
    /// allows or denies; off by default: the user allows at once.
    ///
    /// The form of the page has the fields `username`, `password` and `decision`,
    /// which is `allow` or `deny`; it is posted to the URL of the page.
    pub fn login_page(mut self, on: bool) -> Self {
        self.config.login.page = on;
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
        self.config.discovery.edit = Some(Arc::new(edit));
        self
    }

    /// Which metadata documents are served: both by default.
    pub fn discovery(mut self, documents: impl IntoIterator<Item = MetadataDocument>) -> Self {
        self.config.discovery.documents = documents.into_iter().collect();
        self
    }

    /// The path of the issuer identifier, such as `/tenant1`; empty by default.
    ///
    /// The metadata documents move with it (RFC 8414 §3.1 and §5), and everything
    /// else stays where it is.
    pub fn issuer_path(mut self, path: impl Into<String>) -> Self {
        self.config.discovery.issuer_path = path.into();
        self
    }
}
