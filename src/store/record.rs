//! `Record`, and the version that tells one from another.

use std::fmt;

use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

/// Identifies one content of a key's record.
///
/// A version must never come twice for a key, not even after the store lost its content: a replica
/// that still knows the old version would overwrite the new record. The hash that [`Record::new`]
/// computes never repeats, because sessions put a random value into each document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Version(i64);

impl Version {
    /// A version that a store kept as a number.
    pub fn from_number(number: i64) -> Self {
        Self(number)
    }

    /// The first 64 bits of the document's SHA-256, so each reader of a document gets the same one.
    pub(super) fn of(json: &str) -> Self {
        let digest = Sha256::digest(json.as_bytes());
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
}

impl Record {
    /// A document, with a hash of it as the version: equal documents have equal versions.
    pub fn new(json: impl Into<String>) -> Self {
        let json = Zeroizing::new(json.into());
        Self::with_version(Version::of(&json), json.as_str())
    }

    /// A document with the version that the store kept for it.
    pub fn with_version(version: Version, json: impl Into<String>) -> Self {
        Self { version, json: SecretString::from(json.into()) }
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

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record").field("version", &self.version).finish_non_exhaustive()
    }
}
