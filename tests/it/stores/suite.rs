//! `check_store`: the stores that need no server pass it, and stores with a mistake do not.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use futures_util::FutureExt as _;
#[cfg(feature = "encryption")]
use reqwest_oauth2::store::{EncryptedStore, EncryptionKey};
use reqwest_oauth2::store::{
    FileStore, MemoryStore, Record, StoreError, SwapOutcome, TokenKey, TokenStore, Version,
};
use reqwest_oauth2::testing::check_store;

#[tokio::test]
async fn memory() {
    let store = Arc::new(MemoryStore::new());
    check_store(async || store.clone()).await;
}

#[tokio::test]
async fn files() {
    let directory = tempfile::tempdir().unwrap();
    check_store(async || FileStore::directory(directory.path())).await;
    let names =
        std::fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().file_name());
    for name in names.map(|name| name.into_string().unwrap()) {
        assert!(name.ends_with(".json") || name.ends_with(".json.lock"), "{name} is left");
    }
}

#[cfg(feature = "encryption")]
#[tokio::test]
async fn encrypted_memory() {
    let store = Arc::new(MemoryStore::new());
    check_store(async || EncryptedStore::new(store.clone(), EncryptionKey::new("1", [7; 32])))
        .await;
}

#[cfg(feature = "encryption")]
#[tokio::test]
async fn encrypted_files() {
    let directory = tempfile::tempdir().unwrap();
    let files = || FileStore::directory(directory.path());
    check_store(async || EncryptedStore::new(files(), EncryptionKey::new("1", [7; 32]))).await;
}

/// What authors of stores get wrong.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Mistake {
    None,
    /// Each swap is stored.
    ComparesNothing,
    /// `None` as the expected version fits everything.
    TakesNoneForAny,
    /// A swap over nothing is stored, whatever it expects.
    ReplacesNothing,
    /// Something else can happen between compare and swap.
    IsNotAtomic,
    /// The same, on another thread only.
    IsNotAtomicForThreads,
    /// Returns another version than `load`.
    ReturnsItsOwnVersion,
    /// The version is the number of a swap, modulo three.
    RepeatsVersions,
    /// A conflict says that there is no record.
    HidesWhatItMet,
    /// A conflict stores the new record all the same.
    StoresOnConflict,
    /// The key is the part before `?`.
    IgnoresParams,
    /// The key is in lower case.
    IgnoresCase,
    /// The key is the document.
    MixesEqualDocuments,
    /// Each handle has its own cache.
    Caches,
    /// Keeps 65,536 bytes of a document.
    Truncates,
    /// Keeps the parsed document.
    Reformats,
    /// Writes a document in two parts, and only the first if its future is dropped.
    WritesInParts,
    /// Goes on without comparing when its future is dropped.
    HappensLater,
}

#[derive(Clone)]
struct Mistaken {
    mistake: Mistake,
    records: Arc<Mutex<HashMap<String, Record>>>,
    cache: Arc<Mutex<HashMap<TokenKey, Option<Record>>>>,
    writing: Arc<tokio::sync::Mutex<()>>,
}

impl Mistaken {
    /// Nobody else is at work while one compares and writes.
    async fn alone(&self) -> Option<tokio::sync::MutexGuard<'_, ()>> {
        match self.mistake {
            Mistake::IsNotAtomic | Mistake::IsNotAtomicForThreads => None,
            _ => Some(self.writing.lock().await),
        }
    }

    fn name(&self, key: &TokenKey) -> String {
        let key = key.as_str();
        match self.mistake {
            Mistake::IgnoresParams => key.split('?').next().unwrap().to_owned(),
            Mistake::IgnoresCase => key.to_lowercase(),
            _ => key.to_owned(),
        }
    }

    fn get(&self, key: &TokenKey) -> Option<Record> {
        self.records.lock().unwrap().get(&self.name(key)).cloned()
    }

    fn set(&self, key: &TokenKey, record: Record) {
        let mut records = self.records.lock().unwrap();
        let name = self.name(key);
        if self.mistake == Mistake::MixesEqualDocuments {
            let old = records.get(&name).map(|old| old.json().to_owned());
            for other in records.values_mut().filter(|other| Some(other.json()) == old.as_deref()) {
                *other = record.clone();
            }
        }
        records.insert(name, record);
    }
}

#[async_trait]
impl TokenStore for Mistaken {
    async fn load(&self, key: &TokenKey) -> Result<Option<Record>, StoreError> {
        let _alone = self.alone().await;
        if self.mistake == Mistake::Caches {
            let mut cache = self.cache.lock().unwrap();
            return Ok(cache.entry(key.clone()).or_insert_with(|| self.get(key)).clone());
        }
        Ok(self.get(key))
    }

