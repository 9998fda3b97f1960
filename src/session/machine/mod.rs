//! `Machine`: every decision about one login, and nothing else.
//!
//! It awaits nothing, reads no clock and calls no store. The driver tells it what happened, and when
//! ([`Now`]); [`Machine::next`] says what to do next, [`Machine::wake_at`] when to ask again at the
//! latest, and [`Machine::served`] which token requests carry. So every order of events can be explored
//! without a runtime: see `cargo test --test model`.
//!
//! # Reading order
//!
//! - [`settings`], [`action`], [`reason`] and [`note`]: what goes in and comes out; [`memory`]: what it
//!   remembers;
//! - [`record`]: what sessions that share a login tell each other, and the one order of records;
//! - [`shared`]: the decision list of a session with a store; [`own`]: of one without;
//! - what each event does to the memory: [`store_calls`], [`answers`] of the provider, [`saves`], [`logins`],
//!   [`lost_calls`];
//! - [`target`] and [`access`]: what an access token is for, and what belongs to one of them;
//! - [`requests`]: what a request gets: a token, an error, or a wait;
//! - [`unauthorized`]: what a 401 does;
//! - [`rest`]: a session between renewals;
//! - [`backoff`]: how long to wait.
//!
//! # Invariants
//!
//! - At most one store call and one token request are under way. A token request whose login was
//!   replaced is abandoned: its answer is dropped, or revoked after a sign-out.
//! - Only a swap that the store has confirmed makes the session the holder of a mark, for half a lease on
//!   its own clock. Only the holder presents the refresh token, and only that of the marked record.
//! - The provider's answer is kept until the store has it or something newer.
//! - After every event the same list decides what to do. No decision rests on an older one.

mod access;
mod action;
mod answers;
mod backoff;
#[cfg(test)]
#[allow(dead_code, reason = "the model test has its own copy of this module")]
mod canonical;
mod logins;
mod lost_calls;
mod memory;
mod note;
mod own;
mod reason;
mod record;
mod requests;
mod rest;
mod saves;
mod settings;
mod shared;
mod store_calls;
mod target;
#[cfg(test)]
mod tests;
mod unauthorized;

use std::time::{Duration, SystemTime};

use access::Access;
pub(crate) use action::{Action, Answer, Found, Presented, Purpose, StoreFailure, Swapped};
pub(crate) use backoff::{Backoff, FailureClass};
pub(crate) use memory::Served;
use memory::{
    Attempt, Failure, FailureOf, FollowUp, Look, Outcome, Pending, Revocation, SaveCall, Seen,
    StoreCall, StoreHealth, TokenRequest, Unsaved,
};
pub(crate) use note::{Cause, Note};
pub(crate) use reason::Reason;
pub(crate) use record::{Mark, Pause, Record, State};
pub(crate) use requests::{Flush, Poll, Ticket};
pub(crate) use rest::Resting;
pub(crate) use settings::{Credential, Home, Now, Settings, Stage};
pub(crate) use target::Target;
pub(crate) use unauthorized::Rejection;

/// The number of a record without one: a token file from another program. It counts as a sign-in at
/// the moment when it is first seen.
pub(crate) const UNNUMBERED: u64 = u64::MAX;

/// The second try after a lost answer comes after 0.25 to 0.75 seconds.
const SECOND_TRY: (Duration, Duration) = (Duration::from_millis(250), Duration::from_millis(750));
/// A call of the saver that takes longer is set aside, and another one is made: it may hang for ever.
pub(crate) const LONGEST_SAVE: Duration = Duration::from_secs(60);
/// Calls of the saver that may be set aside; with more, the session waits for one to end.
const MAX_SET_ASIDE: u8 = 2;

