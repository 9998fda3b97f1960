//! Calls of the store.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::time::Instant;

use crate::error::{Error, Kind};
use crate::observe;
use crate::session::config::Config;
use crate::session::machine::{Purpose, Record, State, StoreFailure, Swapped};
use crate::session::snapshot::{Provenance, Snapshot};
use crate::session::stored_record;
use crate::store::{Record as Document, StoreError, SwapOutcome, TokenKey, TokenStore, Version};

/// Of a conflict with the very version that the swap expects.
const NOT_REPLACED: &str = "the record has the expected version and was not replaced; a policy or a trigger of \
                            the database may forbid it, or a replica answered that is behind";

pub(super) type StoredRecord = (Record<Arc<Snapshot>, Error>, i64);

pub(super) async fn load(
    config: &Config,
    key: &TokenKey,
) -> Result<Option<StoredRecord>, StoreFailure<Error>> {
    let load = |store: Arc<dyn TokenStore>| async move { store.load(key).await };
    let found = call_store(config, "load", config.store_timeout, load).await?;
    let found = found.map(|found| read(config, key, &found)).transpose();
    found.map_err(|error| failure("load", error))
}

/// The token that is in the store now. Who looks learns nothing else, and changes nothing.
pub(in crate::session) async fn stored_token(
    config: &Config,
    key: &TokenKey,
) -> Option<Arc<Snapshot>> {
    let (record, _) = load(config, key).await.ok()??;
    record.token().cloned()
}

/// What a swap replaces.
pub(super) struct Replaced {
    pub(super) version: Option<i64>,
    pub(super) unreadable: bool,
}

pub(super) async fn swap(
    config: &Config,
    key: &TokenKey,
    (purpose, is_save): (Purpose, bool),
    replaced: Replaced,
    record: &Record<Arc<Snapshot>, Error>,
) -> Result<Swapped<Arc<Snapshot>, Error>, StoreFailure<Error>> {
    const NAME: &str = "compare_and_swap";
    let as_save = |failure: StoreFailure<Error>| {
        if !is_save {
            return failure;
        }
        StoreFailure { error: Error::new(Kind::Save(Box::new(failure.error))), ..failure }
    };
    let document =
        stored_record::encode(record, key).map_err(|error| as_save(failure(NAME, error)))?;
    let for_this = |document: Document| {
        if replaced.unreadable { document.replacing_unreadable() } else { document }
    };
    let expected = replaced.version.map(Version::from_number);
    let document = &for_this(document);
    let token = record.token().and_then(|snapshot| snapshot.token());
    let has_others = token.is_some_and(|token| token.others().len() > 0);
    let swap = |store: Arc<dyn TokenStore>| async move {
        match store.compare_and_swap(key, expected, document).await {
            // It may be too large. Access tokens for other resources can be had again.
            Err(error) if error.is_config() && has_others => {
                let smaller = for_this(stored_record::encode_without_others(record, key)?);
                store.compare_and_swap(key, expected, &smaller).await
            }
            outcome => outcome,
        }
    };
    let began = Instant::now();
    // Other sessions take over after a lease. Leave half of it for another attempt.
    let limit = match purpose {
        Purpose::Mark | Purpose::Outcome => config.store_timeout.min(config.settings.lease / 2),
        Purpose::Login | Purpose::Restore => config.store_timeout,
    };
    match call_store(config, NAME, limit, swap).await.map_err(as_save)? {
        SwapOutcome::Stored(version) => {
            match &record.state {
                State::Live(Some(_)) if is_save => {
                    observe::token_saved(began.elapsed());
                }
                State::SignedOut if is_save => observe::token_deleted(began.elapsed()),
                _ => {}
            }
            Ok(Swapped::Stored(version.number()))
        }
        SwapOutcome::Conflict(found) => {
            // Nothing is learned from it, so the next attempt would be the same one, at once and for ever.
            if found.as_ref().map(Document::version) == expected {
                return Err(as_save(failure(NAME, StoreError::unavailable(NOT_REPLACED))));
            }
            let found = found.map(|found| read(config, key, &found)).transpose();
            found.map(Swapped::Conflict).map_err(|error| as_save(failure(NAME, error)))
        }
    }
}

fn read(config: &Config, key: &TokenKey, found: &Document) -> Result<StoredRecord, StoreError> {
    let snapshot = |token| config.snapshot(token, Provenance::Adopted);
    let record = stored_record::decode(found, key, snapshot)
        .map_err(|error| error.with_version(found.version()))?;
    Ok((record, found.version().number()))
}

/// One call of the store, within its time. A panic is a failure.
async fn call_store<T, F>(
    config: &Config,
    operation: &'static str,
    limit: Duration,
    call: impl FnOnce(Arc<dyn TokenStore>) -> F,
) -> Result<T, StoreFailure<Error>>
where
    F: Future<Output = Result<T, StoreError>>,
{
    let Some(store) = config.store.clone() else {
        return Err(failure(operation, StoreError::config("the session has no store")));
    };
    let call = AssertUnwindSafe(async { call(store).await }).catch_unwind();
    let late = || {
        let error = StoreError::unavailable(format!("no answer within {limit:?}"));
        StoreFailure { slow: true, ..failure(operation, error) }
    };
    let outcome = tokio::time::timeout(limit, call).await.map_err(|_| late())?;
    let panicked =
        |_| Err(StoreError::unavailable("the store panicked; see the panic message on stderr"));
    outcome.unwrap_or_else(panicked).map_err(|error| failure(operation, error))
}

fn failure(operation: &'static str, error: StoreError) -> StoreFailure<Error> {
    let unreadable = error.version().map(Version::number);
    let error = Error::from(error);
    observe::store_failed(operation, &error);
    StoreFailure { error, slow: false, unreadable }
}
