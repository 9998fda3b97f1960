//! `MemoryStore`.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use super::{Record, StoreError, SwapOutcome, TokenKey, TokenStore, Version};

/// A store in the memory of this process: for tests, and for sessions of one process that share
/// tokens. Its content ends with it.
///
/// # Errors
///
/// None: each call succeeds.
///
/// # Cancellation
///
/// A call happens when its future is first polled, as a whole.
#[derive(Default)]
pub struct MemoryStore {
    records: Mutex<HashMap<TokenKey, Record>>,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    fn records(&self) -> MutexGuard<'_, HashMap<TokenKey, Record>> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl TokenStore for MemoryStore {
    async fn load(&self, key: &TokenKey) -> Result<Option<Record>, StoreError> {
        Ok(self.records().get(key).cloned())
    }

    async fn compare_and_swap(
        &self,
        key: &TokenKey,
        expected: Option<Version>,
        record: &Record,
    ) -> Result<SwapOutcome, StoreError> {
        let mut records = self.records();
        let stored = records.get(key);
        if stored.map(Record::version) != expected {
            return Ok(SwapOutcome::Conflict(stored.cloned()));
        }
        records.insert(key.clone(), record.clone());
        Ok(SwapOutcome::Stored(record.version()))
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore").finish_non_exhaustive()
    }
}
