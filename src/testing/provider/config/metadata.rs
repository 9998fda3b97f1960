use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Value};

/// A document in which a client finds the endpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MetadataDocument {
    /// `oauth-authorization-server` (RFC 8414 §3).
    OAuth,
    /// `openid-configuration` (OpenID Connect Discovery 1.0 §4).
    OpenIdConnect,
}

/// How the metadata is served (RFC 8414).
#[derive(Clone)]
pub(crate) struct MetadataConfig {
    pub(crate) issuer_path: String,
    pub(crate) documents: Vec<MetadataDocument>,
    pub(crate) edit: Option<Edit>,
}

/// Changes the document before it is served.
pub(crate) type Edit = Arc<dyn Fn(&mut Map<String, Value>) + Send + Sync>;

impl MetadataConfig {
    /// Whether this may be the path of a document, and if so, whether it is
    /// served.
    pub(crate) fn serves(&self, path: &str) -> Option<bool> {
        let issuer = self.issuer_path.trim_end_matches('/');
        let serves = |document| self.documents.contains(&document);
        // RFC 8414 §3.1 and §5: inserted before the issuer's path, or appended
        // to it.
        if path.strip_prefix("/.well-known/oauth-authorization-server") == Some(issuer) {
            return Some(serves(MetadataDocument::OAuth));
        }
        let inserted = path.strip_prefix("/.well-known/openid-configuration") == Some(issuer);
        let appended = path.strip_suffix("/.well-known/openid-configuration") == Some(issuer);
        (inserted || appended).then(|| serves(MetadataDocument::OpenIdConnect))
    }
}

impl Default for MetadataConfig {
    fn default() -> Self {
        Self {
            issuer_path: String::new(),
            documents: vec![MetadataDocument::OAuth, MetadataDocument::OpenIdConnect],
            edit: None,
        }
    }
}

impl fmt::Debug for MetadataConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MetadataConfig")
            .field("issuer_path", &self.issuer_path)
            .field("documents", &self.documents)
            .finish_non_exhaustive()
    }
}
