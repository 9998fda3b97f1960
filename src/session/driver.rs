//! `Driver`: one session, between the requests that want a token and the machine that decides.
//!
//! # Concurrency
//!
//! - Requests read one immutable [`Snapshot`] behind an `ArcSwap`: no lock, no wait.
//! - Every decision is the [`Machine`]'s, behind a `std::sync::Mutex` that is held for one event at a
//!   time, never across an await, and never while code of the application runs. The snapshot is
//!   replaced only under that lock.
//! - What the machine wants done is done by one detached worker (see `worker`), which is there while
//!   something is to be done. Whoever waits holds a ticket, never the work: a caller that goes away
//!   takes nothing with it.
//! - A waiter wakes after each change, in the order of coming, and asks the machine again. It is told to
//!   wake before it asks, so that no change is missed.
//! - A waiter never depends on a runtime that nobody drives: it has a deadline of its own, and where the
//!   worker is overdue it puts another one, on its own runtime, in the worker's place.
//! - Spawning happens outside the lock: a runtime that shuts down drops the future at once, and its end
//!   takes the lock.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use http::HeaderValue;
use tokio::runtime::Handle;
use tokio::sync::futures::OwnedNotified;
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::Instrument;

use super::config::Config;
use super::machine::{Cause, Flush, Machine, Note, Now, Poll, Reason, Settings, Stage, Ticket};
use super::snapshot::{Provenance, Snapshot};
use super::stored_record;
use super::worker::{self, Worker};
use crate::error::{Error, Kind};
use crate::jitter;
use crate::observe;
use crate::store::TokenKey;
use crate::token::Token;

pub(super) type SessionMachine = Machine<Arc<Snapshot>, Error>;

/// What the monotonic clock counts from.
static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// How often a waiter starts a worker anew that ended with its runtime at once.
const MAX_STARTS: u32 = 8;

/// A timer that comes later than this says that the process has stood still.
const STOOD_STILL: Duration = Duration::from_secs(1);

pub(crate) struct Driver {
    pub(super) published: ArcSwap<Snapshot>,
    state: Mutex<State>,
    pub(super) config: Arc<Config>,
    /// Whose token it is, in the store.
    user: Arc<str>,
    /// Since this was last asked.
    used: AtomicBool,
    updates: OnceLock<watch::Sender<Option<Arc<Token>>>>,
}

pub(super) struct State {
    pub(super) machine: SessionMachine,
    pub(super) worker: Option<Arc<Worker>>,
    unsaved: Option<observe::UnsavedGauge>,
}

impl Driver {
    pub(crate) fn new(config: Arc<Config>, user: Arc<str>, token: Option<Token>) -> Self {
        let name = rand::random();
        let (machine, published) = match token {
            Some(token) => {
                let login = stored_record::login_of(&token);
                let snapshot = Arc::new(config.snapshot(token, Provenance::Given));
                (Machine::with_token(name, login, snapshot.clone()), snapshot)
            }
            None => (Machine::new(name), Arc::new(Snapshot::empty())),
        };
        Self {
            published: ArcSwap::new(published),
            state: Mutex::new(State { machine, worker: None, unsaved: None }),
            config,
            user,
            used: AtomicBool::new(false),
            updates: OnceLock::new(),
        }
    }

    /// The hot path: a fresh token, at once.
    #[inline]
    pub(crate) fn fresh(&self) -> Option<Arc<Snapshot>> {
        let snapshot = self.published.load_full();
        (self.config.clock.now() < snapshot.freshness.due).then_some(snapshot)
    }

    /// What the hot path would send, without keeping hold of the snapshot.
    #[inline(always)]
    pub(crate) fn fresh_header(&self) -> Option<HeaderValue> {
        let snapshot = self.published.load();
        let fresh = self.config.clock.now() < snapshot.freshness.due;
        if fresh { snapshot.header.clone() } else { None }
    }

