//! Opens the file of an `SqliteStore`.

use std::fs::OpenOptions;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::SqlitePool;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use tokio::time::{Instant, sleep};

use super::error::store_error;
use crate::store::StoreError;

/// How long a connection waits for another one to finish writing.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
const BUSY_PAUSE: Duration = Duration::from_millis(20);

pub(super) async fn open(path: &Path) -> Result<SqlitePool, StoreError> {
    // Absolute, so that no name has a special meaning, as `:memory:` has.
    let path = std::path::absolute(path).map_err(StoreError::config)?;
    let file = path.clone();
    tokio::task::spawn_blocking(move || create(&file))
        .await
        .map_err(StoreError::unavailable)?
        .map_err(|error| match error.kind() {
            ErrorKind::StorageFull | ErrorKind::Interrupted => StoreError::unavailable(error),
            _ => StoreError::config(error),
        })?;
    let options = SqliteConnectOptions::new()
        .filename(path)
        .busy_timeout(BUSY_TIMEOUT)
        .journal_mode(SqliteJournalMode::Wal)
        // With a write-ahead log, anything less may lose the last swaps on a power loss. Then the
        // stored refresh token would be one that was used already.
        .synchronous(SqliteSynchronous::Full);
    // The journal mode of a file changes once, and SQLite does not wait for that: of many processes
    // that open a new file at once, all but one are told that it is busy.
    let began = Instant::now();
    loop {
        match SqlitePool::connect_with(options.clone()).await.map_err(store_error) {
            Err(error) if error.is_unavailable() && began.elapsed() < BUSY_TIMEOUT => {
                sleep(BUSY_PAUSE).await;
            }
            opened => return opened,
        }
    }
}

/// SQLite would create the file with the permissions of the umask. The files that it creates beside
/// this one get the permissions of this one.
fn create(path: &PathBuf) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Only the connections themselves can tell.
    #[tokio::test]
    async fn settings() {
        let name = format!("reqwest-oauth2-{:032x}.db", rand::random::<u128>());
        let path = std::env::temp_dir().join(name);
        let pool = open(&path).await.unwrap();
        for (pragma, expected) in [("synchronous", 2), ("busy_timeout", 5000)] {
            let sql = format!("PRAGMA {pragma}");
            let value: i64 = sqlx::query_scalar(&sql).fetch_one(&pool).await.unwrap();
            assert_eq!(value, expected, "{pragma}");
        }
        pool.close().await;
        std::fs::remove_file(&path).unwrap();
        // Usually the last connection has removed the files beside it.
        for beside in ["db-wal", "db-shm"] {
            let _ = std::fs::remove_file(path.with_extension(beside));
        }
    }
}