    async fn compare_and_swap(
        &self,
        key: &TokenKey,
        expected: Option<Version>,
        record: &Record,
    ) -> Result<SwapOutcome, StoreError> {
        let _alone = self.alone().await;
        let (mistake, mut record) = (self.mistake, record.clone());
        match mistake {
            Mistake::Truncates if record.json().len() > 65_536 => {
                let kept: String = record.json().chars().take(65_536).collect();
                record = Record::with_version(record.version(), kept);
            }
            Mistake::Reformats => {
                if let Ok(value) = serde_json::from_str::<serde_json::Value>(record.json()) {
                    record = Record::with_version(record.version(), value.to_string());
                }
            }
            Mistake::RepeatsVersions => {
                let next = self.get(key).map_or(0, |stored| (stored.version().number() + 1) % 3);
                record = Record::with_version(Version::from_number(next), record.json());
            }
            _ => {}
        }
        let stored = self.get(key);
        let version = stored.as_ref().map(Record::version);
        let fits = version == expected
            || mistake == Mistake::ComparesNothing
            || mistake == Mistake::TakesNoneForAny && expected.is_none()
            || mistake == Mistake::ReplacesNothing && stored.is_none();
        if !fits {
            if mistake == Mistake::StoresOnConflict {
                self.set(key, record);
            }
            let met = stored.filter(|_| mistake != Mistake::HidesWhatItMet);
            return Ok(SwapOutcome::Conflict(met));
        }
        let done = Arc::new(AtomicBool::new(false));
        match mistake {
            Mistake::IsNotAtomic => tokio::task::yield_now().await,
            Mistake::IsNotAtomicForThreads => std::thread::yield_now(),
            Mistake::WritesInParts => {
                let half: String = record.json().chars().take(record.json().len() / 2).collect();
                self.set(key, Record::with_version(record.version(), half));
                tokio::time::sleep(std::time::Duration::from_millis(4)).await;
            }
            Mistake::HappensLater => {
                let (store, key, record) = (self.clone(), key.clone(), record.clone());
                let dropped = done.clone();
                tokio::spawn(async move {
                    tokio::time::sleep(std::time::Duration::from_millis(2)).await;
                    if !dropped.load(Ordering::SeqCst) {
                        store.set(&key, record);
                    }
                });
                tokio::task::yield_now().await;
            }
            _ => {}
        }
        let version = match mistake {
            Mistake::ReturnsItsOwnVersion => Version::from_number(7),
            _ => record.version(),
        };
        self.cache.lock().unwrap().insert(key.clone(), Some(record.clone()));
        self.set(key, record);
        done.store(true, Ordering::SeqCst);
        Ok(SwapOutcome::Stored(version))
    }
}

async fn check(mistake: Mistake) -> Result<(), String> {
    let (records, writing) = (Arc::default(), Arc::default());
    let open = || Mistaken {
        mistake,
        records: Arc::clone(&records),
        cache: Arc::default(),
        writing: Arc::clone(&writing),
    };
    let check = AssertUnwindSafe(check_store(async || open())).catch_unwind();
    check.await.map_err(|panic| match panic.downcast::<String>() {
        Ok(message) => *message,
        Err(message) => (*message.downcast::<&str>().unwrap()).to_owned(),
    })
}

#[tokio::test]
async fn each_mistake_is_found() {
    check(Mistake::None).await.unwrap();
    for (mistake, expected) in [
        (Mistake::ComparesNothing, "was not stored, but the swap was"),
        (Mistake::TakesNoneForAny, "None was not stored, but the swap was"),
        (Mistake::ReplacesNothing, "was not stored, but the swap was"),
        (Mistake::IsNotAtomic, "two swaps with one expected version were stored"),
        (Mistake::ReturnsItsOwnVersion, "load returns what was stored, and its version"),
        (Mistake::RepeatsVersions, "came twice"),
        (Mistake::HidesWhatItMet, "a conflict returns what is stored"),
        (Mistake::StoresOnConflict, "a conflict changes nothing"),
        (Mistake::IgnoresParams, "has the record of another key"),
        (Mistake::IgnoresCase, "has the record of another key"),
        (Mistake::MixesEqualDocuments, "the other key's record stays"),
        (Mistake::Caches, "both handles load the same record"),
        (Mistake::Truncates, "load returns what was stored, and its version"),
        (Mistake::Reformats, "load returns what was stored, and its version"),
        (Mistake::WritesInParts, "was stored in part"),
        (Mistake::HappensLater, "a dropped swap came after a later one"),
    ] {
        let message = found(mistake).await.unwrap_or_else(|| panic!("{mistake:?} was not found"));
        assert!(message.contains(expected), "{mistake:?}: {message}");
    }
}

/// It shows as a count that is too low, or goes back.
#[tokio::test]
async fn a_store_that_is_atomic_on_one_thread_only_is_found() {
    assert!(found(Mistake::IsNotAtomicForThreads).await.is_some());
}

/// Two of them show only if a call is dropped in the right millisecond, which a busy machine may miss, and one
/// only if two threads meet.
async fn found(mistake: Mistake) -> Option<String> {
    for _ in 0..20 {
        if let Err(message) = check(mistake).await {
            return Some(message);
        }
    }
    None
}
