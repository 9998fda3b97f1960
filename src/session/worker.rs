//! The worker: does what a session's machine wants done, and tells it what came of it.
//!
//! One detached task, which is there while something is under way or waits for its time. If its runtime
//! ends, the task is dropped, and says so to the machine; whoever wants a token next starts another one.
//! If nobody drives its runtime, a waiter replaces it; a worker that was replaced does nothing more.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;
use tokio::time::Instant;

use super::calls::{self, Done};
use super::driver::Driver;
use super::machine::Action;
use super::snapshot::Snapshot;
use crate::error::{Error, Kind};

/// How long a worker that has something to do may take to begin with it. Then nobody drives its runtime.
const SLACK: Duration = Duration::from_secs(5);

/// What a session knows of its worker.
pub(super) struct Worker {
    wake: Notify,
    changed: Arc<Notify>,
    replaced: AtomicBool,
    /// The token request under way has begun.
    sent: Arc<AtomicBool>,
    /// When it is to have done something, in milliseconds since `born`; `u64::MAX`: never.
    overdue: AtomicU64,
    born: Instant,
}

impl Worker {
    pub(super) fn new() -> Self {
        let worker = Self {
            wake: Notify::new(),
            changed: Arc::new(Notify::new()),
            replaced: AtomicBool::new(false),
            sent: Arc::default(),
            overdue: AtomicU64::new(u64::MAX),
            born: Instant::now(),
        };
        worker.is_expected_by(Some(Instant::now()));
        worker
    }

    /// Resolves with the next change; counts from now on.
    pub(super) fn changed(&self) -> OwnedNotified {
        self.changed.clone().notified_owned()
    }

    pub(super) fn notify_changed(&self) {
        self.changed.notify_waiters();
    }

    /// The machine may want something done.
    pub(super) fn wake(&self) {
        if !self.sent.load(Ordering::Relaxed) {
            // What is under way at the provider is not given up before its own limit.
            let soon = self.since_born(Instant::now() + SLACK);
            self.overdue.fetch_min(soon, Ordering::Relaxed);
        }
        self.wake.notify_one();
    }

    pub(super) fn overdue_at(&self) -> Option<Instant> {
        let overdue = self.overdue.load(Ordering::Relaxed);
        (overdue != u64::MAX).then(|| self.born + Duration::from_millis(overdue))
    }

    pub(super) fn has_sent_request(&self) -> bool {
        self.sent.load(Ordering::Relaxed)
    }

    pub(super) fn replace(&self) {
        self.replaced.store(true, Ordering::Relaxed);
        self.wake.notify_one();
    }

    fn is_replaced(&self) -> bool {
        self.replaced.load(Ordering::Relaxed)
    }

    /// When it is to have done something; `None`: never.
    pub(super) fn is_expected_by(&self, at: Option<Instant>) {
        let overdue = at.map_or(u64::MAX, |at| self.since_born(at + SLACK));
        self.overdue.store(overdue, Ordering::Relaxed);
    }

    fn since_born(&self, at: Instant) -> u64 {
        let since = at.saturating_duration_since(self.born);
        since.as_millis().try_into().unwrap_or(u64::MAX)
    }
}

/// Tells the machine when the worker is dropped with its runtime.
struct End {
    driver: Arc<Driver>,
    worker: Arc<Worker>,
}

impl Drop for End {
    fn drop(&mut self) {
        let mut state = self.driver.lock();
        let is_ours = |worker: &mut Arc<Worker>| Arc::ptr_eq(worker, &self.worker);
        if state.worker.take_if(is_ours).is_some() {
            let now = self.driver.now();
            let error = Error::new(Kind::Runtime);
            let sent = self.worker.has_sent_request();
            state.machine.calls_lost(&error, sent, &self.driver.config.settings, &now);
        }
        drop(state);
        self.worker.notify_changed();
    }
}

/// The work; dropped before it has begun, it says so as well.
pub(super) fn work(driver: Arc<Driver>, worker: Arc<Worker>) -> impl Future<Output = ()> + Send {
    let end = End { driver, worker };
    async move {
        carry_out(&end.driver, &end.worker).await;
        drop(end);
    }
}

async fn carry_out(driver: &Arc<Driver>, worker: &Arc<Worker>) {
    let mut calls = FuturesUnordered::new();
    while !worker.is_replaced() {
        let Some(Step { actions, wake_at }) = next_step(driver, worker, &calls) else {
            break;
        };
        for (action, until) in actions {
            let work = calls::perform(driver.clone(), action, worker.sent.clone());
            calls.push(Call { until, work });
        }
        tokio::select! {
            biased;
            () = worker.wake.notified() => {}
            Some(done) = calls.next() => {
                if matches!(done, Done::Answered(..)) {
                    worker.sent.store(false, Ordering::Relaxed);
                }
                driver.enter(|machine, settings, now| done.tell(machine, settings, now));
            }
            () = sleep_until(wake_at) => {}
        }
    }
}

/// A call under way.
struct Call {
    /// When it has ended at the latest. `None`: nobody knows; the saver's calls are the application's.
    until: Option<Instant>,
    work: BoxFuture<'static, Done>,
}

impl Future for Call {
    type Output = Done;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Done> {
        self.work.as_mut().poll(context)
    }
}

type NextAction = Action<Arc<Snapshot>, Error>;

/// What to begin with, and when to look again although nothing happens.
struct Step {
    /// With when each has ended at the latest.
    actions: Vec<(NextAction, Option<Instant>)>,
    wake_at: Option<Instant>,
}

/// `None`: nothing is left to do, and the worker is no longer the session's.
fn next_step(
    driver: &Driver,
    worker: &Arc<Worker>,
    calls: &FuturesUnordered<Call>,
) -> Option<Step> {
    let settings = &driver.config.settings;
    let mut state = driver.lock();
    let (now, instant) = (driver.now(), Instant::now());
    let mut actions = Vec::new();
    while let Some(action) = state.machine.next(settings, &now) {
        if matches!(action, Action::Present { .. }) {
            worker.sent.store(false, Ordering::Relaxed);
        }
        let until = driver.config.limit(&action).map(|limit| instant + limit);
        actions.push((action, until));
    }
    let wake_at = state.machine.wake_at(settings).map(Driver::instant);
    let is_over = actions.is_empty() && calls.is_empty() && wake_at.is_none();
    if is_over {
        state.worker = None;
    }
    let begun = actions.iter().map(|(_, until)| *until);
    let under_way = calls.iter().map(|call| call.until);
    worker.is_expected_by(begun.chain(under_way).flatten().chain(wake_at).max());
    if is_over || !actions.is_empty() || state.machine.has_notes() {
        worker.notify_changed();
    }
    driver.tell(state);
    // A timer whose time has come already waits for its grain all the same.
    let wake_at = wake_at.map(|at| at.max(instant + Duration::from_millis(1)));
    (!is_over).then_some(Step { actions, wake_at })
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
