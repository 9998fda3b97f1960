//! `EncryptedStore`.
//!
//! # Concurrency
//!
//! A load may write: it swaps in what it has read, under another key. A swap of somebody else then meets a
//! conflict, as after any change, and finds the same document under a new version. A load tries that once for
//! each key: two processes with different first keys would rewrite a record in turn, and no session would see
//! it unchanged for a lease, which is how it tells that the holder of a mark is dead.

use std::collections::HashSet;
use std::fmt;
use std::hash::BuildHasher as _;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::timeout;

use super::envelope::Envelope;
use super::key::EncryptionKey;
use crate::store::{Record, StoreError, SwapOutcome, TokenKey, TokenStore, Version};

/// How long a load tries to rewrite a record. It has been read: far less than sessions wait for a load.
const REWRITE_WAIT: Duration = Duration::from_millis(100);

/// How often a record is rewritten that another process has changed meanwhile.
const REWRITE_TRIES: usize = 3;

/// Any store, with its documents encrypted. A reader of the database, its backups or its disk finds
/// no token.
///
/// ```
/// # use reqwest_oauth2::store::{EncryptedStore, EncryptionKey, MemoryStore};
/// # let (key, old_key) = ([1; 32], [2; 32]);
/// // The first key encrypts; both decrypt.
/// let store = EncryptedStore::new(MemoryStore::new(), EncryptionKey::new("2026-07", key))
///     .add_decryption_key(EncryptionKey::new("2026-01", old_key));
/// ```
///
/// A document is bound to its [`TokenKey`]: under another key it cannot be decrypted. This does not
/// detect an older document of the same key that somebody puts back, and does not prevent deletion.
/// The keys are not encrypted, and so neither are the names of the users.
///
/// # To replace the key while processes run
///
/// 1. Give all of them the new key with [`add_decryption_key`](Self::add_decryption_key). A process without it
///    cannot read what another one encrypts with it.
/// 2. In all of them make the new key the first one, and add the old one. From then on each record that is
///    loaded or stored is encrypted anew. A load tries it once for each record, and for a moment only.
/// 3. When the last process has the new key first, call [`rewrite`](Self::rewrite) for each key of the store.
///    Nobody may have loaded the records of users who do not come, of logins that have ended, and of the
///    application's registrations; and processes that had the old key first may have rewritten others.
/// 4. Drop the old key. A record that is still under it cannot be read or replaced, and its user cannot log in
///    again. If the store cannot list its keys (`FileStore`, `KeyringStore`), do not drop it.
///
/// # Errors
///
/// Those of the inner store. In addition [`StoreError::is_corrupt`] if a record cannot be decrypted,
/// and [`StoreError::is_config`] if its key was not given. A session replaces the first only for a new
/// login or a sign-out, and the second never.
///
/// # Cancellation
///
/// As the inner store.
pub struct EncryptedStore<S> {
    store: S,
    /// The first one encrypts.
    keys: Vec<EncryptionKey>,
    accept_plaintext: bool,
    /// Hashes of the keys whose record a load has tried to rewrite.
    tried: Mutex<HashSet<u64>>,
}

impl<S: TokenStore> EncryptedStore<S> {
    /// Encrypts and decrypts the documents of this store with this key.
    pub fn new(store: S, key: EncryptionKey) -> Self {
        Self { store, keys: vec![key], accept_plaintext: false, tried: Mutex::default() }
    }

    /// Adds a key that decrypts, but does not encrypt: the first load of a record under it tries to encrypt that
    /// record anew, with the first key. Several keys may have the same id.
    #[must_use = "it returns the store with the key"]
    pub fn add_decryption_key(mut self, key: EncryptionKey) -> Self {
        self.keys.push(key);
        self
    }

    /// Also loads plaintext documents, from the time before encryption, and tries to encrypt each when it first
    /// loads it; [`rewrite`](Self::rewrite) encrypts the others. Do not leave this on: anybody who can write to the store
    /// could put their own token there.
    #[must_use = "it returns the store that loads plaintext"]
    pub fn accept_plaintext(mut self) -> Self {
        self.accept_plaintext = true;
        self
    }

    fn encrypt(&self, key: &TokenKey, record: &Record) -> Result<Record, StoreError> {
        let with = self.keys.first().ok_or_else(|| StoreError::config("no key"))?;
        // A new nonce each time, so the version of the text never repeats.
        let text = Envelope::encrypt(with, key, record.json()).map_err(StoreError::unavailable)?;
        let encrypted = Record::new(text);
        let replaces_unreadable = record.replaces_unreadable();
        Ok(if replaces_unreadable { encrypted.replacing_unreadable() } else { encrypted })
    }

