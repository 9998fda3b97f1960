//! `Driver`: the state of one session, between the requests that want a token and the machine that decides.
//!
//! # Concurrency
//!
//! - Requests read one immutable [`Snapshot`] behind an `ArcSwap`: no lock, no wait.
//! - Every decision is the [`Machine`]'s, behind a `std::sync::Mutex` that is held for one event at a
//!   time, never across an await, and never while code of the application runs. The snapshot is
//!   replaced only under that lock.
//! - One detached worker carries out the machine's actions (see `work`). It exists while there is
//!   something to do.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use http::HeaderValue;
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::Span;

use super::config::Config;
use super::machine::{Cause, Credential, Machine, Note, Now, Reason, Resting, Target};
use super::snapshot::{Provenance, SessionMachine, Snapshot};
use super::stored_record;
use super::token_updates::{Newest, UpdateSender};
use super::worker::Worker;
use crate::error::{Error, Kind};
use crate::jitter;
use crate::observe;
use crate::store::TokenKey;
use crate::token::Token;

/// What the monotonic clock counts from.
///
/// It lies before the clock of every runtime: a paused clock, as in tests, may be behind the others.
static START: LazyLock<Instant> = LazyLock::new(|| {
    let now = Instant::from_std(std::time::Instant::now());
    now.checked_sub(Duration::from_secs(24 * 3600)).unwrap_or(now)
});

pub(crate) struct Driver {
    pub(crate) published: ArcSwap<Snapshot>,
    state: Mutex<State>,
    pub(super) config: Arc<Config>,
    /// Whose token it is, in the store.
    user: Arc<str>,
    /// Since this was last asked.
    used: AtomicBool,
}

pub(super) struct State {
    /// Exactly one of the two exists: the machine, or its resting form between renewals.
    awake: Option<Box<SessionMachine>>,
    resting: Option<Resting<Arc<Snapshot>, Error>>,
    pub(super) worker: Option<Arc<Worker>>,
    /// For subscribers, once there was one.
    updates: Option<UpdateSender>,
}

impl State {
    fn new(machine: SessionMachine) -> Self {
        let mut state =
            Self { awake: Some(Box::new(machine)), resting: None, worker: None, updates: None };
        state.rest();
        state
    }

    /// The machine, awake.
    pub(super) fn machine(&mut self) -> &mut SessionMachine {
        let resting = self.resting.take();
        self.awake.get_or_insert_with(|| {
            Box::new(match resting {
                Some(resting) => resting.wake(monotonic()),
                None => Machine::new(rand::random()),
            })
        })
    }

    /// Lets the machine rest, if it has nothing to do.
    fn rest(&mut self) {
        self.resting = self.resting.take().or_else(|| self.awake.as_ref()?.rest());
        if self.resting.is_some() {
            self.awake = None;
        }
    }

    /// Whether something is left to do, and nobody does it.
    fn is_stranded(&self) -> bool {
        self.worker.is_none() && self.is_busy()
    }

    pub(super) fn is_busy(&self) -> bool {
        self.awake.as_ref().is_some_and(|machine| machine.is_busy())
    }
}

/// Since the process started to measure time.
fn monotonic() -> Duration {
    Instant::now().saturating_duration_since(*START)
}

impl Driver {
    pub(crate) fn new(config: Arc<Config>, user: Arc<str>, token: Option<Token>) -> Self {
        let name = rand::random();
        let (machine, published) = match token {
            Some(token) => {
                let login = stored_record::login_of(&token);
                let snapshot = Arc::new(config.snapshot(token, Provenance::Given));
                let machine = SessionMachine::with_token(name, login, snapshot.clone());
                let awaits_store = machine.awaits_store(&config.settings);
                (machine, if awaits_store { Arc::new(Snapshot::empty()) } else { snapshot })
            }
            None => (Machine::new(name), Arc::new(Snapshot::empty())),
        };
        Self {
            published: ArcSwap::new(published),
            state: Mutex::new(State::new(machine)),
            config,
            user,
            used: AtomicBool::new(false),
        }
    }

    /// The hot path: a fresh token, at once.
    #[inline(always)]
    pub(crate) fn fresh(&self) -> Option<Arc<Snapshot>> {
        let snapshot = self.published.load_full();
        (self.config.clock.now() < snapshot.freshness.due).then_some(snapshot)
    }

    /// What the hot path would send, without keeping the snapshot.
    #[inline(always)]
    pub(crate) fn fresh_header(&self) -> Option<HeaderValue> {
        let snapshot = self.published.load();
        let fresh = self.config.clock.now() < snapshot.freshness.due;
        if fresh { snapshot.header.clone() } else { None }
    }

