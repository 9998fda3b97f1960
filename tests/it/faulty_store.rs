//! A store in memory that fails on demand.
//!
//! It follows the rules of `TokenStore` in every way but the faults that a test asks for. Each fault
//! is set for loads, for swaps, or for both; for the next calls, or for all until `heal`.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use reqwest_oauth2::store::{Record, StoreError, SwapOutcome, TokenKey, TokenStore, Version};
use tokio::sync::watch;
use tokio::time::sleep;

/// Which calls have a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Calls {
    All,
    Loads,
    Swaps,
}

impl Calls {
    fn include(self, operation: &str) -> bool {
        match self {
            Self::All => true,
            Self::Loads => operation == LOAD,
            Self::Swaps => operation == SWAP,
        }
    }
}

/// What goes wrong with a call. "Before" and "after" are relative to its effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// An error; nothing happened.
    FailBefore,
    /// It happened; then an error.
    FailAfter,
    /// An error now; it happens this much later.
    FailThenHappen(Duration),
    /// No answer until `heal`; then it happens.
    HangBefore,
    /// It happened; no answer until `heal`.
    HangAfter,
    /// It happens this much later, and is answered then.
    DelayBefore(Duration),
    /// It happens now, and is answered this much later.
    DelayAfter(Duration),
    PanicBefore,
    PanicAfter,
    /// An error that says that the record is corrupt; nothing happened.
    Corrupt,
    /// A load returns what was stored this many changes ago. Swaps are not affected.
    Stale(usize),
    /// A swap that fits changes nothing, and the conflict that it meets is with the very version that it
    /// expects: as where a policy of the database lets nobody change rows. Loads are not affected.
    Refuse,
    /// A swap of a document that is longer than so many bytes is an error. Loads are not affected.
    TooLarge(usize),
}

pub const LOAD: &str = "load";
pub const SWAP: &str = "compare_and_swap";

#[derive(Default, Clone)]
pub struct FaultyStore {
    state: Arc<Mutex<State>>,
    healed: watch::Sender<()>,
}

#[derive(Default)]
struct State {
    /// Of each key all that was stored; the last one is there now.
    history: HashMap<TokenKey, Vec<Option<Record>>>,
    next: VecDeque<(Calls, Fault)>,
    always: Vec<(Calls, Fault)>,
    calls: Vec<&'static str>,
}

impl State {
    fn now(&self, key: &TokenKey) -> Option<Record> {
        self.at(key, 0)
    }

    /// What was there before the last `ago` changes.
    fn at(&self, key: &TokenKey, ago: usize) -> Option<Record> {
        let history = self.history.get(key)?;
        history.len().checked_sub(ago + 1).and_then(|at| history[at].clone())
    }

    fn set(&mut self, key: &TokenKey, record: Option<Record>) {
        self.history.entry(key.clone()).or_default().push(record);
    }

    fn swap(&mut self, key: &TokenKey, expected: Option<Version>, record: &Record) -> SwapOutcome {
        let stored = self.now(key);
        if stored.as_ref().map(Record::version) != expected {
            return SwapOutcome::Conflict(stored);
        }
        self.set(key, Some(record.clone()));
        SwapOutcome::Stored(record.version())
    }
}

impl FaultyStore {
    /// The next calls of this kind have the fault, one after the other; before those of `always`.
    pub fn next(&self, calls: Calls, fault: Fault, times: usize) {
        self.state().next.extend(std::iter::repeat_n((calls, fault), times));
    }

    /// All calls of this kind have the fault from now on, until `heal`.
    pub fn always(&self, calls: Calls, fault: Fault) {
        self.state().always.insert(0, (calls, fault));
    }

    /// No further faults; calls that hang go on.
    pub fn heal(&self) {
        let mut state = self.state();
        state.next.clear();
        state.always.clear();
        self.healed.send_replace(());
    }

    /// Loses its content, as a store does that was restored to nothing.
    pub fn empty(&self) {
        let mut state = self.state();
        let keys: Vec<_> = state.history.keys().cloned().collect();
        keys.iter().for_each(|key| state.set(key, None));
    }

