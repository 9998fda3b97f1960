//! `SqlExecutor`: what a store needs of a database.

use async_trait::async_trait;

use super::statements::Statements;
use crate::store::StoreError;

/// A parameter of a statement: the first is `$1`.
#[derive(Clone, Copy)]
pub(super) enum Value<'a> {
    Text(&'a str),
    Number(i64),
}

/// The columns version and document.
pub(super) type Columns = (Option<i64>, Option<String>);

/// Runs single statements. Each takes a connection of the pool and returns it at once.
#[async_trait]
pub(super) trait SqlExecutor: Send + Sync {
    fn statements(&self) -> &Statements;

    /// Runs a statement and commits it. Returns how many rows it changed.
    async fn run(&self, sql: &str, values: &[Value<'_>]) -> Result<u64, StoreError>;

    /// Returns all rows of a query.
    async fn find(&self, sql: &str, values: &[Value<'_>]) -> Result<Vec<Columns>, StoreError>;
}
