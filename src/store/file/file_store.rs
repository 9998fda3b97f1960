//! `FileStore`.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;

use super::lock_file::LockFile;
use super::paths::Paths;
use super::{platform, token_file};
use crate::store::document;
use crate::store::{Record, StoreError, SwapOutcome, TokenKey, TokenStore, Version};

/// A store in files, shared by the processes of one host.
///
/// A file holds the JSON document and nothing else. So files of requests-oauthlib or Authlib load as
/// they are, and these libraries read the files that this store writes.
///
/// # Files
///
/// Beside a token file `NAME` there is an empty `NAME.lock`, and during a swap
/// `NAME.reqwest-oauth2.tmp`. The store creates files with mode 0600 and a missing directory with mode
/// 0700. It does not change the mode of an existing directory; a token file that others may read
/// gets mode 0600 with the next swap. Only the owner should be able to write to the directory:
/// anyone else could replace the files. A symbolic link in place of a file is an error. Links in the
/// path of the directory are followed.
///
/// The file locks of the operating system serialize the changes. The directory must be on a file
/// system that has them, and other programs must not write a token file while this store does. On
/// Windows the files have the permissions that the directory passes on, and a rename is as durable
/// as the file system makes it.
///
/// # Errors
///
/// - [`StoreError::is_corrupt`]: the token file is not JSON, or larger than 2 MiB. It stays as it is
///   until somebody repairs or removes it.
/// - [`StoreError::is_config`]: a missing permission, a symbolic link, a path that leads through a
///   file; a new document that is not JSON or too large; a second login in
///   [`FileStore::file`].
/// - [`StoreError::is_unavailable`]: everything else, such as a full disk, an I/O error, or a lock
///   that another process has held for five seconds.
///
/// After an error the token file is the old one. Only if the last step failed, which makes the
/// rename durable, it is the new one.
///
/// # Cancellation
///
/// Each call runs on a thread for blocking work
/// ([`spawn_blocking`](tokio::task::spawn_blocking)). Once it has begun there it runs to its end,
/// even if its future is dropped.
#[derive(Debug, Clone)]
pub struct FileStore {
    files: Files,
}

#[derive(Debug, Clone)]
enum Files {
    Directory(PathBuf),
    /// One file, and its one key: the first that was used.
    File(PathBuf, Arc<OnceLock<TokenKey>>),
}

impl FileStore {
    /// One file for each key, in this directory. A file name begins with the letters and digits of
    /// the user, for people to find it, and ends with a hash of the key.
    pub fn directory(path: impl Into<PathBuf>) -> Self {
        Self { files: Files::Directory(path.into()) }
    }

    /// This one file, for a program with one login, such as a command-line tool.
    ///
    /// This value and its clones remember the first key that they are used with. A call with another
    /// key fails with [`StoreError::is_config`]: two logins in one file would overwrite each other.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self { files: Files::File(path.into(), Arc::default()) }
    }

    fn paths(&self, key: &TokenKey) -> Result<Paths, StoreError> {
        match &self.files {
            Files::Directory(directory) => Ok(Paths::of_key(directory, key)),
            Files::File(file, first) if first.get_or_init(|| key.clone()) == key => {
                Paths::of_file(file)
            }
            Files::File(..) => Err(StoreError::config(
                "FileStore::file holds one login and was used with a second one; use \
                 FileStore::directory for several logins",
            )),
        }
    }

    async fn run<T: Send + 'static>(
        &self,
        key: &TokenKey,
        work: impl FnOnce(&Paths) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let paths = self.paths(key)?;
        let done = tokio::task::spawn_blocking(move || work(&paths)).await;
        done.map_err(StoreError::unavailable)?
    }
}

/// Locks the token file. Creates its directory if it is missing.
fn lock(paths: &Paths) -> Result<LockFile, StoreError> {
    platform::make_directory(&paths.directory)?;
    LockFile::acquire(&paths.lock)?
        .ok_or_else(|| StoreError::unavailable("somebody removed the directory"))
}

#[async_trait]
impl TokenStore for FileStore {
    /// Takes no lock and writes nothing.
    async fn load(&self, key: &TokenKey) -> Result<Option<Record>, StoreError> {
        self.run(key, |paths| token_file::read(&paths.token)).await
    }

    async fn compare_and_swap(
        &self,
        key: &TokenKey,
        expected: Option<Version>,
        record: &Record,
    ) -> Result<SwapOutcome, StoreError> {
        let record = record.clone();
        let work = move |paths: &Paths| {
            document::check(&record)?;
            let _lock = lock(paths)?;
            let stored = token_file::read(&paths.token)?;
            if stored.as_ref().map(Record::version) != expected {
                return Ok(SwapOutcome::Conflict(stored));
            }
            token_file::replace(paths, &record)?;
            // The file has no place for a version: `load` computes it from the content.
            Ok(SwapOutcome::Stored(Version::of(record.json())))
        };
        self.run(key, work).await
    }
}
