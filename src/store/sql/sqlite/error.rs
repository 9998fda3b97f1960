//! What an error of SQLite means.

use sqlx::Error;

use crate::store::StoreError;
use crate::store::sql::error;

/// By result code ([Result and Error Codes](https://www.sqlite.org/rescode.html)).
pub(super) fn store_error(error: Error) -> StoreError {
    let Error::Database(error) = error else { return error::store_error(error) };
    let extended: i32 = error.code().and_then(|code| code.parse().ok()).unwrap_or_default();
    // The messages of SQLite name tables and columns, and quote no value.
    let says = format!("SQLite says {extended}: {}", error.message());
    match extended & 0xff {
        // Other connections; memory, the disk, a full disk; a schema that is being changed.
        5 | 6 | 7 | 9 | 10 | 13 | 15 | 17 => StoreError::unavailable(says),
        11 | 26 => StoreError::corrupt(says),
        1 if error.message().starts_with("no such table") => {
            StoreError::config(format!("{says}; `migrate` creates it"))
        }
        1 if error.message().starts_with("ON CONFLICT") => StoreError::config(format!(
            "{says}; the table has no primary key, so `migrate` did not create it"
        )),
        _ => StoreError::config(says),
    }
}
