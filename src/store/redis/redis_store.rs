//! `RedisStore`.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use redis::ScriptInvocation;
use redis::aio::ConnectionManager;

use super::error::store_error;
use super::scripts;
use crate::store::{
    Record, StoreError, SwapOutcome, TokenKey, TokenStore, Version, columns, document,
};

/// What the scripts return: whether they stored the new record, whether the key exists, and its
/// version and document.
type Reply = (u8, u8, Option<Vec<u8>>, Option<Vec<u8>>);

/// A store in Redis, for processes that share a server.
///
/// You make the connection, with its time limits and its TLS. While the server is away a call fails
/// after the retries in the settings of the `ConnectionManager` (some seconds by default), or when the
/// session waits no longer.
///
/// If the server becomes a replica and keeps its connections, as in a failover behind one DNS name, each swap
/// fails until the connection is made anew: the `ConnectionManager` does not do that by itself.
///
/// Redis must keep what it has stored. Set `appendonly yes`; set `appendfsync always` if it must not
/// lose the last second either; choose a `maxmemory-policy` that evicts no key without an expiry
/// (`noeviction`, `volatile-…`). After a loss, or a failover to a Redis replica that lags, a login may
/// be gone, or a process may present the old refresh token. Redis writes the arguments of slow
/// commands to its SLOWLOG, documents included.
///
/// ```no_run
/// # async fn example(client: redis::Client) -> redis::RedisResult<()> {
/// use reqwest_oauth2::store::RedisStore;
///
/// let connection = redis::aio::ConnectionManager::new(client).await?;
/// let store = RedisStore::new(connection).prefix("billing:oauth:");
/// # Ok(())
/// # }
/// ```
///
/// A [`TokenKey`] has one key, `<prefix>{<key>}`: a hash of `version` and `document`.
///
/// # Cancellation
///
/// If the future of a call is dropped, the call has happened or not. The server may still be at work.
///
/// # Errors
///
/// - [`StoreError::is_unavailable`]: no connection; no answer in time; a server that loads, is a
///   replica, has no memory left or cannot write.
/// - [`StoreError::is_corrupt`]: a value of another type; a hash without version or document; a
///   document that is not JSON or larger than 2 MiB.
/// - [`StoreError::is_config`]: the user, the password or a permission; a server that runs no scripts;
///   one node of a cluster; a new document that is not JSON or too large.
#[derive(Clone)]
pub struct RedisStore {
    connection: ConnectionManager,
    prefix: Arc<str>,
}

impl RedisStore {
    /// A store whose keys begin with `oauth:`.
    pub fn new(connection: ConnectionManager) -> Self {
        Self { connection, prefix: "oauth:".into() }
    }

    /// Begins the keys with another prefix. Stores with different prefixes share nothing.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into().into();
        self
    }

    fn redis_key(&self, key: &TokenKey) -> String {
        format!("{}{{{}}}", self.prefix, key.as_str())
    }

    async fn invoke(&self, script: &ScriptInvocation<'_>) -> Result<Reply, StoreError> {
        script.invoke_async(&mut self.connection.clone()).await.map_err(store_error)
    }
}

#[async_trait]
impl TokenStore for RedisStore {
    async fn load(&self, key: &TokenKey) -> Result<Option<Record>, StoreError> {
        record(self.invoke(&scripts::LOAD.key(self.redis_key(key))).await?)
    }

    async fn compare_and_swap(
        &self,
        key: &TokenKey,
        expected: Option<Version>,
        record: &Record,
    ) -> Result<SwapOutcome, StoreError> {
        document::check(record)?;
        let mut script = scripts::COMPARE_AND_SWAP.key(self.redis_key(key));
        script
            .arg(u8::from(expected.is_some()))
            .arg(expected.map_or(0, Version::number))
            .arg(record.version().number())
            .arg(record.json());
        match self.invoke(&script).await? {
            (1, ..) => Ok(SwapOutcome::Stored(record.version())),
            reply => self::record(reply).map(SwapOutcome::Conflict),
        }
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

fn record(reply: Reply) -> Result<Option<Record>, StoreError> {
    let (_, exists, version, document) = reply;
    if exists != 0 && version.is_none() && document.is_none() {
        return Err(StoreError::corrupt("the stored hash is not a record"));
    }
    let text = |bytes: Vec<u8>| {
        String::from_utf8(bytes).map_err(|_| StoreError::corrupt("the stored text is not UTF-8"))
    };
    let version = version.map(text).transpose()?.map(|version| {
        version.parse().map_err(|_| StoreError::corrupt("the stored version is not a number"))
    });
    let version = version.transpose()?;
    let document = document.map(text).transpose().map_err(|error| match version {
        Some(version) => error.with_version(Version::from_number(version)),
        None => error,
    });
    columns::record(version, document?)
}
