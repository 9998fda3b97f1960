//! The store that all sessions share: a store in memory that fails in every way.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use reqwest_oauth2::store::{Record, StoreError, SwapOutcome, TokenKey, TokenStore, Version};

use super::world::{Late, World, pause};

/// What goes wrong with a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreFault {
    /// An error; nothing happened.
    FailBefore,
    /// It happened; then an error.
    FailAfter,
    /// An error now; it happens later.
    Later,
    /// No answer, and nothing happens.
    HangBefore,
    /// It happened; no answer.
    HangAfter,
    /// It takes its time before it happens, or before it answers.
    SlowBefore,
    SlowAfter,
    PanicBefore,
    PanicAfter,
    /// A load returns what was there so many changes ago. Swaps are not affected.
    Stale(usize),
}

impl StoreFault {
    pub fn name(self) -> &'static str {
        match self {
            Self::FailBefore => "store: fails before it happens",
            Self::FailAfter => "store: fails after it has happened",
            Self::Later => "store: fails, and it happens later",
            Self::HangBefore => "store: hangs before it happens",
            Self::HangAfter => "store: hangs after it has happened",
            Self::SlowBefore => "store: slow before it happens",
            Self::SlowAfter => "store: slow after it has happened",
            Self::PanicBefore => "store: panics before it happens",
            Self::PanicAfter => "store: panics after it has happened",
            Self::Stale(_) => "store: a stale load",
        }
    }
}

/// What is in it: of each key all that was ever there; the last is there now.
#[derive(Default)]
pub struct Contents(BTreeMap<String, Vec<Option<Record>>>);

impl Contents {
    pub fn stored(&self, key: &str, ago: usize) -> Option<&Record> {
        let history = self.0.get(key)?;
        history.get(history.len().checked_sub(ago + 1)?)?.as_ref()
    }

    pub fn put(&mut self, key: &str, record: Option<Record>) {
        self.0.entry(key.to_owned()).or_default().push(record);
    }

    pub fn empty(&mut self) {
        self.0.values_mut().for_each(|history| history.push(None));
    }
}

/// The store, as one session sees it.
#[derive(Clone)]
pub struct Store {
    pub world: World,
    pub slot: usize,
}

enum Fails {
    With(StoreError),
    Panics,
}

impl Store {
    /// What goes wrong with this call, and how long it takes before it happens and afterwards.
    fn begin(&self, what: &'static str) -> (Option<StoreFault>, Duration, Duration) {
        self.world.with(|state| {
            let fault = state.store_fault(self.slot);
            if let Some(fault) = fault {
                state.model.coverage.count(fault.name());
                state.model.note(format_args!("store: {what} of {}: {fault:?}", self.slot));
                state.model.store_failed(self.slot);
            }
            let waits = [0, 0, 0, 1, 5, 30];
            let (mut before, mut after) = (state.wait(&waits), state.wait(&waits));
            let slow = state.wait(&[200, 1_000, 3_000, 4_500]);
            match fault {
                Some(StoreFault::SlowBefore) => before += slow,
                Some(StoreFault::SlowAfter) => after += slow,
                _ => {}
            }
            (fault, before, after)
        })
    }

    async fn call<T>(
        &self,
        what: &'static str,
        effect: impl FnOnce(Option<StoreFault>) -> T + Send,
        later: impl FnOnce() -> Option<Late> + Send,
    ) -> Result<T, StoreError>
    where
        T: Send,
    {
        let (fault, before, after) = self.begin(what);
        pause(before).await;
        let fails = match fault {
            Some(StoreFault::FailBefore) => {
                Some(Fails::With(StoreError::unavailable("the plug was pulled")))
            }
            Some(StoreFault::Later) => {
                self.world.later(later());
                Some(Fails::With(StoreError::unavailable("the line is slow")))
            }
            Some(StoreFault::PanicBefore) => Some(Fails::Panics),
            Some(StoreFault::HangBefore) => std::future::pending().await,
            _ => None,
        };
        match fails {
            Some(Fails::With(error)) => return Err(error),
            // Past the panic hook, which would print it.
            Some(Fails::Panics) => std::panic::resume_unwind(Box::new("on purpose")),
            None => {}
        }
        let value = effect(fault);
        pause(after).await;
        match fault {
            Some(StoreFault::FailAfter) => Err(StoreError::unavailable("the cable was cut")),
            Some(StoreFault::PanicAfter) => std::panic::resume_unwind(Box::new("on purpose")),
            Some(StoreFault::HangAfter) => std::future::pending().await,
            _ => Ok(value),
        }
    }
}

#[async_trait]
impl TokenStore for Store {
    async fn load(&self, key: &TokenKey) -> Result<Option<Record>, StoreError> {
        let load = |fault: Option<StoreFault>| {
            let ago = if let Some(StoreFault::Stale(ago)) = fault { ago } else { 0 };
            self.world.with(|state| {
                state.model.loaded(key.as_str(), fault.is_some());
                state.contents.stored(key.as_str(), ago).cloned()
            })
        };
        self.call("load", load, || None).await
    }

    async fn compare_and_swap(
        &self,
        key: &TokenKey,
        expected: Option<Version>,
        record: &Record,
    ) -> Result<SwapOutcome, StoreError> {
        let swap = Swap {
            key: key.as_str().to_owned(),
            expected,
            record: record.clone(),
            slot: self.slot,
        };
        let late = swap.clone();
        let now = |_| self.world.with(|state| swap.happen(state));
        self.call("swap", now, || Some(Late::Swap(late))).await
    }
}

/// A swap on its way.
#[derive(Clone)]
pub struct Swap {
    key: String,
    expected: Option<Version>,
    record: Record,
    slot: usize,
}

impl Swap {
    pub fn happen(&self, state: &mut super::world::State) -> SwapOutcome {
        let stored = state.contents.stored(&self.key, 0).cloned();
        if stored.as_ref().map(Record::version) != self.expected {
            return SwapOutcome::Conflict(stored);
        }
        state.model.stored(&self.key, self.slot, stored.as_ref(), &self.record);
        state.contents.put(&self.key, Some(self.record.clone()));
        SwapOutcome::Stored(self.record.version())
    }
}
