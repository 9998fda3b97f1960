//! `Target`: what an access token is for.

use std::sync::Arc;

/// What an access token is for: what the login itself was granted for, or another resource or scope that
/// its refresh token gives access to.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub(crate) struct Target(Option<Arc<str>>);

impl Target {
    /// The login's own.
    pub(crate) const OWN: Self = Self(None);

    /// Another one; two with the same text are the same.
    pub(crate) fn other(key: impl Into<Arc<str>>) -> Self {
        Self(Some(key.into()))
    }

    /// What tells it from others; `None`: it is the login's own.
    pub(crate) fn key(&self) -> Option<&str> {
        self.0.as_deref()
    }

    #[inline]
    pub(crate) fn is_own(&self) -> bool {
        self.0.is_none()
    }
}