    /// A token that may be used: the present one, with a renewal started in the background where it is
    /// due; the next one, after a wait, where it has expired. `limit`: the longest wait, if the caller
    /// has one of its own.
    pub(crate) async fn usable(
        self: &Arc<Self>,
        limit: Option<Duration>,
    ) -> Result<Arc<Snapshot>, Error> {
        let snapshot = self.published.load_full();
        let stage = snapshot.freshness.stage(self.config.clock.now());
        if stage == Stage::Fresh && !self.config.settings.foreground {
            return Ok(snapshot);
        }
        let ticket = self.lock().machine.ticket();
        self.wait_for_token(ticket, limit).await
    }

    /// A token other than this, by a renewal if need be.
    pub(super) async fn another(
        self: &Arc<Self>,
        than: Arc<Snapshot>,
        by_hand: bool,
        limit: Option<Duration>,
    ) -> Result<Arc<Snapshot>, Error> {
        let than = than.token().is_some().then_some(than);
        let ticket = self.lock().machine.ticket_for_another(than, by_hand);
        self.wait_for_token(ticket, limit).await
    }

    async fn wait_for_token(
        self: &Arc<Self>,
        ticket: Ticket<Arc<Snapshot>>,
        limit: Option<Duration>,
    ) -> Result<Arc<Snapshot>, Error> {
        let patience = self.config.settings.patience();
        let limit = limit.map_or(patience, |limit| limit.min(patience));
        self.wait(limit, |machine, settings, now| machine.poll(&ticket, settings, now)).await
    }

    /// Asks the machine until it has an answer, after each change; at most for the limit.
    pub(super) async fn wait<R>(
        self: &Arc<Self>,
        limit: Duration,
        poll: impl Fn(&mut SessionMachine, &Settings, &Now) -> Poll<R, Error>,
    ) -> Result<R, Error> {
        let has_runtime = Handle::try_current().is_ok();
        let mut deadline = None;
        let mut starts = 0;
        loop {
            let (answer, changed, has_worker) = self.ask(&poll);
            match answer {
                Poll::Ready(result) => return Ok(result),
                Poll::Failed(reason) => return Err(self.error(reason)),
                Poll::Wait => {}
            }
            let Some(changed) = changed else {
                starts += 1;
                if !has_worker || starts > MAX_STARTS {
                    return Err(Error::new(Kind::Runtime));
                }
                // Its changes are listened to from now on.
                continue;
            };
            if !has_runtime {
                // The worker is on another runtime; here there is no timer.
                changed.await;
                continue;
            }
            let now = Instant::now();
            let until = *deadline.get_or_insert(now + limit);
            if now >= until {
                return Err(Error::new(Kind::WaitTimeout(limit)));
            }
            let wake_at = self.overdue_at().unwrap_or(until).max(now).min(until);
            tokio::select! {
                biased;
                () = changed => starts = 0,
                () = tokio::time::sleep_until(wake_at) => self.replace_overdue_worker(wake_at),
            }
        }
    }

    /// Asks the machine once. Its next change is listened to from before that.
    fn ask<R>(
        self: &Arc<Self>,
        poll: impl FnOnce(&mut SessionMachine, &Settings, &Now) -> Poll<R, Error>,
    ) -> (Poll<R, Error>, Option<OwnedNotified>, bool) {
        let mut state = self.lock();
        let changed = state.worker.as_ref().map(|worker| worker.changed());
        let now = self.now();
        let answer = poll(&mut state.machine, &self.config.settings, &now);
        if let Some(worker) = state.worker.as_ref().filter(|_| state.machine.has_notes()) {
            worker.wake();
        }
        (answer, changed, self.leave(state))
    }

    /// Lets the machine handle something, and sees to it that what follows from it is done.
    pub(super) fn enter<R>(
        self: &Arc<Self>,
        event: impl FnOnce(&mut SessionMachine, &Settings, &Now) -> R,
    ) -> R {
        let mut state = self.lock();
        let now = self.now();
        let result = event(&mut state.machine, &self.config.settings, &now);
        if let Some(worker) = &state.worker {
            worker.wake();
            worker.notify_changed();
        }
        self.leave(state);
        result
    }

