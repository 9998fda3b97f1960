//! `SqliteStore`.
//!
//! A lease is timed by the host's clock, the only one that the processes of a host share and that a
//! file can be compared with; and it may be set back. A row therefore keeps the lease's begin beside
//! its end: a time before the begin is not within the lease, so a clock that jumps back ends it, and
//! one that does not jump that far makes it end at most its whole length from then. A clock that
//! jumps ahead ends it early. Either way a sibling may ask the provider too soon, which is what
//! the compare-and-swap is for; no lease lasts for ever.

mod error;
mod open;

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use sqlx::SqlitePool;

use self::error::fault;
use super::executor::{Engine, Found, Value};
use super::queries;
use super::statements::Statements;
use super::table_name::Table;
use crate::store::{Record, StoreError, SwapOutcome, TokenKey, TokenStore, Version};

/// A store in a table of an SQLite file, for processes of one host.
///
/// A call takes a connection of the pool for one statement and gives it back; none is held during a
/// token request, and no lock. Leases are timed by the host's clock; one that is set back ends them.
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
/// A call whose future is dropped has happened or not; the connection's thread may still be at it.
///
/// # Errors
///
/// Of all calls. [`is_unavailable`](StoreError::is_unavailable): another process writes for longer
/// than the busy timeout, the disk is full or fails, the pool timed out.
/// [`is_corrupt`](StoreError::is_corrupt): the file is not a database or a broken one; half a record,
/// a document that is not JSON, two rows of one key. [`is_config`](StoreError::is_config): no table,
/// or one of other columns; a file that cannot be opened or written.
#[derive(Clone)]
pub struct SqliteStore {
    pool: SqlitePool,
    table: Table,
    statements: Arc<Statements>,
}

impl SqliteStore {
    /// A store in the table `oauth_tokens`, which [`migrate`](Self::migrate) creates.
    ///
    /// How safe a commit is against a loss of power is the pool's matter: `synchronous` should be
    /// `FULL`, as [`open`](Self::open) has it. All connections must be to one file: a pool of
    /// `:memory:` has a database for each.
    pub fn new(pool: SqlitePool) -> Self {
        Self::with(pool, Table::default())
    }

    /// A store in this file, with a pool of its own: write-ahead log, `synchronous` `FULL`, a busy
    /// timeout of five seconds. A missing file is created, for its owner only to read and write; of one
    /// that exists, the permissions stay. Not on a network file system. Dropped, it may leave an
    /// empty file.
    ///
    /// # Errors
    ///
    /// [`StoreError::is_config`] where the file cannot be opened or created;
    /// [`StoreError::is_corrupt`] where it is not a database.
    pub async fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        open::open(path.as_ref()).await.map(Self::new)
    }

    /// In another table: `name`, or `schema.name` with the schema of an attached database.
    ///
    /// # Errors
    ///
    /// [`StoreError::is_config`] where a part of it is empty, longer than 63 characters, begins with
    /// a digit or has other characters than ASCII letters, digits and underscores.
    pub fn table(self, name: &str) -> Result<Self, StoreError> {
        Ok(Self::with(self.pool, Table::parse(name)?))
    }

    /// Creates the table where it is missing; many processes may ask for it at once. Dropped, it has
    /// happened or not.
    ///
    /// # Errors
    ///
    /// [`StoreError::is_config`] where the file is read-only, or where there is another table of
    /// this name; [`StoreError::is_unavailable`] as ever.
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
        // Better now than at the first token. Quoted columns that are missing would be text.
        let columns = "key, version, document";
        self.run(&format!("SELECT {columns} FROM {table} WHERE false"), &[]).await?;
        Ok(())
    }

    fn with(pool: SqlitePool, table: Table) -> Self {
        let statements = Arc::new(Statements::new(&table));
        Self { pool, table, statements }
    }
}

#[async_trait]
impl Engine for SqliteStore {
    fn statements(&self) -> &Statements {
        &self.statements
    }

    async fn run(&self, sql: &str, values: &[Value<'_>]) -> Result<u64, StoreError> {
        let query = values.iter().fold(sqlx::query(sql), |query, value| match *value {
            Value::Text(text) => query.bind(text),
            Value::Number(number) => query.bind(number),
        });
        Ok(query.execute(&self.pool).await.map_err(fault)?.rows_affected())
    }

    async fn find(&self, sql: &str, values: &[Value<'_>]) -> Result<Vec<Found>, StoreError> {
        let query = values.iter().fold(sqlx::query_as(sql), |query, value| match *value {
            Value::Text(text) => query.bind(text),
            Value::Number(number) => query.bind(number),
        });
        query.fetch_all(&self.pool).await.map_err(fault)
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
