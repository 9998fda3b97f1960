//! Sessions of several processes that share a real store, through bad days: whatever happens to
//! the store, no refresh token is presented twice and no user is lost.
//!
//! A process is `UserSessions` with a store of its own: a pool or a connection that no other has.

mod fleet;
pub(crate) mod postgres;
pub(crate) mod redis;
mod scenes;
pub(crate) mod sqlite;