/// The state of one session.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Machine<T, E> {
    /// This session in marks; random.
    name: u64,
    /// The newest record known, without mark and pause.
    known: Option<Record<T, E>>,
    /// `known` came from the application, and the store has not been read yet.
    is_given: bool,
    /// What the store held when it last answered.
    seen: Option<Seen<T, E>>,
    served: Option<Served<T>>,
    /// What is known of the access token of the login's own, and of those for other targets.
    own: Access<E>,
    others: Vec<Access<E>>,
    /// The token that a renewal of this session brought, until it is in use: its login, its generation, and
    /// what it is for.
    renewed: Option<(u64, u64, Target)>,
    /// Counts what has been served.
    serial: u64,
    /// It was noted that the login of the token in use expires soon.
    is_login_expiry_noted: bool,
    /// An answer to the current refresh token was lost, or is still to come.
    response_lost: bool,
    /// There was no answer at all, or half of one: the session asks again by itself.
    follow_up: Option<FollowUp>,
    failure: Option<Failure<E>>,
    /// Counts failed renewals, so that waiters notice a failure.
    failures: u32,
    /// A sign-in or sign-out that is not stored yet.
    pending: Option<Pending<T>>,
    outcome: Option<Outcome<T, E>>,
    /// A swap of the outcome got no answer: the store may have it.
    is_outcome_doubtful: bool,
    unsaved: Option<Unsaved<T, E>>,
    /// When the renewal or the sign-in began whose token is not in use yet.
    began: Option<Duration>,
    attempt: Option<Attempt>,
    /// The token request under way.
    request: Option<TokenRequest>,
    /// Token requests under way whose login was replaced, or that were given up.
    abandoned: u32,
    call: Option<StoreCall<T, E>>,
    store: StoreHealth<E>,
    /// A request waits for what the store holds, and for no renewal.
    wants_read: bool,
    /// When the store was last read for such a request.
    read: Option<Duration>,
    /// The wait before the next read of another session's mark.
    look: Option<Look>,
    saving: Option<SaveCall>,
    set_aside: u8,
    revocation: Option<Revocation<T, E>>,
    ids: u32,
    notes: Vec<Note<E>>,
}

impl<T: Credential, E: Clone> Machine<T, E> {
    /// A session without a token.
    pub(crate) fn new(name: u64) -> Self {
        Self {
            name,
            known: None,
            is_given: false,
            seen: None,
            served: None,
            own: Access::new(Target::OWN),
            others: Vec::new(),
            renewed: None,
            serial: 0,
            is_login_expiry_noted: false,
            response_lost: false,
            follow_up: None,
            failure: None,
            failures: 0,
            pending: None,
            outcome: None,
            is_outcome_doubtful: false,
            unsaved: None,
            began: None,
            attempt: None,
            request: None,
            abandoned: 0,
            call: None,
            store: StoreHealth::good(),
            wants_read: false,
            read: None,
            look: None,
            saving: None,
            set_aside: 0,
            revocation: None,
            ids: 0,
            notes: Vec::new(),
        }
    }

    /// A session that begins with a token of the application's. A stored record goes before it.
    pub(crate) fn with_token(name: u64, login: u64, token: T) -> Self {
        let mut machine = Self::new(name);
        let state = State::Live(Some(token.clone()));
        machine.known =
            Some(Record { login, number: 0, generation: 0, state, mark: None, pause: None });
        machine.is_given = true;
        machine.serve(login, 0, token, SystemTime::UNIX_EPOCH);
        machine
    }

    /// The token that requests carry, fresh or not.
    pub(crate) fn served(&self) -> Option<&Served<T>> {
        self.served.as_ref()
    }

    /// Whether the token in use is the application's, and what the store holds goes before it: it is not known
    /// yet.
    pub(crate) fn awaits_store(&self, settings: &Settings) -> bool {
        let is_known = self.seen.is_some() || self.store.is_down;
        self.is_given && settings.home == Home::Store && !is_known
    }

    /// Whether anything happened since the notes were last taken.
    pub(crate) fn has_notes(&self) -> bool {
        !self.notes.is_empty()
    }

    /// What happened since the last call.
    pub(crate) fn take_notes(&mut self) -> Vec<Note<E>> {
        std::mem::take(&mut self.notes)
    }

    /// What to do next. Call it until it returns `None`.
    pub(crate) fn next(&mut self, settings: &Settings, now: &Now) -> Option<Action<T, E>> {
        self.follow_up(settings, now);
        let action = match settings.home {
            Home::Store => self.next_shared(settings, now),
            Home::Memory | Home::Saver => self.next_own(settings, now),
        };
        let action = action.or_else(|| self.next_revocation());
        self.publish(settings, now);
        action
    }

