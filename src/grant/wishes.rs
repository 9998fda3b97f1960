//! What an application asks for beside the grant itself.

use crate::client::TokenRequest;

/// A scope, and extra parameters.
#[derive(Debug, Clone, Default)]
pub(super) struct Wishes {
    pub(super) scope: Option<String>,
    pub(super) extra: Vec<(String, String)>,
}

impl Wishes {
    pub(super) fn param(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.extra.push((name.into(), value.into()));
    }

    pub(super) fn put_on<'a>(&self, mut request: TokenRequest<'a>) -> TokenRequest<'a> {
        for (name, value) in &self.extra {
            request = request.extra(name, value);
        }
        match &self.scope {
            Some(scope) => request.scope(scope),
            None => request,
        }
    }
}
