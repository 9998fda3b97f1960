//! `GrantParams`.

use std::fmt;

use crate::client::{TokenRequest, is_target};

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

    /// What the tokens are issued for, by what is sent: `targets` of the grant's own and the scope are sent in
    /// place of extra parameters with their names.
    pub(super) fn issued_for(&self, targets: &[(&'static str, String)]) -> Vec<(String, String)> {
        let scope = self.scope.iter().map(|scope| ("scope", scope));
        let targets = targets.iter().map(|(name, value)| (*name, value));
        let own: Vec<(&str, &String)> = scope.chain(targets).collect();
        let is_sent = |name: &str| own.iter().all(|(own, _)| *own != name);
        let extra = self.extra.iter().map(|(name, value)| (name.as_str(), value));
        let extra = extra.filter(|(name, _)| is_target(name) && is_sent(name));
        let all = own.iter().copied().chain(extra);
        all.map(|(name, value)| (name.to_owned(), value.clone())).collect()
    }
}
