//! `FileStore`.

use std::path::PathBuf;

use async_trait::async_trait;

use super::held::Held;
use super::lock::Lock;
use super::place::Place;
use super::{document, os};
use crate::store::{Committed, Lease, Record, StoreError, TokenKey, TokenStore, Version};

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
    OneEach(PathBuf),
    OneForAll(PathBuf),
}

impl FileStore {
    /// A file for each key, in this directory. A file's name begins with the letters and digits of the
    /// user, for people to find it, and tells keys apart by a hash.
    pub fn directory(path: impl Into<PathBuf>) -> Self {
        Self { files: Files::OneEach(path.into()) }
    }

    /// This very file, for a program with one login, such as a tool of the command line. Every key
    /// is the same file: with two logins they would overwrite each other.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self { files: Files::OneForAll(path.into()) }
    }

    async fn at<T: Send + 'static>(
        &self,
        key: &TokenKey,
        work: impl FnOnce(&Place) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let place = match &self.files {
            Files::OneEach(directory) => Place::of_key(directory, key),
            Files::OneForAll(file) => Place::of_file(file)?,
        };
        let done = tokio::task::spawn_blocking(move || work(&place)).await;
        done.map_err(StoreError::unavailable)?
    }
}

/// The lock, and the directory for it where it is missing.
fn lock(place: &Place) -> Result<Lock, StoreError> {
    os::make_directory(&place.directory)?;
    Lock::take(&place.lock)?.ok_or_else(|| StoreError::unavailable("the directory went away"))
}

/// Whose login was deleted while it was renewed leaves no lock file behind, named for them.
fn tidy(place: &Place, mut lock: Lock) -> Result<(), StoreError> {
    let needed = place.document.symlink_metadata().is_ok() || lock.held()?.is_some();
    if needed { Ok(()) } else { lock.remove() }
}

#[async_trait]
impl TokenStore for FileStore {
    /// Takes no lock and writes nothing.
    async fn load(&self, key: &TokenKey) -> Result<Option<Record>, StoreError> {
        self.at(key, |place| document::read(&place.document)).await
    }

    /// The lease is counted by the host's wall clock; should that go back behind the lease's
    /// beginning, the lease is over.
    async fn lease(&self, key: &TokenKey, lease: &Lease) -> Result<bool, StoreError> {
        let lease = lease.clone();
        let work = move |place: &Place| {
            let mut lock = lock(place)?;
            let now = Held::now();
            if lock.held()?.is_some_and(|held| !held.is_by(&lease) && held.is_on(now)) {
                return Ok(false);
            }
            lock.hold(&Held::new(&lease, now))?;
            Ok(true)
        };
        self.at(key, work).await
    }

    async fn release(&self, key: &TokenKey, lease: &Lease) -> Result<(), StoreError> {
        let lease = lease.clone();
        let work = move |place: &Place| {
            let Some(mut lock) = Lock::take_existing(&place.lock)? else { return Ok(()) };
            if lock.held()?.is_some_and(|held| held.is_by(&lease)) {
                lock.free()?;
            }
            tidy(place, lock)
        };
        self.at(key, work).await
    }

    async fn commit(
        &self,
        key: &TokenKey,
        replaces: Option<Version>,
        record: &Record,
    ) -> Result<Committed, StoreError> {
        let record = record.clone();
        let work = move |place: &Place| {
            document::check(&record)?;
            let lock = lock(place)?;
            let present = document::read(&place.document)?;
            if present.as_ref().map(Record::version) != replaces {
                tidy(place, lock)?;
                return Ok(Committed::Conflict(present));
            }
            document::replace(place, &record)?;
            Ok(Committed::Saved(Version::of(record.json())))
        };
        self.at(key, work).await
    }

    /// Removes the token file, whatever is in it, the lease, and what a killed process may have left.
    /// A directory in its place is removed only if it is empty.
    async fn delete(&self, key: &TokenKey) -> Result<(), StoreError> {
        let work = |place: &Place| {
            let Some(lock) = Lock::take(&place.lock)? else { return Ok(()) };
            document::remove(place)?;
            lock.remove()
        };
        self.at(key, work).await
    }
}
