//! Sessions on one store.

mod adoption;
mod clocks;
#[cfg(feature = "encryption")]
mod encryption_key;
mod failure_memory;
mod fleet;
mod foreign_records;
mod keys;
mod lease;
mod many_users;
mod new_login;
mod sign_out;
mod store_outage;
mod unreadable;
mod unusable_answers;
