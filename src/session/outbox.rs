//! `Outbox`: hands tokens to the saver, one at a time, until the newest is saved.
//!
//! One worker at a time calls the saver, so an older token can never be written over a newer one.
//! The worker is a detached flight: it outlives the renewal that started it. A token put in while
//! a call runs takes the place of one that waits, and is saved next. A failed call is made again
//! with backoff; a new token cuts the backoff short. If the runtime goes away, the token stays in
//! the outbox and the next `put` on another runtime starts a new worker.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::runtime::Handle;
use tokio::sync::{Notify, oneshot};

use super::flight::Flight;
use super::ledger::Backoff;
use crate::error::{BoxError, Error, Kind};
use crate::saver::TokenSaver;
use crate::token::Token;

/// A call of the saver that takes longer is dropped and made again: it may hang for ever.
const LONGEST_CALL: Duration = Duration::from_secs(60);

#[derive(Default)]
pub(crate) struct Outbox {
    slot: Mutex<Slot>,
    /// A newer token has come.
    renewed: Notify,
}

#[derive(Default)]
struct Slot {
    unsaved: Option<Unsaved>,
    worker: Option<Flight<()>>,
    /// Why the unsaved token is not saved yet.
    error: Option<Error>,
}

struct Unsaved {
    token: Arc<Token>,
    first_attempt: Option<oneshot::Sender<Result<(), Error>>>,
}

/// The end of the first attempt to save a token.
pub(crate) type FirstAttempt = oneshot::Receiver<Result<(), Error>>;

impl Outbox {
    /// Puts a token in, in place of any that still waits, and sees to it that a worker runs.
    pub(crate) fn put(
        self: &Arc<Self>,
        runtime: &Handle,
        saver: &Arc<dyn TokenSaver>,
        backoff: Backoff,
        token: Arc<Token>,
    ) -> FirstAttempt {
        let (first_attempt, outcome) = oneshot::channel();
        let mut slot = self.slot();
        slot.unsaved = Some(Unsaved { token, first_attempt: Some(first_attempt) });
        if slot.worker.as_ref().is_some_and(Flight::is_running) {
            self.renewed.notify_one();
        } else {
            let work = self.clone().work(saver.clone(), backoff);
            slot.worker = Some(Flight::launch(runtime, work));
        }
        outcome
    }

    /// The token that is not saved yet, and why.
    pub(crate) fn unsaved(&self) -> Option<(Arc<Token>, Option<Error>)> {
        let slot = self.slot();
        let unsaved = slot.unsaved.as_ref()?;
        Some((unsaved.token.clone(), slot.error.clone()))
    }

    async fn work(self: Arc<Self>, saver: Arc<dyn TokenSaver>, backoff: Backoff) {
        let mut failures = 0;
        loop {
            let Some(token) = self.next() else { return };
            let outcome = call(&*saver, &token).await;
            match &outcome {
                Ok(()) => tracing::debug!("token saved"),
                Err(error) => {
                    tracing::error!(
                        error = error as &dyn std::error::Error,
                        "token not saved, trying again"
                    );
                }
            }
            failures = if outcome.is_ok() { 0 } else { failures + 1 };
            self.settle(&token, outcome);
            if failures > 0 {
                let wait = tokio::time::sleep(backoff.transient(failures));
                tokio::select! {
                    () = wait => {}
                    () = self.renewed.notified() => {}
                }
            }
        }
    }

    /// The token to save now; without one the worker is over, under the same lock.
    fn next(&self) -> Option<Arc<Token>> {
        let mut slot = self.slot();
        if slot.unsaved.is_none() {
            slot.worker = None;
        }
        slot.unsaved.as_ref().map(|unsaved| unsaved.token.clone())
    }

    /// Records the outcome of a call, if its token is still the one to save.
    fn settle(&self, token: &Arc<Token>, outcome: Result<(), Error>) {
        let mut slot = self.slot();
        let Some(unsaved) =
            slot.unsaved.as_mut().filter(|unsaved| Arc::ptr_eq(&unsaved.token, token))
        else {
            return;
        };
        let waiting = unsaved.first_attempt.take();
        slot.error = outcome.as_ref().err().cloned();
        if outcome.is_ok() {
            slot.unsaved = None;
        }
        drop(slot);
        if let Some(waiting) = waiting {
            // Whoever waited may have gone on without.
            let _ = waiting.send(outcome);
        }
    }

    fn slot(&self) -> MutexGuard<'_, Slot> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One call of the saver; a panic or a minute without an end is a failure.
async fn call(saver: &dyn TokenSaver, token: &Arc<Token>) -> Result<(), Error> {
    let call = AssertUnwindSafe(async { saver.save(Token::clone(token)).await }).catch_unwind();
    match tokio::time::timeout(LONGEST_CALL, call).await {
        Ok(Ok(Ok(()))) => Ok(()),
        Ok(Ok(Err(source))) => Err(Error::new(Kind::Save(source))),
        Ok(Err(_)) => {
            Err(Error::new(Kind::Save(BoxError::from(Error::new(Kind::Panicked("the saver"))))))
        }
        Err(_) => Err(Error::new(Kind::SaveTimeout(LONGEST_CALL))),
    }
}
