use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest_oauth2::store::{PostgresStore, TokenKey, TokenStore, Version};
use reqwest_oauth2::testing::check_store;
use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use tokio::sync::Barrier;

use crate::support::{self, PATIENCE, config, corrupt, key, record, stored, switch, unavailable};

fn options() -> PgConnectOptions {
    std::env::var("POSTGRES_URL").unwrap().parse().unwrap()
}

pub(crate) async fn pool(connections: u32) -> PgPool {
    let pool = PgPoolOptions::new().max_connections(connections);
    pool.acquire_timeout(Duration::from_secs(30)).connect_with(options()).await.unwrap()
}

/// A table of this test alone, and hands to change it with.
pub(crate) struct Scratch {
    pub(crate) table: String,
    pub(crate) hands: PgPool,
}

type Row = (String, Option<i64>, Option<String>);

impl Scratch {
    pub(crate) async fn new() -> Self {
        let table = format!("t_{:032x}", rand::random::<u128>());
        Self { table, hands: pool(2).await }
    }

    /// With a pool of its own, as another process would have it.
    pub(crate) async fn store(&self) -> PostgresStore {
        let store = PostgresStore::new(pool(2).await).table(&self.table).unwrap();
        store.migrate().await.unwrap();
        store
    }

    /// `@` stands for the table.
    pub(crate) async fn run(&self, sql: &str) {
        let sql = sql.replace('@', &self.table);
        sqlx::raw_sql(&sql).execute(&self.hands).await.unwrap();
    }

    async fn insert(&self, key: &TokenKey, version: Option<i64>, document: Option<&str>) {
        let table = &self.table;
        sqlx::query(&format!("INSERT INTO {table} (key, version, document) VALUES ($1, $2, $3)"))
            .bind(key.as_str())
            .bind(version)
            .bind(document)
            .execute(&self.hands)
            .await
            .unwrap();
    }

    async fn rows(&self) -> Vec<Row> {
        let sql = format!("SELECT key, version, document FROM {} ORDER BY key", self.table);
        sqlx::query_as(&sql).fetch_all(&self.hands).await.unwrap()
    }