    /// When to ask again at the latest, even if nothing happens.
    pub(crate) fn wake_at(&self, settings: &Settings) -> Option<Duration> {
        let mut times = Vec::with_capacity(4);
        let idle = self.call.is_none();
        if let Some(unsaved) = &self.unsaved {
            if !unsaved.late {
                times.push(unsaved.since + settings.save_wait);
            }
            if settings.home == Home::Saver && self.saving.is_none() {
                times.push(unsaved.retry_at);
            }
        }
        if let Some(saving) = self.saving.as_ref().filter(|_| self.set_aside < MAX_SET_ASIDE) {
            times.push(saving.since + LONGEST_SAVE);
        }
        if settings.home == Home::Store && idle {
            if self.has_store_work() {
                times.extend(self.store.retry_at);
            }
            if let Some(look) = self.look.as_ref().filter(|_| self.wanted().is_some()) {
                times.push(look.at);
            }
            if let (Some(_), Some((at, _))) = (&self.request, self.confirmed()) {
                times.push((at + settings.lease / 3).max(self.store.retry_at.unwrap_or_default()));
            }
        }
        if let Some(attempt) = self.attempt.as_ref().filter(|_| self.request.is_none() && idle) {
            times.push(attempt.try_at.max(self.store.retry_at.unwrap_or_default()));
        }
        times.extend(self.follow_up_at());
        times.into_iter().min()
    }

    /// Whether something is under way, or waits to be done.
    pub(crate) fn is_busy(&self) -> bool {
        self.follow_up_at().is_some()
            || self.is_active()
            || self.saving.is_some()
            || self.set_aside > 0
            || self.unsaved.is_some()
            || self.has_store_work()
    }

    /// Whether something is running that has a time limit. A call of the saver has none.
    fn is_active(&self) -> bool {
        self.call.is_some()
            || self.request.is_some()
            || self.abandoned > 0
            || self.revocation.as_ref().is_some_and(|revocation| revocation.error.is_none())
    }

    /// After an answer was lost, presents the refresh token again without waiting for a request:
    /// providers with a grace period accept it again for a short time only.
    fn follow_up(&mut self, settings: &Settings, now: &Now) {
        if self.follow_up_at().is_none_or(|at| now.at < at) {
            return;
        }
        let paused = self.seen.as_ref().and_then(|seen| seen.paused(now));
        let at =
            paused.map(|(_, left)| now.at + left).or(self.store.retry_at.filter(|at| now.at < *at));
        if let Some(follow_up) = &mut self.follow_up {
            follow_up.at = at;
        }
        if at.is_none() {
            // If something prevents it, the next request gets the reason.
            self.want(&Target::OWN, settings, now).ok();
        }
    }

    fn follow_up_at(&self) -> Option<Duration> {
        let is_idle = self.request.is_none() && self.pending.is_none() && self.outcome.is_none();
        self.follow_up.as_ref()?.at.filter(|_| is_idle && self.wanted().is_none())
    }

    fn has_store_work(&self) -> bool {
        self.pending.is_some()
            || self.outcome.is_some()
            || self.wanted().is_some()
            || self.wants_read
            || self.attempt.is_some()
    }

    /// Whether it has no token, and none is under way.
    pub(crate) fn is_vacant(&self) -> bool {
        self.served.is_none() && !self.is_busy()
    }

    fn confirmed(&self) -> Option<(Duration, SystemTime)> {
        self.attempt.as_ref()?.confirmed
    }

    fn id(&mut self) -> u32 {
        self.ids = self.ids.wrapping_add(1);
        self.ids
    }

    fn note(&mut self, note: Note<E>) {
        self.notes.push(note);
    }

    /// The number of a login that begins now.
    fn next_number(&self, now: &Now) -> u64 {
        let seen = self.seen.as_ref().and_then(|seen| seen.record.as_ref());
        let known = [self.known.as_ref(), seen].into_iter().flatten();
        let highest = known.map(|record| record.number).max().unwrap_or_default();
        highest.saturating_add(1).max(record::millis(now.wall)).min(UNNUMBERED - 1)
    }

