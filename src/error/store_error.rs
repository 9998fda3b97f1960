//! `StoreError`.

use std::fmt;

use super::{BoxError, Kind as ErrorKind};

/// What went wrong in a store. Its text names no key's user and holds no secret.
#[derive(Debug)]
pub struct StoreError {
    kind: Kind,
    /// Of the unreadable record.
    pub(crate) version: Option<i64>,
    source: BoxError,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Unavailable,
    Corrupt,
    Config,
}

impl StoreError {
    /// The store cannot be reached, or has no room: it may work later.
    pub fn unavailable(source: impl Into<BoxError>) -> Self {
        Self::new(Kind::Unavailable, source.into())
    }

    /// The stored record cannot be read; it stays unchanged. Add its version if there is one
    /// ([`with_version`](Self::with_version)), so that a new login can replace it.
    pub fn corrupt(source: impl Into<BoxError>) -> Self {
        Self::new(Kind::Corrupt, source.into())
    }

    /// The store is not set up: a table, a permission or a key is missing.
    pub fn config(source: impl Into<BoxError>) -> Self {
        Self::new(Kind::Config, source.into())
    }

    fn new(kind: Kind, source: BoxError) -> Self {
        Self { kind, version: None, source }
    }

    /// The same, with another source.
    #[cfg(feature = "file-store")]
    pub(crate) fn map_source(self, map: impl FnOnce(BoxError) -> BoxError) -> Self {
        Self { source: map(self.source), ..self }
    }

    /// Whether it may work later.
    pub fn is_unavailable(&self) -> bool {
        self.kind == Kind::Unavailable
    }

    /// Whether what is stored cannot be read.
    pub fn is_corrupt(&self) -> bool {
        self.kind == Kind::Corrupt
    }

    /// Whether the store is not set up.
    pub fn is_config(&self) -> bool {
        self.kind == Kind::Config
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            Kind::Unavailable => "the token store cannot be used now; it may work later",
            Kind::Corrupt if self.version.is_some() => {
                "what the token store holds cannot be read; it stays as it is until a new login replaces it"
            }
            Kind::Corrupt => {
                "what the token store holds cannot be read; it is left as it is: restore it, or delete it and log in again"
            }
            Kind::Config => "the token store is not set up",
        })
    }
}

impl std::error::Error for StoreError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&*self.source)
    }
}

impl From<StoreError> for super::Error {
    fn from(error: StoreError) -> Self {
        Self::new(ErrorKind::Store(error))
    }
}
