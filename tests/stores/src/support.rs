//! What is asked of all stores alike, beside the suite; and the servers' switch.

use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest_oauth2::store::{Record, StoreError, SwapOutcome, TokenKey, TokenStore, Version};
use tokio::sync::Barrier;

/// How long something is waited for that must happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
pub(crate) const SECRET: &str = "0123456789-secret";

pub(crate) fn key() -> TokenKey {
    TokenKey::new("https://a.example", "c", &format!("{:032x}", rand::random::<u128>()))
}

pub(crate) fn record(text: &str) -> Record {
    Record::new(format!(r#"{{"access_token":"{SECRET} {text}"}}"#))
}

#[track_caller]
pub(crate) fn stored(swapped: Result<SwapOutcome, StoreError>) {
    assert!(matches!(swapped, Ok(SwapOutcome::Stored(_))), "{swapped:?}");
}

/// The whole of what an error tells.
pub(crate) fn told(error: &StoreError) -> String {
    let mut text = format!("{error} {error:?}");
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        text += &format!(" {error} {error:?}");
        source = error.source();
    }
    assert!(!text.contains(SECRET), "an error tells a secret: {text}");
    text
}

#[track_caller]
pub(crate) fn unavailable<T: std::fmt::Debug>(result: Result<T, StoreError>) -> String {
    let error = result.unwrap_err();
    assert!(error.is_unavailable(), "{error:?}");
    told(&error)
}

#[track_caller]
pub(crate) fn corrupt<T: std::fmt::Debug>(result: Result<T, StoreError>) -> String {
    let error = result.unwrap_err();
    assert!(error.is_corrupt(), "{error:?}");
    told(&error)
}

#[track_caller]
pub(crate) fn config<T: std::fmt::Debug>(result: Result<T, StoreError>) -> String {
    let error = result.unwrap_err();
    assert!(error.is_config(), "{error:?}");
    told(&error)
}

/// Every method fails as `check` says.
pub(crate) async fn all_fail(store: &impl TokenStore, check: impl Fn(Result<(), StoreError>)) {
    let (key, first) = (key(), record("first"));
    check(store.load(&key).await.map(drop));
    check(store.compare_and_swap(&key, None, &first).await.map(drop));
    check(store.compare_and_swap(&key, Some(first.version()), &first).await.map(drop));
}

/// A record that somebody broke by hand: nobody reads it, nobody expected it, a lease does not touch
/// it, and it can be deleted.
pub(crate) async fn broken<T: PartialEq + std::fmt::Debug>(
    store: &impl TokenStore,
    key: &TokenKey,
    raw: impl AsyncFn() -> T,
) {
    let (other, new) = (Version::from_number(4711), record("new"));
    let before = raw().await;
    corrupt(store.load(key).await);
    corrupt(store.compare_and_swap(key, None, &new).await);
    corrupt(store.compare_and_swap(key, Some(other), &new).await);
    assert_eq!(raw().await, before, "what is broken is left as it is");
}

/// A document that somebody broke by hand: a new login names its version, and replaces it.
pub(crate) async fn replaced(store: &impl TokenStore, key: &TokenKey) {
    let (error, new) = (store.load(key).await.unwrap_err(), record("new"));
    let met = store.compare_and_swap(key, None, &new).await.unwrap_err();
    assert!(error.is_corrupt() && error.version().is_some(), "{error:?}");
    assert_eq!(met.version(), error.version());
    stored(store.compare_and_swap(key, error.version(), &new).await);
    assert_eq!(store.load(key).await.unwrap().unwrap().json(), new.json());
}

/// Versions that are the same as floating-point numbers, and the ends of their range.
pub(crate) async fn versions(store: &impl TokenStore) {
    let key = key();
    let numbers = [1 << 53, (1 << 53) + 1, i64::MAX - 1, i64::MAX, i64::MIN, i64::MIN + 1, 0, -1];
    let mut before = None;
    for (i, number) in numbers.into_iter().enumerate() {
        let record = Record::with_version(Version::from_number(number), format!("[{i}]"));
        // Neither what it will be, nor nothing.
        for wrong in [Some(record.version()), None].into_iter().filter(|wrong| *wrong != before) {
            let lost = store.compare_and_swap(&key, wrong, &record).await.unwrap();
            let SwapOutcome::Conflict(present) = lost else { panic!("{wrong:?} for {before:?}") };
            assert_eq!(present.map(|record| record.version()), before);
        }
        let SwapOutcome::Stored(version) =
            store.compare_and_swap(&key, before, &record).await.unwrap()
        else {
            panic!("{number}: a swap that must be stored")
        };
        assert_eq!(version.number(), number);
        let loaded = store.load(&key).await.unwrap().unwrap();
        assert_eq!((loaded.version(), loaded.json()), (version, record.json()));
        before = Some(version);
    }
}

/// Fifty renewals, all of them in the middle of their token request at once: none holds a connection.
pub(crate) async fn interleaved<S: TokenStore + Clone>(store: &S) {
    const AT_ONCE: usize = 50;
    let barrier = Arc::new(Barrier::new(AT_ONCE));
    let mut renewals = tokio::task::JoinSet::new();
    for i in 0..AT_ONCE {
        let (store, barrier) = (store.clone(), barrier.clone());
        renewals.spawn(async move {
            let (key, mark, new) = (key(), record("mark"), record(&i.to_string()));
            assert!(store.load(&key).await.unwrap().is_none());
            stored(store.compare_and_swap(&key, None, &mark).await);
            barrier.wait().await;
            stored(store.compare_and_swap(&key, Some(mark.version()), &new).await);
            barrier.wait().await;
            assert_eq!(store.load(&key).await.unwrap().unwrap().json(), new.json());
        });
    }
    let all = async { while renewals.join_next().await.transpose().unwrap().is_some() {} };
    tokio::time::timeout(PATIENCE, all).await.expect("some wait for a connection that others hold");
}

/// The largest document comes back, and a larger one is refused.
pub(crate) async fn large(store: &impl TokenStore) {
    const LARGEST: usize = 2 * 1024 * 1024;
    let key = key();
    let largest = Record::new(format!("\"{}\"", "x".repeat(LARGEST - 2)));
    let larger = Record::new(format!("\"{}\"", "x".repeat(LARGEST - 1)));
    config(store.compare_and_swap(&key, None, &larger).await);
    assert!(store.load(&key).await.unwrap().is_none());
    stored(store.compare_and_swap(&key, None, &largest).await);
    assert!(store.load(&key).await.unwrap().unwrap().json() == largest.json());
    config(store.compare_and_swap(&key, Some(largest.version()), &larger).await);
    assert!(store.load(&key).await.unwrap().unwrap().json() == largest.json());
}

/// Asks until the store works again.
pub(crate) async fn back(store: &impl TokenStore) {
    let began = Instant::now();
    while let Err(error) = store.load(&key()).await {
        assert!(error.is_unavailable(), "{error:?}");
        assert!(began.elapsed() < PATIENCE, "it does not come back: {error:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// `start` or `stop`, one of the servers.
pub(crate) async fn switch(verb: &'static str, server: &'static str) {
    let control = std::env::var_os("STORES_CONTROL").expect("tests/stores/run sets it");
    let command = move || std::process::Command::new(control).args([verb, server]).status();
    let status = tokio::task::spawn_blocking(command).await.unwrap().unwrap();
    assert!(status.success(), "{verb} {server}: {status}");
}
