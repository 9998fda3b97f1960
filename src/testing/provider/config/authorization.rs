use super::redirect_uris::RedirectUris;

/// How the authorization endpoint deals with requests and users.
#[derive(Clone, Debug)]
pub(crate) struct AuthorizationConfig {
    pub(crate) redirect_uris: RedirectUris,
    pub(crate) require_pkce: bool,
    pub(crate) send_iss: bool,
    pub(crate) page: bool,
    /// Requests that were not pushed are refused (RFC 9126 §5).
    pub(crate) require_pushed: bool,
}

impl Default for AuthorizationConfig {
    fn default() -> Self {
        Self {
            redirect_uris: RedirectUris::default(),
            require_pkce: false,
            send_iss: true,
            page: false,
            require_pushed: false,
        }
    }
}
