//! `Outbox`: hands tokens to the saver or the store, one at a time, until the newest is saved; after a
//! sign-out it has what was saved deleted, in the same order.
//!
//! One worker at a time calls the saver, so an older token can never be written over a newer one.
//! The worker is a detached flight: it outlives the renewal that started it. A token put in while
//! a call runs takes the place of one that waits, and is saved next. A failed call is made again
//! with backoff; a new token cuts the backoff short. If the runtime goes away, the token stays in
//! the outbox and the next `put` on another runtime starts a new worker.
//!
//! With a store it also knows the version that the session's token replaces, and keeps the lease
//! until the token is saved: a sibling must not present the refresh token that it replaces.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::runtime::Handle;
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;
use tracing::{Instrument, Span};

use super::flight::Flight;
use super::ledger::Backoff;
use super::shelf::{Shelf, Shelved, Stored};
use super::turn::Hold;
use crate::error::{BoxError, Error, Kind};
use crate::observe;
use crate::saver::TokenSaver;
use crate::store::Version;
use crate::token::Token;

/// A call of the saver that takes longer is dropped and made again: it may hang for ever.
const LONGEST_CALL: Duration = Duration::from_secs(60);

#[derive(Default)]
pub(crate) struct Outbox(Mutex<Slot>);

#[derive(Default)]
struct Slot {
    /// What the store held when this session last knew.
    version: Option<Version>,
    /// Boxed: most sessions have nothing to save for most of the time.
    busy: Option<Box<Busy>>,
}

#[derive(Default)]
struct Busy {
    unsaved: Option<Unsaved>,
    worker: Option<Flight<()>>,
    /// A newer entry has come.
    renewed: Arc<Notify>,
    /// Why the unsaved token is not saved yet.
    error: Option<Error>,
    /// What a sibling had put into the store before us.
    lost_to: Option<Stored>,
    /// The lease, until all is saved.
    hold: Option<Hold>,
}

/// Where entries go.
#[derive(Clone)]
pub(crate) enum Destination {
    Saver(Arc<dyn TokenSaver>),
    Store(Shelf),
}

struct Unsaved {
    entry: Entry,
    /// Who waits for the next attempt at it.
    waiting: Vec<oneshot::Sender<Result<(), Error>>>,
    _counted: observe::UnsavedGauge,
}

/// What the saver is to do.
#[derive(Clone)]
pub(crate) enum Entry {
    Save(Arc<Token>),
    /// Save what the application set, whatever a sibling has saved meanwhile.
    Set(Arc<Token>),
    /// Delete what was saved: that login, not another that a sibling has begun meanwhile.
    Delete,
}

impl Entry {
    fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Save(one) | Self::Set(one), Self::Save(other) | Self::Set(other)) => {
                Arc::ptr_eq(one, other)
            }
            (Self::Delete, Self::Delete) => true,
            _ => false,
        }
    }

    /// The error as it is, unless it or a cause of it repeats what was to be saved.
    fn without_secrets(&self, error: BoxError) -> BoxError {
        let (Self::Save(token) | Self::Set(token)) = self else { return error };
        let tells = |text: &str| {
            text.contains(token.access_token())
                || token.refresh_token().is_some_and(|secret| text.contains(secret))
        };
        let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&*error);
        while let Some(error) = cause {
            if tells(&error.to_string()) || tells(&format!("{error:?}")) {
                return "the saver's own error repeats the token, so it is not shown".into();
            }
            cause = error.source();
        }
        error
    }
}

/// The end of the first attempt at an entry.
pub(crate) type FirstAttempt = oneshot::Receiver<Result<(), Error>>;

impl Outbox {
    /// Puts an entry in, in place of any other that still waits, and sees to it that a worker runs.
    /// The worker keeps the session alive until all is saved.
    pub(crate) fn put<H>(
        home: &Arc<H>,
        runtime: &Handle,
        span: Span,
        destination: Destination,
        backoff: Backoff,
        entry: Entry,
        hold: Option<Hold>,
    ) -> FirstAttempt
    where
        H: AsRef<Self> + Send + Sync + 'static,
    {
        let (first_attempt, outcome) = oneshot::channel();
        let mut slot = (**home).as_ref().slot();
        let busy = slot.busy.get_or_insert_default();
        let same = busy.unsaved.take().filter(|unsaved| unsaved.entry.is(&entry));
        let mut waiting = same.map(|unsaved| unsaved.waiting).unwrap_or_default();
        waiting.push(first_attempt);
        busy.unsaved = Some(Unsaved { entry, waiting, _counted: observe::UnsavedGauge::new() });
        busy.hold = hold.or(busy.hold.take());
        busy.lost_to = None;
        if busy.worker.as_ref().is_some_and(Flight::is_running) {
            busy.renewed.notify_one();
        } else {
            let work = work(home.clone(), destination, backoff).instrument(span);
            busy.worker = Some(Flight::launch(runtime, work));
        }
        outcome
    }

    /// What is not done yet, and why.
    pub(crate) fn pending(&self) -> Option<(Entry, Option<Error>)> {
        let slot = self.slot();
        let busy = slot.busy.as_ref()?;
        Some((busy.unsaved.as_ref()?.entry.clone(), busy.error.clone()))
    }