    /// As `fresh`, for a target.
    #[inline(always)]
    pub(crate) fn fresh_for(&self, target: &Target) -> Option<Arc<Snapshot>> {
        if target.is_own() { self.fresh() } else { self.fresh_for_other(target) }
    }

    fn fresh_for_other(&self, target: &Target) -> Option<Arc<Snapshot>> {
        let snapshot = self.published.load();
        let snapshot = snapshot.of(target)?;
        (self.config.clock.now() < snapshot.freshness.due).then(|| snapshot.clone())
    }

    /// The current token for a target, fresh or not.
    pub(super) fn present(&self, target: &Target) -> Option<Arc<Snapshot>> {
        self.published.load().of(target).cloned()
    }

    /// The newest token for a target that requests may get, fresh or not.
    pub(super) fn served(&self, target: &Target) -> Option<Arc<Snapshot>> {
        self.peek(|machine| machine.served()?.token.of(target).cloned())
    }

    /// Publishes what has changed, for requests, subscribers and operators.
    pub(super) fn tell(&self, mut state: MutexGuard<'_, State>, worker: Option<&Worker>) {
        let is_stranded = state.is_stranded();
        let new_token = self.publish(state.machine(), is_stranded);
        let notes = state.machine().take_notes();
        let under_way = notes.first().map(|_| state.machine().target_under_way());
        let unsaved = worker.and_then(|worker| worker.count_unsaved(state.machine().is_unsaved()));
        state.rest();
        let update = new_token.and_then(|token| {
            let updates = state.updates.clone()?;
            Some((updates.number(), token, updates))
        });
        drop(state);
        if let Some(is_unsaved) = unsaved {
            observe::unsaved(is_unsaved);
        }
        let under_way = under_way.unwrap_or_default();
        for note in notes {
            self.report(note, &under_way, worker);
        }
        if let Some((number, token, updates)) = update {
            updates.send(number, token);
        }
    }

    /// Publishes the machine's token, where it is another one than before; a renewed or given one is
    /// what subscribers want to hear of.
    fn publish(&self, machine: &SessionMachine, is_stranded: bool) -> Option<Arc<Token>> {
        let published = self.published.load();
        let awaits_store = machine.awaits_store(&self.config.settings);
        let Some(served) = machine.served().filter(|_| !awaits_store) else {
            if published.token().is_some() {
                self.published.store(Arc::new(Snapshot::empty()));
            }
            return None;
        };
        let is_rejected = |target: &Target| machine.is_rejected(target);
        let is_new = !published.is_of(&served.token);
        let is_right = published.is_marked(&is_rejected) && published.is_stranded() == is_stranded;
        if is_new || !is_right {
            let next = served.token.marked(&is_rejected);
            let next = if is_stranded { next.stranded() } else { next };
            next.keep_accepted(&published);
            self.published.store(next);
        }
        if is_new { served.token.token().cloned() } else { None }
    }

    /// The runtime has ended: the next request continues what is left to do.
    pub(super) fn strand(&self, state: &State) {
        let published = self.published.load();
        if state.is_stranded() && published.token().is_some() && !published.is_stranded() {
            self.published.store(published.stranded());
        }
    }

