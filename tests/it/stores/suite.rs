//! Each store that needs nothing but Rust, put to the suite.

use std::sync::Arc;

use reqwest_oauth2::store::{EncryptedStore, EncryptionKey, FileStore, MemoryStore};
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

#[tokio::test]
async fn encrypted_memory() {
    let store = Arc::new(MemoryStore::new());
    check_store(async || EncryptedStore::new(store.clone(), EncryptionKey::new("1", [7; 32])))
        .await;
}

#[tokio::test]
async fn encrypted_files() {
    let directory = tempfile::tempdir().unwrap();
    let files = || FileStore::directory(directory.path());
    check_store(async || EncryptedStore::new(files(), EncryptionKey::new("1", [7; 32]))).await;
}
