//! Stores in a table of an SQL database: one row for each key.
//!
//! Each operation is a single statement; a conflict reads the row with a second one. No transaction
//! and no connection is held between two calls, so a token request that hangs for a minute costs the
//! database nothing.

mod error;
mod executor;
#[cfg(feature = "postgres")]
mod postgres;
mod queries;
#[cfg(feature = "sqlite")]
mod sqlite;
mod statements;
mod table_name;

#[cfg(feature = "postgres")]
pub use postgres::PostgresStore;
#[cfg(feature = "sqlite")]
pub use sqlite::SqliteStore;
