use super::redirect_uri::RedirectUris;

/// How the authorization endpoint deals with requests and users.
#[derive(Clone, Debug)]
pub(super) struct Login {
    pub(super) redirect_uris: RedirectUris,
    pub(super) require_pkce: bool,
    pub(super) send_iss: bool,
    pub(super) page: bool,
}

impl Default for Login {
    fn default() -> Self {
        Self {
            redirect_uris: RedirectUris::default(),
            require_pkce: false,
            send_iss: true,
            page: false,
        }
    }
}
