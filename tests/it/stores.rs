//! Each store that needs nothing but Rust, put to the suite.

use std::sync::Arc;

use reqwest_oauth2::store::MemoryStore;
use reqwest_oauth2::testing::check_store;

#[tokio::test]
async fn memory() {
    let store = Arc::new(MemoryStore::new());
    check_store(async || store.clone()).await;
}
