//! `LockFile`.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::ErrorKind;
use std::path::Path;
use std::time::{Duration, Instant};

use super::io_error::store_error;
use super::platform;
use crate::store::StoreError;

/// How long to wait for the lock. Others hold it for milliseconds. A process that holds it for
/// longer is stopped, or its disk is stuck: do not wait for that.
const TIMEOUT: Duration = Duration::from_secs(5);
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LAST_PAUSE: Duration = Duration::from_millis(20);

/// An empty file with an exclusive lock of the operating system. The lock ends when this is dropped,
/// or with the process.
#[derive(Debug)]
pub(in crate::store) struct LockFile {
    file: File,
}

impl LockFile {
    /// Waits for the lock. Creates the file if it is missing; `None` if its directory is missing.
    pub(super) fn acquire(path: &Path) -> Result<Option<Self>, StoreError> {
        Self::wait(path, TIMEOUT)
    }

    /// Polls, because a thread that the operating system blocks cannot be stopped.
    fn wait(path: &Path, timeout: Duration) -> Result<Option<Self>, StoreError> {
        let (began, mut pause) = (Instant::now(), FIRST_PAUSE);
        let mut options = OpenOptions::new();
        options.create(true).read(true).write(true);
        loop {
            let file = match platform::open(path, &mut options) {
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
                file => file.map_err(store_error)?,
            };
            if let Some(locked) = Self::lock(file, path)? {
                return Ok(Some(locked));
            }
            if began.elapsed() >= timeout {
                return Err(StoreError::unavailable("another process holds the lock"));
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(LAST_PAUSE);
        }
    }

    /// Locks the file. `None` if somebody else holds the lock, or if somebody removed the file since
    /// it was opened: others would open and lock a new file.
    fn lock(file: File, path: &Path) -> Result<Option<Self>, StoreError> {
        if !file.metadata().map_err(store_error)?.is_file() {
            return Err(StoreError::config("the lock file is not a regular file"));
        }
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(store_error(error)),
        }
        let locked = Self { file };
        let in_place = platform::is_at(&locked.file, path).map_err(store_error)?;
        Ok(in_place.then_some(locked))
    }
}

impl Drop for LockFile {
    fn drop(&mut self) {
        // A child process may have a copy of the file: closing ours would not unlock it.
        let _ = self.file.unlock();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(path: &Path, patience: Duration) -> Result<Option<LockFile>, StoreError> {
        LockFile::wait(path, patience)
    }

    #[test]
    fn a_lock_is_not_waited_for_for_ever() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lock");
        let held = take(&path, Duration::ZERO).unwrap().unwrap();
        let began = Instant::now();
        assert!(take(&path, Duration::from_millis(50)).unwrap_err().is_unavailable());
        assert!(began.elapsed() >= Duration::from_millis(50), "it was waited for");
        drop(held);
        assert!(take(&path, Duration::ZERO).unwrap().is_some());
    }

    #[cfg(unix)]
    #[test]
    fn the_lock_of_a_removed_file_is_none() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lock");
        let first = take(&path, Duration::ZERO).unwrap().unwrap();
        // Opened by who waits, while it is there.
        let [gone, replaced] = [(); 2].map(|()| File::options().write(true).open(&path).unwrap());
        std::fs::remove_file(&path).unwrap();
        drop(first);
        assert!(LockFile::lock(gone, &path).unwrap().is_none());
        let second = take(&path, Duration::ZERO).unwrap().unwrap();
        assert!(LockFile::lock(replaced, &path).unwrap().is_none());
        assert!(take(&path, Duration::ZERO).unwrap_err().is_unavailable());
        drop(second);
    }
}
