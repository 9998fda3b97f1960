use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use reqwest_oauth2::store::{Record, SqliteStore, TokenStore, Version};
use reqwest_oauth2::testing::check_store;
use sqlx::SqlitePool;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};
use tokio::sync::Barrier;

use crate::support::{self, SECRET, config, corrupt, key, record, stored, unavailable};

/// A directory that goes with the test.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn new() -> Self {
        let name = format!("reqwest-oauth2-{:032x}", rand::random::<u128>());
        let dir = std::env::temp_dir().join(name);
        std::fs::create_dir(&dir).unwrap();
        Self(dir)
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.0.join("tokens.db")
    }

    pub(crate) async fn store(&self) -> SqliteStore {
        let store = SqliteStore::open(self.file()).await.unwrap();
        store.migrate().await.unwrap();
        store
    }

    /// A pool that is not the store's own.
    async fn pool(&self, connections: u32, busy: Duration) -> SqlitePool {
        let options = SqliteConnectOptions::new().filename(self.file()).busy_timeout(busy);
        let pool =
            SqlitePoolOptions::new().max_connections(connections).min_connections(connections);
        pool.connect_with(options.create_if_missing(true)).await.unwrap()
    }

    pub(crate) async fn hands(&self) -> SqlitePool {
        self.pool(1, Duration::from_secs(5)).await
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

async fn rows(pool: &SqlitePool) -> Vec<(String, Option<i64>, Option<String>)> {
    let sql = "SELECT key, version, document FROM oauth_tokens ORDER BY rowid";
    sqlx::query_as(sql).fetch_all(pool).await.unwrap()
}

pub(crate) async fn suite() {
    let scratch = Scratch::new();
    check_store(async || scratch.store().await).await;
    support::large(&scratch.store().await).await;
}

pub(crate) async fn tables_are_apart() {
    let scratch = Scratch::new();
    let store = scratch.store().await;
    let other = store.clone().table("main.Tokens_2").unwrap();
    other.migrate().await.unwrap();
    let key = key();
    stored(store.compare_and_swap(&key, None, &record("one")).await);
    assert!(other.load(&key).await.unwrap().is_none());
    check_store(async || other.clone()).await;
    assert!(store.load(&key).await.unwrap().is_some());
}

pub(crate) async fn opened_and_migrated_by_many_at_once() {
    const AT_ONCE: usize = 16;
    // More than once, since the moment in which two collide is short.
    for _ in 0..20 {
        let scratch = Scratch::new();
        let barrier = Arc::new(Barrier::new(AT_ONCE));
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..AT_ONCE {
            let (barrier, file) = (barrier.clone(), scratch.file());
            tasks.spawn(async move {
                barrier.wait().await;
                let store = SqliteStore::open(file).await.unwrap();
                store.migrate().await.unwrap();
                store.migrate().await.unwrap();
                stored(store.compare_and_swap(&key(), None, &record("one")).await);
            });
        }
        tasks.join_all().await;
        assert_eq!(rows(&scratch.hands().await).await.len(), AT_ONCE);
    }
}

pub(crate) async fn table_missing_or_another() {
    let scratch = Scratch::new();
    let store = SqliteStore::open(scratch.file()).await.unwrap();
    support::all_fail(&store, |result| assert!(config(result).contains("`migrate` creates it")))
        .await;
    let hands = scratch.hands().await;
    sqlx::query("CREATE TABLE oauth_tokens (key TEXT, other TEXT)").execute(&hands).await.unwrap();
    assert!(config(store.migrate().await).contains("version"));
    config(store.load(&key()).await);
}

pub(crate) async fn bad_table_names() {
    let scratch = Scratch::new();
    let store = SqliteStore::open(scratch.file()).await.unwrap();
    for name in ["", "a b", "a\"", "a.b.c", "1a"] {
        config(store.clone().table(name));
    }
}

pub(crate) async fn two_rows_of_a_key() {
    let scratch = Scratch::new();
    let hands = scratch.hands().await;
    let create = "CREATE TABLE oauth_tokens (key TEXT, version INTEGER, document TEXT)";
    sqlx::query(create).execute(&hands).await.unwrap();
    let store = SqliteStore::open(scratch.file()).await.unwrap();
    let (key, one) = (key(), record("one"));
    let said = config(store.compare_and_swap(&key, None, &one).await);
    assert!(said.contains("no primary key"), "{said}");
    for _ in 0..2 {
        sqlx::query("INSERT INTO oauth_tokens (key, version, document) VALUES ($1, $2, $3)")
            .bind(key.as_str())
            .bind(one.version().number())
            .bind(one.json())
            .execute(&hands)
            .await
            .unwrap();
    }
    let before = rows(&hands).await;
    corrupt(store.load(&key).await);
    corrupt(store.compare_and_swap(&key, None, &record("two")).await);
    corrupt(store.compare_and_swap(&key, Some(one.version()), &record("two")).await);
    assert_eq!(rows(&hands).await, before);
}

pub(crate) async fn half_a_record_is_left_as_it_is() {
    let scratch = Scratch::new();
    let hands = scratch.hands().await;
    // As `migrate` makes it, but for the columns that may be NULL.
    let create =
        "CREATE TABLE oauth_tokens (key TEXT PRIMARY KEY, version INTEGER, document TEXT) STRICT";
    sqlx::query(create).execute(&hands).await.unwrap();
    let store = scratch.store().await;
    for (version, document) in
        [(Some(7), None), (None, Some("{}")), (Some(7), Some("")), (Some(7), Some("{\"a\":"))]
    {
        let key = key();
        sqlx::query("INSERT INTO oauth_tokens (key, version, document) VALUES ($1, $2, $3)")
            .bind(key.as_str())
            .bind(version)
            .bind(document)
            .execute(&hands)
            .await
            .unwrap();
        support::broken(&store, &key, async || rows(&hands).await).await;
        if version.is_some() && document.is_some() {
            support::replaced(&store, &key).await;
        }
    }
    // A NULL document is no record to replace, also not with its version.
    let key = key();
    sqlx::query("INSERT INTO oauth_tokens (key, version) VALUES ($1, 7)")
        .bind(key.as_str())
        .execute(&hands)
        .await
        .unwrap();
    corrupt(store.compare_and_swap(&key, Some(Version::from_number(7)), &record("new")).await);
    // Text that is none.
    sqlx::query("UPDATE oauth_tokens SET document = CAST(x'22ff22' AS TEXT)")
        .execute(&hands)
        .await
        .unwrap();
    corrupt(store.load(&key).await);
}

pub(crate) async fn versions_are_whole() {
    support::versions(&Scratch::new().store().await).await;
}

#[cfg(unix)]
fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

pub(crate) async fn the_file_is_the_owners() {
    let scratch = Scratch::new();
    let store = scratch.store().await;
    stored(store.compare_and_swap(&key(), None, &record("one")).await);
    #[cfg(unix)]
    for name in ["tokens.db", "tokens.db-wal", "tokens.db-shm"] {
        assert_eq!(mode(&scratch.0.join(name)), 0o600, "{name}");
    }
    // One that exists is its owner's matter.
    let other = scratch.0.join("other.db");
    std::fs::write(&other, "").unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(&other, PermissionsExt::from_mode(0o640)).unwrap();
        SqliteStore::open(&other).await.unwrap();
        assert_eq!(mode(&other), 0o640);
    }
    let hands = scratch.hands().await;
    let journal: String =
        sqlx::query_scalar("PRAGMA journal_mode").fetch_one(&hands).await.unwrap();
    assert_eq!(journal, "wal");
}

