//! What an application asks for beside the grant itself.

use std::fmt;

use crate::client::TokenRequest;

/// A scope, and extra parameters.
#[derive(Clone, Default)]
pub(super) struct Wishes {
    pub(super) scope: Option<String>,
    pub(super) extra: Vec<(String, String)>,
}

impl fmt::Debug for Wishes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.extra.iter().map(|(name, _)| name).collect();
        f.debug_struct("Wishes").field("scope", &self.scope).field("extra", &names).finish()
    }
}

impl Wishes {
    pub(super) fn extra_param(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.extra.push((name.into(), value.into()));
    }

    pub(super) fn put_on<'a>(&self, mut request: TokenRequest<'a>) -> TokenRequest<'a> {
        for (name, value) in &self.extra {
            request = request.extra_param(name, value);
        }
        match &self.scope {
            Some(scope) => request.scope(scope),
            None => request,
        }
    }
}
