//! `TokenFile`: reads and replaces the file of a token.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read as _};

use secrecy::zeroize::Zeroizing;

use super::failure::Failure;
use super::io_error::store_error;
use super::journal;
use super::locked_file::{LockedFile, wait_for_writers};
use super::paths::Paths;
use super::platform;
use super::temp_file::TempFile;
use crate::store::document::{self, MAX_BYTES};
use crate::store::{Record, StoreError, Version};

/// Returns the content of the file; `None` if there is no file, or nothing in it.
pub(super) fn read(paths: &Paths) -> Result<Option<Record>, StoreError> {
    let file = match platform::open(&paths.token, OpenOptions::new().read(true)) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        file => file.map_err(store_error)?,
    };
    wait_for_writers(&file)?;
    record(&content(&file, paths)?)
}

/// The file of a token, which nobody else changes meanwhile.
///
/// A process that replaces the file holds the lock on the lock file beside it, since the token file may not
/// exist. A process that writes in place may not be able to create a lock file, and another container may
/// have another one beside the same token file. So both also lock the token file itself, if it exists: the
/// first with the lock that loads share, since the file is whole at each moment; the second for itself alone.
pub(super) struct TokenFile<'a> {
    paths: &'a Paths,
    /// Or why there is none, or why it does not help: then the file has to be written in place.
    beside: Result<LockedFile, Failure>,
    /// Shared, or for itself alone where it has to be written in place.
    file: Option<LockedFile>,
    content: Zeroizing<Vec<u8>>,
}

impl<'a> TokenFile<'a> {
    /// Waits for the locks. Creates the directory if it is missing.
    pub(super) fn lock(paths: &'a Paths) -> Result<Self, StoreError> {
        platform::make_directory(&paths.directory)?;
        let beside = match LockedFile::create(&paths.lock) {
            Ok(Some(lock)) => Ok(lock),
            Ok(None) => return Err(StoreError::unavailable("somebody removed the directory")),
            Err(Failure::Other(error)) => return Err(error),
            Err(of_directory) => Err(of_directory),
        };
        Self::open(paths, beside)
    }

    fn open(paths: &'a Paths, beside: Result<LockedFile, Failure>) -> Result<Self, StoreError> {
        let file = match beside {
            Ok(_) => LockedFile::open_shared(&paths.token)?,
            Err(_) => LockedFile::open(&paths.token)?,
        };
        let content = match &file {
            Some(file) => content(file.file(), paths)?,
            None => Zeroizing::default(),
        };
        Ok(Self { paths, beside, file, content })
    }

    pub(super) fn record(&self) -> Result<Option<Record>, StoreError> {
        record(&self.content)
    }

    /// Replaces the file, or its content where the file itself has to stay; atomically and durably. Keeps
    /// what cannot be read aside.
    ///
    /// Returns the file where it turns out that it has to stay. It is locked for that now, and somebody may
    /// have changed it meanwhile.
    pub(super) fn replace(self, record: &Record) -> Result<Option<Self>, StoreError> {
        let is_broken = self.record().is_err() || record.replaces_unreadable();
        let Self { paths, beside, file, content } = self;
        // Elsewhere an open file cannot be replaced, and no file is mounted by itself.
        let file = file.filter(|_| cfg!(unix));
        match (beside, file) {
            (Ok(lock), file) => match rename(paths, record, is_broken) {
                Err(Failure::OfDirectory(error)) if file.is_some() => {
                    // First unlocked: of two processes that share the lock, neither would get it alone.
                    drop((lock, file));
                    Self::open(paths, Err(Failure::OfDirectory(error))).map(Some)
                }
                replaced => Ok(replaced.map(|()| None)?),
            },
            (Err(_), Some(file)) => {
                write_in_place(paths, file, &content, record, is_broken).map(|()| None)
            }
            (Err(failure), None) => Err(failure.into()),
        }
    }
}

fn write_in_place(
    paths: &Paths,
    mut file: LockedFile,
    content: &[u8],
    record: &Record,
    is_broken: bool,
) -> Result<(), StoreError> {
    let file = file.writable()?;
    if is_broken {
        keep_aside(paths, file)?;
        // Nothing that a crash leaves can be mistaken for a document.
        file.set_len(0).map_err(store_error)?;
    }
    let old: &[u8] = if is_broken { b"" } else { content };
    journal::write(file, old, record.json().as_bytes()).map_err(store_error)
}

fn rename(paths: &Paths, record: &Record, is_broken: bool) -> Result<(), Failure> {
    let mut temp = TempFile::create(&paths.temp).map_err(Failure::of)?;
    temp.write(record.json()).map_err(Failure::of)?;
    if is_broken {
        fs::rename(&paths.token, &paths.broken).map_err(Failure::of)?;
    }
    temp.rename(&paths.token).map_err(Failure::of)?;
    Ok(platform::sync_directory(&paths.directory)?)
}

/// A copy of the file: it has to stay where it is.
fn keep_aside(paths: &Paths, file: &File) -> Result<(), StoreError> {
    let copy = || {
        let mut temp = TempFile::create(&paths.temp)?;
        temp.copy(file)?;
        temp.rename(&paths.broken)
    };
    copy().map_err(|error: io::Error| {
        let why = format!(
            "its content cannot be read, and cannot be kept beside it ({error}): repair or empty the file"
        );
        StoreError::config(why)
    })
}

/// The bytes of the file. Removes the permissions of others to read it.
fn content(file: &File, paths: &Paths) -> Result<Zeroizing<Vec<u8>>, StoreError> {
    /// A file that is written in place has the old document in it and the new one.
    const LARGEST: usize = 2 * MAX_BYTES + 2;
    let metadata = file.metadata().map_err(store_error)?;
    if !metadata.is_file() {
        return Err(StoreError::corrupt(if metadata.is_dir() {
            "it is a directory; a container that mounts a file makes one where the file is missing: create the file first"
        } else {
            "it is not a regular file"
        }));
    }
    // It may be read twice; the first time tells.
    let tightened = paths.tightened.get().or_else(|| platform::tighten(file, &metadata));
    paths.tightened.set(tightened);
    // The full capacity at once: a buffer that grows leaves copies behind that are not wiped.
    let length = usize::try_from(metadata.len()).unwrap_or(LARGEST).min(LARGEST);
    let mut bytes = Zeroizing::new(Vec::with_capacity(length + 1));
    file.take(LARGEST as u64 + 1).read_to_end(&mut bytes).map_err(store_error)?;
    Ok(bytes)
}

/// The record in the bytes of the file; `None` if the file is empty: it was created to be mounted, or a
/// program was about to write it. An empty file has nothing to lose.
fn record(bytes: &[u8]) -> Result<Option<Record>, StoreError> {
    let document = journal::document(bytes);
    if document.trim_ascii().is_empty() {
        return Ok(None);
    }
    let json = document::text(document)
        .map_err(|error| StoreError::corrupt(error).with_version(Version::of(bytes)))?;
    Ok(Some(Record::new(json)))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn file(directory: &Path) -> Paths {
        let paths = Paths::of_file(&directory.join("token.json")).unwrap();
        fs::write(&paths.token, "[1]").unwrap();
        paths
    }

    /// It may be stopped for long, and the file is whole at each moment.
    #[test]
    fn a_load_does_not_wait_for_a_process_that_replaces_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let paths = file(directory.path());
        let swap = TokenFile::lock(&paths).unwrap();
        assert_eq!(read(&paths).unwrap().unwrap().json(), "[1]");
        drop(swap);
    }
}
