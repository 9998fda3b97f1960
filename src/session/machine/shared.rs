//! The decision list of a session whose login is in a store that others share.
//!
//! After every event it runs from the top, and does the first thing that applies:
//!
//! 1. Store a sign-in or sign-out. If an attempt got no answer and a higher number appeared since,
//!    give way: the attempt may have been stored and then replaced. A sign-in with the very token that
//!    the store holds under a mark is that login. Only this rule replaces a record that cannot be read.
//! 2. Store the result of a token request, if it is newer than the stored record; clear the mark if
//!    there is no result.
//! 3. A token request is under way: keep the mark young.
//! 4. The mark is ours: present the refresh token of the marked record, if the store has confirmed
//!    the mark and it is younger than half a lease; otherwise swap the mark in again.
//! 5. The store is empty or older: write the newest record back, with the mark *nobody*, since
//!    another session may be renewing it.
//! 6. A request wants to know what the store holds, and renews nothing: read.
//! 7. A renewal is wanted: swap our mark in, if there is none or a dead one. Otherwise read again
//!    later.
//!
//! A renewal costs two swaps and no load. A mark of another session is dead when its record has not
//! changed for a lease on our own clock; nobody compares clocks.

use std::iter::once;
use std::time::Duration;

use super::access::is_fresh_again;
use super::backoff::between;
use super::record::millis;
use super::{
    Action, Attempt, Cause, Credential, FailureOf, Found, Look, Machine, Mark, Note, Now, Outcome,
    Pending, Presented, Purpose, Reason, Record, Seen, Settings, State, StoreCall, Target,
};

impl<T: Credential, E: Clone> Machine<T, E> {
    pub(super) fn next_shared(&mut self, settings: &Settings, now: &Now) -> Option<Action<T, E>> {
        if self.call.is_some() {
            return None;
        }
        if self.store.retry_at.is_some_and(|at| now.at < at) {
            return self.present_without_store(settings, now);
        }
        self.store.retry_at = None;
        let replaces = self.pending.is_some() && self.store.unreadable.is_some();
        if self.seen.is_none() && !replaces {
            return self.has_store_work().then(|| self.load(now));
        }
        if let Some(action) = self.store_login(settings, now) {
            return Some(action);
        }
        if let Some(action) = self.store_outcome(settings, now) {
            return Some(action);
        }
        if self.request.is_some() {
            return self.keep_mark(settings, now);
        }
        if let Some(decided) = self.use_mark(settings, now) {
            return decided;
        }
        if let Some(action) = self.restore(settings, now) {
            return Some(action);
        }
        if self.wants_read {
            return Some(self.load(now));
        }
        self.claim(settings, now)
    }

    /// Rule 1.
    fn store_login(&mut self, settings: &Settings, now: &Now) -> Option<Action<T, E>> {
        let pending = self.pending.clone()?;
        let seen = self.seen.as_ref().and_then(|seen| seen.record.clone());
        let number = seen.as_ref().map_or(0, |record| record.number);
        let is_stored = seen.as_ref().is_some_and(|record| record.login == pending.login)
            || self.is_being_renewed_in_store(&pending);
        let yields = pending.unanswered.is_some_and(|tried| number > tried);
        if is_stored || yields {
            self.login_stored(is_stored, settings);
            return None;
        }
        // The record that the swap replaces is the one that the provider knows.
        if let (Some(token), Some(pending)) =
            (seen.as_ref().and_then(Record::token), &mut self.pending)
        {
            pending.replaced = Some(token.clone());
        }
        let number = self.next_number(now);
        let state = match pending.token {
            Some(token) => State::Live(Some(token)),
            None => State::SignedOut,
        };
        let record =
            Record { login: pending.login, number, generation: 0, state, mark: None, pause: None };
        Some(self.swap(Purpose::Login, record, now))
    }