    /// The record whose token requests should carry, and whether that token is its current one as
    /// far as this session knows.
    fn newest(&self) -> Option<(u64, u64, State<T, E>)> {
        if let Some(pending) = &self.pending {
            let state = match &pending.token {
                Some(token) => State::Live(Some(token.clone())),
                None => State::SignedOut,
            };
            return Some((pending.login, 0, state));
        }
        let known = self.known.as_ref();
        let gained = match &self.outcome {
            Some(Outcome::Gained(record)) => Some(record),
            _ => None,
        };
        let record =
            gained.filter(|record| known.is_none_or(|known| record.is_above(known))).or(known)?;
        Some((record.login, record.generation, record.state.clone()))
    }

    /// Whether the newest token may be used, though it is not saved.
    fn is_released(&self, settings: &Settings) -> bool {
        let unsaved = self.unsaved.as_ref();
        unsaved
            .is_none_or(|unsaved| !settings.strict_saving && (unsaved.failures > 0 || unsaved.late))
    }

    /// Puts the newest token into use, where it may be.
    fn publish(&mut self, settings: &Settings, now: &Now) {
        if let Some(unsaved) = self.unsaved.as_mut().filter(|unsaved| !unsaved.late)
            && now.at >= unsaved.since + settings.save_wait
        {
            unsaved.late = true;
            if unsaved.failures == 0 {
                self.note(Note::SaveSlow);
            }
        }
        let Some((login, generation, state)) = self.newest() else { return };
        let same_login = self.served.as_ref().is_some_and(|served| served.login == login);
        match state {
            State::SignedOut => self.unserve(),
            // The old token can still be used until it expires.
            State::Ended(_) | State::Live(None) if same_login => {}
            State::Ended(_) | State::Live(None) => self.unserve(),
            State::Live(Some(token)) if self.is_released(settings) => {
                let is_new = self
                    .served
                    .as_ref()
                    .is_none_or(|served| (served.login, served.generation) != (login, generation));
                let new = if is_new {
                    self.serve(login, generation, token, now.wall)
                } else {
                    Vec::new()
                };
                if !new.is_empty() {
                    let took = self.took(now);
                    for (target, serial) in new {
                        self.note(Note::TokenInUse { target, serial, took });
                    }
                    self.note_login_expiry(same_login, now);
                }
            }
            State::Live(Some(_)) => {
                // Do not use another login's token once it is known that saving is slow.
                let waited = self.unsaved.as_ref().is_some_and(|u| u.failures > 0 || u.late);
                if waited && !same_login {
                    self.unserve();
                }
            }
        }
    }

    /// Notes once for each login that it expires soon.
    fn note_login_expiry(&mut self, same_login: bool, now: &Now) {
        let served = self.served.as_ref();
        let is_soon = served.is_some_and(|served| served.token.login_expires_soon(now.wall));
        let is_noted = same_login && self.is_login_expiry_noted;
        if is_soon && !is_noted {
            self.note(Note::LoginExpiresSoon);
        }
        self.is_login_expiry_noted = is_noted || is_soon;
    }

    /// How a record could be renewed: `Some(true)` with its refresh token, `Some(false)` by the grant.
    /// A refresh token that has expired is not presented.
    fn way_to_renew(record: &Record<T, E>, settings: &Settings, now: &Now) -> Option<bool> {
        let can_refresh = settings.has_client
            && record.token().is_some_and(T::can_refresh)
            && !Self::is_login_expired(record, now);
        match &record.state {
            State::SignedOut => None,
            _ if can_refresh => Some(true),
            _ => settings.has_grant.then_some(false),
        }
    }

    /// Whether anything can renew the record; where there is none, whether the grant brings a first token.
    fn is_renewable(record: Option<&Record<T, E>>, settings: &Settings, now: &Now) -> bool {
        record.map_or(settings.has_grant, |record| {
            Self::way_to_renew(record, settings, now).is_some()
        })
    }

    /// Whether the refresh token of the record has expired, by this machine's clock.
    fn is_login_expired(record: &Record<T, E>, now: &Now) -> bool {
        let deadline = record.token().and_then(T::login_expires_at);
        deadline.is_some_and(|deadline| now.wall >= deadline)
    }

