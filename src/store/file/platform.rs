//! What differs from one operating system to another.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::path::Path;

use super::io_error::failure;
use crate::store::StoreError;

/// Opens the file itself: not what a symbolic link names, and without waiting for the other end of
/// a pipe. What is made is for the eyes of its owner only.
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

/// Makes the directory where it is missing, for its owner only, and durably.
pub(super) fn make_directory(directory: &Path) -> Result<(), StoreError> {
    let missing = |directory: &&Path| !directory.as_os_str().is_empty() && !directory.exists();
    let made: Vec<_> = directory.ancestors().take_while(missing).collect();
    if made.is_empty() {
        return Ok(());
    }
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(directory).map_err(failure)?;
    made.into_iter().filter_map(Path::parent).try_for_each(sync_directory)
}

/// Makes durable which files are in the directory.
pub(super) fn sync_directory(directory: &Path) -> Result<(), StoreError> {
    #[cfg(unix)]
    {
        let here = directory.as_os_str().is_empty();
        let directory = if here { Path::new(".") } else { directory };
        match File::open(directory).and_then(|directory| directory.sync_all()) {
            // Some file systems have no such call for directories.
            Err(error)
                if matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::Unsupported) => {}
            done => done.map_err(failure)?,
        }
    }
    #[cfg(not(unix))]
    let _ = directory;
    Ok(())
}

/// Whether the open file is still the one with this name.
pub(super) fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let found = match fs::symlink_metadata(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
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

/// Removes the file, if there is one. An empty directory in its place is removed as well.
pub(super) fn remove(path: &Path) -> Result<(), StoreError> {
    let removed = match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => fs::remove_dir(path),
        _ => fs::remove_file(path),
    };
    match removed {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == ErrorKind::DirectoryNotEmpty => Err(StoreError::corrupt(
            "there is a directory in place of the token file, with files in it",
        )),
        removed => removed.map_err(failure),
    }
}