    /// Whether the application signs in with the very token that the store holds, while that is being renewed,
    /// maybe by another session. Its refresh token may be consumed, and what the renewal brings is needed: the
    /// login goes on.
    fn is_being_renewed_in_store(&self, pending: &Pending<T>) -> bool {
        let Some(seen) = self.seen.as_ref().and_then(|seen| seen.record.as_ref()) else {
            return false;
        };
        let is_known = self.known.as_ref().is_none_or(|known| known.login == seen.login);
        let is_identical = seen
            .token()
            .zip(pending.token.as_ref())
            .is_some_and(|(one, other)| one.is_identical(other));
        seen.mark.is_some() && is_known && is_identical
    }

    /// A sign-in or sign-out of ours is in the store, or has been replaced there.
    pub(super) fn login_stored(&mut self, is_stored: bool, settings: &Settings) {
        if let Some(pending) = self.pending.take() {
            for token in pending.owed {
                self.revoke(Some(token), settings);
            }
            if pending.token.is_none() {
                self.revoke(pending.replaced, settings);
            }
            self.unsaved = None;
            self.attempt = None;
            self.want_nothing();
            self.note(if !is_stored {
                Note::SaveConflict
            } else if pending.token.is_some() {
                Note::Saved
            } else {
                Note::Deleted
            });
        }
    }

    /// Rule 2.
    fn store_outcome(&mut self, settings: &Settings, now: &Now) -> Option<Action<T, E>> {
        let seen = self.seen.as_ref().and_then(|seen| seen.record.clone());
        match self.outcome.clone()? {
            Outcome::Gained(record) => {
                let Some(present) = seen else {
                    // The store may have had it and lost it, and another session may be renewing it.
                    let is_live = matches!(record.state, State::Live(_));
                    let mark = self.is_outcome_doubtful && is_live;
                    let record = record.with_mark(mark.then(|| nobody(settings, now)));
                    return Some(self.swap(Purpose::Outcome, record, now));
                };
                if record.is_above(&present) {
                    return Some(self.swap(Purpose::Outcome, record, now));
                }
                self.outcome = None;
                self.attempt = None;
                self.unsaved = None;
                if record.is_same(&present) {
                    // A swap of ours whose answer was lost.
                    self.note(Note::Saved);
                    return None;
                }
                self.note(Note::SaveConflict);
                if matches!(present.state, State::SignedOut) {
                    self.revoke_late(record.token().cloned(), settings);
                }
                None
            }
            Outcome::Nothing(pause) => {
                self.attempt = None;
                let Some(present) = seen.filter(|record| record.is_marked_by(self.name)) else {
                    self.outcome = None;
                    return None;
                };
                let pause = pause.or_else(|| present.pause.clone());
                let record = Record { mark: None, pause, ..present };
                Some(self.swap(Purpose::Outcome, record, now))
            }
        }
    }

    /// A token that came after the login was signed out is still good at the provider.
    pub(super) fn revoke_late(&mut self, token: Option<T>, settings: &Settings) {
        if token.is_some() && settings.can_revoke {
            self.revoke(token, settings);
        }
    }

    /// Rule 3.
    fn keep_mark(&mut self, settings: &Settings, now: &Now) -> Option<Action<T, E>> {
        let (confirmed, _) = self.confirmed()?;
        if now.at < confirmed + settings.lease / 3 {
            return None;
        }
        // A store that has lost its content has lost the mark as well.
        let record = self.seen.as_ref()?.record.as_ref().or(self.known.as_ref()).cloned();
        let Some(record) = record.filter(|_| !self.is_superseded()) else {
            self.attempt.as_mut()?.confirmed = None;
            return None;
        };
        let record = record.with_mark(self.mark(settings, now));
        Some(self.swap(Purpose::Mark, record, now))
    }

