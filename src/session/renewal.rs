//! The renewal: what runs, detached, while requests wait or go on with the present token.
//!
//! With a store, first a sibling's token is looked for, and the renewal waits for its turn; see
//! `turn`.
//!
//! Obtain, record as received (no await between the answer and that), save, publish. A renewal
//! that is cut off after the answer leaves the token in the ledger, so the next one starts with
//! saving it and presents no refresh token twice.
//!
//! A lost answer (cut connection, time-out) may hide a rotation. The same refresh token is then
//! presented once more within a second, as servers with a grace window expect; what fails after
//! that waits for the backoff. An `invalid_grant` that follows a lost answer says so, also where the
//! runtime went away with the request under way.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::time::Instant;

use super::core::Core;
use super::freshness::Stage;
use super::ledger::{Landing, Received, Source};
use super::outbox::Entry;
use super::shelf::{Shelf, Shelved, Stored};
use super::snapshot::{Origin, Snapshot};
use super::turn::{Hold, Turn, adoptable, turn};
use crate::error::{Error, Kind, RetryClass};
use crate::grant::{self, GrantContext};
use crate::jitter::between;
use crate::observe;
use crate::store::Version;
use crate::token::Token;

/// The wait before a refresh whose answer was lost is made once more, at least and at most.
const SECOND_TRY: (Duration, Duration) = (Duration::from_millis(250), Duration::from_millis(750));

/// Renews the present token; begins with one that was received before and is not yet in use.
pub(super) async fn renew(core: Arc<Core>, epoch: u64) -> Landing {
    let received = {
        let ledger = core.ledger();
        if ledger.epoch != epoch {
            return Ok(None);
        }
        ledger.received.clone()
    };
    let began = Instant::now();
    let by_the_application =
        received.as_ref().is_some_and(|received| received.from == Source::Application);
    let ended_before = known_end(&core).is_some();
    let nobody = core.current.load().token().is_none();
    if !by_the_application {
        let (cause, generation) = cause(&core);
        observe::renewal_started(cause, generation);
    }
    let landing = land(&core, epoch, received).await;
    let took = began.elapsed();
    match &landing {
        Ok(None) => observe::renewal_discarded(),
        Ok(Some(snapshot)) => report(snapshot, took),
        Err(error) if !error.is_reauthorization_required() => {
            let attempt = core.ledger().failure.as_ref().map_or(1, |failure| failure.attempts);
            observe::renewal_failed(error, attempt, took);
        }
        // Looked into again each second, where siblings may bring a new login; or nobody has ever
        // logged in.
        Err(error) if ended_before || (nobody && error.error_code().is_none()) => {
            observe::reauthorization_still_required(error)
        }
        Err(error) => observe::reauthorization_required(error, took),
    }
    landing
}

/// Why the present token is renewed, and which one it is.
fn cause(core: &Core) -> (&'static str, u64) {
    let current = core.current.load();
    let cause = match current.freshness.stage(core.config.clock.now()) {
        _ if current.token().is_none() => "no_token",
        _ if current.rejected => "rejected",
        Stage::Expired => "expired",
        Stage::Due => "due",
        Stage::Fresh => "manual",
    };
    (cause, current.generation)
}

fn report(snapshot: &Snapshot, took: Duration) {
    let (generation, lifetime) =
        (snapshot.generation, snapshot.token().and_then(|token| token.lifetime()));
    match snapshot.origin {
        Origin::Given => observe::token_set(generation, lifetime),
        Origin::Renewed | Origin::RenewedAfterRejection => {
            observe::renewal_finished(generation, lifetime, took);
        }
        Origin::Adopted => observe::token_adopted(generation, lifetime, took),
    }
}

async fn land(core: &Arc<Core>, epoch: u64, received: Option<Received>) -> Landing {
    match (received, core.shelf()) {
        (Some(received), _) => settle(core, epoch, received, None).await,
        (None, Some(shelf)) => renew_in_turn(core, epoch, &shelf).await,
        (None, None) => {
            let base = core.current.load().token().cloned();
            match obtained(core, epoch, base).await {
                Ok(received) => settle(core, epoch, received, None).await,
                Err(error) => fail(core, epoch, error),
            }
        }
    }
}

