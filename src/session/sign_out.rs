//! The end of a login.
//!
//! A flight like a renewal, so the two never run at once: a sign-out waits for a renewal under way
//! (its token is the one to revoke), and requests that need a token meanwhile wait for the
//! sign-out. Revoked first; only then is the token forgotten and deleted, so that a provider that
//! is down does not leave a login behind that nobody can end.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::core::{Core, runtime};
use super::flight::Flight;
use super::ledger::{Failure, Landing, Ledger};
use super::outbox::Entry;
use super::snapshot::Snapshot;
use crate::client::TokenKind;
use crate::error::{Error, Kind};

impl Core {
    pub(super) async fn sign_out(self: &Arc<Self>) -> Result<(), Error> {
        let (done, outcome) = oneshot::channel();
        loop {
            let under_way = {
                let mut ledger = self.ledger();
                let under_way = ledger.flight.clone().filter(Flight::is_running);
                if under_way.is_none() {
                    let work = sign_out(self.clone(), ledger.epoch, done);
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

async fn end(core: &Core, epoch: u64) -> Result<(), Error> {
    if let Err(error) = revoke(core).await {
        let mut ledger = core.ledger();
        if ledger.epoch == epoch {
            ledger.flight = None;
        }
        return Err(error);
    }
    let attempt = {
        let mut ledger = core.ledger();
        if ledger.epoch != epoch {
            // The application has set another token meanwhile: another login.
            return Ok(());
        }
        let why = "the session has signed out";
        let error = Error::new(Kind::Reauthorization { why, lost: false, cause: None });
        let failure = Some(Failure { error, attempts: 0, retry_at: None });
        *ledger = Ledger { epoch: epoch + 1, failure, ..Ledger::default() };
        let generation = core.current.load().generation + 1;
        core.current.store(Arc::new(Snapshot::empty(generation)));
        core.put(Entry::Delete)?
    };
    tracing::debug!("signed out");
    core.done(attempt).await
}

/// Revokes the refresh token, or the access token where there is none.
async fn revoke(core: &Core) -> Result<(), Error> {
    let present = core.current.load_full();
    let Some(client) =
        core.config.client.as_ref().filter(|client| client.endpoints().revocation.is_some())
    else {
        return Ok(());
    };
    match (present.refresh_token(), present.token()) {
        (Some(refresh_token), _) => client.revoke(refresh_token, TokenKind::RefreshToken).await,
        (None, Some(token)) => client.revoke(token.access_token(), TokenKind::AccessToken).await,
        (None, None) => Ok(()),
    }
}
