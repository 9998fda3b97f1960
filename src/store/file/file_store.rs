//! `FileStore`.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;

use super::lock_file::Lock;
use super::paths::Place;
use super::{platform, token_file};
use crate::store::{Record, StoreError, SwapOutcome, TokenKey, TokenStore, Version};

/// A store in files, shared by the processes of one host.
///
/// A file holds the JSON document and nothing else, so what requests-oauthlib or Authlib saved loads
/// as it is, and they read what is saved here.
///
/// # Files
///
/// Beside a token file `NAME` there is `NAME.lock`, and during a commit `NAME.reqwest-oauth2.tmp`. All of
/// them are made with mode 0600, and a missing directory with 0700; a directory that exists keeps its
/// mode, and a token file that others may read gets 0600 with the next commit. Whoever else may write to
/// the directory can put files of their own there, so let nobody. A symbolic link in place of one of the
/// files is an error, and not followed; links on the way to the directory are.
///
/// Changes are serialised by the operating system's file locks: the directory must be on a file system
/// that has them, and a program that knows nothing of `NAME.lock` must not write while others do. On
/// Windows the access rights are those that the directory hands down, and a rename is as durable as
/// the file system makes it.
///
/// # Errors
///
/// A token file that is no JSON text, or larger than 1 MiB, is [`StoreError::is_corrupt`] until it is
/// deleted or restored: nothing is written over it. A missing permission, a symbolic link, a path
/// that leads through a file, or a document that is itself no JSON text or too large, is
/// [`StoreError::is_config`]. All else is [`StoreError::is_unavailable`]: no room, an I/O error, a
/// lock that another process has kept for five seconds. After an error the token file is the old one;
/// only where the last step failed, making the rename durable, it is the new one.
///
/// # Cancellation
///
/// Each call does its work on a thread for blocking work
/// ([`spawn_blocking`](tokio::task::spawn_blocking)) and, once begun there, to its end, whoever drops
/// the future.
#[derive(Debug, Clone)]
pub struct FileStore {
    files: Files,
}

#[derive(Debug, Clone)]
enum Files {
    Directory(PathBuf),
    /// One file, and the one key that it is for: the first that is used.
    File(PathBuf, Arc<OnceLock<TokenKey>>),
}

impl FileStore {
    /// A file for each key, in this directory. A file's name begins with the letters and digits of the
    /// user, for people to find it, and tells keys apart by a hash.
    pub fn directory(path: impl Into<PathBuf>) -> Self {
        Self { files: Files::Directory(path.into()) }
    }

    /// This one file, for a program with one login, such as a command-line tool.
    ///
    /// This value and its clones take the first key that they are used with. A call with any other
    /// key is [`StoreError::is_config`]: two logins in one file would overwrite each other.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self { files: Files::File(path.into(), Arc::default()) }
    }

    async fn at<T: Send + 'static>(
        &self,
        key: &TokenKey,
        work: impl FnOnce(&Place) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let place = match &self.files {
            Files::Directory(directory) => Place::of_key(directory, key),
            Files::File(file, only) if only.get_or_init(|| key.clone()) == key => {
                Place::of_file(file)?
            }
            Files::File(..) => {
                return Err(StoreError::config(
                    "FileStore::file holds one login, and this is a second one; for several, use \
                     FileStore::directory",
                ));
            }
        };
        let done = tokio::task::spawn_blocking(move || work(&place)).await;
        done.map_err(StoreError::unavailable)?
    }
}

/// The lock, and the directory for it where it is missing.
fn lock(place: &Place) -> Result<Lock, StoreError> {
    platform::make_directory(&place.directory)?;
    Lock::take(&place.lock)?.ok_or_else(|| StoreError::unavailable("the directory went away"))
}

#[async_trait]
impl TokenStore for FileStore {
    /// Takes no lock and writes nothing.
    async fn load(&self, key: &TokenKey) -> Result<Option<Record>, StoreError> {
        self.at(key, |place| token_file::read(&place.document)).await
    }

    async fn compare_and_swap(
        &self,
        key: &TokenKey,
        expected: Option<Version>,
        record: &Record,
    ) -> Result<SwapOutcome, StoreError> {
        let record = record.clone();
        let work = move |place: &Place| {
            token_file::check(&record)?;
            let _lock = lock(place)?;
            let stored = token_file::read(&place.document)?;
            if stored.as_ref().map(Record::version) != expected {
                return Ok(SwapOutcome::Conflict(stored));
            }
            token_file::replace(place, &record)?;
            Ok(SwapOutcome::Stored(Version::of(record.json())))
        };
        self.at(key, work).await
    }
}