/// Renews the stored token, unless a sibling has done so.
async fn renew_in_turn(core: &Arc<Core>, epoch: u64, shelf: &Shelf) -> Landing {
    let (base, hold) = match take_turn(core, shelf).await {
        Ok(Turn::Adopt(token, version)) => return adopt(core, epoch, token, version),
        Ok(Turn::Renew(base, hold)) => (base, Some(hold)),
        Err(error) => match known_end(core) {
            Some(end) => return fail(core, epoch, end),
            None if may_go_unrecorded(core, &error) => {
                observe::renewing_without_store(&error);
                (core.current.load().token().cloned(), None)
            }
            None => return fail(core, epoch, error),
        },
    };
    match obtained(core, epoch, base).await {
        Ok(received) => settle(core, epoch, received, hold).await,
        Err(error) if error.error_code() == Some("invalid_grant") => {
            match end_for_all(core, shelf).await {
                Some((token, version)) => adopt(core, epoch, token, version),
                None => fail(core, epoch, error),
            }
        }
        Err(error) => fail(core, epoch, error),
    }
}

/// The turn to renew; not before our last token is saved, for it is the one to renew.
async fn take_turn(core: &Arc<Core>, shelf: &Shelf) -> Result<Turn, Error> {
    if let Some((entry, _)) = core.outbox.pending() {
        core.done(core.put(entry, None)?).await?;
    }
    turn(core, shelf).await
}

/// That the login had ended when there was last an answer.
fn known_end(core: &Core) -> Option<Error> {
    let ledger = core.ledger();
    let error = &ledger.failure.as_ref()?.error;
    error.is_reauthorization_required().then(|| error.clone())
}

/// Whether the token may be renewed although the store cannot record it. A refresh token that may
/// rotate is not: the siblings would go on to present the old one.
fn may_go_unrecorded(core: &Core, error: &Error) -> bool {
    let rotates = core.current.load().refresh_token().is_some();
    let allowed = if rotates { core.config.unrecorded } else { core.config.grant.is_some() };
    (error.is_store() || error.is_save()) && allowed
}

/// The provider refused the refresh token. The siblings are told, so that none of them presents it
/// again; unless one of them has replaced it, and then this is its token.
async fn end_for_all(core: &Core, shelf: &Shelf) -> Option<(Arc<Token>, Version)> {
    match shelf.save(None, core.outbox.version(), false).await.ok()? {
        Shelved::Saved(version) => {
            core.outbox.learn(Some(version));
            None
        }
        Shelved::Lost(stored) => match adoptable(core, &stored) {
            Ok(Some(Turn::Adopt(token, version))) => Some((token, version)),
            _ => None,
        },
    }
}

/// Saves, then uses.
async fn settle(core: &Arc<Core>, epoch: u64, received: Received, hold: Option<Hold>) -> Landing {
    let saved = save(core, epoch, &received, hold).await;
    match core.outbox.lost_to() {
        Some(Stored::Token(token, version)) => return adopt(core, epoch, token, version),
        Some(Stored::Ended(_) | Stored::Nothing) => {
            let why = "the login was ended while its token was being renewed";
            let error = Error::new(Kind::Reauthorization { why, lost: false, cause: None });
            return fail(core, epoch, error);
        }
        None => {}
    }
    match saved {
        Err(error) if core.config.strict_saving => fail(core, epoch, error),
        _ => {
            let from = match received.from {
                Source::Application => Origin::Given,
                Source::Renewal if core.current.load().rejected => Origin::RenewedAfterRejection,
                Source::Renewal => Origin::Renewed,
            };
            publish(core, epoch, received.token, from)
        }
    }
}

/// Uses what a sibling has put into the store.
fn adopt(core: &Core, epoch: u64, token: Arc<Token>, version: Version) -> Landing {
    core.outbox.learn(Some(version));
    publish(core, epoch, token, Origin::Adopted)
}

async fn obtained(core: &Core, epoch: u64, base: Option<Arc<Token>>) -> Result<Received, Error> {
    let obtained = AssertUnwindSafe(obtain(core, epoch, base)).catch_unwind().await;
    let token = obtained.unwrap_or_else(|_| Err(Error::new(Kind::Panicked("the grant"))))?;
    Ok(Received { token: Arc::new(token), from: Source::Renewal })
}

