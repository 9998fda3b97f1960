//! The end of a login.
//!
//! A flight like a renewal, so the two never run at once: a sign-out waits for a renewal under way
//! (its token is the one to revoke), and requests that need a token meanwhile wait for the
//! sign-out. Revoked first; only then is the token forgotten and deleted, so that a provider that
//! is down does not leave a login behind that nobody can end.

use std::sync::Arc;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::core::{Core, runtime};
use super::flight::Flight;
use super::ledger::{Failure, Landing, Ledger};
use super::outbox::Entry;
use super::snapshot::Snapshot;
use super::turn::{self, Hold};
use crate::client::TokenTypeHint;
use crate::error::{Error, Kind};
use crate::observe;

impl Core {
    pub(crate) async fn sign_out(self: &Arc<Self>) -> Result<(), Error> {
        let (done, outcome) = oneshot::channel();
        let epoch = self.ledger().epoch;
        loop {
            let under_way = {
                let mut ledger = self.ledger();
                if ledger.epoch != epoch {
                    // The application has set another token meanwhile: another login, which stays.
                    return Ok(());
                }
                let under_way = ledger.flight.clone().filter(Flight::is_running);
                if under_way.is_none() {
                    let work = sign_out(self.clone(), epoch, done);
                    ledger.flight = Some(Flight::launch(&runtime()?, work));
                    break;
                }
                under_way
            };
            if let Some(flight) = under_way {
                let _ = flight.landed().await;
            }
        }
        outcome.await.unwrap_or_else(|_| Err(Error::new(Kind::Runtime)))
    }
}

/// Whoever joined it boards anew, and finds the session signed out, or going on.
async fn sign_out(
    core: Arc<Core>,
    epoch: u64,
    done: oneshot::Sender<Result<(), Error>>,
) -> Landing {
    let outcome = end(&core, epoch).await;
    // Whoever asked may be gone.
    let _ = done.send(outcome);
    Ok(None)
}

async fn end(core: &Arc<Core>, epoch: u64) -> Result<(), Error> {
    let hold = match revoke(core, epoch).await {
        Ok(hold) => hold,
        Err(error) => {
            observe::sign_out_failed(&error);
            let mut ledger = core.ledger();
            if ledger.epoch == epoch {
                ledger.flight = None;
            }
            return Err(error);
        }
    };
    let attempt = {
        let mut ledger = core.ledger();
        if ledger.epoch != epoch {
            // The application has set another token meanwhile: another login.
            return Ok(());
        }
        let why = "the session has signed out";
        let error = Error::new(Kind::Reauthorization { why, lost: false, cause: None });
        // Somebody may log in again through a sibling.
        let siblings = core.config.store.is_some();
        let retry_at = siblings.then(|| Instant::now() + core.config.backoff.shortest);
        let failure = Some(Box::new(Failure { error, attempts: 0, retry_at }));
        *ledger = Ledger { epoch: epoch + 1, failure, ..Ledger::default() };
        let generation = core.current.load().generation + 1;
        core.current.store(Arc::new(Snapshot::empty(generation)));
        core.put(Entry::Delete, hold)?
    };
    observe::signed_out();
    core.done(attempt).await
}

/// Revokes the refresh token, or the access token where there is none: those in the store, where
/// siblings may have renewed them, with the lease that keeps these from doing so meanwhile.
async fn revoke(core: &Core, epoch: u64) -> Result<Option<Hold>, Error> {
    let (token, hold) = match core.shelf() {
        Some(shelf) => {
            let (token, hold) = turn::last(core, &shelf).await?;
            (token, Some(hold))
        }
        None => {
            // One that is not in use yet, for it is not saved, has replaced the one that is.
            let received = core.ledger().received.as_ref().map(|received| received.token.clone());
            (received.or_else(|| core.current.load().token().cloned()), None)
        }
    };
    // Not that of another login, which the application has set since.
    let token = token.filter(|_| core.ledger().epoch == epoch);
    let client =
        core.config.client.as_ref().filter(|client| client.endpoints().revocation.is_some());
    if let (Some(client), Some(token)) = (client, token) {
        match token.refresh_token() {
            Some(refresh_token) => {
                client.revoke(refresh_token, TokenTypeHint::RefreshToken).await?
            }
            None => client.revoke(token.access_token(), TokenTypeHint::AccessToken).await?,
        }
    }
    Ok(hold)
}
