//! A key's row: loaded, leased, replaced, deleted.
//!
//! Each function is one statement, so that a call that is dropped has happened or not. Two of them
//! may ask a second one: a commit that lost reads what it lost to, and a release touches a row that
//! holds a record only after it found none to delete.

use super::executor::{Engine, Value};
use crate::store::{Record, StoreError, SwapOutcome, TokenKey, Version, columns};

pub(super) async fn load(
    engine: &impl Engine,
    key: &TokenKey,
) -> Result<Option<Record>, StoreError> {
    let mut rows = engine.find(&engine.statements().load, &[Value::Text(key.as_str())]).await?;
    if rows.len() > 1 {
        return Err(StoreError::corrupt(
            "there are two rows of one key: the table has no primary key, so `migrate` did not create it",
        ));
    }
    rows.pop().map_or(Ok(None), |(version, document)| columns::record(version, document))
}

pub(super) async fn compare_and_swap(
    engine: &impl Engine,
    key: &TokenKey,
    expected: Option<Version>,
    record: &Record,
) -> Result<SwapOutcome, StoreError> {
    let new = [
        Value::Text(key.as_str()),
        Value::Number(record.version().number()),
        Value::Text(record.json()),
    ];
    let rows = match expected {
        None => engine.run(&engine.statements().insert, &new).await,
        Some(version) => {
            let [key, number, json] = new;
            let values = [key, number, json, Value::Number(version.number())];
            engine.run(&engine.statements().update, &values).await
        }
    };
    match rows {
        Ok(0) => load(engine, key).await.map(SwapOutcome::Conflict),
        Ok(_) => Ok(SwapOutcome::Stored(record.version())),
        Err(error) => Err(why(engine, key, error).await),
    }
}

/// A table without a primary key cannot be inserted into; where it shows already, in two rows of
/// this key, that is what to say.
async fn why(engine: &impl Engine, key: &TokenKey, error: StoreError) -> StoreError {
    if !error.is_config() {
        return error;
    }
    load(engine, key).await.err().filter(StoreError::is_corrupt).unwrap_or(error)
}
