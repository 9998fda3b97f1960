//! `Lock`: the exclusive lock, and the lease that is noted in its file.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::ErrorKind;
use std::path::Path;
use std::time::{Duration, Instant};

use super::io_error::failure;
use super::platform;
use crate::store::StoreError;

/// How long the lock is waited for. Others hold it for milliseconds: who has it longer is stopped, or
/// its disk is stuck, and no thread waits for that.
const PATIENCE: Duration = Duration::from_secs(5);
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LAST_PAUSE: Duration = Duration::from_millis(20);

/// Held until dropped, or until the process ends.
#[derive(Debug)]
pub(super) struct Lock {
    file: File,
}

impl Lock {
    /// Waits for the lock, in a file that is made if need be; `None` where there is no directory.
    pub(super) fn take(path: &Path) -> Result<Option<Self>, StoreError> {
        Self::wait(path, OpenOptions::new().create(true), PATIENCE)
    }

    /// Asks again and again, since a thread that the operating system lets wait cannot be called
    /// off.
    fn wait(
        path: &Path,
        options: &mut OpenOptions,
        patience: Duration,
    ) -> Result<Option<Self>, StoreError> {
        let (began, mut pause) = (Instant::now(), FIRST_PAUSE);
        loop {
            let file = match platform::open(path, options.read(true).write(true)) {
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
                file => file.map_err(failure)?,
            };
            if let Some(lock) = Self::of(file, path)? {
                return Ok(Some(lock));
            }
            if began.elapsed() >= patience {
                return Err(StoreError::unavailable("another process keeps the token file locked"));
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(LAST_PAUSE);
        }
    }

    /// The lock, if it is free; `None` also where the file was removed since it was opened, for such
    /// a lock locks out nobody who opens the file anew.
    fn of(file: File, path: &Path) -> Result<Option<Self>, StoreError> {
        if !file.metadata().map_err(failure)?.is_file() {
            return Err(StoreError::config("there is something else in place of the lock file"));
        }
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(failure(error)),
        }
        let lock = Self { file };
        let in_place = platform::is_at(&lock.file, path).map_err(failure)?;
        Ok(in_place.then_some(lock))
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing the file is not enough where a child process got a copy of it.
        let _ = self.file.unlock();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(path: &Path, patience: Duration) -> Result<Option<Lock>, StoreError> {
        Lock::wait(path, OpenOptions::new().create(true), patience)
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
        assert!(Lock::of(gone, &path).unwrap().is_none());
        let second = take(&path, Duration::ZERO).unwrap().unwrap();
        assert!(Lock::of(replaced, &path).unwrap().is_none());
        assert!(take(&path, Duration::ZERO).unwrap_err().is_unavailable());
        drop(second);
    }
}