    /// Publishes what has changed, and starts a worker where one is needed. Whether there is one.
    fn leave(self: &Arc<Self>, mut state: MutexGuard<'_, State>) -> bool {
        let mut start = None;
        let needed = state.worker.is_none() && state.machine.is_busy();
        if needed && Handle::try_current().is_ok() {
            let worker = Arc::new(Worker::new());
            state.worker = Some(worker.clone());
            start = Some(worker);
        }
        let has_worker = state.worker.is_some();
        self.tell(state);
        if let Some(worker) = start {
            let span = observe::renewal(self.config.span_fields());
            tokio::spawn(worker::work(self.clone(), worker).instrument(span));
        }
        has_worker
    }

    /// Publishes what has changed, for requests, subscribers and operators.
    pub(super) fn tell(&self, mut state: MutexGuard<'_, State>) {
        let new_token = self.publish(&state.machine);
        let notes = state.machine.take_notes();
        match (state.machine.is_unsaved(), &state.unsaved) {
            (true, None) => state.unsaved = Some(observe::UnsavedGauge::new()),
            (false, Some(_)) => state.unsaved = None,
            _ => {}
        }
        drop(state);
        for note in notes {
            self.report(note);
        }
        if let (Some(token), Some(updates)) = (new_token, self.updates.get()) {
            updates.send_replace(Some(token));
        }
    }

