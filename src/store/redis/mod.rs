//! A store in Redis: a hash for a key's record, a string that ends by itself for its lease.

mod fault;
mod scripts;
mod store;

pub use store::RedisStore;
