//! `Flights`: the login that is under way, and what came of the last ones.
//!
//! # Concurrency
//!
//! - One login is under way at a time, in its own task; all requests that want one wait for what comes of it. A
//!   request that goes away does not stop it.
//! - A second task attends to it: it shows every few seconds that the runtime is driven, and says what came of
//!   the login. It is apart from the first, where code of the application may block the thread.
//! - A waiter never depends on that runtime. If it ends, or if no thread drives it, the login is given up, and
//!   the waiter begins another one on its own runtime. A login that was given up does nothing more.
//! - The lock is held for short reads and writes, never across an await. A task that is spawned under it has not
//!   begun: dropping it takes no lock.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinHandle};
use tokio::time::{Instant, sleep, sleep_until};

use super::need::Aim;
use crate::error::{Error, Kind};
use crate::session::runtime;

/// How long the same login is not asked for again after one that failed or did not help. After a response with
/// `Retry-After` longer, but not beyond this.
const QUIET: Duration = Duration::from_secs(60);
const LONGEST_QUIET: Duration = Duration::from_secs(3600);
/// Of how many logins that is remembered.
const MOST_QUIET: usize = 16;

/// How often a login shows that its runtime is driven.
const BEAT: Duration = Duration::from_secs(5);
/// If a login has shown nothing for so long, no thread drives its runtime.
const LONGEST_SILENCE: Duration = Duration::from_secs(10);
/// If a timer fires later than this, the process was stopped.
const STOOD_STILL: Duration = Duration::from_secs(2);

#[derive(Clone, Default)]
pub(super) struct Flights(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    flight: Option<Flight>,
    /// What is not asked for again for a while, the oldest first.
    quiet: VecDeque<Quiet>,
    /// What the last login was made for that worked.
    landed: Option<Aim>,
}

/// A login that failed or did not help.
struct Quiet {
    aim: Aim,
    /// `None`: it did not help.
    error: Option<Error>,
    until: Instant,
}

/// What comes of a login: whether somebody was asked.
pub(super) type Outcome = Result<bool, Error>;

/// A login under way.
#[derive(Clone)]
pub(super) struct Flight {
    pub(super) aim: Aim,
    signs: watch::Receiver<Sign>,
    work: AbortHandle,
}

/// What a login shows to those who wait for it.
enum Sign {
    /// It was under way then.
    UnderWay(Instant),
    Ended(Outcome),
}

impl Flight {
    fn is(&self, other: &Self) -> bool {
        self.signs.same_channel(&other.signs)
    }

    /// `None`: its runtime has ended, or no thread drives it.
    async fn outcome(&mut self) -> Option<Outcome> {
        loop {
            let shown_at = match &*self.signs.borrow_and_update() {
                Sign::UnderWay(at) => *at,
                Sign::Ended(outcome) => return Some(outcome.clone()),
            };
            // One that is silent already gets a moment: its runtime may just have been busy.
            let due = (shown_at + LONGEST_SILENCE).max(Instant::now() + STOOD_STILL);
            tokio::select! {
                biased;
                changed = self.signs.changed() => changed.ok()?,
                () = sleep_until(due) => if due.elapsed() <= STOOD_STILL { return None },
            }
        }
    }
}

impl Flights {
    /// No invariant spans the fields, so a poisoned lock is no harm.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The login under way, whatever it is for, or a new one for this. The error of the same one, if that was
    /// a short while ago.
    pub(super) fn join_or_begin<F>(
        &self,
        aim: &Aim,
        work: impl FnOnce() -> F,
    ) -> Result<Flight, Error>
    where
        F: Future<Output = Outcome> + Send + 'static,
    {
        let runtime = runtime()?;
        let mut state = self.state();
        if let Some(flight) = &state.flight {
            return Ok(flight.clone());
        }
        if let Some(Some(error)) = state.is_quiet(aim) {
            return Err(error.clone());
        }
        let (show, signs) = watch::channel(Sign::UnderWay(Instant::now()));
        let work = runtime.spawn(work());
        let flight = Flight { aim: aim.clone(), signs, work: work.abort_handle() };
        state.flight = Some(flight.clone());
        drop(state);
        runtime.spawn(attend(self.clone(), flight.clone(), work, show));
        Ok(flight)
    }

    /// What comes of it. `None`: it was given up, so begin another one.
    pub(super) async fn outcome(&self, mut flight: Flight) -> Option<Outcome> {
        let outcome = flight.outcome().await;
        if outcome.is_none() {
            self.state().flight.take_if(|present| present.is(&flight));
            flight.work.abort();
        }
        outcome
    }

    /// The login under way, if it is for this.
    pub(super) fn under_way(&self, aim: &Aim) -> Option<Flight> {
        self.state().flight.clone().filter(|flight| flight.aim == *aim)
    }

    /// What came of the login under way.
    fn ended(&self, flight: &Flight, outcome: &Outcome) {
        let mut state = self.state();
        // It may have been given up.
        let Some(Flight { aim, .. }) = state.flight.take_if(|present| present.is(flight)) else {
            return;
        };
        match outcome {
            Ok(was_asked) => {
                state.quiet.retain(|quiet| quiet.aim != aim);
                state.landed = was_asked.then_some(aim);
            }
            Err(error) => state.keep_quiet(aim, Some(error.clone())),
        }
    }

    /// A login for this did not help.
    pub(super) fn was_in_vain(&self, aim: Aim) {
        self.state().keep_quiet(aim, None);
    }

    /// Somebody wants a login for this, whatever came of the last one.
    pub(super) fn forget(&self, aim: &Aim) {
        self.state().quiet.retain(|quiet| quiet.aim != *aim);
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
        let quiet = self.quiet.iter().find(|quiet| quiet.aim == *aim)?;
        (Instant::now() < quiet.until).then_some(&quiet.error)
    }

    fn keep_quiet(&mut self, aim: Aim, error: Option<Error>) {
        self.quiet.retain(|quiet| quiet.aim != aim);
        if self.quiet.len() == MOST_QUIET {
            self.quiet.pop_front();
        }
        let wait = error.as_ref().and_then(Error::retry_after).unwrap_or_default();
        let until = Instant::now() + wait.clamp(QUIET, LONGEST_QUIET);
        self.quiet.push_back(Quiet { aim, error, until });
    }
}

/// Shows that the runtime is driven while the login is under way, and then what came of it.
async fn attend(
    flights: Flights,
    flight: Flight,
    mut work: JoinHandle<Outcome>,
    show: watch::Sender<Sign>,
) {
    let ended = loop {
        tokio::select! {
            biased;
            ended = &mut work => break ended,
            () = sleep(BEAT) => drop(show.send_replace(Sign::UnderWay(Instant::now()))),
        }
    };
    let outcome = match ended {
        Ok(outcome) => outcome,
        Err(error) if error.is_panic() => {
            Err(Error::new(Kind::Panicked("the login for a resource")))
        }
        // It was given up, or its runtime ends.
        Err(_) => return,
    };
    flights.ended(&flight, &outcome);
    show.send_replace(Sign::Ended(outcome));
}
