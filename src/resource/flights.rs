//! `Flights`: the login that is under way, and what came of the last one.
//!
//! # Concurrency
//!
//! One login is under way at a time, in its own task; all requests that want one wait for it. A request that
//! goes away does not stop it. The lock is held for short reads and writes, never across an await.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared};
use tokio::time::Instant;

use super::need::Aim;
use crate::error::{Error, Kind};

/// How long the same login is not asked for again after one that failed or did not help.
const QUIET: Duration = Duration::from_secs(60);

#[derive(Default)]
pub(super) struct Flights(Mutex<State>);

#[derive(Default)]
struct State {
    flight: Option<Flight>,
    /// What was asked, and the result: an error, or a login that did not help.
    quiet: Option<(Aim, Option<Error>, Instant)>,
    /// What the last login was made for that worked.
    landed: Option<Aim>,
}

/// A login under way.
#[derive(Clone)]
pub(super) struct Flight {
    pub(super) aim: Aim,
    /// Whether somebody was asked.
    pub(super) outcome: Shared<BoxFuture<'static, Result<bool, Error>>>,
}

impl Flights {
    /// No invariant spans the fields, so a poisoned lock is no harm.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The login under way, whatever it is for, or a new one for this. The error of the last one, if that was
    /// a short while ago.
    pub(super) fn join_or_begin(
        &self,
        aim: &Aim,
        work: impl FnOnce() -> BoxFuture<'static, Result<bool, Error>>,
    ) -> Result<Flight, Error> {
        let runtime = tokio::runtime::Handle::try_current();
        let runtime = runtime.map_err(|_| Error::new(Kind::Runtime))?;
        let mut state = self.state();
        if let Some(flight) = &state.flight {
            return Ok(flight.clone());
        }
        if let Some(Some(error)) = state.is_quiet(aim) {
            return Err(error.clone());
        }
        let flight = Flight { aim: aim.clone(), outcome: work().shared() };
        state.flight = Some(flight.clone());
        drop(state);
        runtime.spawn(flight.outcome.clone());
        Ok(flight)
    }

    /// The login under way, if it is for this.
    pub(super) fn under_way(&self, aim: &Aim) -> Option<Flight> {
        self.state().flight.clone().filter(|flight| flight.aim == *aim)
    }

    /// What came of the login under way.
    pub(super) fn ended(&self, aim: Aim, outcome: &Result<bool, Error>) {
        let mut state = self.state();
        state.flight = None;
        match outcome {
            Ok(was_asked) => (state.landed, state.quiet) = (was_asked.then_some(aim), None),
            Err(error) => state.quiet = Some((aim, Some(error.clone()), Instant::now())),
        }
    }

    /// A login for this did not help.
    pub(super) fn was_in_vain(&self, aim: Aim) {
        self.state().quiet = Some((aim, None, Instant::now()));
    }

    /// Whether a login for this did not help, a short while ago.
    pub(super) fn is_in_vain(&self, aim: &Aim) -> bool {
        self.state().is_quiet(aim).is_some_and(|error| error.is_none())
    }

    /// Whether the last login was for this.
    pub(super) fn was_for(&self, aim: &Aim) -> bool {
        self.state().landed.as_ref() == Some(aim)
    }
}

impl State {
    /// The result of the same login a short while ago.
    fn is_quiet(&self, aim: &Aim) -> Option<&Option<Error>> {
        let (_, error, _) = self
            .quiet
            .as_ref()
            .filter(|(quiet, _, since)| quiet == aim && since.elapsed() < QUIET)?;
        Some(error)
    }
}
