//! The calls of a session: of the store, the saver, the provider and the grant. Each has a time limit,
//! except those of the saver, which cannot be stopped.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, join_all};
use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;
use tracing::Instrument;

use super::config::Config;
use super::driver::Driver;
use super::machine::{
    Action, Answer, FailureClass, Home, Now, Presented, Purpose, Record, Settings, State,
    StoreFailure, Swapped, Target,
};
use super::snapshot::{Provenance, SessionMachine, Snapshot};
use super::stored_record;
use crate::client::{OAuthClient, TokenTypeHint};
use crate::clock;
use crate::error::{BoxError, Error, Kind, RetryClass};
use crate::grant::{self, GrantContext};
use crate::observe;
use crate::saver::SaverGone;
use crate::store::{StoreError, SwapOutcome, TokenKey, TokenStore, Version};
use crate::token::Token;

/// Of a conflict with the very version that the swap expects.
const NOT_REPLACED: &str = "the record has the expected version and was not replaced; a policy or a trigger of \
                            the database may forbid it, or a replica answered that is behind";

type StoredRecord = (Record<Arc<Snapshot>, Error>, i64);

/// The result of a call.
pub(super) enum Done {
    Loaded(u32, Result<Option<StoredRecord>, StoreFailure<Error>>),
    Swapped(u32, Result<Swapped<Arc<Snapshot>, Error>, StoreFailure<Error>>),
    Answered(Presented<Arc<Snapshot>>, Answer<Arc<Snapshot>, Error>),
    Saved(u32, Result<(), Error>),
    Revoked(Result<(), Error>),
}

impl Done {
    pub(super) fn tell(self, machine: &mut SessionMachine, settings: &Settings, now: &Now) {
        match self {
            Self::Loaded(call, outcome) => machine.loaded(call, outcome, settings, now),
            Self::Swapped(call, outcome) => machine.swapped(call, outcome, settings, now),
            Self::Answered(request, answer) => machine.answered(request, answer, settings, now),
            Self::Saved(call, outcome) => machine.saved(call, outcome, settings, now),
            Self::Revoked(outcome) => machine.revoked(outcome, settings, now),
        }
    }
}

/// Does what the machine wants. `sent` is the token request that has begun last.
pub(super) fn perform(
    driver: Arc<Driver>,
    action: Action<Arc<Snapshot>, Error>,
    sent: Arc<AtomicU32>,
) -> BoxFuture<'static, Done> {
    let config = driver.config.clone();
    match action {
        Action::Load { call } => {
            async move { Done::Loaded(call, load(&config, &driver.key()).await) }.boxed()
        }
        Action::Swap { call, purpose, expected, unreadable, record } => {
            // An outcome may also be that there is nothing to save.
            let is_save = matches!(purpose, Purpose::Login | Purpose::Outcome)
                && driver.peek(|machine| machine.is_unsaved());
            async move {
                let replaced = Replaced { version: expected, unreadable };
                let outcome =
                    swap(&config, &driver.key(), (purpose, is_save), replaced, &record).await;
                Done::Swapped(call, outcome)
            }
            .boxed()
        }
        Action::Present { request, limit } => async move {
            let began = Instant::now();
            if let Err(error) = check_saver(&config, &request, limit).await {
                return Done::Answered(
                    request,
                    Answer::Failed(error, FailureClass::Transient(None)),
                );
            }
            // Limits are shown, and have no fractions of a millisecond.
            let spent = began.elapsed().as_millis().try_into().unwrap_or(u64::MAX);
            let limit = limit.saturating_sub(Duration::from_millis(spent));
            if !driver.lock().machine().is_current(&request) {
                // Its login was replaced before it began: do not present its refresh token any
                // more.
                let class = FailureClass::Transient(None);
                return Done::Answered(request, Answer::Failed(Error::new(Kind::Runtime), class));
            }
            sent.store(request.id, Ordering::Relaxed);
            let answer = present(&config, &request, limit).await;
            Done::Answered(request, answer)
        }
        .boxed(),
        Action::Save { call, token } => {
            let span = observe::saving(config.span_fields());
            async move { Done::Saved(call, save(&config, Some(&token)).await) }
                .instrument(span)
                .boxed()
        }
        Action::Delete { call } => {
            let span = observe::saving(config.span_fields());
            async move { Done::Saved(call, save(&config, None).await) }.instrument(span).boxed()
        }
        Action::Revoke { token } => {
            async move { Done::Revoked(revoke(&config, &token).await) }.boxed()
        }
    }
}

async fn load(
    config: &Config,
    key: &TokenKey,
) -> Result<Option<StoredRecord>, StoreFailure<Error>> {
    let load = |store: Arc<dyn TokenStore>| async move { store.load(key).await };
    let found = call_store(config, "load", config.store_timeout, load).await?;
    let found = found.map(|found| read(config, key, &found)).transpose();
    found.map_err(|error| failure("load", error))
}

/// The token that is in the store now. Who looks learns nothing else, and changes nothing.
pub(super) async fn stored_token(config: &Config, key: &TokenKey) -> Option<Arc<Snapshot>> {
    let (record, _) = load(config, key).await.ok()??;
    record.token().cloned()
}