    /// Loses the record of one key.
    pub fn remove(&self, key: &TokenKey) {
        self.state().set(key, None);
    }

    /// Stores a document whatever is there, as somebody does by hand.
    pub fn put(&self, key: &TokenKey, json: &str) -> Version {
        let record = Record::new(json);
        self.state().set(key, Some(record.clone()));
        record.version()
    }

    /// What is really in it; counts as no call.
    pub fn stored(&self, key: &TokenKey) -> Option<Record> {
        self.state().now(key)
    }

    /// All that was ever stored under the key, in order; `None` where it was lost.
    pub fn history(&self, key: &TokenKey) -> Vec<Option<Record>> {
        self.state().history.get(key).cloned().unwrap_or_default()
    }

    /// The text of each key that something was stored under.
    pub fn keys(&self) -> Vec<String> {
        self.state().history.keys().map(|key| key.as_str().to_owned()).collect()
    }

    pub fn loads(&self) -> usize {
        self.count(LOAD)
    }

    pub fn swaps(&self) -> usize {
        self.count(SWAP)
    }

    /// The calls from now on.
    pub fn calls_from_here(&self) -> impl Fn() -> Vec<&'static str> + '_ {
        let before = self.state().calls.len();
        move || self.state().calls[before..].to_vec()
    }

    fn count(&self, operation: &str) -> usize {
        self.state().calls.iter().filter(|call| **call == operation).count()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn fault(&self, operation: &'static str) -> Option<Fault> {
        let mut state = self.state();
        state.calls.push(operation);
        let next = state.next.iter().position(|(calls, _)| calls.include(operation));
        if let Some((_, fault)) = next.and_then(|at| state.next.remove(at)) {
            return Some(fault);
        }
        state.always.iter().find(|(calls, _)| calls.include(operation)).map(|(_, fault)| *fault)
    }

    async fn call<T: Send + 'static>(
        &self,
        operation: &'static str,
        fault: Option<Fault>,
        effect: impl FnOnce(&mut State) -> T + Send + 'static,
    ) -> Result<T, StoreError> {
        let mut healed = self.healed.subscribe();
        match fault {
            Some(Fault::FailBefore) => {
                return Err(StoreError::unavailable("the plug was pulled"));
            }
            Some(Fault::FailThenHappen(later)) => {
                let store = self.clone();
                tokio::spawn(async move {
                    sleep(later).await;
                    effect(&mut store.state());
                });
                return Err(StoreError::unavailable("the line is slow"));
            }
            Some(Fault::Corrupt) => return Err(StoreError::corrupt("scrambled")),
            Some(Fault::HangBefore) => _ = healed.changed().await,
            Some(Fault::DelayBefore(delay)) => sleep(delay).await,
            Some(Fault::PanicBefore) => panic!("the store panics before a {operation}"),
            _ => {}
        }
        let value = effect(&mut self.state());
        match fault {
            Some(Fault::FailAfter) => return Err(StoreError::unavailable("the cable was cut")),
            Some(Fault::HangAfter) => _ = healed.changed().await,
            Some(Fault::DelayAfter(delay)) => sleep(delay).await,
            Some(Fault::PanicAfter) => panic!("the store panics after a {operation}"),
            _ => {}
        }
        Ok(value)
    }
}

#[async_trait]
impl TokenStore for FaultyStore {
    async fn load(&self, key: &TokenKey) -> Result<Option<Record>, StoreError> {
        let (key, fault) = (key.clone(), self.fault(LOAD));
        let ago = if let Some(Fault::Stale(ago)) = fault { ago } else { 0 };
        self.call(LOAD, fault, move |state| state.at(&key, ago)).await
    }

    async fn compare_and_swap(
        &self,
        key: &TokenKey,
        expected: Option<Version>,
        record: &Record,
    ) -> Result<SwapOutcome, StoreError> {
        let (key, record, fault) = (key.clone(), record.clone(), self.fault(SWAP));
        if matches!(fault, Some(Fault::TooLarge(most)) if record.json().len() > most) {
            return Err(StoreError::config("the document is too large"));
        }
        let swap = move |state: &mut State| match fault {
            Some(Fault::Refuse) => SwapOutcome::Conflict(state.now(&key)),
            _ => state.swap(&key, expected, &record),
        };
        self.call(SWAP, fault, swap).await
    }
}

