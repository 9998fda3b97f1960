//! The store that all processes share: in memory, with faults.

use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use reqwest_oauth2::store::{
    MemoryStore, Record, StoreError, SwapOutcome, TokenKey, TokenStore, Version,
};

use crate::chance::Chance;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The call fails and has no effect.
    Refused,
    /// The call has its effect, and its answer is lost.
    AnswerLost,
    /// The call takes two seconds.
    Slow,
    /// The call never ends.
    Hangs,
}

const FAULTS: [Fault; 4] = [Fault::Refused, Fault::AnswerLost, Fault::Slow, Fault::Hangs];

pub(crate) struct FaultyStore {
    records: MemoryStore,
    chance: Mutex<Chance>,
}

impl FaultyStore {
    pub(crate) fn new() -> Self {
        Self { records: MemoryStore::new(), chance: Mutex::new(Chance::new(u64::MAX)) }
    }

    async fn call<T>(
        &self,
        call: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let fault = self.chance.lock().unwrap().one_of(&FAULTS);
        match fault {
            None => {}
            Some(Fault::Refused) => return Err(StoreError::unavailable("no connection")),
            Some(Fault::Slow) => tokio::time::sleep(Duration::from_secs(2)).await,
            Some(Fault::Hangs) => std::future::pending().await,
            Some(Fault::AnswerLost) => {
                call.await?;
                return Err(StoreError::unavailable("the connection is closed"));
            }
        }
        call.await
    }
}

#[async_trait]
impl TokenStore for FaultyStore {
    async fn load(&self, key: &TokenKey) -> Result<Option<Record>, StoreError> {
        self.call(self.records.load(key)).await
    }

    async fn compare_and_swap(
        &self,
        key: &TokenKey,
        expected: Option<Version>,
        record: &Record,
    ) -> Result<SwapOutcome, StoreError> {
        self.call(self.records.compare_and_swap(key, expected, record)).await
    }
}
