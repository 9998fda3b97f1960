//! The worker: does what a session's machine wants done, and tells it what came of it.
//!
//! One detached task, which exists while something is running or scheduled. If its runtime ends, the
//! task is dropped and tells the machine; the next caller starts another one. If no thread drives its
//! runtime, a waiter replaces it; a replaced worker does nothing more.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::time::Instant;
use tracing::Instrument;

use super::calls::{self, Done};
use super::driver::Driver;
use super::machine::{Action, Target};
use super::snapshot::Snapshot;
use super::worker::Worker;
use crate::error::{Error, Kind};

/// How often a worker shows that its runtime is driven while calls run, which may take long: a saver has
/// no time limit.
const BEAT: Duration = Duration::from_secs(5);

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
            self.driver.strand(&state);
        }
        drop(state);
        self.worker.notify_changed();
    }
}

/// The work. It tells the machine also if it is dropped before it has begun.
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
        for (action, target) in actions {
            let span = worker.span(&target);
            let call =
                span.in_scope(|| calls::perform(driver.clone(), action, worker.sent.clone()));
            calls.push(call.instrument(span));
        }
        tokio::select! {
            biased;
            () = worker.woken() => {}
            Some(done) = calls.next() => {
                if let Done::Answered(request, _) = &done {
                    worker.ends_request(request.id);
                }
                let mut state = driver.lock();
                let now = driver.now();
                done.tell(state.machine(), &driver.config.settings, &now);
                driver.tell(state, Some(worker));
                // Operators are told before whoever waits goes on.
                worker.notify_changed();
            }
            () = sleep_until(wake_at) => {}
        }
    }
}

/// What to begin with, and when to look again although nothing happens.
struct Step {
    /// Each with what is renewed by it.
    actions: Vec<(Action<Arc<Snapshot>, Error>, Target)>,
    wake_at: Option<Instant>,
}

/// `None`: nothing is left to do, and the worker is no longer the session's.
fn next_step(driver: &Driver, worker: &Arc<Worker>, has_calls: bool) -> Option<Step> {
    let settings = &driver.config.settings;
    let mut state = driver.lock();
    let now = driver.now();
    let mut actions = Vec::new();
    while let Some(action) = state.machine().next(settings, &now) {
        let target = state.machine().target_under_way();
        actions.push((action, target));
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
    for (action, _) in &actions {
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