mod tests {
    use futures_util::FutureExt as _;
    use reqwest_oauth2::testing::check_store;

    use super::*;

    fn key() -> TokenKey {
        TokenKey::new("i", "c", "u")
    }

    async fn swap(store: &FaultyStore, expected: Option<Version>) -> Result<Version, StoreError> {
        match store.compare_and_swap(&key(), expected, &Record::new("[1]")).await? {
            SwapOutcome::Stored(version) => Ok(version),
            SwapOutcome::Conflict(stored) => panic!("met {stored:?}"),
        }
    }

    #[tokio::test]
    async fn without_faults_it_is_a_store() {
        let store = FaultyStore::default();
        check_store(async || store.clone()).await;
    }

    #[tokio::test]
    async fn a_fault_is_before_or_after_the_effect() {
        for (fault, happens) in [
            (Fault::FailBefore, false),
            (Fault::FailAfter, true),
            (Fault::HangBefore, false),
            (Fault::HangAfter, true),
            (Fault::PanicBefore, false),
            (Fault::PanicAfter, true),
            (Fault::DelayBefore(Duration::from_secs(60)), false),
            (Fault::DelayAfter(Duration::from_secs(60)), true),
            (Fault::Corrupt, false),
        ] {
            let store = FaultyStore::default();
            store.next(Calls::Swaps, fault, 1);
            assert!(store.load(&key()).await.unwrap().is_none(), "loads have no fault");
            let call = std::panic::AssertUnwindSafe(swap(&store, None)).catch_unwind();
            let answer = call.now_or_never();
            assert!(!matches!(answer, Some(Ok(Ok(_)))), "{fault:?}: {answer:?}");
            assert_eq!(store.stored(&key()).is_some(), happens, "{fault:?}");
            let expected = store.stored(&key()).map(|record| record.version());
            swap(&store, expected).await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_swap_is_refused_with_what_it_expects() {
        let store = FaultyStore::default();
        let there = store.put(&key(), "[0]");
        store.next(Calls::Swaps, Fault::Refuse, 1);
        let refused = store.compare_and_swap(&key(), Some(there), &Record::new("[1]")).await;
        let SwapOutcome::Conflict(Some(found)) = refused.unwrap() else { panic!("no conflict") };
        assert_eq!((found.version(), found.json()), (there, "[0]"));
    }

    #[tokio::test(start_paused = true)]
    async fn an_effect_comes_later() {
        let store = FaultyStore::default();
        store.next(Calls::All, Fault::FailThenHappen(Duration::from_secs(1)), 1);
        swap(&store, None).await.unwrap_err();
        assert!(store.stored(&key()).is_none());
        sleep(Duration::from_secs(2)).await;
        assert!(store.stored(&key()).is_some());
    }

    #[tokio::test]
    async fn what_hangs_goes_on_after_heal() {
        let store = FaultyStore::default();
        store.always(Calls::All, Fault::HangBefore);
        let mut call = std::pin::pin!(swap(&store, None));
        assert!(call.as_mut().now_or_never().is_none());
        store.heal();
        call.await.unwrap();
    }

    #[tokio::test]
    async fn a_stale_load_and_a_loss() {
        let store = FaultyStore::default();
        let old = store.put(&key(), "[0]");
        let calls = store.calls_from_here();
        let new = swap(&store, Some(old)).await.unwrap();
        let load = async || store.load(&key()).await.unwrap().map(|record| record.version());
        store.next(Calls::Loads, Fault::Stale(1), 1);
        store.next(Calls::Loads, Fault::Stale(2), 1);
        assert_eq!((load().await, load().await, load().await), (Some(old), None, Some(new)));
        store.empty();
        assert_eq!(load().await, None);
        assert_eq!((store.loads(), store.swaps()), (4, 1));
        assert_eq!(calls(), [SWAP, LOAD, LOAD, LOAD, LOAD]);
        assert_eq!(store.history(&key()).len(), 3);
    }
}
