//! `Worker`: what a session knows of the task that works for it.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;
use tokio::time::Instant;
use tracing::Span;

use super::machine::Target;
use crate::observe;

/// How long a worker may take to begin its work. If it takes longer, no thread drives its runtime.
const SLACK: Duration = Duration::from_secs(5);

/// What a session knows of its worker.
pub(super) struct Worker {
    wake: Notify,
    changed: Arc<Notify>,
    replaced: AtomicBool,
    /// The token request under way; zero: none.
    request: AtomicU32,
    /// The token request that has begun last.
    pub(super) sent: Arc<AtomicU32>,
    /// When it must have done something, in milliseconds since `born`; `u64::MAX`: never.
    overdue: AtomicU64,
    born: Instant,
    /// Those of the renewals that are wanted or under way.
    spans: Mutex<Vec<(Target, Span)>>,
    /// Whether the session is in the gauge: it has something that is not saved.
    unsaved: AtomicBool,
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
            spans: Mutex::default(),
            unsaved: AtomicBool::new(false),
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
            // A request to the provider is not given up before its own limit.
            let soon = self.since_born(Instant::now() + SLACK);
            self.overdue.fetch_min(soon, Ordering::Relaxed);
        }
        self.wake.notify_one();
    }

    /// Resolves when the machine may want something done.
    pub(super) async fn woken(&self) {
        self.wake.notified().await;
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

    pub(super) fn is_requesting(&self) -> bool {
        self.request.load(Ordering::Relaxed) != 0
    }

    pub(super) fn begins_request(&self, id: u32, limit: Duration) {
        self.request.store(id, Ordering::Relaxed);
        self.is_expected_by(Some(Instant::now() + limit));
    }

    /// One that was abandoned may end while its successor is under way.
    pub(super) fn ends_request(&self, id: u32) {
        let _ = self.request.compare_exchange(id, 0, Ordering::Relaxed, Ordering::Relaxed);
    }

    pub(super) fn replace(&self) {
        self.replaced.store(true, Ordering::Relaxed);
        self.wake.notify_one();
    }

    fn spans(&self) -> MutexGuard<'_, Vec<(Target, Span)>> {
        self.spans.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// That of the target's renewal; one that is off if there is none.
    pub(super) fn span(&self, target: &Target) -> Span {
        let spans = self.spans();
        let found = spans.iter().find(|(other, _)| other == target);
        found.map_or_else(Span::none, |(_, span)| span.clone())
    }

    pub(super) fn begin_span(&self, target: &Target, span: Span) {
        self.end_span(target);
        self.spans().push((target.clone(), span));
    }

    /// The target's renewal is over; it gets the events that say so.
    pub(super) fn end_span(&self, target: &Target) -> Span {
        let mut spans = self.spans();
        let at = spans.iter().position(|(other, _)| other == target);
        at.map_or_else(Span::none, |at| spans.swap_remove(at).1)
    }

    /// As `end_span`, and so are those of all other targets.
    pub(super) fn end_spans(&self, target: &Target) -> Span {
        let span = self.end_span(target);
        let others = std::mem::take(&mut *self.spans());
        drop(others);
        span
    }

    /// What the gauge is to be told of it, when no lock is held any more; `None`: it knows.
    pub(super) fn count_unsaved(&self, is_unsaved: bool) -> Option<bool> {
        let was_unsaved = self.unsaved.swap(is_unsaved, Ordering::Relaxed);
        (was_unsaved != is_unsaved).then_some(is_unsaved)
    }

    pub(super) fn is_replaced(&self) -> bool {
        self.replaced.load(Ordering::Relaxed)
    }

    /// When it must have done something; `None`: never.
    pub(super) fn is_expected_by(&self, at: Option<Instant>) {
        let overdue = at.map_or(u64::MAX, |at| self.since_born(at + SLACK));
        self.overdue.store(overdue, Ordering::Relaxed);
    }

    fn since_born(&self, at: Instant) -> u64 {
        let since = at.saturating_duration_since(self.born);
        since.as_millis().try_into().unwrap_or(u64::MAX)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        if *self.unsaved.get_mut() {
            observe::unsaved(false);
        }
    }
}
