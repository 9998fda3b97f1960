use std::fmt;
use std::time::{Duration, SystemTime};

use super::metadata::Edit;
use super::{Client, RedirectUris};

/// How clients become known while the provider runs (RFC 7591).
#[derive(Clone, Default)]
pub(crate) struct RegistrationConfig {
    pub(crate) open: bool,
    pub(crate) secret_lifetime: Option<Duration>,
    pub(crate) edit: Option<Edit>,
    /// Clients that are known by the document at their id.
    pub(crate) documents: Vec<KnownClient>,
}

/// A client, and where it may be called back.
#[derive(Clone, Debug)]
pub(crate) struct KnownClient {
    pub(crate) client: Client,
    pub(crate) redirect_uris: RedirectUris,
    /// When its secret is not good any more.
    pub(crate) secret_ends: Option<SystemTime>,
}

impl fmt::Debug for RegistrationConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegistrationConfig")
            .field("open", &self.open)
            .field("secret_lifetime", &self.secret_lifetime)
            .field("documents", &self.documents)
            .finish_non_exhaustive()
    }
}