/// Records the token as received and waits, within bounds, for its first save.
async fn save(
    core: &Arc<Core>,
    epoch: u64,
    received: &Received,
    hold: Option<Hold>,
) -> Result<(), Error> {
    let attempt = {
        let mut ledger = core.ledger();
        if ledger.epoch != epoch {
            return Ok(());
        }
        ledger.received = Some(received.clone());
        let token = received.token.clone();
        let entry = match received.from {
            Source::Application => Entry::Set(token),
            Source::Renewal => Entry::Save(token),
        };
        core.put(entry, hold)?
    };
    core.done(attempt).await
}

fn publish(core: &Core, epoch: u64, token: Arc<Token>, from: Origin) -> Landing {
    let mut ledger = core.ledger();
    if ledger.epoch != epoch {
        return Ok(None);
    }
    let generation = core.current.load().generation + 1;
    let snapshot = Arc::new(Snapshot::new(token.clone(), generation, from, &core.terms()));
    core.current.store(snapshot.clone());
    ledger.landed();
    drop(ledger);
    core.announce(&token);
    Ok(Some(snapshot))
}

fn fail(core: &Core, epoch: u64, error: Error) -> Landing {
    let mut ledger = core.ledger();
    if ledger.epoch != epoch {
        return Ok(None);
    }
    ledger.lost_answer |= error.leaves_doubt();
    let error =
        if error.retry_class() == RetryClass::Permanent && !error.is_reauthorization_required() {
            let why = "the provider no longer accepts what the session renews with";
            Error::new(Kind::Reauthorization { why, lost: ledger.lost_answer, cause: Some(error) })
        } else {
            error
        };
    ledger.fail(error.clone(), &core.config.backoff, core.config.store.is_some());
    ledger.flight = None;
    Err(error)
}

/// A new token: by the refresh token where there is one, else by the session's grant. A grant also
/// stands in for a refresh token that the provider no longer accepts.
async fn obtain(core: &Core, epoch: u64, base: Option<Arc<Token>>) -> Result<Token, Error> {
    let base = base.as_deref();
    let config = &core.config;
    let refresh = match (&config.client, base, base.and_then(Token::refresh_token)) {
        (Some(client), Some(token), Some(refresh_token)) => Some((client, token, refresh_token)),
        _ => None,
    };
    if let Some((client, token, refresh_token)) = refresh {
        // In doubt until there is an answer, for this task may end with its runtime.
        let in_doubt_before = core.in_doubt(epoch, true);
        let mut outcome = grant::refresh(client, token, refresh_token).await;
        if !outcome.as_ref().is_err_and(is_lost) {
            core.in_doubt(epoch, in_doubt_before);
        }
        if let Some(lost) = outcome.as_ref().err().filter(|error| is_lost(error)) {
            observe::response_lost(lost);
            tokio::time::sleep(between(SECOND_TRY.0, SECOND_TRY.1)).await;
            if core.ledger().epoch != epoch {
                // The application has set another token: this one's refresh token is no longer ours.
                return outcome;
            }
            outcome = grant::refresh(client, token, refresh_token).await;
        }
        match outcome {
            Err(error)
                if error.retry_class() == RetryClass::Permanent && config.grant.is_some() =>
            {
                observe::refresh_token_refused(&error);
            }
            outcome => return outcome,
        }
    }
    let Some(grant) = &config.grant else {
        let why = "there is nothing to renew the token with";
        return Err(Error::new(Kind::Reauthorization { why, lost: false, cause: None }));
    };
    let context = GrantContext { client: config.client.as_ref(), previous_token: base };
    match tokio::time::timeout(config.grant_timeout, grant.token(&context)).await {
        Ok(outcome) => outcome,
        Err(_) => Err(Error::new(Kind::GrantTimeout(config.grant_timeout))),
    }
}

/// The provider may have answered, and nobody heard: worth one more try at once.
fn is_lost(error: &Error) -> bool {
    matches!(error.kind(), Kind::ResponseLost { .. } | Kind::Timeout { .. })
}
