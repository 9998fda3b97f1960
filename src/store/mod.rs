//! Stores: storage for tokens that replicas share.
//!
//! Many providers end the login when a refresh token is used twice
//! ([RFC 9700 §4.14.2](https://www.rfc-editor.org/rfc/rfc9700#section-4.14.2)). Replicas that share
//! logins therefore share a [`TokenStore`], which each session gets from
//! [`SessionBuilder::store`](crate::SessionBuilder::store).
//!
//! A store has two operations: load, and compare-and-swap. Correctness depends on the second. The
//! record itself says who renews a token, so a store needs no locks, leases or clocks.

#[cfg(any(feature = "postgres", feature = "redis", feature = "sqlite"))]
mod columns;
#[cfg(any(feature = "file-store", feature = "postgres", feature = "redis", feature = "sqlite"))]
mod document;
#[cfg(feature = "encryption")]
mod encrypted;
#[cfg(feature = "file-store")]
mod file;
mod key;
#[cfg(feature = "keyring")]
mod keyring;
mod memory;
mod record;
#[cfg(feature = "redis")]
mod redis;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod sql;
mod token_store;

pub use crate::error::StoreError;

#[cfg(feature = "encryption")]
#[cfg_attr(docsrs, doc(cfg(feature = "encryption")))]
pub use encrypted::{EncryptedStore, EncryptionKey};
#[cfg(feature = "file-store")]
#[cfg_attr(docsrs, doc(cfg(feature = "file-store")))]
pub use file::FileStore;
pub use key::TokenKey;
#[cfg(feature = "keyring")]
#[cfg_attr(docsrs, doc(cfg(feature = "keyring")))]
pub use keyring::KeyringStore;
pub use memory::MemoryStore;
pub use record::{Record, Version};
#[cfg(feature = "redis")]
#[cfg_attr(docsrs, doc(cfg(feature = "redis")))]
pub use redis::RedisStore;
#[cfg(feature = "postgres")]
#[cfg_attr(docsrs, doc(cfg(feature = "postgres")))]
pub use sql::PostgresStore;
#[cfg(feature = "sqlite")]
#[cfg_attr(docsrs, doc(cfg(feature = "sqlite")))]
pub use sql::SqliteStore;
pub use token_store::{SwapOutcome, TokenStore};