/// What a swap replaces.
struct Replaced {
    version: Option<i64>,
    unreadable: bool,
}

async fn swap(
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
    let document = if replaced.unreadable { document.replacing_unreadable() } else { document };
    let expected = replaced.version.map(Version::from_number);
    let document = &document;
    let swap = |store: Arc<dyn TokenStore>| async move {
        store.compare_and_swap(key, expected, document).await
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
            if found.as_ref().map(crate::store::Record::version) == expected {
                return Err(as_save(failure(NAME, StoreError::unavailable(NOT_REPLACED))));
            }
            let found = found.map(|found| read(config, key, &found)).transpose();
            found.map(Swapped::Conflict).map_err(|error| as_save(failure(NAME, error)))
        }
    }
}

fn read(
    config: &Config,
    key: &TokenKey,
    found: &crate::store::Record,
) -> Result<StoredRecord, StoreError> {
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

/// Whether what a refresh token brings could be saved.
async fn check_saver(
    config: &Config,
    request: &Presented<Arc<Snapshot>>,
    limit: Duration,
) -> Result<(), Error> {
    let saver = config.saver.as_ref().filter(|_| config.settings.home == Home::Saver);
    let Some(saver) = saver.filter(|_| request.refresh) else { return Ok(()) };
    let limit = limit.min(config.settings.save_wait);
    let call = AssertUnwindSafe(async { saver.check().await }).catch_unwind();
    let why = match tokio::time::timeout(limit, call).await {
        Ok(Ok(outcome)) => outcome.err(),
        Ok(Err(_)) => Some(Error::new(Kind::Panicked("the saver")).into()),
        Err(_) => Some(format!("its check took longer than {limit:?}").into()),
    };
    why.map_or(Ok(()), |why| Err(Error::new(Kind::CannotSave(why))))
}

async fn present(
    config: &Config,
    request: &Presented<Arc<Snapshot>>,
    limit: Duration,
) -> Answer<Arc<Snapshot>, Error> {
    let token = request.token.as_ref().and_then(|snapshot| snapshot.token());
    let token = token.map(|token| &**token);
    let refresh = match (&config.client, token, token.and_then(Token::refresh_token)) {
        (Some(client), Some(token), Some(refresh_token)) if request.refresh => {
            Some(refresh(client, token, refresh_token, &request.target, limit))
        }
        _ => None,
    };
    let is_refresh = refresh.is_some();
    let outcome = match refresh {
        Some(refresh) => refresh.await,
        None => ask_grant(config, token, limit).await,
    };
    let error = match outcome {
        Ok(token) => {
            let old = request.token.as_deref();
            return Answer::Token(Arc::new(config.renewed(old, token, &request.target)));
        }
        Err(error) => error,
    };
    let (error, new) = error.split_refresh_token(token.and_then(Token::refresh_token));
    let retry_after = error.retry_after();
    if let Some(new) = new {
        return Answer::Rotated(rotated(config, request.token.as_deref(), new), error, retry_after);
    }
    if is_refresh && matches!(error.kind(), Kind::ResponseLost { .. } | Kind::Timeout { .. }) {
        return Answer::Lost(error);
    }
    if !request.target.is_own() && error.refuses_target() {
        return Answer::TargetRefused(error, retry_after);
    }
    match error.retry_class() {
        RetryClass::Permanent if is_refresh => Answer::Refused(error),
        RetryClass::Foreign => {
            let in_doubt = error.leaves_doubt();
            Answer::Failed(error, FailureClass::Foreign { in_doubt, retry_after })
        }
        RetryClass::Transient => Answer::Failed(error, FailureClass::Transient(retry_after)),
        RetryClass::Misconfigured | RetryClass::Permanent => {
            Answer::Failed(error, FailureClass::Misconfigured(retry_after))
        }
    }
}

/// The login's token after a refresh for this target.
async fn refresh(
    client: &OAuthClient,
    old: &Token,
    refresh_token: &str,
    target: &Target,
    left: Duration,
) -> Result<Token, Error> {
    let new = grant::refresh(client, old, refresh_token, target.key(), left).await?;
    Ok(match target.key() {
        None => new.fill_missing_from(old),
        Some(key) => old.clone().with_other(key.into(), new),
    })
}

/// The old token with a new refresh token; that alone where there was none.
fn rotated(config: &Config, old: Option<&Snapshot>, new: SecretString) -> Arc<Snapshot> {
    let new = new.expose_secret();
    Arc::new(match old.and_then(|old| Some((old, old.token()?))) {
        Some((old, token)) => old.with_refresh_token(Token::clone(token).with_refresh_token(new)),
        None => config.snapshot(Token::only_refresh_token(new.to_owned()), Provenance::Given),
    })
}

async fn ask_grant(
    config: &Config,
    previous_token: Option<&Token>,
    limit: Duration,
) -> Result<Token, Error> {
    let Some(grant) = &config.grant else {
        return Err(Error::config("the session has no grant to ask"));
    };
    let asked_at = clock::to_date(config.clock.now());
    let context = GrantContext { client: config.client.as_ref(), previous_token };
    let limit = limit.min(config.grant_timeout);
    let call = AssertUnwindSafe(async { grant.token(&context).await }).catch_unwind();
    match tokio::time::timeout(limit, call).await {
        Ok(Ok(Err(error))) if matches!(error.kind(), Kind::Grant { permanent: true, .. }) => {
            let why = "the grant says that it will not succeed";
            Err(Error::new(Kind::Reauthorization { why, lost: false, cause: Some(error) }))
        }
        Ok(Ok(outcome)) => issued(outcome?, previous_token, asked_at),
        Ok(Err(_)) => Err(Error::new(Kind::Panicked("the grant"))),
        Err(_) => Err(Error::new(Kind::GrantTimeout(config.settings.grant_limit))),
    }
}

/// An application's grant may present the refresh token itself, and like a provider it may leave out
/// what stays the same.
fn issued(token: Token, previous: Option<&Token>, asked_at: DateTime<Utc>) -> Result<Token, Error> {
    if token.header().is_none() {
        return Err(Error::config("the grant returned a token without an access token"));
    }
    let (token, claims_the_past) = token.issued(asked_at);
    if claims_the_past {
        observe::token_already_expired();
    }
    Ok(match previous {
        Some(previous) => token.fill_missing_from(previous),
        None => token,
    })
}

/// One call of the saver; `None`: to delete what was saved. It has no limit: see `machine/own.rs`.
async fn save(config: &Config, snapshot: Option<&Arc<Snapshot>>) -> Result<(), Error> {
    let Some(saver) = &config.saver else { return Ok(()) };
    let token = snapshot.and_then(|snapshot| snapshot.token()).map(|token| &**token);
    let call = AssertUnwindSafe(async {
        match token {
            Some(token) => saver.save(token.clone()).await,
            None => saver.delete().await,
        }
    });
    let failure = |source| {
        let source = match token {
            Some(token) => without_secrets(token, source),
            None => source,
        };
        Error::new(if token.is_some() { Kind::Save(source) } else { Kind::Delete(source) })
    };
    let began = Instant::now();
    match call.catch_unwind().await {
        Ok(Ok(())) => {
            match token {
                Some(_) => observe::token_saved(began.elapsed()),
                None => observe::token_deleted(began.elapsed()),
            }
            Ok(())
        }
        Ok(Err(error)) if error.is::<SaverGone>() => {
            // Another attempt would end the same way, and this task would never end.
            observe::saver_gone();
            Ok(())
        }
        Ok(Err(error)) => Err(failure(error)),
        Err(_) => Err(failure(Error::new(Kind::Panicked("the saver")).into())),
    }
}

/// The error as it is, unless it or a cause of it repeats what was to be saved.
fn without_secrets(token: &Token, error: BoxError) -> BoxError {
    // There may be no access token.
    let secrets = [Some(token.access_token()), token.refresh_token()];
    let secrets = secrets.map(|secret| secret.filter(|secret| !secret.is_empty()));
    let tells = |text: &str| secrets.iter().flatten().any(|secret| text.contains(secret));
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&*error);
    while let Some(error) = cause {
        if tells(&error.to_string()) || tells(&format!("{error:?}")) {
            return "the saver's own error repeats the token, so it is not shown".into();
        }
        cause = error.source();
    }
    error
}

