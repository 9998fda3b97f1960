//! `Engine`: the little that a store needs of a database.

use async_trait::async_trait;

use super::statements::Statements;
use crate::store::StoreError;

/// A value of a statement, by its place: `$1` is the first.
#[derive(Clone, Copy)]
pub(super) enum Value<'a> {
    Text(&'a str),
    Number(i64),
}

/// Version and document.
pub(super) type Found = (Option<i64>, Option<String>);

/// Runs single statements, each on a connection of the pool that goes back at once.
#[async_trait]
pub(super) trait Engine: Send + Sync {
    fn statements(&self) -> &Statements;

    /// Runs a statement to its end, commit included, and says how many rows it changed.
    async fn run(&self, sql: &str, values: &[Value<'_>]) -> Result<u64, StoreError>;

    /// All rows that a query finds.
    async fn find(&self, sql: &str, values: &[Value<'_>]) -> Result<Vec<Found>, StoreError>;
}
