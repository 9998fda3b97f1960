use std::time::{Duration, Instant};

use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{Client, FromRedisValue};
use reqwest_oauth2::store::{Committed, Lease, RedisStore, TokenKey, TokenStore, Version};
use reqwest_oauth2::testing::check_store;

use crate::support::{
    self, LONG, SECRET, config, corrupt, key, record, saved, switch, told, unavailable,
};

/// How often a connection is tried before a call fails is its owner's matter: once.
async fn connect(url: &str) -> ConnectionManager {
    let config = ConnectionManagerConfig::new().set_number_of_retries(1);
    let client = Client::open(url).unwrap();
    ConnectionManager::new_with_config(client, config).await.unwrap()
}

fn url() -> String {
    std::env::var("REDIS_URL").unwrap()
}

async fn manager() -> ConnectionManager {
    connect(&url()).await
}

/// A connection of its own, as another process would have it.
pub(crate) async fn store() -> RedisStore {
    RedisStore::new(manager().await)
}

pub(crate) async fn run<T: FromRedisValue>(words: &[&str]) -> T {
    let mut command = redis::cmd(words[0]);
    command.arg(&words[1..]).query_async(&mut manager().await).await.unwrap()
}

fn token(key: &TokenKey) -> String {
    format!("oauth:{{{}}}:token", key.as_str())
}

fn lease(key: &TokenKey) -> String {
    format!("oauth:{{{}}}:lease", key.as_str())
}

pub(crate) async fn suite() {
    check_store(store).await;
    assert_eq!(run::<Vec<String>>(&["KEYS", "oauth:*suite*"]).await, [""; 0]);
}

pub(crate) async fn prefixes_are_apart() {
    let (store, key, one) = (store().await, key(), record("one"));
    let other = store.clone().prefix("another one:");
    saved(store.commit(&key, None, &one).await);
    assert!(store.lease(&key, &Lease::new(LONG)).await.unwrap());
    assert!(other.load(&key).await.unwrap().is_none());
    assert!(other.lease(&key, &Lease::new(LONG)).await.unwrap());
    check_store(async || other.clone()).await;
    let stored: Vec<(String, String)> = run(&["HGETALL", &token(&key)]).await;
    let version = one.version().number().to_string();
    let fields = [("version", version.as_str()), ("document", one.json())];
    assert_eq!(stored, fields.map(|(name, value)| (name.to_owned(), value.to_owned())));
    let left: u128 = run(&["PTTL", &lease(&key)]).await;
    assert!((LONG / 2).as_millis() < left && left <= LONG.as_millis(), "{left}");
}

pub(crate) async fn half_a_record_is_left_as_it_is() {
    let store = store().await;
    for fields in [
        &["version", "7"][..],
        &["document", "{}"],
        &["version", "7", "document", ""],
        &["version", "7", "document", "{\"a\":"],
        &["version", "seven", "document", "{}"],
        &["version", "99999999999999999999", "document", "{}"],
        &["something", "else"],
    ] {
        let key = key();
        let token = token(&key);
        let _: u64 = run(&[&["HSET", token.as_str()], fields].concat()).await;
        let raw = async || run::<Vec<(String, String)>>(&["HGETALL", &token]).await;
        support::broken(&store, &key, raw).await;
    }
    // A version alone is no record to replace.
    let key = key();
    let _: u64 = run(&["HSET", &token(&key), "version", "7"]).await;
    corrupt(store.commit(&key, Some(Version::from_number(7)), &record("new")).await);
    redis::cmd("HSET")
        .arg(token(&key))
        .arg(&["version", "7", "document"])
        .arg([b"\"\xff", SECRET.as_bytes(), b"\""].concat())
        .exec_async(&mut manager().await)
        .await
        .unwrap();
    corrupt(store.load(&key).await);
}

pub(crate) async fn values_of_other_types() {
    let (store, key, new) = (store().await, key(), record("new"));
    let _: String = run(&["SET", &token(&key), SECRET]).await;
    corrupt(store.load(&key).await);
    corrupt(store.commit(&key, None, &new).await);
    corrupt(store.commit(&key, Some(new.version()), &new).await);
    assert_eq!(run::<String>(&["GET", &token(&key)]).await, SECRET);
    let _: u64 = run(&["RPUSH", &lease(&key), SECRET]).await;
    corrupt(store.lease(&key, &Lease::new(LONG)).await);
    corrupt(store.release(&key, &Lease::new(LONG)).await);
    store.delete(&key).await.unwrap();
    assert!(store.lease(&key, &Lease::new(LONG)).await.unwrap());
}

pub(crate) async fn versions_are_whole() {
    support::versions(&store().await).await;
}

pub(crate) async fn interleaved() {
    support::interleaved(&store().await).await;
}

