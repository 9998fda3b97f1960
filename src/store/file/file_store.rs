//! `FileStore`.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;

use super::file_error;
use super::paths::Paths;
use super::token_file::{self, TokenFile};
use crate::observe;
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
/// 0700. It does not change the mode of an existing directory. If other users can read a token file, it
///       removes their permissions when it loads the file, with the event `token_file_exposed`. Only the
///       owner should be able to write to the directory: anyone else could replace the files. A symbolic
///       link in place of a file is an error. Links in the path of the directory are followed.
///
/// The file locks of the operating system serialize the changes. The directory must be on a file
/// system that has them, and other programs must not write a token file while this store does. On
/// Windows the files have the permissions that the directory passes on, and a rename is as durable
/// as the file system makes it.
///
/// An empty file counts as missing. When a new login replaces an unreadable file, that file is renamed
/// to `NAME.broken` and replaces an earlier one of that name. It may hold a token: remove it when you
/// have looked at it.
///
/// # In containers
///
/// Mount the directory, not the file: then a swap is a rename. A file that is mounted by itself, or whose
/// directory cannot be written, is written in place instead (not on Windows). All processes that share it
/// must then write in place: if a process outside replaces the file by a rename, the container keeps the
/// old file, and both present the same refresh token.
///
/// In place, too, a crash leaves the old document or the new one, and this store finds it. Other
/// programs may find both until the next swap.
///
/// # Errors
///
/// They name the path of the token file, without the user.
///
/// - [`StoreError::is_corrupt`]: the token file is not JSON, or larger than 2 MiB. It stays as it is
///   until somebody repairs or removes it, or until a new login replaces it.
/// - [`StoreError::is_config`]: a missing permission, a symbolic link, a path that leads through a
///   file; a new document that is not JSON or too large; a second login in
///   [`FileStore::file`].
/// - [`StoreError::is_unavailable`]: everything else, such as a full disk, an I/O error, or a lock
///   that another process has held for five seconds.
///
/// After an error the token file is the old one. The exception is the last step, which makes the
/// rename durable: if it fails, the file is the new one. In place, the same holds for every step
/// after the commit.
///
/// # Cancellation
///
/// Each call runs on a thread for blocking work
/// ([`spawn_blocking`](https://docs.rs/tokio/latest/tokio/task/fn.spawn_blocking.html)). Once it has begun there it runs to its end,
/// even if its future is dropped.
#[derive(Debug, Clone)]
pub struct FileStore {
    files: Files,
    /// That others can read a file.
    warned: Arc<AtomicBool>,
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
        Self { files: Files::Directory(path.into()), warned: Arc::default() }
    }

    /// This one file, for a program with one login, such as a command-line tool.
    ///
    /// This value and its clones remember the first key that they are used with. A call with another
    /// key fails with [`StoreError::is_config`]: two logins in one file would overwrite each other.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self { files: Files::File(path.into(), Arc::default()), warned: Arc::default() }
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
        let work = move || (work(&paths), paths);
        let done = tokio::task::spawn_blocking(work).await;
        let (outcome, paths) = done.map_err(StoreError::unavailable)?;
        if let Some(tightened) = paths.tightened.get() {
            self.warn(&paths.shown, tightened);
        }
        outcome.map_err(|error| file_error::at_path(error, "token file", &paths.shown))
    }

    /// Others could read the file. If nothing can be done about it, say so once.
    fn warn(&self, path: &str, tightened: bool) {
        if tightened || !self.warned.swap(true, Ordering::Relaxed) {
            observe::token_file_exposed(path, tightened);
        }
    }
}

#[async_trait]
impl TokenStore for FileStore {
    /// Writes nothing, and waits only for a process that writes in place.
    async fn load(&self, key: &TokenKey) -> Result<Option<Record>, StoreError> {
        self.run(key, token_file::read).await
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
            let mut locked = Some(TokenFile::lock(paths)?);
            while let Some(file) = locked {
                locked = match file.record() {
                    Ok(stored) if stored.as_ref().map(Record::version) != expected => {
                        return Ok(SwapOutcome::Conflict(stored));
                    }
                    Err(error) if error.version().is_none() || error.version() != expected => {
                        return Err(error);
                    }
                    _ => file.replace(&record)?,
                };
            }
            // The file cannot hold a version: `load` computes it from the content.
            Ok(SwapOutcome::Stored(Version::of(record.json().as_bytes())))
        };
        self.run(key, work).await
    }
}