    /// Who waits for a lock that somebody else holds.
    async fn waiter(&self) -> i32 {
        let sql = "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' \
                   AND position($1 IN query) > 0";
        let began = Instant::now();
        loop {
            let query = sqlx::query_scalar(sql).bind(&self.table);
            if let Some(pid) = query.fetch_optional(&self.hands).await.unwrap() {
                return pid;
            }
            assert!(began.elapsed() < PATIENCE, "nobody waits");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

pub(crate) async fn suite() {
    let scratch = Scratch::new().await;
    check_store(async || scratch.store().await).await;
    support::large(&scratch.store().await).await;
}

pub(crate) async fn tables_are_apart() {
    let scratch = Scratch::new().await;
    let store = scratch.store().await;
    scratch.run("CREATE SCHEMA \"S_@\"").await;
    let other = store.clone().table(&format!("S_{}.Order", scratch.table)).unwrap();
    other.migrate().await.unwrap();
    let key = key();
    stored(store.compare_and_swap(&key, None, &record("one")).await);
    assert!(other.load(&key).await.unwrap().is_none());
    check_store(async || other.clone()).await;
    assert!(store.load(&key).await.unwrap().is_some());
    // The name that it has if it gets none.
    let unnamed = PostgresStore::new(pool(1).await);
    unnamed.migrate().await.unwrap();
    let count = "SELECT count(*) FROM oauth_tokens";
    let _: i64 = sqlx::query_scalar(count).fetch_one(&scratch.hands).await.unwrap();
}

pub(crate) async fn migrated_by_many_at_once() {
    const AT_ONCE: usize = 16;
    let pool = pool(AT_ONCE as u32).await;
    // More than once, since the moment in which two collide is short.
    for _ in 0..20 {
        let scratch = Scratch::new().await;
        let barrier = Arc::new(Barrier::new(AT_ONCE));
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..AT_ONCE {
            let store = PostgresStore::new(pool.clone()).table(&scratch.table).unwrap();
            let barrier = barrier.clone();
            tasks.spawn(async move {
                store.load(&key()).await.unwrap_err();
                barrier.wait().await;
                store.migrate().await.unwrap();
                store.migrate().await.unwrap();
                stored(store.compare_and_swap(&key(), None, &record("one")).await);
            });
        }
        tasks.join_all().await;
        assert_eq!(scratch.rows().await.len(), AT_ONCE);
    }
}

pub(crate) async fn migrated_by_a_role_that_may_not() {
    let scratch = Scratch::new().await;
    scratch.run("CREATE ROLE r_@ LOGIN").await;
    let role = options().username(&format!("r_{}", scratch.table));
    let pool = PgPoolOptions::new().max_connections(1).connect_with(role).await.unwrap();
    let weak = PostgresStore::new(pool).table(&scratch.table).unwrap();
    assert!(config(weak.migrate().await).contains("42501"));
    let store = scratch.store().await;
    assert!(config(weak.load(&key()).await).contains("permission denied"));
    scratch.run("GRANT SELECT, INSERT, UPDATE ON @ TO r_@").await;
    weak.migrate().await.unwrap();
    check_store(async || weak.clone()).await;
    drop(store);
}

pub(crate) async fn table_missing_or_another() {
    let scratch = Scratch::new().await;
    let store = PostgresStore::new(pool(1).await).table(&scratch.table).unwrap();
    let says = |result| assert!(config(result).contains("`migrate` creates the table"));
    support::all_fail(&store, says).await;
    let nowhere = store.clone().table("nowhere.tokens").unwrap();
    assert!(config(nowhere.migrate().await).contains("a schema that exists"));
    scratch.run("CREATE TABLE @ (key text PRIMARY KEY, other text)").await;
    assert!(config(store.migrate().await).contains("version"));
    config(store.load(&key()).await);
    scratch
        .run("DROP TABLE @; CREATE TABLE @ (key text PRIMARY KEY, version bigint, document jsonb)")
        .await;
    config(store.compare_and_swap(&key(), None, &record("one")).await);
    scratch.insert_json().await;
    config(store.load(&TokenKey::new("a", "b", "c")).await);
}

impl Scratch {
    async fn insert_json(&self) {
        self.run("INSERT INTO @ (key, version, document) VALUES ('a/b/c', 1, '{}')").await;
    }
}

pub(crate) async fn bad_table_names() {
    let store = PostgresStore::new(pool(1).await);
    for name in ["", "a b", "a\"", "a.b.c", "1a", &"a".repeat(64)] {
        config(store.clone().table(name));
    }
}

pub(crate) async fn two_rows_of_a_key() {
    let scratch = Scratch::new().await;
    scratch.run("CREATE TABLE @ (key text, version bigint, document text)").await;
    let store = scratch.store().await;
    let (key, one) = (key(), record("one"));
    let said = config(store.compare_and_swap(&key, None, &one).await);
    assert!(said.contains("no primary key"), "{said}");
    for _ in 0..2 {
        scratch.insert(&key, Some(one.version().number()), Some(one.json())).await;
    }
    let before = scratch.rows().await;
    corrupt(store.load(&key).await);
    corrupt(store.compare_and_swap(&key, None, &record("two")).await);
    corrupt(store.compare_and_swap(&key, Some(one.version()), &record("two")).await);
    assert_eq!(scratch.rows().await, before);
}

pub(crate) async fn half_a_record_is_left_as_it_is() {
    let scratch = Scratch::new().await;
    let store = scratch.store().await;
    scratch.run("ALTER TABLE @ ALTER version DROP NOT NULL, ALTER document DROP NOT NULL").await;
    for (version, document) in
        [(Some(7), None), (None, Some("{}")), (Some(7), Some("")), (Some(7), Some("{\"a\":"))]
    {
        let key = key();
        scratch.insert(&key, version, document).await;
        support::broken(&store, &key, async || scratch.rows().await).await;
        if version.is_some() && document.is_some() {
            support::replaced(&store, &key).await;
        }
    }
    // A NULL document is no record to replace, also not with its version.
    let key = key();
    scratch.insert(&key, Some(7), None).await;
    corrupt(store.compare_and_swap(&key, Some(Version::from_number(7)), &record("new")).await);
}

pub(crate) async fn versions_are_whole() {
    support::versions(&Scratch::new().await.store().await).await;
}

pub(crate) async fn one_connection_is_enough() {
    let scratch = Scratch::new().await;
    scratch.store().await;
    let store = PostgresStore::new(pool(1).await).table(&scratch.table).unwrap();
    support::interleaved(&store).await;
}

pub(crate) async fn a_pool_that_is_used_up() {
    let scratch = Scratch::new().await;
    scratch.store().await;
    let pool = PgPoolOptions::new().max_connections(1).acquire_timeout(Duration::from_millis(50));
    let pool = pool.connect_with(options()).await.unwrap();
    let store = PostgresStore::new(pool.clone()).table(&scratch.table).unwrap();
    let taken = pool.acquire().await.unwrap();
    support::all_fail(&store, |result| assert!(unavailable(result).contains("pool timed out")))
        .await;
    drop(taken);
    support::back(&store).await;
}

pub(crate) async fn a_connection_that_is_cut() {
    let scratch = Scratch::new().await;
    let store = scratch.store().await;
    let (key, one) = (key(), record("one"));
    stored(store.compare_and_swap(&key, None, &one).await);
    let mut other = scratch.hands.begin().await.unwrap();
    sqlx::query(&format!("UPDATE {} SET document = '[]'", scratch.table))
        .execute(&mut *other)
        .await
        .unwrap();
    let commit = tokio::spawn({
        let (store, key, version) = (store.clone(), key.clone(), one.version());
        async move { store.compare_and_swap(&key, Some(version), &record("two")).await }
    });
    let pid = scratch.waiter().await;
    sqlx::query("SELECT pg_terminate_backend($1)").bind(pid).execute(&scratch.hands).await.unwrap();
    unavailable(commit.await.unwrap());
    other.rollback().await.unwrap();
    assert_eq!(store.load(&key).await.unwrap().unwrap().json(), one.json());
    stored(store.compare_and_swap(&key, Some(one.version()), &record("two")).await);
}

/// A swap that nobody waits for any longer has happened or not, and its connection serves the next.
pub(crate) async fn a_call_that_is_dropped() {
    let scratch = Scratch::new().await;
    scratch.store().await;
    let store = PostgresStore::new(pool(1).await).table(&scratch.table).unwrap();
    let (key, one, two) = (key(), record("one"), record("two"));
    stored(store.compare_and_swap(&key, None, &one).await);
    let mut other = scratch.hands.begin().await.unwrap();
    sqlx::query(&format!("SELECT * FROM {} FOR UPDATE", scratch.table))
        .execute(&mut *other)
        .await
        .unwrap();
    let commit = tokio::spawn({
        let (store, key, version, two) = (store.clone(), key.clone(), one.version(), two.clone());
        async move { store.compare_and_swap(&key, Some(version), &two).await }
    });
    scratch.waiter().await;
    commit.abort();
    assert!(commit.await.unwrap_err().is_cancelled());
    other.rollback().await.unwrap();
    // It was under way.
    assert_eq!(store.load(&key).await.unwrap().unwrap().json(), two.json());
}

pub(crate) async fn what_the_server_says() {
    let scratch = Scratch::new().await;
    let store = scratch.store().await;
    scratch
        .run(
            "CREATE TABLE says_@ (code text);
             INSERT INTO says_@ VALUES ('');
             CREATE FUNCTION f_@() RETURNS trigger LANGUAGE plpgsql AS $f$ BEGIN
               RAISE EXCEPTION USING ERRCODE = (SELECT code FROM says_@), DETAIL = NEW.document;
             END $f$;
             CREATE TRIGGER t_@ BEFORE INSERT ON @ FOR EACH ROW EXECUTE FUNCTION f_@();",
        )
        .await;
    type Check =
        fn(Result<reqwest_oauth2::store::SwapOutcome, reqwest_oauth2::store::StoreError>) -> String;
    for (code, check) in [
        // Disk full, memory, too many connections.
        ("53100", unavailable as Check),
        ("53200", unavailable),
        ("53300", unavailable),
        // Shutdown, crash, start; a statement timeout.
        ("57P01", unavailable),
        ("57P02", unavailable),
        ("57P03", unavailable),
        ("57014", unavailable),
        // A standby, a deadlock, a serialization failure, a lock timeout, an I/O error.
        ("25006", unavailable),
        ("40P01", unavailable),
        ("40001", unavailable),
        ("55P03", unavailable),
        ("58030", unavailable),
        ("08006", unavailable),
        ("XX000", unavailable),
        ("XX001", corrupt),
        ("XX002", corrupt),
        ("42501", config),
        ("42P01", config),
        ("54000", config),
        ("22001", config),
        ("23514", config),
    ] {
        sqlx::query(&format!("UPDATE says_{} SET code = $1", scratch.table))
            .bind(code)
            .execute(&scratch.hands)
            .await
            .unwrap();
        let said = check(store.compare_and_swap(&key(), None, &record("one")).await);
        assert!(said.contains(&format!("PostgreSQL says {code}")), "{said}");
    }
}

/// PostgreSQL quotes the whole row.
pub(crate) async fn errors_quote_nothing() {
    let scratch = Scratch::new().await;
    let store = scratch.store().await;
    scratch.run("ALTER TABLE @ ADD CHECK (length(document) < 3)").await;
    let said = config(store.compare_and_swap(&key(), None, &record("one")).await);
    assert!(said.contains("23514"), "{said}");
    assert!(!format!("{store:?}").contains("127.0.0.1"));
}

pub(crate) async fn a_restart() {
    let scratch = Scratch::new().await;
    scratch.store().await;
    let pool = PgPoolOptions::new().max_connections(3).acquire_timeout(Duration::from_secs(1));
    let pool = pool.connect_with(options()).await.unwrap();
    let store = PostgresStore::new(pool).table(&scratch.table).unwrap();
    let (key, one) = (key(), record("one"));
    stored(store.compare_and_swap(&key, None, &one).await);
    switch("stop", "postgres").await;
    let began = Instant::now();
    unavailable(store.load(&key).await);
    unavailable(store.compare_and_swap(&key, Some(one.version()), &record("two")).await);
    let took = began.elapsed();
    assert!(took < Duration::from_secs(10), "twice the pool's timeout of a second: {took:?}");
    switch("start", "postgres").await;
    support::back(&store).await;
    assert_eq!(store.load(&key).await.unwrap().unwrap().json(), one.json());
    stored(store.compare_and_swap(&key, Some(one.version()), &record("two")).await);
}
