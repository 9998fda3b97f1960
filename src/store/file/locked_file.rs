//! `LockedFile`.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::path::Path;
use std::time::{Duration, Instant};

use super::failure::Failure;
use super::io_error::store_error;
use super::platform;
use crate::store::StoreError;

/// How long to wait for the lock. Others hold it for milliseconds. A process that holds it for
/// longer is stopped, or its disk is stuck: do not wait for that.
const TIMEOUT: Duration = Duration::from_secs(5);
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LAST_PAUSE: Duration = Duration::from_millis(20);

type TryLock = fn(&File) -> Result<(), TryLockError>;

/// A file with a lock of the operating system: for this process alone, except with
/// [`open_shared`](Self::open_shared). The lock ends when this is dropped, or with the process.
#[derive(Debug)]
pub(in crate::store) struct LockedFile {
    file: File,
    /// Why it cannot be written.
    read_only: Option<io::Error>,
}

impl LockedFile {
    /// Locks the file at this path; `None` if there is none.
    pub(super) fn open(path: &Path) -> Result<Option<Self>, Failure> {
        Self::open_with(path, File::try_lock)
    }

    /// The same, together with others who share the lock.
    pub(super) fn open_shared(path: &Path) -> Result<Option<Self>, Failure> {
        Self::open_with(path, File::try_lock_shared)
    }

    fn open_with(path: &Path, take: TryLock) -> Result<Option<Self>, Failure> {
        let open = || match platform::open(path, OpenOptions::new().read(true).write(true)) {
            Ok(file) => Ok((file, None)),
            Err(error) if error.kind() == ErrorKind::NotFound => Err(error),
            Err(error) => {
                let file = platform::open(path, OpenOptions::new().read(true))?;
                Ok((file, Some(error)))
            }
        };
        Self::wait(path, TIMEOUT, take, open)
    }

    /// Locks an empty file. Creates it if it is missing; `None` if its directory is missing.
    pub(super) fn create(path: &Path) -> Result<Option<Self>, Failure> {
        Self::create_within(path, TIMEOUT)
    }

    fn create_within(path: &Path, timeout: Duration) -> Result<Option<Self>, Failure> {
        let open = || {
            let file = platform::open(path, OpenOptions::new().create(true).read(true).write(true));
            file.map(|file| (file, None))
        };
        let locked = Self::wait(path, timeout, File::try_lock, open)?;
        if let Some(locked) = &locked
            && !locked.file.metadata().map_err(Failure::of)?.is_file()
        {
            return Err(StoreError::config("the lock file is not a regular file").into());
        }
        Ok(locked)
    }

    /// Polls, because a thread that the operating system blocks cannot be stopped.
    fn wait(
        path: &Path,
        timeout: Duration,
        take: TryLock,
        open: impl Fn() -> io::Result<(File, Option<io::Error>)>,
    ) -> Result<Option<Self>, Failure> {
        let (began, mut pause) = (Instant::now(), FIRST_PAUSE);
        loop {
            let (file, read_only) = match open() {
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
                file => file.map_err(Failure::of)?,
            };
            if let Some(mut locked) = Self::lock(file, path, take)? {
                locked.read_only = read_only;
                return Ok(Some(locked));
            }
            if began.elapsed() >= timeout {
                return Err(busy().into());
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(LAST_PAUSE);
        }
    }

    /// Locks the file. `None` if somebody else holds the lock, or if somebody removed or replaced the
    /// file since it was opened: others would open and lock another one.
    fn lock(file: File, path: &Path, take: TryLock) -> Result<Option<Self>, Failure> {
        match take(&file) {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(Failure::of(error)),
        }
        let locked = Self { file, read_only: None };
        let in_place = platform::is_at(&locked.file, path).map_err(Failure::of)?;
        Ok(in_place.then_some(locked))
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// The file, to write to it.
    pub(super) fn writable(&mut self) -> Result<&File, StoreError> {
        match self.read_only.take() {
            None => Ok(&self.file),
            Some(error) => Err(store_error(error)),
        }
    }
}

impl Drop for LockedFile {
    fn drop(&mut self) {
        // A child process may have a copy of the file: closing ours would not unlock it.
        let _ = self.file.unlock();
    }
}

/// Waits until nobody writes to the file. The lock that keeps writers off ends with the file. Without locks
/// of the operating system nobody writes in place.
pub(super) fn wait_for_writers(file: &File) -> Result<(), StoreError> {
    let (began, mut pause) = (Instant::now(), FIRST_PAUSE);
    while let Err(TryLockError::WouldBlock) = file.try_lock_shared() {
        if began.elapsed() >= TIMEOUT {
            return Err(busy());
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(LAST_PAUSE);
    }
    Ok(())
}

fn busy() -> StoreError {
    StoreError::unavailable("another process keeps it locked")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(path: &Path, patience: Duration) -> Result<Option<LockedFile>, StoreError> {
        LockedFile::create_within(path, patience).map_err(StoreError::from)
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
        // The waiter opens the file while it is there.
        let [gone, replaced] = [(); 2].map(|()| File::options().write(true).open(&path).unwrap());
        std::fs::remove_file(&path).unwrap();
        drop(first);
        assert!(LockedFile::lock(gone, &path, File::try_lock).unwrap().is_none());
        let second = take(&path, Duration::ZERO).unwrap().unwrap();
        assert!(LockedFile::lock(replaced, &path, File::try_lock).unwrap().is_none());
        assert!(take(&path, Duration::ZERO).unwrap_err().is_unavailable());
        drop(second);
    }
}