    /// Rule 4. `Some` where it applies, also where it says to wait.
    fn use_mark(&mut self, settings: &Settings, now: &Now) -> Option<Option<Action<T, E>>> {
        let attempt = self.attempt.clone()?;
        let record = self.seen.as_ref().and_then(|seen| seen.record.clone());
        let marked = record.filter(|record| record.is_marked_by(self.name));
        let Some(record) = marked else {
            // Lost, or not known to be in the store: the claim is made again, if it may be.
            self.attempt = None;
            return None;
        };
        let Some(refresh) =
            Self::way_to_renew(&record, settings, now).filter(|_| self.wanted().is_some())
        else {
            // Nobody wants it any more: clear the mark.
            self.outcome = Some(Outcome::Nothing(None));
            return Some(self.store_outcome(settings, now));
        };
        if now.at < attempt.try_at {
            return Some(None);
        }
        let gives_up = self.wanted().is_some_and(|since| now.at >= since + settings.patience());
        if gives_up || (attempt.tries > 0 && now.at >= attempt.until) {
            self.outcome = Some(Outcome::Nothing(None));
            self.fail(
                &self.next_target(),
                Reason::Busy,
                Some(now.at + settings.moment()),
                FailureOf::Login,
                now,
            );
            return Some(self.store_outcome(settings, now));
        }
        let is_young = attempt.confirmed.is_some_and(|(at, wall)| {
            let age = now.at.saturating_sub(at);
            // The monotonic clock may stop while the machine sleeps; the wall clock may be changed.
            age.max(now.wall.duration_since(wall).unwrap_or_default()) < settings.lease / 2
        });
        if is_young {
            return Some(Some(self.present(&record, refresh, settings, now)));
        }
        let record = record.with_mark(self.mark(settings, now));
        Some(Some(self.swap(Purpose::Mark, record, now)))
    }

    /// Rule 5.
    fn restore(&mut self, settings: &Settings, now: &Now) -> Option<Action<T, E>> {
        let known = self.known.clone()?;
        let seen = self.seen.as_ref()?;
        if seen.record.as_ref().is_some_and(|record| !known.is_above(record)) {
            return None;
        }
        if matches!(known.state, State::Live(None)) {
            return None;
        }
        let is_live = matches!(known.state, State::Live(_));
        // No other session can have marked a token that no store has seen.
        let mark = (is_live && !self.is_given).then(|| nobody(settings, now));
        Some(self.swap(Purpose::Restore, known.with_mark(mark), now))
    }

    /// Rule 7.
    fn claim(&mut self, settings: &Settings, now: &Now) -> Option<Action<T, E>> {
        let since = self.wanted()?;
        let seen = self.seen.clone()?;
        let record = seen.record.as_ref();
        let renewable = Self::is_renewable(record, settings, now);
        let paused = seen.paused(now);
        if !renewable || paused.is_some() {
            // Another session may have brought a token since: look once.
            if seen.looked < since {
                return Some(self.load(now));
            }
            let (reason, wait) = match paused.filter(|_| renewable) {
                // Exactly when it ends: with later reads one session would ask less often than
                // several.
                Some((error, left)) => (Reason::Error(error), left.min(settings.moment())),
                None => (self.why_not(record, settings, now), settings.moment()),
            };
            let target = self.next_target();
            let reason = match reason {
                Reason::NotRenewable if self.is_rejected(&target) => Reason::NoOther,
                reason => reason,
            };
            self.fail(&target, reason, Some(now.at + wait), FailureOf::Login, now);
            return None;
        }
        if now.at >= since + settings.patience() {
            self.fail(
                &self.next_target(),
                Reason::Busy,
                Some(now.at + settings.moment()),
                FailureOf::Login,
                now,
            );
            return None;
        }
        if !self.may_claim(settings, now) {
            return self.look_again(settings, now);
        }
        let record = record.cloned().unwrap_or_else(|| Record {
            login: u64::from(now.jitter) << 32 ^ self.name,
            number: self.next_number(now),
            generation: 0,
            state: State::Live(None),
            mark: None,
            pause: None,
        });
        self.look = None;
        self.attempt = Some(Attempt {
            confirmed: None,
            tries: 0,
            try_at: Duration::ZERO,
            until: now.at + settings.attempt_limit(),
        });
        let record = record.with_mark(self.mark(settings, now));
        Some(self.swap(Purpose::Mark, record, now))
    }

