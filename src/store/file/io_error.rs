//! What an error of the operating system says about the store.

use std::io::{self, ErrorKind};

use crate::store::StoreError;

/// The text of an I/O error names no file, and so no user.
pub(super) fn failure(error: io::Error) -> StoreError {
    match error.kind() {
        ErrorKind::PermissionDenied
        | ErrorKind::ReadOnlyFilesystem
        | ErrorKind::NotADirectory
        | ErrorKind::IsADirectory
        | ErrorKind::InvalidInput
        | ErrorKind::InvalidFilename
        | ErrorKind::Unsupported => StoreError::config(error),
        _ if is_link(&error) => StoreError::config(LINK),
        _ => StoreError::unavailable(error),
    }
}

pub(super) const LINK: &str =
    "there is a symbolic link in place of a file, and the store follows none";

fn is_link(error: &io::Error) -> bool {
    #[cfg(unix)]
    return error.raw_os_error() == Some(libc::ELOOP);
    #[cfg(not(unix))]
    return error.get_ref().is_some_and(|inner| inner.to_string() == LINK);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_time_may_cure_is_apart_from_what_the_set_up_must() {
        assert!(failure(ErrorKind::PermissionDenied.into()).is_config());
        assert!(failure(ErrorKind::ReadOnlyFilesystem.into()).is_config());
        assert!(failure(ErrorKind::StorageFull.into()).is_unavailable());
        assert!(failure(ErrorKind::QuotaExceeded.into()).is_unavailable());
        assert!(failure(io::Error::other("input/output")).is_unavailable());
    }
}
