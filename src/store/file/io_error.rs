//! What an I/O error means for the store.

use std::io::{self, ErrorKind};

use crate::store::StoreError;

/// The text of an I/O error has no path, and so no user's name.
pub(super) fn store_error(error: io::Error) -> StoreError {
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

pub(super) const LINK: &str = "a file of the store is a symbolic link; the store follows none";

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
        assert!(store_error(ErrorKind::PermissionDenied.into()).is_config());
        assert!(store_error(ErrorKind::ReadOnlyFilesystem.into()).is_config());
        assert!(store_error(ErrorKind::StorageFull.into()).is_unavailable());
        assert!(store_error(ErrorKind::QuotaExceeded.into()).is_unavailable());
        assert!(store_error(io::Error::other("input/output")).is_unavailable());
    }
}
