use std::fmt;
use std::time::Duration;

use super::metadata::Edit;

/// Where the API's own metadata is (RFC 9728 §3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ResourceDocument {
    /// `/.well-known/oauth-protected-resource/api`
    AtPath,
    /// `/.well-known/oauth-protected-resource`
    AtRoot,
    /// `/resource-metadata`, which the API's challenges name (RFC 9728 §5.1).
    InChallenge,
}

/// What the API says of itself, and what it wants of a token.
#[derive(Clone, Default)]
pub(crate) struct ResourceConfig {
    pub(crate) documents: Vec<ResourceDocument>,
    pub(crate) edit: Option<Edit>,
    /// Whether tokens must be asked for with the API as their `resource`.
    pub(crate) required: bool,
    pub(crate) needs: Vec<Need>,
}

/// What requests to a path, and below it, need.
#[derive(Clone, Debug)]
pub(crate) struct Need {
    pub(crate) path: String,
    pub(crate) kind: NeedKind,
}

#[derive(Clone, Debug)]
pub(crate) enum NeedKind {
    Scope(String),
    LogIn { acr: String, max_age: Option<Duration> },
}

impl ResourceConfig {
    /// Whether this may be the path of the document, and if so, whether it is served.
    pub(crate) fn serves(&self, path: &str) -> Option<bool> {
        let document = match path {
            "/.well-known/oauth-protected-resource/api" => ResourceDocument::AtPath,
            "/.well-known/oauth-protected-resource" => ResourceDocument::AtRoot,
            "/resource-metadata" => ResourceDocument::InChallenge,
            _ => return None,
        };
        Some(self.documents.contains(&document))
    }

    /// What a request to this path needs.
    pub(crate) fn needs_of(&self, path: &str) -> impl Iterator<Item = &NeedKind> {
        let applies = move |need: &&Need| {
            path.strip_prefix(&*need.path)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        self.needs.iter().filter(applies).map(|need| &need.kind)
    }

    /// The scope that a request to this path needs.
    pub(crate) fn scope_of(&self, path: &str) -> Option<String> {
        let scopes: Vec<&str> = self
            .needs_of(path)
            .filter_map(|need| match need {
                NeedKind::Scope(scope) => Some(&**scope),
                NeedKind::LogIn { .. } => None,
            })
            .collect();
        (!scopes.is_empty()).then(|| scopes.join(" "))
    }
}

impl fmt::Debug for ResourceConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResourceConfig")
            .field("documents", &self.documents)
            .field("required", &self.required)
            .field("needs", &self.needs)
            .finish_non_exhaustive()
    }
}