    /// Whether the record seen has no mark, our own from before, or a dead one.
    fn may_claim(&self, settings: &Settings, now: &Now) -> bool {
        let Some(seen) = &self.seen else { return false };
        let Some(record) = &seen.record else { return true };
        let Some(mark) = record.mark else { return true };
        if record.is_marked_by(self.name) {
            return true;
        }
        if self.store.is_down {
            // First see whether the mark is still there.
            return false;
        }
        // Sessions may be set up differently; a mark says how long its holder wants it watched.
        let lease = mark.lease.clamp(settings.lease, settings.lease.max(Duration::from_secs(3600)));
        now.at >= seen.since + lease || mark.is_from_long_ago(now.wall)
    }

    /// Looks at another session's mark again, after a wait that doubles.
    fn look_again(&mut self, settings: &Settings, now: &Now) -> Option<Action<T, E>> {
        let (first, longest) = settings.looks;
        let wait = match &self.look {
            Some(look) if now.at < look.at => return None,
            Some(look) => (look.wait * 2).min(longest),
            None => first,
        };
        let is_time = self.look.is_some();
        let at = now.at + between(wait / 2, wait * 3 / 2, now.jitter);
        self.look = Some(Look { at, wait });
        is_time.then(|| self.load(now))
    }

    /// While the store fails: renewals that need no record go on. If the application wants it, so do
    /// all others.
    fn present_without_store(&mut self, settings: &Settings, now: &Now) -> Option<Action<T, E>> {
        if self.request.is_some() || self.wanted().is_none() {
            return None;
        }
        if self.attempt.as_ref().is_some_and(|attempt| now.at < attempt.try_at) {
            return None;
        }
        let (record, refresh) = self.renewable_without_store(settings, now)?;
        Some(self.present(&record, refresh, settings, now))
    }

    /// What may be renewed although the store cannot record it. A refresh token that may rotate is not,
    /// unless the application says so: the other sessions would go on to present the old one. Nothing is
    /// while a sign-in or sign-out waits for the store: it replaces what could be renewed. Nor during a
    /// backoff that this session knows of, though no other one may.
    pub(super) fn renewable_without_store(
        &self,
        settings: &Settings,
        now: &Now,
    ) -> Option<(Record<T, E>, bool)> {
        let (gained, pause) = match &self.outcome {
            Some(Outcome::Gained(record)) => (Some(record), record.pause.as_ref()),
            Some(Outcome::Nothing(pause)) => (None, pause.as_ref()),
            None => (None, None),
        };
        // What a new token replaces says nothing of it.
        let stored = self.seen.as_ref().filter(|_| gained.is_none());
        let is_paused = pause.is_some_and(|pause| !pause.left(now.wall).is_zero())
            || stored.is_some_and(|seen| seen.paused(now).is_some());
        if self.pending.is_some() || is_paused {
            return None;
        }
        let record = gained.or(self.known.as_ref()).cloned().unwrap_or_else(|| Record {
            // Never above what the store turns out to hold.
            login: self.name,
            number: 0,
            generation: 0,
            state: State::Live(None),
            mark: None,
            pause: None,
        });
        let refresh = Self::way_to_renew(&record, settings, now)?;
        (!refresh || settings.renew_without_store).then_some((record, refresh))
    }

    fn mark(&self, settings: &Settings, now: &Now) -> Option<Mark> {
        Some(Mark { holder: Some(self.name), at: millis(now.wall), lease: settings.lease })
    }

    fn load(&mut self, now: &Now) -> Action<T, E> {
        let call = self.id();
        self.call = Some(StoreCall { id: call, sent: (now.at, now.wall), swap: None });
        Action::Load { call }
    }

    fn swap(&mut self, purpose: Purpose, record: Record<T, E>, now: &Now) -> Action<T, E> {
        let call = self.id();
        let unreadable = self.store.unreadable.filter(|_| purpose == Purpose::Login);
        let expected = unreadable.or(self.seen.as_ref().and_then(|seen| seen.version));
        let swap = Some((purpose, record.clone()));
        self.call = Some(StoreCall { id: call, sent: (now.at, now.wall), swap });
        Action::Swap { call, purpose, expected, unreadable: unreadable.is_some(), record }
    }

