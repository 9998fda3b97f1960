//! Where the processes of a service keep their tokens together.
//!
//! Providers that rotate refresh tokens revoke the whole login when one is presented twice
//! ([RFC 9700 §4.14.2](https://www.rfc-editor.org/rfc/rfc9700#section-4.14.2)). Processes that share
//! logins therefore share a [`TokenStore`]: a session with one
//! ([`SessionBuilder::store`](crate::SessionBuilder::store)) renews a token only under a [`Lease`],
//! with the refresh token that the store holds by then, and a sibling that comes later takes what it
//! finds.
//!
//! Correctness rests on the compare-and-swap of [`TokenStore::commit`]; the lease keeps siblings from
//! asking the provider for the same thing twice.

#[cfg(feature = "file-store")]
mod file;
mod key;
mod lease;
mod memory;
mod record;
#[cfg(feature = "redis")]
mod redis;
#[cfg(feature = "sealed")]
mod sealed;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod sql;
#[cfg(any(feature = "postgres", feature = "redis", feature = "sqlite"))]
mod stored;

use std::sync::Arc;

use async_trait::async_trait;

pub use crate::error::StoreError;

#[cfg(feature = "file-store")]
#[cfg_attr(docsrs, doc(cfg(feature = "file-store")))]
pub use file::FileStore;
pub use key::TokenKey;
pub use lease::Lease;
pub use memory::MemoryStore;
pub use record::{Committed, Record, Version};
#[cfg(feature = "redis")]
#[cfg_attr(docsrs, doc(cfg(feature = "redis")))]
pub use redis::RedisStore;
#[cfg(feature = "sealed")]
#[cfg_attr(docsrs, doc(cfg(feature = "sealed")))]
pub use sealed::{Sealed, SealingKey};
#[cfg(feature = "postgres")]
#[cfg_attr(docsrs, doc(cfg(feature = "postgres")))]
pub use sql::PostgresStore;
#[cfg(feature = "sqlite")]
#[cfg_attr(docsrs, doc(cfg(feature = "sqlite")))]
pub use sql::SqliteStore;

/// A store of tokens that processes share.
///
/// The documents in it are opaque: JSON text, in plain or sealed. What a store must do is written
/// down as a suite of tests, `testing::check_store`.
///
/// # Cancellation
///
/// A call whose future is dropped may have happened or not; it must not have happened in part. A
/// session gives each call [`SessionBuilder::save_wait_timeout`](crate::SessionBuilder::save_wait_timeout).
#[async_trait]
pub trait TokenStore: Send + Sync + 'static {
    /// What is stored under the key.
    ///
    /// # Errors
    ///
    /// [`StoreError::corrupt`] where something is there that cannot be read.
    async fn load(&self, key: &TokenKey) -> Result<Option<Record>, StoreError>;

    /// Grants the lease where nobody else holds one under this key: `true` from then on for
    /// [`Lease::ttl`], counted by the store's clock. Granted anew to the same holder. Needs no
    /// record, and changes none.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load); that somebody else holds it is `false`.
    async fn lease(&self, key: &TokenKey, lease: &Lease) -> Result<bool, StoreError>;

    /// Ends the lease before its time, if this is who holds it.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load).
    async fn release(&self, key: &TokenKey, lease: &Lease) -> Result<(), StoreError>;

    /// Puts the record in the place of the one with the version `replaces` (`None`: of nothing), in
    /// one step and durably; where another one is there, changes nothing. Whether anybody holds a
    /// lease does not matter. The version of what is stored then is the store's to say, in
    /// [`Committed::Saved`]; other content must never get the version of what it replaces.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load); that another record is there is [`Committed::Conflict`].
    async fn commit(
        &self,
        key: &TokenKey,
        replaces: Option<Version>,
        record: &Record,
    ) -> Result<Committed, StoreError>;

    /// Removes all that is stored under the key.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load); that nothing is there is none.
    async fn delete(&self, key: &TokenKey) -> Result<(), StoreError>;
}

#[async_trait]
impl<S: TokenStore + ?Sized> TokenStore for Arc<S> {
    async fn load(&self, key: &TokenKey) -> Result<Option<Record>, StoreError> {
        (**self).load(key).await
    }

    async fn lease(&self, key: &TokenKey, lease: &Lease) -> Result<bool, StoreError> {
        (**self).lease(key, lease).await
    }

    async fn release(&self, key: &TokenKey, lease: &Lease) -> Result<(), StoreError> {
        (**self).release(key, lease).await
    }

    async fn commit(
        &self,
        key: &TokenKey,
        replaces: Option<Version>,
        record: &Record,
    ) -> Result<Committed, StoreError> {
        (**self).commit(key, replaces, record).await
    }

    async fn delete(&self, key: &TokenKey) -> Result<(), StoreError> {
        (**self).delete(key).await
    }
}
