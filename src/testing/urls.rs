use super::provider::Provider;

/// Where everything is.
impl Provider {
    /// The origin, such as `http://127.0.0.1:49152`.
    #[must_use]
    pub fn origin(&self) -> String {
        self.shared.origin.clone()
    }

    /// The issuer identifier (RFC 8414 §2): the origin, and what
    /// [`ProviderBuilder::issuer_path`](super::ProviderBuilder::issuer_path) says.
    #[must_use]
    pub fn issuer(&self) -> String {
        self.shared.issuer()
    }

    /// The URL of the authorization endpoint.
    #[must_use]
    pub fn authorize_url(&self) -> String {
        self.origin() + "/authorize"
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
        self.origin() + "/api"
    }
}
