//! `Record`, and the version that tells one from another.

use std::fmt;

use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

/// Tells records apart that are stored one after the other under a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Version(i64);

impl Version {
    /// A version as a store has kept it.
    pub fn from_number(number: i64) -> Self {
        Self(number)
    }

    /// The version as a number to keep; not in any order.
    pub fn number(self) -> i64 {
        self.0
    }
}

/// A document under a key: JSON text, a secret, with its version. `Debug` shows no secret.
#[derive(Clone)]
pub struct Record {
    version: Version,
    json: SecretString,
}

impl Record {
    /// A document, with the version that is its content's: the same content has the same one.
    pub fn new(json: impl Into<String>) -> Self {
        let json = Zeroizing::new(json.into());
        let digest = Sha256::digest(json.as_bytes());
        let mut number = [0; 8];
        number.copy_from_slice(&digest[..8]);
        Self::with_version(Version(i64::from_be_bytes(number)), json.as_str())
    }

    /// A document with the version that a store has kept with it.
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

/// The end of [`TokenStore::commit`](super::TokenStore::commit).
#[derive(Debug, Clone)]
#[must_use = "a record that lost to another is not stored"]
pub enum Committed {
    /// The document is stored, and this is its version from now on: what [`load`] hands out with it,
    /// and what the next commit replaces. It need not be the version of the record that was handed
    /// in, since a store may keep something else than that text: sealed, or with a count of its own.
    ///
    /// [`load`]: super::TokenStore::load
    Saved(Version),
    /// Another one is there, or nothing where there should be one; it was left as it is.
    Conflict(Option<Record>),
}