    /// The record of this key, and whether the first key encrypted it.
    async fn found(&self, key: &TokenKey) -> Result<Option<(Record, bool)>, StoreError> {
        let stored = self.store.load(key).await?;
        stored.map(|stored| self.decrypt(key, stored)).transpose()
    }

    /// Returns the decrypted document with the version of the stored one, which a swap expects; and whether
    /// the first key encrypted it.
    fn decrypt(&self, key: &TokenKey, stored: Record) -> Result<(Record, bool), StoreError> {
        let version = stored.version();
        if !Envelope::is(stored.json()) {
            let plaintext = self.accept_plaintext.then_some((stored, false));
            return plaintext.ok_or_else(|| {
                StoreError::corrupt(
                    "the record is not encrypted; accept_plaintext() reads old plaintext records",
                )
                .with_version(version)
            });
        }
        let (text, is_under_first) = Envelope::decrypt(stored.json(), &self.keys, key)
            .map_err(|error| error.with_version(version))?;
        let json = std::str::from_utf8(&text).map_err(|_| {
            StoreError::corrupt("the decrypted record is not UTF-8").with_version(version)
        })?;
        Ok((Record::with_version(version, json), is_under_first))
    }

    /// Whether no load has tried to rewrite the record of this key before. Two keys with one hash are left to
    /// the next swap, or to `rewrite`.
    fn is_first_try(&self, key: &TokenKey) -> bool {
        let mut tried = self.tried.lock().unwrap_or_else(PoisonError::into_inner);
        let hash = tried.hasher().hash_one(key);
        tried.insert(hash)
    }

    /// Swaps the same document in, encrypted with the first key.
    async fn swap_same(&self, key: &TokenKey, found: &Record) -> Result<SwapOutcome, StoreError> {
        self.compare_and_swap(key, Some(found.version()), found).await
    }

    /// Encrypts the record of this key with the first key, unless it is already. Nothing happens if there is
    /// none.
    ///
    /// For each key that the store holds, before the old encryption key is dropped:
    ///
    /// ```
    /// # use reqwest_oauth2::store::{EncryptedStore, StoreError, TokenKey, TokenStore};
    /// # async fn f<S: TokenStore>(store: &EncryptedStore<S>, keys: Vec<String>) -> Result<(), StoreError> {
    /// // `SELECT key FROM …`, say.
    /// for key in keys {
    ///     store.rewrite(&TokenKey::from_text(&key)?).await?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Those of the store; [`StoreError::is_unavailable`] if other processes changed the record during each of
    /// three attempts.
    ///
    /// # Cancellation
    ///
    /// The record was rewritten or not, but never in part.
    pub async fn rewrite(&self, key: &TokenKey) -> Result<(), StoreError> {
        for _ in 0..REWRITE_TRIES {
            match self.found(key).await? {
                None | Some((_, true)) => return Ok(()),
                Some((record, false)) => match self.swap_same(key, &record).await? {
                    SwapOutcome::Stored(_) => return Ok(()),
                    SwapOutcome::Conflict(_) => {}
                },
            }
        }
        Err(StoreError::unavailable("other processes changed the record during each attempt"))
    }
}

#[async_trait]
impl<S: TokenStore> TokenStore for EncryptedStore<S> {
    /// Rewrites a record that is not under the first key, once. If that fails, it is returned as it is: the
    /// store may be one that only reads.
    async fn load(&self, key: &TokenKey) -> Result<Option<Record>, StoreError> {
        let record = match self.found(key).await? {
            None => return Ok(None),
            Some((record, true)) => return Ok(Some(record)),
            Some((record, false)) => record,
        };
        if !self.is_first_try(key) {
            return Ok(Some(record));
        }
        Ok(Some(match timeout(REWRITE_WAIT, self.swap_same(key, &record)).await {
            Ok(Ok(SwapOutcome::Stored(version))) => Record::with_version(version, record.json()),
            _ => record,
        }))
    }

    async fn compare_and_swap(
        &self,
        key: &TokenKey,
        expected: Option<Version>,
        record: &Record,
    ) -> Result<SwapOutcome, StoreError> {
        let encrypted = self.encrypt(key, record)?;
        Ok(match self.store.compare_and_swap(key, expected, &encrypted).await? {
            SwapOutcome::Stored(version) => SwapOutcome::Stored(version),
            SwapOutcome::Conflict(None) => SwapOutcome::Conflict(None),
            SwapOutcome::Conflict(Some(stored)) => {
                SwapOutcome::Conflict(Some(self.decrypt(key, stored)?.0))
            }
        })
    }
}

impl<S> fmt::Debug for EncryptedStore<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EncryptedStore").field("keys", &self.keys).finish_non_exhaustive()
    }
}
