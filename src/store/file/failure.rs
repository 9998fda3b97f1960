//! `Failure`: why a token file could not be replaced.

use std::io::{self, ErrorKind};

use super::io_error::store_error;
use crate::store::StoreError;

/// Why a token file could not be replaced.
#[derive(Debug)]
pub(super) enum Failure {
    /// Its directory does not permit it, or the file is mounted by itself, as containers do. Perhaps it
    /// can be written in place.
    OfDirectory(io::Error),
    Other(StoreError),
}

impl Failure {
    pub(super) fn of(error: io::Error) -> Self {
        match error.kind() {
            ErrorKind::ResourceBusy
            | ErrorKind::CrossesDevices
            | ErrorKind::PermissionDenied
            | ErrorKind::ReadOnlyFilesystem => Self::OfDirectory(error),
            _ => Self::Other(store_error(error)),
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Other(error)
    }
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::OfDirectory(error) => store_error(error),
            Failure::Other(error) => error,
        }
    }
}
