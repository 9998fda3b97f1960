//! `RedisStore`.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use redis::aio::ConnectionManager;
use redis::{FromRedisValue, ScriptInvocation};

use super::error::fault;
use super::scripts;
use crate::store::{Record, StoreError, SwapOutcome, TokenKey, TokenStore, Version, columns};

/// What the scripts tell of a record: whether it was stored, whether something is there, version
/// and document.
type Found = (u8, u8, Option<Vec<u8>>, Option<Vec<u8>>);

/// A store in Redis, for processes that share a server.
///
/// The connection is yours, and so are its time limits and its TLS. While the server is away a call
/// fails when the `ConnectionManager` has tried as often as its settings say (seconds, by default), and
/// at the latest after [`SessionBuilder::save_wait_timeout`](crate::SessionBuilder::save_wait_timeout).
///
/// Redis must not lose what it said it stored: `appendonly yes`, with `appendfsync always` where not
/// even the last second may be lost, and a `maxmemory-policy` that evicts nothing without an expiry
/// (`noeviction`, `volatile-…`). After a loss or a failover to a replica that lags, a login is gone, or a
/// sibling presents the old refresh token. Redis writes the arguments of slow commands to its SLOWLOG,
/// documents included.
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
/// A call whose future is dropped has happened or not; the server may still be at it.
///
/// # Errors
///
/// Of all calls. [`is_unavailable`](StoreError::is_unavailable): no connection, no answer in time, a
/// server that loads, is a replica, has no memory left or cannot write.
/// [`is_corrupt`](StoreError::is_corrupt): a value of another type, half a record, a document that is
/// not JSON. [`is_config`](StoreError::is_config): the user, the password or a permission; a server
/// that runs no scripts; one node of a cluster.
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

    /// Begins the keys with something else; stores of different prefixes have nothing in common.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into().into();
        self
    }

    fn key_of(&self, key: &TokenKey) -> String {
        format!("{}{{{}}}", self.prefix, key.as_str())
    }

    async fn invoke<T: FromRedisValue>(
        &self,
        script: &ScriptInvocation<'_>,
    ) -> Result<T, StoreError> {
        script.invoke_async(&mut self.connection.clone()).await.map_err(fault)
    }
}

#[async_trait]
impl TokenStore for RedisStore {
    async fn load(&self, key: &TokenKey) -> Result<Option<Record>, StoreError> {
        record(self.invoke(&scripts::LOAD.key(self.key_of(key))).await?)
    }

    async fn compare_and_swap(
        &self,
        key: &TokenKey,
        expected: Option<Version>,
        record: &Record,
    ) -> Result<SwapOutcome, StoreError> {
        let mut script = scripts::COMPARE_AND_SWAP.key(self.key_of(key));
        script
            .arg(u8::from(expected.is_some()))
            .arg(expected.map_or(0, Version::number))
            .arg(record.version().number())
            .arg(record.json());
        let found: Found = self.invoke(&script).await?;
        match found {
            (1, ..) => Ok(SwapOutcome::Stored(record.version())),
            found => self::record(found).map(SwapOutcome::Conflict),
        }
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

fn record(found: Found) -> Result<Option<Record>, StoreError> {
    let (_, there, version, document) = found;
    if there != 0 && version.is_none() && document.is_none() {
        return Err(StoreError::corrupt("a hash is stored that is not a record"));
    }
    let text = |bytes: Vec<u8>| {
        String::from_utf8(bytes).map_err(|_| StoreError::corrupt("what is stored is not UTF-8"))
    };
    let version = version.map(text).transpose()?.map(|version| {
        version.parse().map_err(|_| StoreError::corrupt("the stored version is not a number"))
    });
    columns::record(version.transpose()?, document.map(text).transpose()?)
}
