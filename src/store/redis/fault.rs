//! What an error of Redis means.
//!
//! Of the server's words only the first is handed on, its code: the others may quote a command's
//! arguments, and a token would be one.

use redis::{ErrorKind, RedisError};

use crate::store::StoreError;

pub(super) fn fault(error: RedisError) -> StoreError {
    match error.kind() {
        ErrorKind::Io => return StoreError::unavailable(error),
        ErrorKind::UnexpectedReturnType => {
            return StoreError::corrupt("Redis holds a value of another type");
        }
        ErrorKind::AuthenticationFailed => {
            return StoreError::config("Redis refused the user or the password");
        }
        ErrorKind::InvalidClientConfig | ErrorKind::RESP3NotSupported => {
            return StoreError::config("the Redis connection's settings do not fit the server");
        }
        _ => {}
    }
    let Some(code) = error.code() else {
        return StoreError::unavailable("Redis and its driver do not understand each other");
    };
    let says = format!("Redis says {code}");
    match code {
        "WRONGTYPE" => StoreError::corrupt(says),
        "NOAUTH" | "WRONGPASS" | "NOPERM" | "NOSCRIPT" => StoreError::config(format!(
            "{says}; the store needs EVALSHA, SCRIPT LOAD, EXISTS, HMGET, HSET, GET, SET and DEL on \
             the keys of its prefix"
        )),
        "MOVED" | "ASK" | "CROSSSLOT" => {
            StoreError::config(format!("{says}; the connection is to one node of a cluster"))
        }
        "ERR" => unnamed(error.detail().unwrap_or_default()),
        // It loads, is a replica, is full, cannot write to its disk, is busy with a script, …
        _ => StoreError::unavailable(says),
    }
}

/// What Redis gives no code of its own. Before version 7 that is also what fails within a script,
/// with the code among the words.
fn unnamed(words: &str) -> StoreError {
    let has = |code: &&&str| words.contains(**code);
    if words.contains("WRONGTYPE") {
        return StoreError::corrupt("Redis says WRONGTYPE");
    }
    if let Some(code) = ["OOM", "READONLY", "MISCONF", "max number of clients"].iter().find(has) {
        return StoreError::unavailable(format!("Redis says {code}"));
    }
    StoreError::config("Redis says ERR: it refuses the command, or cannot run scripts")
}
