//! What an error of Redis means.
//!
//! Of the server's message only its first word is kept, the code. The other words may quote the
//! arguments of a command, such as a token.

use redis::{ErrorKind, RedisError};

use crate::store::StoreError;

pub(super) fn store_error(error: RedisError) -> StoreError {
    match error.kind() {
        ErrorKind::Io => return StoreError::unavailable(error),
        ErrorKind::UnexpectedReturnType => {
            return StoreError::corrupt("Redis holds a value of another type");
        }
        ErrorKind::AuthenticationFailed => {
            return StoreError::config("Redis refused the user or the password");
        }
        ErrorKind::InvalidClientConfig | ErrorKind::RESP3NotSupported => {
            return StoreError::config(
                "the settings of the Redis connection do not fit the server",
            );
        }
        _ => {}
    }
    let Some(code) = error.code() else {
        return StoreError::unavailable(
            "unexpected reply from Redis; check the versions of server and driver",
        );
    };
    let says = format!("Redis says {code}");
    match code {
        "WRONGTYPE" => StoreError::corrupt(says),
        "NOAUTH" | "WRONGPASS" | "NOPERM" | "NOSCRIPT" => StoreError::config(format!(
            "{says}; the store needs EVALSHA, SCRIPT LOAD, EXISTS, HMGET and HSET on the keys of its \
             prefix"
        )),
        "MOVED" | "ASK" | "CROSSSLOT" => {
            StoreError::config(format!("{says}; the connection is to one node of a cluster"))
        }
        "ERR" => unnamed(error.detail().unwrap_or_default()),
        // The server loads, is a replica, is full, cannot write to its disk, runs another script, …
        _ => StoreError::unavailable(says),
    }
}

/// Errors without a code of their own. Before version 7 these include errors within a script, with
/// the code among the words.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_without_a_code() {
        type Check = fn(&StoreError) -> bool;
        for (words, check) in [
            (
                "Error running script (call to f_0): @user_script:1: WRONGTYPE Operation against a \
                 key holding the wrong kind of value",
                StoreError::is_corrupt as Check,
            ),
            (
                "Error running script (call to f_0): @user_script:6: -OOM command not allowed when \
                 used memory > 'maxmemory'.",
                StoreError::is_unavailable,
            ),
            (
                "Error running script (call to f_0): @user_script:6: -READONLY You can't write \
                 against a read only replica.",
                StoreError::is_unavailable,
            ),
            ("max number of clients reached", StoreError::is_unavailable),
            (
                "unknown command 'EVALSHA', with args beginning with: 'secret'",
                StoreError::is_config,
            ),
        ] {
            let error = unnamed(words);
            assert!(check(&error), "{words}: {error:?}");
            assert!(!format!("{error:?}").contains("secret"));
        }
    }
}
