//! `EncryptedStore`.

use std::fmt;

use async_trait::async_trait;

use super::envelope::Envelope;
use super::key::EncryptionKey;
use crate::store::{Record, StoreError, SwapOutcome, TokenKey, TokenStore, Version};

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
/// To replace the key while processes run: first give all of them the new key with
/// [`add_decryption_key`](Self::add_decryption_key); then make it the first key in all of them; drop
/// the old one when every token was renewed.
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
}

impl<S: TokenStore> EncryptedStore<S> {
    /// Encrypts and decrypts the documents of this store with this key.
    pub fn new(store: S, key: EncryptionKey) -> Self {
        Self { store, keys: vec![key], accept_plaintext: false }
    }

    /// Adds a key that decrypts, but does not encrypt. Several keys may have the same id.
    #[must_use = "it returns the store with the key"]
    pub fn add_decryption_key(mut self, key: EncryptionKey) -> Self {
        self.keys.push(key);
        self
    }

    /// Also loads plaintext documents, from the time before encryption. The next swap encrypts them.
    /// Do not leave this on: anybody who can write to the store could put their own token there.
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

    /// Returns the decrypted document with the version of the stored one, which a swap expects.
    fn decrypt(&self, key: &TokenKey, stored: Record) -> Result<Record, StoreError> {
        let version = stored.version();
        if !Envelope::is(stored.json()) {
            let plaintext = self.accept_plaintext.then_some(stored);
            return plaintext.ok_or_else(|| {
                StoreError::corrupt(
                    "the record is not encrypted; accept_plaintext() reads old plaintext records",
                )
                .with_version(version)
            });
        }
        let text = Envelope::decrypt(stored.json(), &self.keys, key)
            .map_err(|error| error.with_version(version))?;
        let json = std::str::from_utf8(&text).map_err(|_| {
            StoreError::corrupt("the decrypted record is not UTF-8").with_version(version)
        })?;
        Ok(Record::with_version(version, json))
    }
}

#[async_trait]
impl<S: TokenStore> TokenStore for EncryptedStore<S> {
    async fn load(&self, key: &TokenKey) -> Result<Option<Record>, StoreError> {
        let stored = self.store.load(key).await?;
        stored.map(|stored| self.decrypt(key, stored)).transpose()
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
            SwapOutcome::Conflict(stored) => {
                SwapOutcome::Conflict(stored.map(|stored| self.decrypt(key, stored)).transpose()?)
            }
        })
    }
}

impl<S> fmt::Debug for EncryptedStore<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EncryptedStore").field("keys", &self.keys).finish_non_exhaustive()
    }
}