    /// A record, or that there is none, was seen in the store.
    pub(super) fn see(&mut self, found: Found<T, E>, now: &Now) {
        let (mut record, version) = found.unzip();
        if let Some(record) = record.as_mut().filter(|record| record.number == super::UNNUMBERED) {
            self.number(record, now);
        }
        // Forget a login without a token once the store no longer has it.
        let login = record.as_ref().map(|record| record.login);
        if self.known.as_ref().is_some_and(|known| {
            matches!(known.state, State::Live(None)) && Some(known.login) != login
        }) {
            self.known = None;
        }
        let unchanged = self.seen.as_ref().filter(|seen| seen.version == version);
        let since = unchanged.map_or(now.at, |seen| seen.since);
        if let Some(record) = &record {
            self.learn(record, now);
        }
        if record.is_some() {
            self.is_given = false;
        }
        self.seen = Some(Seen { record, version, since, looked: now.at });
        if std::mem::take(&mut self.wants_read) {
            self.read = Some(now.at);
        }
    }

    /// Numbers a record that another program wrote. With the token that is known already it is the login
    /// that is known: a program that writes its copy again begins no other.
    fn number(&self, record: &mut Record<T, E>, now: &Now) {
        let is_copy = |known: &Record<T, E>| {
            known.token().zip(record.token()).is_some_and(|(one, other)| one.is_identical(other))
        };
        match &self.known {
            Some(known) if is_copy(known) => {
                record.login = known.login;
                record.number = known.number;
                record.generation = known.generation;
            }
            Some(known) if known.login == record.login => record.number = known.number,
            _ => record.number = self.next_number(now),
        }
    }

    /// Takes the record as the newest one, unless the one in memory is newer.
    fn learn(&mut self, record: &Record<T, E>, now: &Now) {
        if let Some(known) = &self.known
            && (known.is_same(record) || known.is_above(record))
        {
            return;
        }
        if self.known.as_ref().is_some_and(|known| known.login != record.login) {
            self.forget_login();
        }
        // A renewal belongs to one login: it presents nothing of the one that has taken its place.
        if self.request.take_if(|request| request.login != record.login).is_some() {
            self.abandoned += 1;
            self.attempt = None;
        }
        self.known = Some(Record { mark: None, pause: None, ..record.clone() });
        let Some(token) = record.token() else { return };
        let mut is_good = false;
        for access in once(&mut self.own).chain(&mut self.others) {
            let target = &access.target;
            let served = self.served.as_ref();
            let is_same = served.is_some_and(|served| served.token.is_same(target, token));
            let is_expired = token.stage(target, now.wall) == super::Stage::Expired;
            if is_expired || (is_same && access.rejected) {
                continue;
            }
            is_good = true;
            // Some providers give the same access token again, for longer.
            let is_renewed =
                served.is_none_or(|served| is_fresh_again(target, &served.token, token, now.wall));
            if !is_same || is_renewed {
                access.wanted = None;
                access.refusal = None;
            }
        }
        if self.wanted().is_none() {
            self.look = None;
        }
        // With a pause its refresh token alone may be new.
        if is_good && record.pause.is_none() {
            self.failure = None;
        }
    }

    /// The cause of a renewal that is wanted now.
    pub(super) fn cause(&self, target: &Target, now: &Now) -> Cause {
        match self.served.as_ref().filter(|_| self.serial_of(target) != 0) {
            None => Cause::NoToken,
            Some(_) if self.is_rejected(target) => Cause::Rejected,
            Some(served) => match served.token.stage(target, now.wall) {
                super::Stage::Expired => Cause::Expired,
                super::Stage::Due => Cause::Due,
                super::Stage::Fresh => Cause::Manual,
            },
        }
    }

    /// Whether the request that was answered is the one under way.
    pub(crate) fn is_current(&self, request: &Presented<T>) -> bool {
        self.request.as_ref().is_some_and(|current| current.id == request.id)
    }
}

/// The mark of a record whose holder is not known.
fn nobody(settings: &Settings, now: &Now) -> Mark {
    Mark { holder: None, at: millis(now.wall), lease: settings.lease }
}
