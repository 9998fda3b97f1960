//! `Sealed`.

use std::fmt;

use async_trait::async_trait;

use super::envelope::Envelope;
use super::key::SealingKey;
use crate::store::{Record, StoreError, SwapOutcome, TokenKey, TokenStore, Version};

/// Any store, with its documents encrypted: who reads the database, its backups or its disk finds no
/// token.
///
/// ```
/// # use reqwest_oauth2::store::{MemoryStore, Sealed, SealingKey};
/// # let (key, old_key) = ([1; 32], [2; 32]);
/// // What is written is sealed with the first key; what the old one sealed still opens.
/// let store = Sealed::new(MemoryStore::new(), SealingKey::new("2026-07", key))
///     .also_opens(SealingKey::new("2026-01", old_key));
/// ```
///
/// A document is bound to the [`TokenKey`] it was stored under: moved to another user's place it does
/// not open. That an older document of the same user is put back is not noticed here, and who has
/// access to the store can still delete documents. Not sealed are the keys, so the users' names, and
/// the leases.
///
/// To change the key while processes run: give all of them the new one as
/// [`also_opens`](Self::also_opens), then all of them as the first, and the old one away when each
/// token has been renewed or deleted.
///
/// # Errors
///
/// Those of the store, and for a document that does not open [`StoreError::is_corrupt`], or where its
/// key is not here [`StoreError::is_config`]. Such a document is left as it is: as it was never loaded,
/// no commit can name it as the one to replace.
pub struct Sealed<S> {
    store: S,
    /// The first one seals.
    keys: Vec<SealingKey>,
    accept_plain: bool,
}

impl<S: TokenStore> Sealed<S> {
    /// Seals and opens the documents of the store with this key.
    pub fn new(store: S, key: SealingKey) -> Self {
        Self { store, keys: vec![key], accept_plain: false }
    }

    /// Opens, but does not seal, with this key too. Of several keys with the same id each is tried.
    #[must_use = "it returns the store that opens with this key as well"]
    pub fn also_opens(mut self, key: SealingKey) -> Self {
        self.keys.push(key);
        self
    }

    /// Loads documents that were stored before there was a key, too; the next commit seals them. As
    /// long as this is on, who can write to the store can put a token of their own there.
    #[must_use = "it returns the store that loads plain documents as well"]
    pub fn accept_plain(mut self) -> Self {
        self.accept_plain = true;
        self
    }

    fn seal(&self, key: &TokenKey, record: &Record) -> Result<Record, StoreError> {
        let with = self.keys.first().ok_or_else(|| StoreError::config("no key"))?;
        Envelope::seal(with, key, record.json()).map(Record::new).map_err(StoreError::unavailable)
    }

    /// The record with the document opened, and the version of what is stored: what a commit has to
    /// name.
    fn open(&self, key: &TokenKey, stored: Record) -> Result<Record, StoreError> {
        if !Envelope::is(stored.json()) {
            let plain = self.accept_plain.then_some(stored);
            return plain.ok_or_else(|| {
                StoreError::corrupt(
                    "a document is not sealed; accept_plain() loads those of before",
                )
            });
        }
        let text = Envelope::open(stored.json(), &self.keys, key)?;
        let json = std::str::from_utf8(&text).map_err(|_| StoreError::corrupt("no UTF-8"))?;
        Ok(Record::with_version(stored.version(), json))
    }
}

#[async_trait]
impl<S: TokenStore> TokenStore for Sealed<S> {
    async fn load(&self, key: &TokenKey) -> Result<Option<Record>, StoreError> {
        let stored = self.store.load(key).await?;
        stored.map(|stored| self.open(key, stored)).transpose()
    }

    async fn compare_and_swap(
        &self,
        key: &TokenKey,
        expected: Option<Version>,
        record: &Record,
    ) -> Result<SwapOutcome, StoreError> {
        let sealed = self.seal(key, record)?;
        Ok(match self.store.compare_and_swap(key, expected, &sealed).await? {
            SwapOutcome::Stored(version) => SwapOutcome::Stored(version),
            SwapOutcome::Conflict(present) => {
                SwapOutcome::Conflict(present.map(|stored| self.open(key, stored)).transpose()?)
            }
        })
    }
}

impl<S> fmt::Debug for Sealed<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealed").field("keys", &self.keys).finish_non_exhaustive()
    }
}
