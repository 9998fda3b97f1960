//! `TokenStore` and `SwapOutcome`.

use std::sync::Arc;

use async_trait::async_trait;

use super::{Record, StoreError, TokenKey, Version};

/// Storage for records, shared by replicas.
///
/// A store keeps one [`Record`] under each [`TokenKey`]. It has two operations. Everything else
/// (who renews, backoff, sign-out) is in the record itself, so a store knows nothing about it.
///
/// A document is JSON text, plain or encrypted, and opaque to the store. A store must take documents
/// of 64 KiB and may refuse larger ones with [`StoreError::config`]: a session then leaves out the access tokens
/// for other resources, since they can be had again. The stores of this crate take 2 MiB.
///
/// `testing::check_store` is a test suite for every rule here.
/// [`guides::own_store`](crate::guides::own_store) shows a complete store of about 60 lines.
///
/// # Versions never repeat
///
/// [`compare_and_swap`](Self::compare_and_swap) is safe only if a key never gets the same
/// [`Version`] twice, not even after the store lost its content. Sessions put a random value into
/// each document, so the version of [`Record::new`], a hash of the document, never repeats: keep
/// it, or compute it again. A store that makes its own versions must not repeat them: a counter
/// that starts again after a loss of data is wrong.
///
/// # Cancellation
///
/// If the caller drops the future of a call, the call may have happened or not, but never in part.
/// A session limits the time of each call, and drops its future after that.
#[async_trait]
pub trait TokenStore: Send + Sync + 'static {
    /// Returns the record of this key; `None` if there is none.
    ///
    /// # Errors
    ///
    /// [`StoreError::corrupt`] if the stored record cannot be read, with its version
    /// ([`StoreError::with_version`]) if there is one: a swap that expects this version replaces it, and
    /// sessions make one for a new login or a sign-out only. Never treat it as missing: a session would
    /// write over it. [`StoreError::unavailable`] if the store cannot be reached, and
    /// [`StoreError::config`] if it is set up wrongly.
    async fn load(&self, key: &TokenKey) -> Result<Option<Record>, StoreError>;

    /// Stores the record if the stored version equals `expected` (`None`: no record). Otherwise
    /// changes nothing and returns what is stored.
    ///
    /// Atomic: of several calls with the same `expected`, at most one stores its record. Durable:
    /// after [`SwapOutcome::Stored`] a crash does not lose the record.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load). A conflict is no error. After [`StoreError::unavailable`] the swap
    /// may have happened: sessions load again.
    async fn compare_and_swap(
        &self,
        key: &TokenKey,
        expected: Option<Version>,
        record: &Record,
    ) -> Result<SwapOutcome, StoreError>;
}

/// The result of [`TokenStore::compare_and_swap`].
#[derive(Debug, Clone)]
#[must_use = "after a conflict the record is not stored"]
pub enum SwapOutcome {
    /// The record is stored under this version: [`load`] returns it, and the next swap expects it.
    /// It differs from the version of the record that was passed in, if the store keeps another
    /// text (encrypted) or makes its own versions.
    ///
    /// [`load`]: TokenStore::load
    Stored(Version),
    /// The stored version was not the expected one. This is the stored record, or `None` if there
    /// is none. Nothing was changed.
    Conflict(Option<Record>),
}

#[async_trait]
impl<S: TokenStore + ?Sized> TokenStore for Arc<S> {
    async fn load(&self, key: &TokenKey) -> Result<Option<Record>, StoreError> {
        (**self).load(key).await
    }

    async fn compare_and_swap(
        &self,
        key: &TokenKey,
        expected: Option<Version>,
        record: &Record,
    ) -> Result<SwapOutcome, StoreError> {
        (**self).compare_and_swap(key, expected, record).await
    }
}
