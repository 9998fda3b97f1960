//! Stores in a table of an SQL database: one row a key, read and written by single statements.
//!
//! No transaction is held, and no connection between two calls: a token request that hangs for a
//! minute costs the database nothing.

mod engine;
mod fault;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "postgres")]
mod postgres_fault;
mod row;
#[cfg(feature = "sqlite")]
mod sqlite;
#[cfg(feature = "sqlite")]
mod sqlite_fault;
#[cfg(feature = "sqlite")]
mod sqlite_file;
mod statements;
mod table;

#[cfg(feature = "postgres")]
pub use postgres::PostgresStore;
#[cfg(feature = "sqlite")]
pub use sqlite::SqliteStore;
