//! What a failed database call means, where both databases agree.
//!
//! Text of the driver that could quote a value, such as a token, is dropped: PostgreSQL's DETAIL
//! quotes whole rows, and `Debug` of the driver's error prints it.

use sqlx::Error;

use crate::store::StoreError;

pub(super) fn store_error(error: Error) -> StoreError {
    match error {
        Error::Io(_)
        | Error::Tls(_)
        | Error::PoolTimedOut
        | Error::PoolClosed
        | Error::WorkerCrashed => StoreError::unavailable(error),
        Error::ColumnDecode { .. } | Error::Decode(_) => {
            StoreError::corrupt("a column holds a value of another type")
        }
        Error::Protocol(_) => StoreError::unavailable(
            "unexpected reply from the database; check the versions of server and driver",
        ),
        _ => StoreError::config("the database driver refused the settings of the connection"),
    }
}