    /// Publishes the machine's token, where it is another one than before; a renewed or given one is
    /// what subscribers want to hear of.
    fn publish(&self, machine: &SessionMachine) -> Option<Arc<Token>> {
        let published = self.published.load();
        let Some(served) = machine.served() else {
            if published.token().is_some() {
                self.published.store(Arc::new(Snapshot::empty()));
            }
            return None;
        };
        if !published.is_of(&served.token) {
            let snapshot = if served.rejected {
                Arc::new(served.token.rejected())
            } else {
                served.token.clone()
            };
            self.published.store(snapshot);
            return served.token.token().cloned();
        }
        if published.is_rejected() != served.rejected {
            self.published.store(if served.rejected {
                Arc::new(served.token.rejected())
            } else {
                served.token.clone()
            });
        }
        None
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn now(&self) -> Now {
        let jitter = jitter::between(Duration::ZERO, Duration::from_nanos(u32::MAX.into()));
        Now {
            at: Instant::now().saturating_duration_since(*START),
            wall: self.config.clock.now(),
            jitter: jitter.as_nanos().try_into().unwrap_or(u32::MAX),
        }
    }

    /// The instant on the runtime's clock.
    pub(super) fn instant(at: Duration) -> Instant {
        *START + at
    }

    /// When the worker will be overdue.
    fn overdue_at(&self) -> Option<Instant> {
        let state = self.lock();
        state.worker.as_ref()?.overdue_at()
    }

    /// Puts another worker in the place of one that has not done anything for too long, since nobody
    /// drives its runtime. Called at the instant `due`, or later: then the whole process has stood still,
    /// and the worker gets its time anew. What it waits for may have come meanwhile.
    fn replace_overdue_worker(self: &Arc<Self>, due: Instant) {
        let mut state = self.lock();
        if let Some(worker) = state.worker.as_ref().filter(|_| due.elapsed() > STOOD_STILL) {
            worker.is_expected_by(Some(Instant::now()));
            return;
        }
        let is_overdue = state
            .worker
            .as_ref()
            .is_some_and(|worker| worker.overdue_at().is_some_and(|at| Instant::now() >= at));
        if let Some(worker) = state.worker.take_if(|_| is_overdue) {
            worker.replace();
            let now = self.now();
            let sent = worker.has_sent_request();
            let error = Error::new(Kind::Runtime);
            state.machine.calls_lost(&error, sent, &self.config.settings, &now);
            worker.notify_changed();
        }
        self.leave(state);
    }

    #[inline]
    pub(crate) fn mark_used(&self) {
        if !self.used.load(Ordering::Relaxed) {
            self.used.store(true, Ordering::Relaxed);
        }
    }

    /// Whether it was used since this was last asked.
    pub(crate) fn was_used(&self) -> bool {
        self.used.swap(false, Ordering::Relaxed)
    }

    /// Whether anything would be lost with it, or is under way.
    pub(crate) fn is_busy(&self) -> bool {
        self.lock().machine.is_busy()
    }

    /// Whether it has no token, and none is under way.
    pub(crate) fn is_vacant(&self) -> bool {
        self.lock().machine.is_vacant()
    }

    /// The session's place in the store.
    pub(super) fn key(&self) -> TokenKey {
        self.config.key(&self.user)
    }

    /// Signs in with the application's token: it is saved, then used. What is under way for the login
    /// before is void.
    pub(crate) async fn set_token(self: &Arc<Self>, token: Token) -> Result<(), Error> {
        runtime()?;
        let login: u64 = rand::random();
        let snapshot = Arc::new(self.config.snapshot(token, Provenance::Given));
        self.enter(|machine, settings, now| {
            machine.set_login(login, Some(snapshot), settings, now);
        });
        let limit = self.config.settings.save_wait + self.config.store_timeout * 2;
        self.wait(limit, |machine, settings, _| machine.poll_login(login, settings)).await
    }

    pub(crate) async fn sign_out(self: &Arc<Self>) -> Result<(), Error> {
        runtime()?;
        let login: u64 = rand::random();
        self.enter(|machine, settings, now| machine.set_login(login, None, settings, now));
        self.wait(self.config.settings.patience(), |machine, _, _| machine.poll_sign_out(login))
            .await
            .map_err(Self::sign_out_error)
    }

    /// A save that failed is a deletion here.
    fn sign_out_error(error: Error) -> Error {
        match error.kind() {
            Kind::Save(_) => {
                Error::new(Kind::Delete(std::error::Error::source(&error).map_or_else(
                    || "it could not be deleted".into(),
                    |source| source.to_string().into(),
                )))
            }
            Kind::SaveTimeout(limit) => {
                Error::new(Kind::Delete(format!("it took longer than {limit:?}").into()))
            }
            _ => error,
        }
    }

    /// Waits for what is under way, and for one more attempt at what is not saved yet.
    pub(crate) async fn shut_down(self: &Arc<Self>) -> Result<(), Error> {
        let flush: Flush = self.enter(|machine, _, now| machine.flush(now));
        let limit = self.config.settings.patience();
        let outcome = self.wait(limit, |machine, _, _| machine.poll_flush(&flush)).await;
        outcome.map_err(|error| match error.kind() {
            Kind::WaitTimeout(_) if self.lock().machine.is_unsaved() => {
                Error::new(Kind::SaveTimeout(limit))
            }
            _ => error,
        })
    }

    /// Why the newest token is not saved yet.
    pub(super) fn save_error(&self) -> Option<Error> {
        let reason = self.lock().machine.save_error()?;
        Some(self.error(reason))
    }

    /// The token to send the request again with, after a 401 to `sent`; `None` to return the 401. Waits
    /// for a renewal only where the request can be sent again; otherwise the next request renews.
    pub(crate) async fn rejected(
        self: &Arc<Self>,
        sent: &Arc<Snapshot>,
        can_replay: bool,
        limit: Option<Duration>,
    ) -> Result<Option<Arc<Snapshot>>, Error> {
        let again = self.enter(|machine, settings, now| machine.rejected(sent, settings, now));
        if !again || !can_replay {
            return Ok(None);
        }
        self.another(sent.clone(), false, limit).await.map(Some)
    }

    /// A request that was sent again after a 401 has been answered.
    pub(crate) fn replayed(self: &Arc<Self>, sent: &Arc<Snapshot>, rejected: bool) {
        self.enter(|machine, _, now| machine.replayed(sent, rejected, now));
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<Option<Arc<Token>>> {
        let mut updates = self.updates.get_or_init(|| watch::channel(None).0).subscribe();
        updates.mark_unchanged();
        updates
    }

    /// The machine's reason as an error.
    pub(super) fn error(&self, reason: Reason<Error>) -> Error {
        let reauthorization =
            |why| Error::new(Kind::Reauthorization { why, lost: false, cause: None });
        match reason {
            Reason::Error(error) => error,
            Reason::NoStoredToken => reauthorization("no token is stored for this user"),
            Reason::NoToken => {
                reauthorization("the session has neither a token nor a grant to get one with")
            }
            Reason::NotRenewable => reauthorization(
                "the access token has expired and there is neither a refresh token nor a grant to renew it with",
            ),
            Reason::SignedOut => reauthorization("the session has signed out"),
            Reason::Ended { error, lost } => {
                let why = "the provider refused the refresh token";
                Error::new(Kind::Reauthorization { why, lost, cause: Some(error) })
            }
            Reason::Expired => Error::new(Kind::Expired),
            Reason::SaveSlow => Error::new(Kind::SaveTimeout(self.config.settings.save_wait)),
            Reason::SaveOverdue => Error::new(Kind::SaveTimeout(super::machine::LONGEST_SAVE)),
            Reason::Busy => Error::new(Kind::Busy(self.config.settings.patience())),
        }
    }

    fn report(&self, note: Note<Error>) {
        match note {
            Note::RenewalStarted { cause, generation } => {
                observe::renewal_started(cause_name(cause), generation);
            }
            Note::TokenInUse { generation, took } => {
                let snapshot = self.published.load();
                let lifetime = snapshot.token().and_then(|token| token.lifetime());
                match snapshot.provenance {
                    Provenance::Given => observe::token_set(generation, lifetime),
                    Provenance::Renewed => {
                        observe::renewal_finished(generation, lifetime, took);
                    }
                    Provenance::Adopted => observe::token_adopted(generation, lifetime, took),
                }
            }
            Note::RenewalFailed { reason, attempt, known_before, took } => {
                let unknown = matches!(reason, Reason::NoStoredToken | Reason::NoToken);
                let is_final = reason.is_final();
                let error = self.error(reason);
                if !is_final {
                    observe::renewal_failed(&error, attempt, took);
                } else if known_before || unknown {
                    observe::reauthorization_still_required(&error);
                } else {
                    observe::reauthorization_required(&error, took);
                }
            }
            Note::RenewalDiscarded => observe::renewal_discarded(),
            Note::ResponseLost(error) => observe::response_lost(&error),
            Note::RefreshTokenRefused(error) => observe::refresh_token_refused(&error),
            Note::RenewingWithoutStore(error) => observe::renewing_without_store(&error),
            Note::LeaseLost => observe::lease_lost(),
            Note::Saved | Note::Deleted => {}
            Note::SaveConflict => observe::save_conflict(),
            Note::SaveFailed { reason, attempt } => {
                observe::save_failed(&self.error(reason), attempt);
            }
            Note::SaveSlow => observe::save_slow(self.config.settings.save_wait),
            Note::TokenRejected { generation } => observe::token_rejected(generation),
            Note::UnauthorizedAfterRenewal { generation } => {
                observe::unauthorized_after_renewal(generation);
            }
            Note::SignedOut => observe::signed_out(),
            Note::SignOutFailed(error) => observe::sign_out_failed(&error),
        }
    }
}

fn cause_name(cause: Cause) -> &'static str {
    match cause {
        Cause::NoToken => "no_token",
        Cause::Rejected => "rejected",
        Cause::Expired => "expired",
        Cause::Due => "due",
        Cause::Manual => "manual",
    }
}

pub(super) fn runtime() -> Result<Handle, Error> {
    Handle::try_current().map_err(|_| Error::new(Kind::Runtime))
}
