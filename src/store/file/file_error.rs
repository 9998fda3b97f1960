//! `FileError`: an error of the store, with the path of the token file.

use std::fmt;

use crate::error::BoxError;
use crate::store::StoreError;

/// Says which token file it was. Prints its cause itself, and so is not printed before it.
#[derive(Debug)]
struct FileError {
    path: String,
    cause: BoxError,
}

/// The error, with the path of the token file.
pub(super) fn at_path(error: StoreError, path: &str) -> StoreError {
    error.map_source(|cause| Box::new(FileError { path: path.to_owned(), cause }))
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "token file {}: {}", self.path, self.cause)
    }
}

impl std::error::Error for FileError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.cause.source()
    }
}
