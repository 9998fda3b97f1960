//! What differs from one operating system to another.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions};
use std::io;
use std::path::Path;

use super::io_error::store_error;
use crate::store::StoreError;

/// Opens a file: follows no symbolic link, and does not wait for the other end of a pipe. Only the
/// owner may read a file that this creates.
pub(super) fn open(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY);
    }
    #[cfg(not(unix))]
    if fs::symlink_metadata(path).is_ok_and(|found| found.is_symlink()) {
        return Err(io::Error::other(super::io_error::LINK));
    }
    options.open(path)
}

/// Takes the rights of others to the file away. `None` if they had none; otherwise whether it helped: the
/// file may be another user's, or the file system may have no modes.
pub(super) fn tighten(file: &File, metadata: &Metadata) -> Option<bool> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::{MetadataExt, PermissionsExt};
        const OF_OTHERS: u32 = 0o077;
        if metadata.mode() & OF_OTHERS == 0 {
            return None;
        }
        let mode = metadata.mode() & 0o600;
        let _ = file.set_permissions(fs::Permissions::from_mode(mode));
        Some(file.metadata().is_ok_and(|metadata| metadata.mode() & OF_OTHERS == 0))
    }
    #[cfg(not(unix))]
    {
        let _ = (file, metadata);
        None
    }
}

/// Creates the directory if it is missing, durably. Only the owner may use it.
pub(super) fn make_directory(directory: &Path) -> Result<(), StoreError> {
    let missing = |directory: &&Path| !directory.as_os_str().is_empty() && !directory.exists();
    let made: Vec<_> = directory.ancestors().take_while(missing).collect();
    if made.is_empty() {
        return Ok(());
    }
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(directory).map_err(store_error)?;
    made.into_iter().filter_map(Path::parent).try_for_each(sync_directory)
}

/// Makes it durable which files are in the directory.
pub(super) fn sync_directory(directory: &Path) -> Result<(), StoreError> {
    #[cfg(unix)]
    {
        let here = directory.as_os_str().is_empty();
        let directory = if here { Path::new(".") } else { directory };
        match File::open(directory).and_then(|directory| directory.sync_all()) {
            // Some file systems do not have this call for directories.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported
                ) => {}
            done => done.map_err(store_error)?,
        }
    }
    #[cfg(not(unix))]
    let _ = directory;
    Ok(())
}

/// Whether the open file still has this path. Always `true` where the platform cannot tell.
pub(super) fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let found = match fs::symlink_metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            found => found?,
        };
        let open = file.metadata()?;
        Ok((open.dev(), open.ino()) == (found.dev(), found.ino()))
    }
    #[cfg(not(unix))]
    {
        let _ = (file, path);
        Ok(true)
    }
}
