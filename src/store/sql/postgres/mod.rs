//! `PostgresStore`.

mod error;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use sqlx::PgPool;

use self::error::fault;
use super::executor::{Engine, Found, Value};
use super::queries;
use super::statements::Statements;
use super::table_name::Table;
use crate::store::{Record, StoreError, SwapOutcome, TokenKey, TokenStore, Version};

/// A store in a table of PostgreSQL, for processes that share a database.
///
/// The pool is yours, and so are its limits and its TLS. A call takes a connection for one statement
/// and gives it back; none is held during a token request. While the server is away a call waits as
/// long as the pool's `acquire_timeout`, and at most
/// [`SessionBuilder::save_wait_timeout`](crate::SessionBuilder::save_wait_timeout).
///
/// Leases are timed by the database's clock. A commit is as durable as `synchronous_commit` and the
/// server's replicas make it: after a failover that lost a commit, a sibling may present the old
/// refresh token.
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
/// A call whose future is dropped has happened or not; the server may still be at it.
///
/// # Errors
///
/// Of all calls. [`is_unavailable`](StoreError::is_unavailable): no connection, a pool that timed
/// out, a server that restarts or is a standby, a full disk, a statement that was cancelled.
/// [`is_corrupt`](StoreError::is_corrupt): half a record, a document that is not JSON, two rows of
/// one key. [`is_config`](StoreError::is_config): no table, or one of other columns; a permission; a
/// key that does not fit into an index (about 2,600 bytes).
#[derive(Clone)]
pub struct PostgresStore {
    pool: PgPool,
    table: Table,
    statements: Arc<Statements>,
}

impl PostgresStore {
    /// A store in the table `oauth_tokens`, which [`migrate`](Self::migrate) creates.
    pub fn new(pool: PgPool) -> Self {
        Self::with(pool, Table::default())
    }

    /// In another table: `name`, or `schema.name`, in capital and small letters as written.
    ///
    /// # Errors
    ///
    /// [`StoreError::is_config`] where a part of it is empty, longer than 63 characters, begins with
    /// a digit or has other characters than ASCII letters, digits and underscores.
    pub fn table(self, name: &str) -> Result<Self, StoreError> {
        Ok(Self::with(self.pool, Table::parse(name)?))
    }

    /// Creates the table where it is missing; many processes may ask for it at once. A role that may
    /// not create tables can call it where the table is there. Dropped, it has happened or not.
    ///
    /// # Errors
    ///
    /// [`StoreError::is_config`] where the role or the schema does not permit it, or where there is
    /// another table of this name; [`StoreError::is_unavailable`] as ever.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        // `CREATE TABLE IF NOT EXISTS` alone fails where two are at it: both find nothing, and the
        // second one's row in the catalog is a duplicate. The lock ends with the statement. Its
        // number is this crate's name as eight bytes, of no meaning to anybody else.
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
        .map_err(fault)?;
        // Better now than at the first token.
        let columns = "key, version, document";
        sqlx::query(&format!("SELECT {columns} FROM {table} WHERE false"))
            .execute(&self.pool)
            .await
            .map_err(fault)?;
        Ok(())
    }

    fn with(pool: PgPool, table: Table) -> Self {
        let statements = Arc::new(Statements::new(&table));
        Self { pool, table, statements }
    }
}

#[async_trait]
impl Engine for PostgresStore {
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
