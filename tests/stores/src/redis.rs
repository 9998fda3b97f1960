use std::time::{Duration, Instant};

use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{Client, FromRedisValue};
use reqwest_oauth2::store::{RedisStore, SwapOutcome, TokenKey, TokenStore, Version};
use reqwest_oauth2::testing::check_store;

use crate::support::{
    self, SECRET, config, corrupt, key, record, stored, switch, told, unavailable,
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

fn name(key: &TokenKey) -> String {
    format!("oauth:{{{}}}", key.as_str())
}

pub(crate) async fn suite() {
    check_store(store).await;
    support::large(&store().await).await;
}

pub(crate) async fn prefixes_are_apart() {
    let (store, key, one) = (store().await, key(), record("one"));
    let other = store.clone().prefix("another one:");
    stored(store.compare_and_swap(&key, None, &one).await);
    assert!(other.load(&key).await.unwrap().is_none());
    check_store(async || other.clone()).await;
    let stored: Vec<(String, String)> = run(&["HGETALL", &name(&key)]).await;
    let version = one.version().number().to_string();
    let fields = [("version", version.as_str()), ("document", one.json())];
    assert_eq!(stored, fields.map(|(name, value)| (name.to_owned(), value.to_owned())));
    let keys: Vec<String> = run(&["KEYS", &format!("*{}*", key.as_str())]).await;
    assert_eq!(keys, [name(&key)], "one key, and nothing beside it");
    assert_eq!(run::<i64>(&["TTL", &name(&key)]).await, -1, "it does not expire");
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
        let name = name(&key);
        let _: u64 = run(&[&["HSET", name.as_str()], fields].concat()).await;
        let raw = async || run::<Vec<(String, String)>>(&["HGETALL", &name]).await;
        support::broken(&store, &key, raw).await;
        if let ["version", "7", "document", _] = fields {
            support::replaced(&store, &key).await;
        }
    }
    // A version alone is no record to replace.
    let key = key();
    let _: u64 = run(&["HSET", &name(&key), "version", "7"]).await;
    corrupt(store.compare_and_swap(&key, Some(Version::from_number(7)), &record("new")).await);
    redis::cmd("HSET")
        .arg(name(&key))
        .arg(&["version", "7", "document"])
        .arg([b"\"\xff", SECRET.as_bytes(), b"\""].concat())
        .exec_async(&mut manager().await)
        .await
        .unwrap();
    corrupt(store.load(&key).await);
    support::replaced(&store, &key).await;
}

pub(crate) async fn values_of_other_types() {
    let (store, key, new) = (store().await, key(), record("new"));
    let _: String = run(&["SET", &name(&key), SECRET]).await;
    corrupt(store.load(&key).await);
    corrupt(store.compare_and_swap(&key, None, &new).await);
    corrupt(store.compare_and_swap(&key, Some(new.version()), &new).await);
    assert_eq!(run::<String>(&["GET", &name(&key)]).await, SECRET);
}

pub(crate) async fn versions_are_whole() {
    support::versions(&store().await).await;
}

pub(crate) async fn interleaved() {
    support::interleaved(&store().await).await;
}

pub(crate) async fn all_is_flushed() {
    let (store, key, one) = (store().await, key(), record("one"));
    stored(store.compare_and_swap(&key, None, &one).await);
    let _: String = run(&["FLUSHALL"]).await;
    assert!(store.load(&key).await.unwrap().is_none());
    let lost = store.compare_and_swap(&key, Some(one.version()), &record("two")).await.unwrap();
    assert!(matches!(lost, SwapOutcome::Conflict(None)), "{lost:?}");
}

pub(crate) async fn scripts_are_flushed() {
    let (store, key, one) = (store().await, key(), record("one"));
    let flush = async || run::<String>(&["SCRIPT", "FLUSH"]).await;
    flush().await;
    assert!(store.load(&key).await.unwrap().is_none());
    flush().await;
    stored(store.compare_and_swap(&key, None, &one).await);
}

pub(crate) async fn no_memory_left() {
    let (store, key, one) = (store().await, key(), record("one"));
    stored(store.compare_and_swap(&key, None, &one).await);
    let _: String = run(&["CONFIG", "SET", "maxmemory", "1"]).await;
    let swapped = store.compare_and_swap(&key, Some(one.version()), &record("two")).await;
    let loaded = store.load(&key).await;
    let _: String = run(&["CONFIG", "SET", "maxmemory", "0"]).await;
    assert!(unavailable(swapped).contains("OOM"));
    assert_eq!(loaded.unwrap().unwrap().json(), one.json(), "it can still be read");
    stored(store.compare_and_swap(&key, Some(one.version()), &record("two")).await);
}

pub(crate) async fn a_replica() {
    let (store, key) = (store().await, key());
    let _: String = run(&["REPLICAOF", "127.0.0.1", "1"]).await;
    let swapped = store.compare_and_swap(&key, None, &record("one")).await;
    let _: String = run(&["REPLICAOF", "NO", "ONE"]).await;
    assert!(unavailable(swapped).contains("READONLY"));
    stored(store.compare_and_swap(&key, None, &record("one")).await);
}

pub(crate) async fn what_the_user_may_not() {
    let allowed = ["+exists", "+hmget", "+hset", "+evalsha", "+script|load"];
    let rules =
        [&["ACL", "SETUSER", "weak", "on", ">pw", "~oauth:*", "-@all"][..], &allowed].concat();
    let _: String = run(&rules).await;
    let weak = RedisStore::new(connect(&url().replace("redis://", "redis://weak:pw@")).await);
    // What the error's text lists is enough, also for scripts that the server does not know.
    let _: String = run(&["SCRIPT", "FLUSH"]).await;
    check_store(async || weak.clone()).await;
    config(weak.clone().prefix("other:").load(&key()).await);
    let _: String = run(&["ACL", "SETUSER", "weak", "-evalsha"]).await;
    let said = config(weak.compare_and_swap(&key(), None, &record("one")).await);
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
    stored(store.compare_and_swap(&key, None, &one).await);
    switch("stop", "redis").await;
    let began = Instant::now();
    unavailable(store.load(&key).await);
    unavailable(store.compare_and_swap(&key, Some(one.version()), &record("two")).await);
    let took = began.elapsed();
    assert!(took < Duration::from_secs(5), "{took:?}");
    switch("start", "redis").await;
    support::back(&store).await;
    // This server keeps nothing.
    assert!(store.load(&key).await.unwrap().is_none());
    stored(store.compare_and_swap(&key, None, &one).await);
}
