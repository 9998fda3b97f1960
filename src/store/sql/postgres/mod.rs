//! `PostgresStore`.

mod error;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use sqlx::PgPool;

use self::error::store_error;
use super::executor::{Columns, SqlExecutor, Value};
use super::queries;
use super::statements::Statements;
use super::table_name::TableName;
use crate::store::{Record, StoreError, SwapOutcome, TokenKey, TokenStore, Version};

/// A store in a table of PostgreSQL, for processes that share a database.
///
/// You make the pool, with its limits and its TLS. A call takes a connection for one or two
/// statements and returns it; none is held during a token request. While the server is away a call
/// waits for the `acquire_timeout` of the pool, and no longer than the session waits for a store.
///
/// With row level security the role needs policies for `SELECT`, `INSERT` and `UPDATE`: without one the server
/// changes nothing and reports no error, and only the session tells.
///
/// A swap is as durable as `synchronous_commit` and the replication of the server make it. After a
/// failover that lost a swap, a replica of the application may present the old refresh token.
///
/// ```no_run
/// # async fn example(pool: sqlx::PgPool) -> Result<(), reqwest_oauth2::store::StoreError> {
/// use reqwest_oauth2::store::PostgresStore;
///
/// let store = PostgresStore::new(pool).table("auth.tokens")?;
/// store.migrate().await?;
/// # Ok(())
/// # }
/// ```
///
/// # Cancellation
///
/// If the future of a call is dropped, the call has happened or not. The server may still be at work.
///
/// # Errors
///
/// - [`StoreError::is_unavailable`]: no connection; the pool timed out; the server restarts or is a
///   standby; its disk is full; the statement was cancelled.
/// - [`StoreError::is_corrupt`]: the stored document is not JSON or larger than 2 MiB; two rows have
///   one key.
/// - [`StoreError::is_config`]: the table is missing or has other columns; a permission is missing;
///   the key is too long for an index (about 2,600 bytes); the new document is not JSON or too large.
#[derive(Clone)]
pub struct PostgresStore {
    pool: PgPool,
    table: TableName,
    statements: Arc<Statements>,
}

impl PostgresStore {
    /// A store in the table `oauth_tokens`, which [`migrate`](Self::migrate) creates.
    pub fn new(pool: PgPool) -> Self {
        Self::with(pool, TableName::default())
    }

    /// Uses another table: `name`, or `schema.name`. Upper and lower case matter.
    ///
    /// # Errors
    ///
    /// [`StoreError::is_config`] if a part is empty, longer than 63 characters, begins with a digit,
    /// or has characters other than ASCII letters, digits and underscores.
    pub fn table(self, name: &str) -> Result<Self, StoreError> {
        Ok(Self::with(self.pool, TableName::parse(name)?))
    }

    /// Creates the table if it is missing. Many processes may call this at once. If the table exists,
    /// a role that may not create tables can call it too.
    ///
    /// # Errors
    ///
    /// [`StoreError::is_config`] if the role or the schema does not permit it, or if a table of this
    /// name has other columns. [`StoreError::is_unavailable`] as for each call.
    ///
    /// # Cancellation
    ///
    /// If the future is dropped, the table was created or not.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        // `CREATE TABLE IF NOT EXISTS` alone fails if two run at once: both find no table, and the
        // second one's row in the catalog is a duplicate. The lock ends with the statement. Its
        // number is this crate's name as eight bytes, so nobody else uses it.
        let table = &self.table;
        let lock = i64::from_be_bytes(*b"rqoauth2");
        sqlx::query(&format!(
            "DO $$ BEGIN
               IF to_regclass('{table}') IS NULL THEN
                 PERFORM pg_advisory_xact_lock({lock});
                 CREATE TABLE IF NOT EXISTS {table} (
                   key text PRIMARY KEY,
                   version bigint NOT NULL,
                   document text NOT NULL
                 );
               END IF;
             END $$"
        ))
        .execute(&self.pool)
        .await
        .map_err(store_error)?;
        // Report missing columns now, not at the first token.
        let columns = "key, version, document";
        sqlx::query(&format!("SELECT {columns} FROM {table} WHERE false"))
            .execute(&self.pool)
            .await
            .map_err(store_error)?;
        Ok(())
    }

    fn with(pool: PgPool, table: TableName) -> Self {
        let statements = Arc::new(Statements::new(&table));
        Self { pool, table, statements }
    }
}

#[async_trait]
impl SqlExecutor for PostgresStore {
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
impl TokenStore for PostgresStore {
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

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore").field("table", &self.table).finish_non_exhaustive()
    }
}
