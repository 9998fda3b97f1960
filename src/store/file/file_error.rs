//! `FileError`: an error of the store, with the path of its file.

use std::fmt;

use crate::error::BoxError;
use crate::store::StoreError;

/// Says which file it was. Prints its cause itself, and so is not printed before it.
#[derive(Debug)]
struct FileError {
    what: &'static str,
    path: String,
    cause: BoxError,
}

/// The error, with what the file is and its path.
pub(super) fn at_path(error: StoreError, what: &'static str, path: &str) -> StoreError {
    error.map_source(|cause| Box::new(FileError { what, path: path.to_owned(), cause }))
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.what, self.path, self.cause)
    }
}

impl std::error::Error for FileError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.cause.source()
    }
}