    /// What the store held when this session last knew.
    pub(crate) fn version(&self) -> Option<Version> {
        self.slot().version
    }

    /// The store holds this, and the session's token replaces it.
    pub(crate) fn learn(&self, version: Option<Version>) {
        self.slot().version = version;
    }

    /// What a sibling had put into the store before us; told once.
    pub(crate) fn lost_to(&self) -> Option<Stored> {
        let mut slot = self.slot();
        let lost_to = slot.busy.as_mut()?.lost_to.take();
        slot.tidy();
        lost_to
    }

    /// What to do now; with nothing to do the worker is over, under the same lock.
    fn next(&self) -> Option<(Entry, Option<Version>)> {
        let mut slot = self.slot();
        let version = slot.version;
        let busy = slot.busy.as_mut()?;
        let entry = busy.unsaved.as_ref().map(|unsaved| unsaved.entry.clone());
        if entry.is_none() {
            busy.worker = None;
            slot.tidy();
        }
        Some((entry?, version))
    }

    /// Records the outcome of a call, if its entry is still the one in place. What ends a wait for the
    /// next attempt, where one is needed.
    fn settle(
        &self,
        entry: &Entry,
        outcome: Result<Option<Shelved>, Error>,
    ) -> Option<Arc<Notify>> {
        let mut slot = self.slot();
        if let Ok(Some(Shelved::Saved(version))) = &outcome {
            slot.version = Some(*version);
        }
        let busy = slot.busy.as_mut()?;
        let failed = outcome.is_err();
        let Some(unsaved) = busy.unsaved.as_mut().filter(|unsaved| unsaved.entry.is(entry)) else {
            return failed.then(|| busy.renewed.clone());
        };
        // What was put in during the call is what has failed: no reason to try again at once.
        busy.renewed = Arc::default();
        let retry = failed.then(|| busy.renewed.clone());
        let waiting = std::mem::take(&mut unsaved.waiting);
        busy.error = outcome.as_ref().err().cloned();
        let outcome = outcome.map(|shelved| {
            if let Some(Shelved::Lost(stored)) = shelved {
                busy.lost_to = Some(stored);
            }
            (busy.unsaved, busy.hold) = (None, None);
        });
        drop(slot);
        for waiting in waiting {
            // Whoever waited may have gone on without.
            let _ = waiting.send(outcome.clone());
        }
        retry
    }

    fn slot(&self) -> MutexGuard<'_, Slot> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slot {
    fn tidy(&mut self) {
        let idle =
            |busy: &Busy| busy.unsaved.is_none() && busy.worker.is_none() && busy.lost_to.is_none();
        if self.busy.as_deref().is_some_and(idle) {
            self.busy = None;
        }
    }
}

async fn work<H: AsRef<Outbox>>(home: Arc<H>, destination: Destination, backoff: Backoff) {
    let outbox = (*home).as_ref();
    let mut failures = 0;
    while let Some((entry, version)) = outbox.next() {
        let began = Instant::now();
        let outcome = call(&destination, &entry, version).await;
        failures = if outcome.is_ok() { 0 } else { failures + 1 };
        match (&outcome, &entry) {
            (Ok(Some(Shelved::Lost(_))), _) => observe::save_conflict(),
            (Ok(_), Entry::Delete) => observe::token_deleted(began.elapsed()),
            (Ok(_), _) => observe::token_saved(began.elapsed()),
            (Err(error), _) => observe::save_failed(error, failures),
        }
        if let Some(renewed) = outbox.settle(&entry, outcome) {
            let wait = tokio::time::sleep(backoff.transient(failures));
            tokio::select! {
                biased;
                () = renewed.notified() => {}
                () = wait => {}
            }
        }
    }
}

/// One call of the saver or the store; a panic or a minute without an end is a failure.
async fn call(
    destination: &Destination,
    entry: &Entry,
    version: Option<Version>,
) -> Result<Option<Shelved>, Error> {
    let call = AssertUnwindSafe(async {
        match (destination, entry) {
            (Destination::Saver(saver), Entry::Save(token) | Entry::Set(token)) => {
                saver.save(Token::clone(token)).await.map(|()| None)
            }
            (Destination::Saver(saver), Entry::Delete) => saver.delete().await.map(|()| None),
            (Destination::Store(shelf), entry) => shelve(shelf, entry, version).await,
        }
    });
    let failure = |source| {
        let source = entry.without_secrets(source);
        Error::new(match entry {
            Entry::Save(_) | Entry::Set(_) => Kind::Save(source),
            Entry::Delete => Kind::Delete(source),
        })
    };
    match tokio::time::timeout(LONGEST_CALL, call.catch_unwind()).await {
        Ok(Ok(outcome)) => outcome.map_err(failure),
        Ok(Err(_)) => Err(failure(Error::new(Kind::Panicked("the saver")).into())),
        Err(_) => Err(Error::new(Kind::SaveTimeout(LONGEST_CALL))),
    }
}

async fn shelve(
    shelf: &Shelf,
    entry: &Entry,
    version: Option<Version>,
) -> Result<Option<Shelved>, BoxError> {
    let (token, anyway) = match entry {
        Entry::Save(token) => (Some(&**token), false),
        Entry::Set(token) => (Some(&**token), true),
        Entry::Delete => (None, false),
    };
    Ok(Some(shelf.save(token, version, anyway).await?))
}
