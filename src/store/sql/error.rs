//! What a failed call to the database means, where both databases agree.
//!
//! No text of the driver is handed on that could quote a value: a token would be one. PostgreSQL's
//! DETAIL quotes whole rows, and `Debug` of the driver's error prints it.

use sqlx::Error;

use crate::store::StoreError;

pub(super) fn fault(error: Error) -> StoreError {
    match error {
        Error::Io(_)
        | Error::Tls(_)
        | Error::PoolTimedOut
        | Error::PoolClosed
        | Error::WorkerCrashed => StoreError::unavailable(error),
        Error::ColumnDecode { .. } | Error::Decode(_) => {
            StoreError::corrupt("a column holds a value of another type")
        }
        Error::Protocol(_) => {
            StoreError::unavailable("the database and its driver do not understand each other")
        }
        _ => StoreError::config("the database's driver refused the connection's settings"),
    }
}
