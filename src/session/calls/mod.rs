//! The calls of a session: of the store, the saver, the provider and the grant. Each has a time limit,
//! except those of the saver, which cannot be stopped.

mod revocation;
mod saver;
mod store;
mod token_request;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::time::Instant;
use tracing::Instrument;

use self::revocation::revoke;
use self::saver::{check_saver, save};
pub(super) use self::store::stored_token;
use self::store::{Replaced, StoredRecord, load, swap};
use self::token_request::present;
use super::driver::Driver;
use super::machine::{
    Action, Answer, FailureClass, Now, Presented, Purpose, Settings, StoreFailure, Swapped,
};
use super::snapshot::{SessionMachine, Snapshot};
use crate::error::{Error, Kind};
use crate::observe;

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
