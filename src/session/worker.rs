//! The worker: does what a session's machine wants done, and tells it what came of it.
//!
//! One detached task, which is there while something is under way or waits for its time. If its runtime
//! ends, the task is dropped, and says so to the machine; whoever wants a token next starts another one.
//! If nobody drives its runtime, a waiter replaces it; a worker that was replaced does nothing more.

use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;
use tokio::time::Instant;
use tracing::{Instrument, Span};

use super::calls::{self, Done};
use super::driver::Driver;
use super::machine::Action;
use super::snapshot::Snapshot;
use crate::error::{Error, Kind};
use crate::observe;

/// How long a worker that has something to do may take to begin with it. Then nobody drives its runtime.
const SLACK: Duration = Duration::from_secs(5);
/// How often a worker shows that its runtime is driven, while calls are under way. They may take long: a
/// saver has no limit.
const BEAT: Duration = Duration::from_secs(5);

/// What a session knows of its worker.
pub(super) struct Worker {
    wake: Notify,
    changed: Arc<Notify>,
    replaced: AtomicBool,
    /// The token request under way; zero: none.
    request: AtomicU32,
    /// The token request that has begun last.
    sent: Arc<AtomicU32>,
    /// When it is to have done something, in milliseconds since `born`; `u64::MAX`: never.
    overdue: AtomicU64,
    born: Instant,
    /// That of the renewal under way.
    span: Mutex<Option<Span>>,
    /// In the gauge while the session has something that is not saved.
    unsaved: Mutex<Option<observe::UnsavedGauge>>,
}

impl Worker {
    pub(super) fn new() -> Self {
        let worker = Self {
            wake: Notify::new(),
            changed: Arc::new(Notify::new()),
            replaced: AtomicBool::new(false),
            request: AtomicU32::new(0),
            sent: Arc::default(),
            overdue: AtomicU64::new(u64::MAX),
            born: Instant::now(),
            span: Mutex::default(),
            unsaved: Mutex::default(),
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
        if !self.is_requesting() {
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

    /// Whether the token request under way has begun.
    pub(super) fn has_sent_request(&self) -> bool {
        self.is_requesting()
            && self.sent.load(Ordering::Relaxed) == self.request.load(Ordering::Relaxed)
    }

    fn is_requesting(&self) -> bool {
        self.request.load(Ordering::Relaxed) != 0
    }

    fn begins_request(&self, id: u32, limit: Duration) {
        self.request.store(id, Ordering::Relaxed);
        self.is_expected_by(Some(Instant::now() + limit));
    }

    /// One that was abandoned may end while its successor is under way.
    fn ends_request(&self, id: u32) {
        let _ = self.request.compare_exchange(id, 0, Ordering::Relaxed, Ordering::Relaxed);
    }

    pub(super) fn replace(&self) {
        self.replaced.store(true, Ordering::Relaxed);
        self.wake.notify_one();
    }

    pub(super) fn span(&self) -> Option<Span> {
        self.span.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set_span(&self, span: Option<Span>) {
        *self.span.lock().unwrap_or_else(PoisonError::into_inner) = span;
    }

    pub(super) fn count_unsaved(&self, is_unsaved: bool) {
        let mut unsaved = self.unsaved.lock().unwrap_or_else(PoisonError::into_inner);
        let gauge = unsaved.take().filter(|_| is_unsaved);
        *unsaved = gauge.or_else(|| is_unsaved.then(observe::UnsavedGauge::new));
    }

    fn is_replaced(&self) -> bool {
        self.replaced.load(Ordering::Relaxed)
    }

    /// When it is to have done something; `None`: never.
    fn is_expected_by(&self, at: Option<Instant>) {
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
            state.machine().calls_lost(&error, sent, &self.driver.config.settings, &now);
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
        let Some(Step { actions, wake_at }) = next_step(driver, worker, !calls.is_empty()) else {
            break;
        };
        for action in actions {
            let span = worker.span().unwrap_or_else(Span::none);
            let call =
                span.in_scope(|| calls::perform(driver.clone(), action, worker.sent.clone()));
            calls.push(call.instrument(span));
        }
        tokio::select! {
            biased;
            () = worker.wake.notified() => {}
            Some(done) = calls.next() => {
                if let Done::Answered(request, _) = &done {
                    worker.ends_request(request.id);
                }
                driver.enter(|machine, settings, now| done.tell(machine, settings, now));
            }
            () = sleep_until(wake_at) => {}
        }
    }
}

/// What to begin with, and when to look again although nothing happens.
struct Step {
    actions: Vec<Action<Arc<Snapshot>, Error>>,
    wake_at: Option<Instant>,
}

/// `None`: nothing is left to do, and the worker is no longer the session's.
fn next_step(driver: &Driver, worker: &Arc<Worker>, has_calls: bool) -> Option<Step> {
    let settings = &driver.config.settings;
    let mut state = driver.lock();
    let now = driver.now();
    let mut actions = Vec::new();
    while let Some(action) = state.machine().next(settings, &now) {
        actions.push(action);
    }
    let now = Instant::now();
    let has_calls = has_calls || !actions.is_empty();
    let beat = has_calls.then(|| now + BEAT);
    let wake_at = state.machine().wake_at(settings).map(Driver::instant);
    let wake_at = wake_at.into_iter().chain(beat).min();
    let is_over = wake_at.is_none();
    if is_over {
        state.worker = None;
    }
    for action in &actions {
        if let Action::Present { request, limit } = action {
            worker.begins_request(request.id, *limit);
        }
    }
    if !worker.is_requesting() {
        worker.is_expected_by(wake_at);
    }
    let has_changed = is_over || !actions.is_empty() || state.machine().has_notes();
    driver.tell(state, Some(worker));
    if has_changed {
        // Operators are told before whoever waits goes on.
        worker.notify_changed();
    }
    // A timer whose time has come already waits for its grain all the same.
    let wake_at = wake_at.map(|at| at.max(now + Duration::from_millis(1)));
    (!is_over).then_some(Step { actions, wake_at })
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
