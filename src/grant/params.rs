//! `GrantParams`.

use std::fmt;

use crate::client::TokenRequest;

/// What the application asks for beside the grant itself: a scope, and extra parameters.
#[derive(Clone, Default)]
pub(super) struct GrantParams {
    pub(super) scope: Option<String>,
    pub(super) extra: Vec<(String, String)>,
}

impl fmt::Debug for GrantParams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.extra.iter().map(|(name, _)| name).collect();
        f.debug_struct("GrantParams").field("scope", &self.scope).field("extra", &names).finish()
    }
}

impl GrantParams {
    pub(super) fn add_extra(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.extra.push((name.into(), value.into()));
    }

    pub(super) fn add_to<'a>(&self, mut request: TokenRequest<'a>) -> TokenRequest<'a> {
        for (name, value) in &self.extra {
            request = request.extra_param(name, value);
        }
        match &self.scope {
            Some(scope) => request.scope(scope),
            None => request,
        }
    }

    /// What the tokens are issued for.
    pub(super) fn issued_for(&self) -> Vec<(String, String)> {
        let scope = self.scope.iter().map(|scope| ("scope".to_owned(), scope.clone()));
        let targets =
            self.extra.iter().filter(|(name, _)| name == "resource" || name == "audience");
        scope.chain(targets.cloned()).collect()
    }
}