pub(crate) async fn files_that_are_no_database() {
    let scratch = Scratch::new();
    std::fs::write(scratch.file(), "not a database, but long enough to look at\n".repeat(100))
        .unwrap();
    let before = std::fs::read(scratch.file()).unwrap();
    corrupt(SqliteStore::open(scratch.file()).await);
    assert_eq!(std::fs::read(scratch.file()).unwrap(), before);
    config(SqliteStore::open(scratch.0.join("missing/tokens.db")).await);
    config(SqliteStore::open("").await);
    config(SqliteStore::open(&scratch.0).await);
}

pub(crate) async fn a_full_disk() {
    let scratch = Scratch::new();
    // The bound is a connection's.
    let pool = scratch.hands().await;
    let store = SqliteStore::new(pool.clone());
    store.migrate().await.unwrap();
    let (key, small) = (key(), record("small"));
    stored(store.compare_and_swap(&key, None, &small).await);
    let pages: i64 = sqlx::query_scalar("PRAGMA page_count").fetch_one(&pool).await.unwrap();
    sqlx::query(&format!("PRAGMA max_page_count = {pages}")).execute(&pool).await.unwrap();
    let large = record(&"x".repeat(1_000_000));
    unavailable(store.compare_and_swap(&key, Some(small.version()), &large).await);
    assert_eq!(store.load(&key).await.unwrap().unwrap().json(), small.json());
    sqlx::query("PRAGMA max_page_count = 100000").execute(&pool).await.unwrap();
    stored(store.compare_and_swap(&key, Some(small.version()), &large).await);
}

pub(crate) async fn another_one_writes() {
    let scratch = Scratch::new();
    scratch.store().await;
    let store = SqliteStore::new(scratch.pool(1, Duration::from_millis(20)).await);
    let mut writer = scratch.hands().await.begin_with("BEGIN IMMEDIATE").await.unwrap();
    sqlx::query("DELETE FROM oauth_tokens").execute(&mut *writer).await.unwrap();
    unavailable(store.compare_and_swap(&key(), None, &record("one")).await);
    // Readers do not wait for a writer.
    store.load(&key()).await.unwrap();
    writer.rollback().await.unwrap();
    stored(store.compare_and_swap(&key(), None, &record("one")).await);
}

pub(crate) async fn one_connection_is_enough() {
    let scratch = Scratch::new();
    scratch.store().await;
    support::interleaved(&SqliteStore::new(scratch.hands().await)).await;
}

pub(crate) async fn errors_quote_nothing() {
    let scratch = Scratch::new();
    let (store, hands) = (scratch.store().await, scratch.hands().await);
    sqlx::query("CREATE UNIQUE INDEX once ON oauth_tokens (document)")
        .execute(&hands)
        .await
        .unwrap();
    stored(store.compare_and_swap(&key(), None, &record("one")).await);
    // Shown by the check in `told`.
    config(store.compare_and_swap(&key(), None, &record("one")).await);
    let text = format!("{store:?} {:?}", Record::new(format!("\"{SECRET}\"")));
    assert!(!text.contains(SECRET));
}
