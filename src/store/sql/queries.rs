//! Loads and replaces the row of a key.
//!
//! Only one statement changes anything, so a call that is dropped has happened or not. After a
//! conflict a second statement reads the row.

use super::executor::{SqlExecutor, Value};
use crate::store::{Record, StoreError, SwapOutcome, TokenKey, Version, columns, document};

pub(super) async fn load(
    database: &impl SqlExecutor,
    key: &TokenKey,
) -> Result<Option<Record>, StoreError> {
    let mut rows = database.find(&database.statements().load, &[Value::Text(key.as_str())]).await?;
    if rows.len() > 1 {
        return Err(StoreError::corrupt(
            "the table has two rows for one key and no primary key, so `migrate` did not create it",
        ));
    }
    rows.pop().map_or(Ok(None), |(version, document)| columns::record(version, document))
}

pub(super) async fn compare_and_swap(
    database: &impl SqlExecutor,
    key: &TokenKey,
    expected: Option<Version>,
    record: &Record,
) -> Result<SwapOutcome, StoreError> {
    document::check(record)?;
    let new = [
        Value::Text(key.as_str()),
        Value::Number(record.version().number()),
        Value::Text(record.json()),
    ];
    let changed = match expected {
        None => database.run(&database.statements().insert, &new).await,
        Some(version) => {
            let [key, number, json] = new;
            let values = [key, number, json, Value::Number(version.number())];
            database.run(&database.statements().update, &values).await
        }
    };
    match changed {
        Ok(0) => load(database, key).await.map(SwapOutcome::Conflict),
        Ok(_) => Ok(SwapOutcome::Stored(record.version())),
        Err(error) => Err(prefer_corrupt(database, key, error).await),
    }
}

/// An insert into a table without a primary key is a `config` error. If the key has two rows already,
/// report that instead: it is the more useful error.
async fn prefer_corrupt(
    database: &impl SqlExecutor,
    key: &TokenKey,
    error: StoreError,
) -> StoreError {
    if !error.is_config() {
        return error;
    }
    load(database, key).await.err().filter(StoreError::is_corrupt).unwrap_or(error)
}
