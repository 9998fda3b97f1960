//! What an error of PostgreSQL means.

use sqlx::Error;

use crate::store::StoreError;
use crate::store::sql::error;

/// By SQLSTATE ([PostgreSQL, Appendix A](https://www.postgresql.org/docs/current/errcodes-appendix.html)).
pub(super) fn store_error(error: Error) -> StoreError {
    let Error::Database(error) = error else {
        return match error {
            // The types of the columns are the same in all rows.
            Error::ColumnDecode { .. } => StoreError::config(
                "the columns of the table have other types than those that `migrate` creates",
            ),
            error => error::store_error(error),
        };
    };
    let code = error.code().unwrap_or_default();
    // Messages about the server and its tables. Those of other classes could quote a value.
    let says = match code.get(..2) {
        Some("08" | "25" | "28" | "3D" | "3F" | "42" | "53" | "54" | "55" | "57" | "58") => {
            format!("PostgreSQL says {code}: {}", error.message())
        }
        _ => format!("PostgreSQL says {code}"),
    };
    match &*code {
        "42P01" | "3F000" => StoreError::config(format!(
            "{says}; `migrate` creates the table, in a schema that exists"
        )),
        "42P10" => StoreError::config(format!(
            "{says}; the table has no primary key, so `migrate` did not create it"
        )),
        "XX001" | "XX002" => StoreError::corrupt(says),
        _ => match code.get(..2) {
            // Connections, a read-only standby, serialization and deadlocks, disk or memory full,
            // locks, a server that stops or starts, its disk.
            Some("08" | "25" | "40" | "53" | "55" | "57" | "58" | "XX") => {
                StoreError::unavailable(says)
            }
            _ => StoreError::config(says),
        },
    }
}
