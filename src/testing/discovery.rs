use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Value};

/// How the metadata is served (RFC 8414).
#[derive(Clone)]
pub(super) struct Discovery {
    pub(super) issuer_path: String,
    pub(super) oauth: bool,
    pub(super) oidc: bool,
    pub(super) edit: Option<Edit>,
}

/// Changes the document before it is served.
pub(super) type Edit = Arc<dyn Fn(&mut Map<String, Value>) + Send + Sync>;

impl Discovery {
    /// Whether this may be the path of a document, and if so, whether it is
    /// served.
    pub(super) fn serves(&self, path: &str) -> Option<bool> {
        let issuer = self.issuer_path.trim_end_matches('/');
        // RFC 8414 §3.1 and §5: inserted before the issuer's path, or appended
        // to it.
        if path.strip_prefix("/.well-known/oauth-authorization-server") == Some(issuer) {
            return Some(self.oauth);
        }
        let inserted = path.strip_prefix("/.well-known/openid-configuration") == Some(issuer);
        let appended = path.strip_suffix("/.well-known/openid-configuration") == Some(issuer);
        (inserted || appended).then_some(self.oidc)
    }
}

impl Default for Discovery {
    fn default() -> Self {
        Self { issuer_path: String::new(), oauth: true, oidc: true, edit: None }
    }
}

impl fmt::Debug for Discovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Discovery")
            .field("issuer_path", &self.issuer_path)
            .field("oauth", &self.oauth)
            .field("oidc", &self.oidc)
            .finish_non_exhaustive()
    }
}