pub(crate) async fn a_lease_outlives_its_connection() {
    let (one, other, key) = (store().await, store().await, key());
    let (long, brief) = (Lease::new(LONG), support::key());
    assert!(one.lease(&key, &long).await.unwrap());
    assert!(one.lease(&brief, &Lease::new(Duration::from_millis(300))).await.unwrap());
    drop(one);
    assert!(!other.lease(&key, &Lease::new(LONG)).await.unwrap());
    assert!(other.lease(&key, &long).await.unwrap(), "its holder comes back");
    support::heir(&other, &brief).await;
    // Durations without bound, or of nothing, neither fail nor wrap.
    assert!(other.lease(&key, &Lease::new(Duration::MAX)).await.is_ok());
    other.delete(&key).await.unwrap();
    assert!(other.lease(&key, &Lease::new(Duration::MAX)).await.unwrap());
    assert!(!other.lease(&key, &Lease::new(Duration::MAX)).await.unwrap());
    other.delete(&key).await.unwrap();
    assert!(other.lease(&key, &Lease::new(Duration::ZERO)).await.unwrap());
    support::heir(&other, &key).await;
}

pub(crate) async fn delete_leaves_nothing() {
    let (store, key) = (store().await, key());
    saved(store.commit(&key, None, &record("one")).await);
    assert!(store.lease(&key, &Lease::new(LONG)).await.unwrap());
    store.delete(&key).await.unwrap();
    assert_eq!(run::<u64>(&["EXISTS", &token(&key), &lease(&key)]).await, 0);
}

pub(crate) async fn all_is_flushed() {
    let (store, key, one) = (store().await, key(), record("one"));
    saved(store.commit(&key, None, &one).await);
    let _: String = run(&["FLUSHALL"]).await;
    assert!(store.load(&key).await.unwrap().is_none());
    let lost = store.commit(&key, Some(one.version()), &record("two")).await.unwrap();
    assert!(matches!(lost, Committed::Conflict(None)), "{lost:?}");
}

pub(crate) async fn scripts_are_flushed() {
    let (store, key, one) = (store().await, key(), record("one"));
    let lease = Lease::new(LONG);
    let flush = async || run::<String>(&["SCRIPT", "FLUSH"]).await;
    flush().await;
    assert!(store.load(&key).await.unwrap().is_none());
    flush().await;
    assert!(store.lease(&key, &lease).await.unwrap());
    flush().await;
    saved(store.commit(&key, None, &one).await);
    flush().await;
    store.release(&key, &lease).await.unwrap();
    assert!(store.lease(&key, &Lease::new(LONG)).await.unwrap());
}

pub(crate) async fn no_memory_left() {
    let (store, key, one) = (store().await, key(), record("one"));
    saved(store.commit(&key, None, &one).await);
    let _: String = run(&["CONFIG", "SET", "maxmemory", "1"]).await;
    let committed = store.commit(&key, Some(one.version()), &record("two")).await;
    let leased = store.lease(&key, &Lease::new(LONG)).await;
    let loaded = store.load(&key).await;
    let _: String = run(&["CONFIG", "SET", "maxmemory", "0"]).await;
    assert!(unavailable(committed).contains("OOM"));
    assert!(unavailable(leased).contains("OOM"));
    assert_eq!(loaded.unwrap().unwrap().json(), one.json(), "it can still be read");
    saved(store.commit(&key, Some(one.version()), &record("two")).await);
}

pub(crate) async fn a_replica() {
    let (store, key) = (store().await, key());
    let _: String = run(&["REPLICAOF", "127.0.0.1", "1"]).await;
    let committed = store.commit(&key, None, &record("one")).await;
    let deleted = store.delete(&key).await;
    let _: String = run(&["REPLICAOF", "NO", "ONE"]).await;
    assert!(unavailable(committed).contains("READONLY"));
    assert!(unavailable(deleted).contains("READONLY"));
    saved(store.commit(&key, None, &record("one")).await);
}

pub(crate) async fn what_the_user_may_not() {
    let allowed =
        ["+exists", "+hmget", "+hset", "+get", "+set", "+del", "+evalsha", "+script|load"];
    let rules =
        [&["ACL", "SETUSER", "weak", "on", ">pw", "~oauth:*", "-@all"][..], &allowed].concat();
    let _: String = run(&rules).await;
    let weak = RedisStore::new(connect(&url().replace("redis://", "redis://weak:pw@")).await);
    // What the error's text lists is enough, also for scripts that the server does not know.
    let _: String = run(&["SCRIPT", "FLUSH"]).await;
    check_store(async || weak.clone()).await;
    config(weak.clone().prefix("other:").load(&key()).await);
    let _: String = run(&["ACL", "SETUSER", "weak", "-evalsha"]).await;
    let said = config(weak.commit(&key(), None, &record("one")).await);
    assert!(said.contains("NOPERM"), "{said}");
    let _: u64 = run(&["ACL", "DELUSER", "weak"]).await;
    // The server has cut the connection, and knows the user no more.
    let error = loop {
        match weak.load(&key()).await {
            Err(error) if error.is_config() => break error,
            other => assert!(other.unwrap_err().is_unavailable()),
        }
    };
    told(&error);
}

pub(crate) async fn a_restart() {
    let (store, key, one) = (store().await, key(), record("one"));
    saved(store.commit(&key, None, &one).await);
    switch("stop", "redis").await;
    let began = Instant::now();
    unavailable(store.load(&key).await);
    unavailable(store.commit(&key, Some(one.version()), &record("two")).await);
    let took = began.elapsed();
    assert!(took < Duration::from_secs(5), "{took:?}");
    switch("start", "redis").await;
    support::back(&store).await;
    // This server keeps nothing.
    assert!(store.load(&key).await.unwrap().is_none());
    saved(store.commit(&key, None, &one).await);
}
