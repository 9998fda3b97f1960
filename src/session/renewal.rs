//! The renewal: what runs, detached, while requests wait or go on with the present token.
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

use super::core::Core;
use super::ledger::{Landing, Received};
use super::outbox::Entry;
use super::snapshot::{Origin, Snapshot};
use crate::error::{Disposition, Error, Kind};
use crate::grant::{self, GrantContext};
use crate::token::Token;

/// The wait before a refresh whose answer was lost is made once more.
const SECOND_TRY: Duration = Duration::from_millis(500);

/// Renews the present token; begins with one that was received before and is not yet in use.
pub(super) async fn renew(core: Arc<Core>, epoch: u64) -> Landing {
    let received = {
        let ledger = core.ledger();
        ledger.received.clone().filter(|_| ledger.epoch == epoch)
    };
    let received = match received {
        Some(received) => received,
        None => {
            let obtained = AssertUnwindSafe(obtain(&core, epoch)).catch_unwind().await;
            match obtained.unwrap_or_else(|_| Err(Error::new(Kind::Panicked("the grant")))) {
                Ok(token) => Received { token: Arc::new(token), given: false },
                Err(error) => return fail(&core, epoch, error),
            }
        }
    };
    match save(&core, epoch, &received).await {
        Err(error) if core.config.strict_saving => fail(&core, epoch, error),
        _ => publish(&core, epoch, received),
    }
}

/// Records the token as received and waits, within bounds, for its first save.
async fn save(core: &Core, epoch: u64, received: &Received) -> Result<(), Error> {
    let attempt = {
        let mut ledger = core.ledger();
        if ledger.epoch != epoch {
            return Ok(());
        }
        ledger.received = Some(received.clone());
        core.put(Entry::Save(received.token.clone()))?
    };
    core.done(attempt).await
}

fn publish(core: &Core, epoch: u64, Received { token, given }: Received) -> Landing {
    let mut ledger = core.ledger();
    if ledger.epoch != epoch {
        return Ok(None);
    }
    let before = core.current.load();
    let origin = match (given, before.rejected) {
        (true, _) => Origin::Given,
        (false, false) => Origin::Renewed,
        (false, true) => Origin::RenewedAfterRejection,
    };
    let snapshot =
        Arc::new(Snapshot::new(token.clone(), before.generation + 1, origin, &core.terms()));
    core.current.store(snapshot.clone());
    ledger.landed();
    drop(ledger);
    tracing::debug!(generation = snapshot.generation, expires_at = ?token.expires_at(), "token in use");
    core.announce(&token);
    Ok(Some(snapshot))
}

fn fail(core: &Core, epoch: u64, error: Error) -> Landing {
    let mut ledger = core.ledger();
    if ledger.epoch != epoch {
        return Ok(None);
    }
    ledger.lost_answer |= error.leaves_doubt();
    let error = if error.disposition() == Disposition::Final && !error.is_reauthorization_required()
    {
        tracing::error!(code = error.code(), "reauthorization required");
        let why = "the provider no longer accepts what the session renews with";
        Error::new(Kind::Reauthorization { why, lost: ledger.lost_answer, cause: Some(error) })
    } else {
        tracing::warn!(error = &error as &dyn std::error::Error, "renewal failed");
        error
    };
    ledger.fail(error.clone(), &core.config.backoff);
    ledger.flight = None;
    Err(error)
}

/// A new token: by the refresh token where there is one, else by the session's grant. A grant also
/// stands in for a refresh token that the provider no longer accepts.
async fn obtain(core: &Core, epoch: u64) -> Result<Token, Error> {
    let present = core.current.load_full();
    let config = &core.config;
    let refresh = match (&config.client, present.token(), present.refresh_token()) {
        (Some(client), Some(token), Some(refresh_token)) => Some((client, token, refresh_token)),
        _ => None,
    };
    if let Some((client, token, refresh_token)) = refresh {
        tracing::debug!(generation = present.generation, "refreshing the token");
        // In doubt until there is an answer, for this task may end with its runtime.
        let in_doubt_before = core.in_doubt(epoch, true);
        let mut outcome = grant::refresh(client, token, refresh_token).await;
        if !outcome.as_ref().is_err_and(is_lost) {
            core.in_doubt(epoch, in_doubt_before);
        }
        if let Some(lost) = outcome.as_ref().err().filter(|error| is_lost(error)) {
            tracing::warn!(
                error = lost as &dyn std::error::Error,
                "the answer was lost, refreshing once more"
            );
            tokio::time::sleep(SECOND_TRY.mul_f64(rand::random_range(0.5..=1.5))).await;
            outcome = grant::refresh(client, token, refresh_token).await;
        }
        match outcome {
            Err(error) if error.disposition() == Disposition::Final && config.grant.is_some() => {
                tracing::debug!(code = error.code(), "refresh token refused, asking the grant");
            }
            outcome => return outcome,
        }
    }
    let Some(grant) = &config.grant else {
        let why = "there is nothing to renew the token with";
        return Err(Error::new(Kind::Reauthorization { why, lost: false, cause: None }));
    };
    tracing::debug!("asking the grant for a token");
    let context = GrantContext {
        client: config.client.as_ref(),
        previous: present.token().map(|token| &**token),
    };
    match tokio::time::timeout(config.grant_timeout, grant.token(&context)).await {
        Ok(outcome) => outcome,
        Err(_) => Err(Error::new(Kind::GrantTimeout(config.grant_timeout))),
    }
}

/// The provider may have answered, and nobody heard: worth one more try at once.
fn is_lost(error: &Error) -> bool {
    matches!(error.kind(), Kind::Lost { .. } | Kind::Timeout { .. })
}
