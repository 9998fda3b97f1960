//! Each store that needs nothing but Rust, put to the suite.

use std::sync::Arc;

use reqwest_oauth2::store::{FileStore, MemoryStore, Sealed, SealingKey};
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
    #[cfg(unix)]
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0, "nothing is left behind");
}

#[tokio::test]
async fn sealed_memory() {
    let store = Arc::new(MemoryStore::new());
    check_store(async || Sealed::new(store.clone(), SealingKey::new("1", [7; 32]))).await;
}

#[tokio::test]
async fn sealed_files() {
    let directory = tempfile::tempdir().unwrap();
    let files = || FileStore::directory(directory.path());
    check_store(async || Sealed::new(files(), SealingKey::new("1", [7; 32]))).await;
}
