//! `Record`, and the version that tells one from another.

use std::fmt;

use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

use super::StoreError;

/// Identifies one content of a key's record.
///
/// A version must never repeat for a key, not even after the store lost its content: a replica that
/// still knows the old version would overwrite the new record. The hash that [`Record::new`]
/// computes never repeats, because sessions put a random value into each document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Version(i64);

impl Version {
    /// A version that a store kept as a number.
    pub fn from_number(number: i64) -> Self {
        Self(number)
    }

    /// The first 64 bits of the SHA-256 of what is stored, so each reader of it gets the same one.
    pub(super) fn of(stored: &[u8]) -> Self {
        let digest = Sha256::digest(stored);
        let mut number = [0; 8];
        number.copy_from_slice(&digest[..8]);
        Self(i64::from_be_bytes(number))
    }

    /// The version as a number, to store it. Numbers have no order.
    pub fn number(self) -> i64 {
        self.0
    }
}

/// What a store holds for one login: a JSON document, which is a secret, and its version.
///
/// `Debug` shows no secret.
#[derive(Clone)]
pub struct Record {
    version: Version,
    json: SecretString,
    replaces_unreadable: bool,
}

impl Record {
    /// A document, with a hash of it as the version: equal documents have equal versions.
    pub fn new(json: impl Into<String>) -> Self {
        let json = Zeroizing::new(json.into());
        Self::with_version(Version::of(json.as_bytes()), json.as_str())
    }

    /// A document with the version that the store kept for it.
    pub fn with_version(version: Version, json: impl Into<String>) -> Self {
        Self { version, json: SecretString::from(json.into()), replaces_unreadable: false }
    }

    /// The same record, to replace an unreadable one. A store may keep the unreadable one aside.
    #[must_use = "it returns the record"]
    pub fn replacing_unreadable(self) -> Self {
        Self { replaces_unreadable: true, ..self }
    }

    /// Whether this record replaces an unreadable one. `FileStore` keeps that one aside.
    pub fn replaces_unreadable(&self) -> bool {
        self.replaces_unreadable
    }

    /// The version.
    pub fn version(&self) -> Version {
        self.version
    }

    /// The document: JSON text. A secret.
    pub fn json(&self) -> &str {
        self.json.expose_secret()
    }
}

impl StoreError {
    /// The version of an unreadable record. A swap that expects this version replaces the record;
    /// sessions do so only for a new login or a sign-out. No effect on an error that is not
    /// [`corrupt`](Self::corrupt).
    #[must_use = "it returns the error with the version"]
    pub fn with_version(mut self, version: Version) -> Self {
        if self.is_corrupt() {
            self.version = Some(version.number());
        }
        self
    }

    /// The version of an unreadable record, if the store knows it.
    pub fn version(&self) -> Option<Version> {
        self.version.map(Version::from_number)
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record").field("version", &self.version).finish_non_exhaustive()
    }
}
