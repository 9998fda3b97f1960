//! `MemoryStore`.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use tokio::time::Instant;

use super::{Committed, Lease, Record, StoreError, TokenKey, TokenStore, Version};

/// A store in this process's memory: for tests, and for sessions of one process that share tokens.
/// What is in it ends with it.
#[derive(Default)]
pub struct MemoryStore {
    slots: Mutex<HashMap<TokenKey, Slot>>,
}

#[derive(Default)]
struct Slot {
    record: Option<Record>,
    lease: Option<(String, Instant)>,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    fn slots(&self) -> MutexGuard<'_, HashMap<TokenKey, Slot>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl TokenStore for MemoryStore {
    async fn load(&self, key: &TokenKey) -> Result<Option<Record>, StoreError> {
        Ok(self.slots().get(key).and_then(|slot| slot.record.clone()))
    }

    async fn lease(&self, key: &TokenKey, lease: &Lease) -> Result<bool, StoreError> {
        let now = Instant::now();
        let mut slots = self.slots();
        let slot = slots.entry(key.clone()).or_default();
        if slot.lease.as_ref().is_some_and(|(holder, end)| holder != lease.holder() && now < *end) {
            return Ok(false);
        }
        slot.lease = Some((lease.holder().to_owned(), now + lease.ttl()));
        Ok(true)
    }

    async fn release(&self, key: &TokenKey, lease: &Lease) -> Result<(), StoreError> {
        let mut slots = self.slots();
        let Some(slot) = slots.get_mut(key) else { return Ok(()) };
        slot.lease = slot.lease.take().filter(|(holder, _)| holder != lease.holder());
        if slot.record.is_none() && slot.lease.is_none() {
            slots.remove(key);
        }
        Ok(())
    }

    async fn commit(
        &self,
        key: &TokenKey,
        replaces: Option<Version>,
        record: &Record,
    ) -> Result<Committed, StoreError> {
        let mut slots = self.slots();
        let present = slots.get(key).and_then(|slot| slot.record.as_ref());
        if present.map(Record::version) != replaces {
            return Ok(Committed::Conflict(present.cloned()));
        }
        slots.entry(key.clone()).or_default().record = Some(record.clone());
        Ok(Committed::Saved(record.version()))
    }

    async fn delete(&self, key: &TokenKey) -> Result<(), StoreError> {
        self.slots().remove(key);
        Ok(())
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore").finish_non_exhaustive()
    }
}