    /// Whether the only thing that keeps the newest known record from being renewed is that its refresh
    /// token has expired.
    fn is_kept_by_expiry(&self, settings: &Settings, now: &Now) -> bool {
        let known = self.known.as_ref();
        known.is_some_and(|known| {
            Self::is_login_expired(known, now) && Self::way_to_renew(known, settings, now).is_none()
        })
    }

    /// Why nothing can renew the record.
    fn why_not(&self, record: Option<&Record<T, E>>, settings: &Settings, now: &Now) -> Reason<E> {
        let expired = settings.has_client && record.is_some_and(|r| Self::is_login_expired(r, now));
        match record.map(|record| &record.state) {
            None if settings.home == Home::Store => Reason::NoStoredToken,
            None => Reason::NoToken,
            Some(State::SignedOut) => Reason::SignedOut,
            Some(State::Ended(error)) => {
                Reason::Ended { error: error.clone(), lost: self.response_lost }
            }
            Some(State::Live(_)) if expired => Reason::LoginExpired,
            Some(State::Live(_)) => Reason::NotRenewable,
        }
    }

    /// Presents the refresh token of the record, or asks the grant, for the target that is next.
    fn present(
        &mut self,
        record: &Record<T, E>,
        refresh: bool,
        settings: &Settings,
        now: &Now,
    ) -> Action<T, E> {
        self.look = None;
        let limit = if refresh { settings.refresh_limit } else { settings.grant_limit };
        let until = now.at + limit;
        let attempt = self.attempt.get_or_insert(Attempt {
            confirmed: None,
            tries: 0,
            try_at: Duration::ZERO,
            until,
        });
        if attempt.tries == 0 {
            attempt.until = until;
        }
        attempt.tries += 1;
        let limit = attempt.until.saturating_sub(now.at).min(limit);
        let id = self.id();
        let token = record.token().cloned();
        let (login, number, generation) = (record.login, record.number, record.generation);
        let target = self.next_target();
        self.request = Some(TokenRequest { id, login, generation, target: target.clone() });
        let request = Presented { id, login, number, generation, token, target, refresh };
        Action::Present { request, limit }
    }

    fn next_revocation(&mut self) -> Option<Action<T, E>> {
        if self.pending.is_some() || self.request.is_some() || self.abandoned > 0 {
            return None;
        }
        let revocation = self.revocation.as_mut()?;
        if revocation.under_way || revocation.error.is_some() {
            return None;
        }
        match revocation.tokens.first().cloned() {
            Some(token) => {
                revocation.under_way = true;
                Some(Action::Revoke { token })
            }
            None => {
                self.revocation = None;
                self.note(Note::SignedOut);
                None
            }
        }
    }

    /// All instants of the monotonic clock in the state. The model moves them.
    #[cfg(test)]
    pub(crate) fn instants(&mut self) -> Vec<&mut Duration> {
        let mut all = Vec::new();
        all.extend(self.store.retry_at.as_mut());
        all.extend(self.seen.iter_mut().flat_map(|seen| [&mut seen.since, &mut seen.looked]));
        all.extend(self.failure.iter_mut().filter_map(|failure| failure.retry_at.as_mut()));
        all.extend(self.unsaved.iter_mut().flat_map(|u| [&mut u.since, &mut u.retry_at]));
        for access in std::iter::once(&mut self.own).chain(&mut self.others) {
            all.extend(access.wanted.as_mut());
            all.extend(access.paths.each().map(|quiet| &mut quiet.until));
            all.extend(access.refusal.iter_mut().filter_map(|refusal| refusal.retry_at.as_mut()));
        }
        all.extend(self.began.as_mut());
        all.extend(self.read.as_mut());
        if let Some(attempt) = &mut self.attempt {
            all.extend([&mut attempt.try_at, &mut attempt.until]);
            all.extend(attempt.confirmed.as_mut().map(|(at, _)| at));
        }
        all.extend(self.call.iter_mut().map(|call| &mut call.sent.0));
        all.extend(self.look.iter_mut().map(|look| &mut look.at));
        all.extend(self.saving.iter_mut().map(|saving| &mut saving.since));
        all
    }
}
