//! A store in Redis: one hash for each key.

mod error;
mod redis_store;
mod scripts;

pub use redis_store::RedisStore;
