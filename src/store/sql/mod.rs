//! Stores in a table of an SQL database: one row a key, read and written by single statements.
//!
//! No transaction is held, and no connection between two calls: a token request that hangs for a
//! minute costs the database nothing.

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