    /// Looks at the machine.
    pub(super) fn peek<R>(&self, look: impl FnOnce(&mut SessionMachine) -> R) -> R {
        let mut state = self.lock();
        let seen = look(state.machine());
        state.rest();
        seen
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn now(&self) -> Now {
        let jitter = jitter::between(Duration::ZERO, Duration::from_nanos(u32::MAX.into()));
        Now {
            at: monotonic(),
            wall: self.config.clock.now(),
            jitter: jitter.as_nanos().try_into().unwrap_or(u32::MAX),
        }
    }

    /// The instant on the runtime's clock.
    pub(super) fn instant(at: Duration) -> Instant {
        *START + at
    }

    pub(crate) fn config(&self) -> &Config {
        &self.config
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
        self.lock().is_busy()
    }

    /// Whether the provider has not revoked yet what was signed out.
    pub(crate) fn owes_revocation(&self) -> bool {
        self.peek(|machine| machine.owes_revocation())
    }

    /// Whether it has no token, and none is under way.
    pub(crate) fn is_vacant(&self) -> bool {
        let state = self.lock();
        state.resting.is_none() && state.awake.as_ref().is_none_or(|machine| machine.is_vacant())
    }

    /// The session's place in the store.
    pub(super) fn key(&self) -> TokenKey {
        self.config.key(&self.user)
    }

    /// Why the newest token is not saved yet.
    pub(super) fn save_error(&self) -> Option<Error> {
        let reason = self.peek(|machine| machine.save_error())?;
        Some(self.error(reason))
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<Newest> {
        let mut state = self.lock();
        let updates = state.updates.get_or_insert_with(UpdateSender::new);
        let mut updates = updates.subscribe();
        updates.mark_unchanged();
        updates
    }

    /// The machine's reason as an error.
    pub(super) fn error(&self, reason: Reason<Error>) -> Error {
        let reauthorization =
            |why| Error::new(Kind::Reauthorization { why, lost: false, cause: None });
        match reason {
            Reason::Error(error) => error,
            Reason::NotSaved(error) if error.is_save() => error,
            Reason::NotSaved(error) => Error::new(Kind::Save(error.into())),
            Reason::NoStoredToken => reauthorization("no token is stored for this user"),
            Reason::NoToken => {
                reauthorization("the session has neither a token nor a grant to get one with")
            }
            Reason::NotRenewable => reauthorization(
                "the access token has expired and there is neither a refresh token nor a grant to renew it with",
            ),
            Reason::NoOther => reauthorization(
                "the access token was rejected and there is neither a refresh token nor a grant to renew it with",
            ),
            Reason::LoginExpired => reauthorization(
                "the refresh token has expired, by the deadline that the provider gave and this machine's clock",
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

    /// Tells operators, within the span of the renewal or the save that it is about.
    fn report(&self, note: Note<Error>, under_way: &Target, worker: Option<&Worker>) {
        let span = match (&note, worker) {
            (Note::RenewalStarted { target, .. }, _) => {
                let span = observe::renewal(self.config.span_fields(), &target.fields());
                worker.inspect(|worker| worker.begin_span(target, span.clone()));
                span
            }
            (
                Note::TokenInUse { target, .. } | Note::TargetRefused { target, .. },
                Some(worker),
            ) => worker.end_span(target),
            (Note::RenewalFailed { target, .. }, Some(worker)) => worker.end_spans(target),
            (
                Note::RenewalDiscarded
                | Note::ResponseLost(_)
                | Note::RefreshTokenRefused(_)
                | Note::RenewingWithoutStore(_)
                | Note::LeaseLost,
                Some(worker),
            ) => worker.span(under_way),
            (Note::SaveFailed { .. } | Note::SaveSlow | Note::SaveConflict, _) => {
                observe::saving(self.config.span_fields())
            }
            _ => Span::none(),
        };
        let _entered = span.enter();
        match note {
            Note::RenewalStarted { target, cause, serial } => {
                observe::renewal_started(&target.fields(), cause_name(cause), serial);
            }
            Note::TokenInUse { target, serial, took } => {
                // Another one may have taken its place already.
                let Some(snapshot) = self.present(&target) else { return };
                let lifetime = snapshot.token().and_then(|token| token.lifetime_s());
                let of = target.fields();
                match snapshot.provenance {
                    Provenance::Given => observe::token_set(&of, serial, lifetime),
                    Provenance::Renewed => {
                        observe::renewal_finished(&of, serial, lifetime, took);
                    }
                    Provenance::Adopted => observe::token_adopted(&of, serial, lifetime, took),
                }
            }
            Note::LoginExpiresSoon => {
                let snapshot = self.published.load();
                let deadline = snapshot.login_expires_at();
                let left = deadline.and_then(|at| at.duration_since(self.config.clock.now()).ok());
                observe::login_expires_soon(left.unwrap_or_default());
            }
            Note::TargetRefused { target, error, attempt, took } => {
                observe::renewal_failed(&target.fields(), &error, attempt, took);
            }
            Note::RenewalFailed { target, reason, attempt, known_before, took } => {
                let unknown = matches!(reason, Reason::NoStoredToken | Reason::NoToken);
                let (is_kept, is_final) = (matches!(reason, Reason::NoOther), reason.is_final());
                let error = self.error(reason);
                if is_kept {
                    observe::rejected_token_kept(&target.fields());
                } else if !is_final {
                    observe::renewal_failed(&target.fields(), &error, attempt, took);
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
            Note::TokenRejected { target, serial } => {
                observe::token_rejected(&target.fields(), serial);
            }
            Note::UnauthorizedAfterRenewal { target, serial } => {
                observe::unauthorized_after_renewal(&target.fields(), serial);
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