/// How many access tokens are revoked at a time.
const REVOCATIONS: usize = 4;

/// Revokes the refresh token, then the access tokens. With most providers the first revocation ends
/// everything. Otherwise another session could use an access token until it expires.
async fn revoke(config: &Config, snapshot: &Arc<Snapshot>) -> Result<(), Error> {
    let (Some(client), Some(token)) = (&config.client, snapshot.token()) else { return Ok(()) };
    let refresh_token = match token.refresh_token() {
        Some(refresh_token) => client.revoke(refresh_token, TokenTypeHint::RefreshToken).await,
        None => Ok(()),
    };
    // If there is no response to the first request, there will be none to the second.
    if refresh_token.as_ref().is_err_and(Error::is_transient) {
        return refresh_token;
    }
    let own = Some(&**token).filter(|token| !token.access_token().is_empty());
    let access_tokens = own.into_iter().chain(token.others().map(|(_, other)| other));
    let access_tokens: Vec<&Token> = access_tokens.collect();
    let mut outcome = refresh_token;
    for some in access_tokens.chunks(REVOCATIONS) {
        let some = some.iter().map(|token| revoke_access_token(client, token).boxed());
        outcome = join_all(some).await.into_iter().fold(outcome, Result::and);
    }
    outcome
}

async fn revoke_access_token(client: &OAuthClient, token: &Token) -> Result<(), Error> {
    match client.revoke(token.access_token(), TokenTypeHint::AccessToken).await {
        // "the authorization server does not support the revocation of the presented token type"
        // (RFC 7009 §2.2.1): it ends by itself.
        Err(error) if error.has_code("unsupported_token_type") => Ok(()),
        outcome => outcome,
    }
}
