//! `SqliteStore`.

mod error;
mod open;

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use sqlx::SqlitePool;

use self::error::store_error;
use super::executor::{Columns, SqlExecutor, Value};
use super::queries;
use super::statements::Statements;
use super::table_name::TableName;
use crate::store::{Record, StoreError, SwapOutcome, TokenKey, TokenStore, Version};

/// A store in a table of an SQLite file, for the processes of one host.
///
/// A call takes a connection of the pool for one or two statements and returns it. No connection and
/// no lock is held during a token request.
///
/// ```no_run
/// # async fn example() -> Result<(), reqwest_oauth2::store::StoreError> {
/// use reqwest_oauth2::store::SqliteStore;
///
/// let store = SqliteStore::open("/var/lib/app/tokens.db").await?;
/// store.migrate().await?;
/// # Ok(())
/// # }
/// ```
///
/// # Cancellation
///
/// If the future of a call is dropped, the call has happened or not. The thread of the connection may
/// still be at work.
///
/// # Errors
///
/// - [`StoreError::is_unavailable`]: another process writes for longer than the busy timeout; the
///   disk is full or fails; the pool timed out.
/// - [`StoreError::is_corrupt`]: the file is not a database, or a broken one; the stored document is
///   not JSON or larger than 2 MiB; two rows have one key.
/// - [`StoreError::is_config`]: the table is missing or has other columns; the file cannot be opened
///   or written; the new document is not JSON or too large.
#[derive(Clone)]
pub struct SqliteStore {
    pool: SqlitePool,
    table: TableName,
    statements: Arc<Statements>,
}

impl SqliteStore {
    /// A store in the table `oauth_tokens`, which [`migrate`](Self::migrate) creates.
    ///
    /// The pool decides whether a swap survives a power loss: set `synchronous` to `FULL`, as
    /// [`open`](Self::open) does. All connections must be to one file: each connection to `:memory:`
    /// has its own database.
    pub fn new(pool: SqlitePool) -> Self {
        Self::with(pool, TableName::default())
    }

    /// A store in this file, with a pool of its own: write-ahead log, `synchronous` `FULL`, a busy
    /// timeout of five seconds. Only the owner can read a file that this creates; an existing file
    /// keeps its permissions. Do not use a network file system.
    ///
    /// # Errors
    ///
    /// [`StoreError::is_config`] if the file cannot be opened or created;
    /// [`StoreError::is_corrupt`] if it is not a database.
    ///
    /// # Cancellation
    ///
    /// If the future is dropped, an empty file may stay.
    pub async fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        open::open(path.as_ref()).await.map(Self::new)
    }

    /// Uses another table: `name`, or `schema.name` with the schema of an attached database.
    ///
    /// # Errors
    ///
    /// [`StoreError::is_config`] if a part is empty, longer than 63 characters, begins with a digit,
    /// or has characters other than ASCII letters, digits and underscores.
    pub fn table(self, name: &str) -> Result<Self, StoreError> {
        Ok(Self::with(self.pool, TableName::parse(name)?))
    }

    /// Creates the table if it is missing. Many processes may call this at once.
    ///
    /// # Errors
    ///
    /// [`StoreError::is_config`] if the file is read-only, or if a table of this name has other
    /// columns. [`StoreError::is_unavailable`] as for each call.
    ///
    /// # Cancellation
    ///
    /// If the future is dropped, the table was created or not.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        let table = &self.table;
        let create = format!(
            "CREATE TABLE IF NOT EXISTS {table} (
               key TEXT PRIMARY KEY NOT NULL,
               version INTEGER NOT NULL,
               document TEXT NOT NULL
             ) STRICT"
        );
        self.run(&create, &[]).await?;
        // Report missing columns now, not at the first token. (Quoted names would be text.)
        let columns = "key, version, document";
        self.run(&format!("SELECT {columns} FROM {table} WHERE false"), &[]).await?;
        Ok(())
    }

    fn with(pool: SqlitePool, table: TableName) -> Self {
        let statements = Arc::new(Statements::new(&table));
        Self { pool, table, statements }
    }
}

#[async_trait]
impl SqlExecutor for SqliteStore {
    fn statements(&self) -> &Statements {
        &self.statements
    }

    async fn run(&self, sql: &str, values: &[Value<'_>]) -> Result<u64, StoreError> {
        let query = values.iter().fold(sqlx::query(sql), |query, value| match *value {
            Value::Text(text) => query.bind(text),
            Value::Number(number) => query.bind(number),
        });
        Ok(query.execute(&self.pool).await.map_err(store_error)?.rows_affected())
    }

    async fn find(&self, sql: &str, values: &[Value<'_>]) -> Result<Vec<Columns>, StoreError> {
        let query = values.iter().fold(sqlx::query_as(sql), |query, value| match *value {
            Value::Text(text) => query.bind(text),
            Value::Number(number) => query.bind(number),
        });
        query.fetch_all(&self.pool).await.map_err(store_error)
    }
}

#[async_trait]
impl TokenStore for SqliteStore {
    async fn load(&self, key: &TokenKey) -> Result<Option<Record>, StoreError> {
        queries::load(self, key).await
    }

    async fn compare_and_swap(
        &self,
        key: &TokenKey,
        expected: Option<Version>,
        record: &Record,
    ) -> Result<SwapOutcome, StoreError> {
        queries::compare_and_swap(self, key, expected, record).await
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore").field("table", &self.table).finish_non_exhaustive()
    }
}
