//! What each event does to the memory. What to do about it, the decision list says afterwards.

use std::time::Duration;

use super::backoff::between;
use super::unauthorized::Paths;
use super::{
    Answer, Credential, Failure, FailureClass, Found, Home, Machine, Note, Now, Outcome, Pause,
    Pending, Presented, Purpose, Reason, Record, Revocation, SECOND_TRY, SaveCall, Settings, State,
    StoreCall, StoreFailure, StoreHealth, Swapped, Target, Unsaved,
};

impl<T: Credential, E: Clone> Machine<T, E> {
    /// A load has ended.
    pub(crate) fn loaded(
        &mut self,
        call: u32,
        outcome: Result<Found<T, E>, StoreFailure<E>>,
        settings: &Settings,
        now: &Now,
    ) {
        if self.call.as_ref().is_none_or(|sent| sent.id != call) {
            return;
        }
        self.call = None;
        match outcome {
            Ok(found) => {
                self.store_answered(now);
                self.see(found, now);
            }
            Err(failure) => self.store_failed(failure, settings, now),
        }
        self.publish(settings, now);
    }

    /// A swap has ended.
    pub(crate) fn swapped(
        &mut self,
        call: u32,
        outcome: Result<Swapped<T, E>, StoreFailure<E>>,
        settings: &Settings,
        now: &Now,
    ) {
        let Some(sent) = self.call.take_if(|sent| sent.id == call) else { return };
        let Some((purpose, record)) = sent.swap else { return };
        match outcome {
            Ok(Swapped::Stored(version)) => {
                self.store_answered(now);
                self.see(Some((record.clone(), version)), now);
                self.stored(purpose, &record, sent.sent, settings);
            }
            Ok(Swapped::Conflict(found)) => {
                self.store_answered(now);
                self.see(found, now);
                // Only what the store confirms is a claim. While a token request is under way the claim
                // stands as long as nobody else's is there: the store may have lost it.
                let stands = self.request.is_some() && !self.is_superseded();
                if purpose == Purpose::Mark && !stands {
                    if self.request.is_some() {
                        self.note(Note::LeaseLost);
                    }
                    if let Some(attempt) = &mut self.attempt {
                        attempt.confirmed = None;
                    }
                }
            }
            Err(failure) => {
                let is_doubtful = failure.unreadable.is_none();
                self.is_outcome_doubtful |= is_doubtful && purpose == Purpose::Outcome;
                // Another sign-in or sign-out may have come meanwhile.
                let pending = self.pending.as_mut().filter(|p| p.login == record.login);
                if let Some(pending) = pending.filter(|_| is_doubtful) {
                    // The first one: any of them may be in the store, and have been replaced there.
                    pending.unanswered.get_or_insert(record.number);
                }
                self.store_failed(failure, settings, now);
            }
        }
        self.publish(settings, now);
    }

    /// A swap of ours is in the store.
    fn stored(
        &mut self,
        purpose: Purpose,
        record: &Record<T, E>,
        sent: (Duration, std::time::SystemTime),
        settings: &Settings,
    ) {
        match purpose {
            Purpose::Mark => {
                // One that was sent before the second try was due confirms nothing for it.
                if let Some(attempt) = self.attempt.as_mut().filter(|a| sent.0 >= a.try_at) {
                    attempt.confirmed = Some(sent);
                }
            }
            Purpose::Login => {
                // Another sign-in or sign-out may have come meanwhile.
                if self.pending.as_ref().is_some_and(|pending| pending.login == record.login) {
                    self.login_stored(true, settings);
                }
            }
            Purpose::Outcome => {
                match &self.outcome {
                    Some(Outcome::Gained(ours)) if ours.is_same(record) => {
                        self.unsaved = None;
                        self.attempt = None;
                        if record.token().is_some() {
                            self.note(Note::Saved);
                        }
                    }
                    Some(Outcome::Nothing(_)) => {}
                    _ => return,
                }
                self.outcome = None;
            }
            Purpose::Restore => {}
        }
    }

    /// Whether the record seen is another one than the one that is being renewed, or bears the mark of
    /// another session.
    pub(super) fn is_superseded(&self) -> bool {
        let (Some(request), Some(seen)) = (&self.request, &self.seen) else { return false };
        seen.record.as_ref().is_some_and(|record| {
            let holder = record.mark.and_then(|mark| mark.holder);
            (record.login, record.generation) != (request.login, request.generation)
                || holder.is_some_and(|holder| holder != self.name)
        })
    }

    fn store_answered(&mut self, now: &Now) {
        let before = std::mem::replace(&mut self.store, StoreHealth::good());
        // The holder of the mark seen could not renew it either, nor store what it has got: it has a
        // whole lease for that from the moment when the store is back.
        if let Some(seen) = self.seen.as_mut().filter(|_| before.is_down) {
            seen.since = now.at;
        }
        if self.failure.as_ref().is_some_and(|failure| failure.of_store) {
            self.failure = None;
        }
    }

    /// Nothing is forgotten: the list decides anew, from the same memory.
    fn store_failed(&mut self, failure: StoreFailure<E>, settings: &Settings, now: &Now) {
        self.store.failures = self.store.failures.saturating_add(1);
        let failures = self.store.failures;
        let before = std::mem::replace(&mut self.store.unreadable, failure.unreadable);
        if failure.unreadable.is_some() && before.is_none() && self.pending.is_some() {
            // The sign-in or sign-out goes on with what is known now.
            return;
        }
        // Siblings count the time for which a mark does not change.
        let is_urgent = self.request.is_some() || matches!(self.outcome, Some(Outcome::Gained(_)));
        if failures == 1 && (!failure.slow || is_urgent) {
            return;
        }
        self.store.is_down = true;
        let mut wait = settings.backoff.transient(failures, now.jitter);
        // Siblings wait for what is not stored yet.
        wait = wait.min((settings.lease / 2).max(settings.backoff.shortest));
        let retry_at = now.at + wait;
        self.store.retry_at = Some(retry_at);
        self.store.error = Some(failure.error.clone());
        if let Some(unsaved) = &mut self.unsaved {
            unsaved.failures = unsaved.failures.saturating_add(1);
            let reason = Reason::NotSaved(failure.error.clone());
            unsaved.error = Some(reason.clone());
            let attempt = unsaved.failures;
            self.note(Note::SaveFailed { reason, attempt });
        }
        if self.wanted().is_none() || self.request.is_some() {
            return;
        }
        if self.renewable_without_store(settings, now).is_some() {
            self.note(Note::RenewingWithoutStore(failure.error));
        } else {
            let known = match &self.outcome {
                Some(Outcome::Gained(record)) => Some(record),
                _ => self.known.as_ref(),
            };
            let known = known.or(self.seen.as_ref().and_then(|s| s.record.as_ref()));
            // That the login had ended is what helps the reader more.
            let ended = known.is_some_and(|known| !matches!(known.state, State::Live(_)));
            let reason = if ended {
                self.why_not(known, settings, now)
            } else {
                Reason::Error(failure.error)
            };
            self.fail(reason, Some(retry_at), true, now);
        }
    }

    /// A token request has been answered, or has failed.
    pub(crate) fn answered(
        &mut self,
        request: Presented<T>,
        answer: Answer<T, E>,
        settings: &Settings,
        now: &Now,
    ) {
        let is_current = self.is_current(&request);
        if is_current {
            self.request = None;
        } else {
            self.abandoned = self.abandoned.saturating_sub(1);
        }
        let Presented { login, number, generation, target, .. } = request;
        let record = |generation, state| Record {
            login,
            number,
            generation,
            state,
            mark: None,
            pause: None,
        };
        match answer {
            Answer::Token(token) => {
                let record = record(generation + 1, State::Live(Some(token)));
                self.gained(record, &target, is_current, settings, now);
            }
            Answer::Rotated(token, error) => {
                let record = record(generation + 1, State::Live(Some(token)));
                self.rotated(record, &target, error, is_current, settings, now);
            }
            Answer::Refused(error) => {
                if settings.has_grant {
                    self.note(Note::RefreshTokenRefused(error.clone()));
                }
                let record = record(generation, State::Ended(error));
                self.gained(record, &target, is_current, settings, now);
            }
            Answer::TargetRefused(error) if is_current => {
                self.target_refused(&target, error, settings, now);
            }
            Answer::Failed(error, class) if is_current => {
                let in_doubt = matches!(class, FailureClass::Foreign { in_doubt: true, .. });
                self.response_lost |= request.refresh && in_doubt;
                self.gained_nothing(error, class, settings, now);
            }
            Answer::Lost(error) if is_current => self.lost(error, request.refresh, settings, now),
            Answer::Failed(..) | Answer::Lost(_) | Answer::TargetRefused(_) => {}
        }
        self.publish(settings, now);
    }

    /// The renewal has failed, but the refresh token was replaced: the new one is stored, or saved, before
    /// anything else, and the next attempt presents it.
    fn rotated(
        &mut self,
        mut record: Record<T, E>,
        target: &Target,
        error: E,
        is_current: bool,
        settings: &Settings,
        now: &Now,
    ) {
        let class = FailureClass::Foreign { in_doubt: false, retry_after: None };
        let (attempts, wait) = self.backoff(class, settings, now);
        let is_recorded = settings.home == Home::Store;
        if is_recorded {
            record.pause = Some(Pause::new(now.wall, wait, error.clone(), attempts));
        }
        let is_kept = self.gained(record, target, is_current, settings, now);
        // It is no renewal.
        self.renewed = None;
        if is_kept && is_current {
            self.fail_for(error, (attempts, wait), is_recorded, settings, now);
        }
    }

    /// Takes what a token request brought for the newest of its login, if it is; whether that is the
    /// present login.
    fn gained(
        &mut self,
        record: Record<T, E>,
        target: &Target,
        is_current: bool,
        settings: &Settings,
        now: &Now,
    ) -> bool {
        let has_token = record.token().is_some();
        if !is_current {
            self.note(Note::RenewalDiscarded);
        }
        let base = match &self.outcome {
            Some(Outcome::Gained(gained)) => Some(gained),
            _ => self.known.as_ref(),
        };
        if base.is_some_and(|base| !record.is_above(base)) {
            let signed_out = self.pending.as_ref().is_some_and(|pending| pending.token.is_none())
                || base.is_some_and(|base| matches!(base.state, State::SignedOut));
            if signed_out {
                self.revoke_late(record.token().cloned(), settings);
            }
            return false;
        }
        let error = match &record.state {
            State::Ended(error) => Some(error.clone()),
            _ => None,
        };
        if has_token {
            self.renewed = Some((record.login, record.generation, target.clone()));
        }
        let is_present = self.pending.is_none()
            && self.known.as_ref().is_none_or(|known| known.login == record.login);
        if settings.home == Home::Store {
            self.outcome = Some(Outcome::Gained(record));
            self.is_outcome_doubtful = false;
            // What is new cuts a backoff short.
            self.store.retry_at = None;
        } else {
            self.known = Some(record);
            self.attempt = None;
        }
        if !is_present {
            return false;
        }
        if has_token {
            if settings.home != Home::Memory {
                self.unsaved = Some(Unsaved::since(now));
            }
            self.want_others(target, now);
            self.access_mut(target).refusal = None;
            self.failure = None;
            self.response_lost = false;
            return true;
        }
        self.unsaved = None;
        // With a grant, that is asked next, for as long as a token is wanted.
        if let Some(error) = error.filter(|_| is_current && !settings.has_grant) {
            let retry_at = (settings.home == Home::Store).then(|| now.at + settings.moment());
            self.fail(Reason::Ended { error, lost: self.response_lost }, retry_at, false, now);
        }
        true
    }

    fn lost(&mut self, error: E, refresh: bool, settings: &Settings, now: &Now) {
        if refresh {
            self.response_lost = true;
        }
        let try_at = now.at + between(SECOND_TRY.0, SECOND_TRY.1, now.jitter);
        let is_wanted = self.wanted().is_some();
        let attempt = self
            .attempt
            .as_mut()
            .filter(|attempt| refresh && attempt.tries < 2 && try_at < attempt.until);
        match attempt {
            Some(attempt) if self.pending.is_none() && is_wanted => {
                attempt.confirmed = None;
                attempt.try_at = try_at;
                self.note(Note::ResponseLost(error));
            }
            _ => self.gained_nothing(error, FailureClass::Transient(None), settings, now),
        }
    }

    fn gained_nothing(&mut self, error: E, class: FailureClass, settings: &Settings, now: &Now) {
        let (attempts, wait) = self.backoff(class, settings, now);
        let pause = Pause::new(now.wall, wait, error.clone(), attempts);
        let is_recorded = self.release(Some(pause), settings);
        self.fail_for(error, (attempts, wait), is_recorded, settings, now);
    }

    /// The attempt is over without a new token: clears the mark, and records the pause beside it. Whether
    /// there is a mark.
    pub(super) fn release(&mut self, pause: Option<Pause<E>>, settings: &Settings) -> bool {
        self.attempt = None;
        let seen = self.seen.as_ref().and_then(|seen| seen.record.as_ref());
        let is_marked = settings.home == Home::Store
            && seen.is_some_and(|record| record.is_marked_by(self.name))
            && !matches!(self.outcome, Some(Outcome::Gained(_)));
        if is_marked {
            self.outcome = Some(Outcome::Nothing(pause));
        }
        is_marked
    }

    /// The renewal has failed, for the time of a backoff.
    fn fail_for(
        &mut self,
        error: E,
        (attempts, wait): (u32, Duration),
        is_recorded: bool,
        settings: &Settings,
        now: &Now,
    ) {
        // Where the record says when to ask the provider again, a sibling may sign in before that.
        let wait = if is_recorded { wait.min(settings.moment()) } else { wait };
        self.fail(Reason::Error(error), Some(now.at + wait), false, now);
        self.failure.iter_mut().for_each(|failure| failure.attempts = attempts);
    }

    /// How many attempts in a row have failed with this one, and the wait before the next.
    fn backoff(&self, class: FailureClass, settings: &Settings, now: &Now) -> (u32, Duration) {
        let seen = self.seen.as_ref().and_then(|seen| seen.record.as_ref());
        let paused =
            seen.and_then(|record| record.pause.as_ref()).map_or(0, |pause| pause.attempts);
        let failed = self.failure.as_ref().map_or(0, |failure| failure.attempts);
        let attempts = paused.max(failed).saturating_add(1);
        (attempts, settings.backoff.after(class, attempts, now.jitter))
    }

    /// The renewal that is wanted has failed: whoever waits for it gets the reason.
    pub(super) fn fail(
        &mut self,
        reason: Reason<E>,
        retry_at: Option<Duration>,
        of_store: bool,
        now: &Now,
    ) {
        let target = self.next_target();
        self.want_nothing();
        self.look = None;
        self.failures = self.failures.wrapping_add(1);
        let before = self.failure.take();
        let attempt = before.as_ref().map_or(0, |failure| failure.attempts).saturating_add(1);
        let known_before = before.is_some_and(|failure| failure.reason.is_final());
        let took = self.took(now);
        self.note(Note::RenewalFailed {
            target,
            reason: reason.clone(),
            attempt,
            known_before,
            took,
        });
        self.failure = Some(Failure { reason, attempts: attempt, retry_at, of_store });
    }

    /// A call of the saver has ended.
    pub(crate) fn saved(
        &mut self,
        call: u32,
        outcome: Result<(), E>,
        settings: &Settings,
        now: &Now,
    ) {
        let Some(saving) = self.saving.take_if(|saving| saving.id == call) else {
            self.set_aside = self.set_aside.saturating_sub(1);
            self.save_again(now);
            self.publish(settings, now);
            return;
        };
        let is_newest = self.is_newest(&saving);
        match outcome {
            Ok(()) => {
                let deleted = self
                    .known
                    .as_ref()
                    .is_some_and(|known| matches!(known.state, State::SignedOut));
                self.note(if deleted && is_newest { Note::Deleted } else { Note::Saved });
                if is_newest {
                    self.unsaved = saving.again.then(|| Unsaved::since(now));
                }
            }
            Err(error) => self.save_failed(Reason::Error(error), is_newest, settings, now),
        }
        self.publish(settings, now);
    }

    /// Whether the call is about the newest token.
    pub(super) fn is_newest(&self, saving: &SaveCall) -> bool {
        self.known.as_ref().is_some_and(|known| {
            (known.login, known.generation) == (saving.login, saving.generation)
        })
    }

    /// A call that was set aside has ended. What it wrote may be older than what was saved since.
    fn save_again(&mut self, now: &Now) {
        match &mut self.saving {
            Some(saving) => saving.again = true,
            None if self.unsaved.is_none() => self.unsaved = Some(Unsaved::since(now)),
            None => {}
        }
    }

    pub(super) fn save_failed(
        &mut self,
        reason: Reason<E>,
        is_newest: bool,
        settings: &Settings,
        now: &Now,
    ) {
        let Some(unsaved) = self.unsaved.as_mut() else { return };
        let failures = unsaved.failures.saturating_add(1);
        if is_newest {
            unsaved.failures = failures;
            unsaved.error = Some(reason.clone());
            unsaved.retry_at = now.at + settings.backoff.transient(failures, now.jitter);
        }
        self.note(Note::SaveFailed { reason, attempt: failures });
    }

    /// The application signs in with this token, or out with none. What is under way for the login
    /// before is void.
    pub(crate) fn set_login(
        &mut self,
        login: u64,
        token: Option<T>,
        settings: &Settings,
        now: &Now,
    ) {
        if self.request.take().is_some() {
            self.abandoned += 1;
        }
        let replaced = self.newest_token();
        self.began = Some(now.at);
        let signs_out = token.is_none();
        self.attempt = None;
        self.failure = None;
        for access in self.each_access_mut() {
            access.wanted = None;
            access.paths = Paths::default();
            access.refusal = None;
        }
        self.response_lost = false;
        self.renewed = None;
        self.unsaved = None;
        // Whoever waits for the old login's token now waits for this one.
        if settings.home == Home::Store {
            self.store.retry_at = None;
            self.pending = Some(Pending { login, token, replaced, unanswered: None });
            self.unsaved = Some(Unsaved::since(now));
        } else {
            let number = self.next_number(now);
            let state = token.map_or(State::SignedOut, |token| State::Live(Some(token)));
            self.known =
                Some(Record { login, number, generation: 0, state, mark: None, pause: None });
            if settings.home == Home::Saver {
                self.unsaved = Some(Unsaved::since(now));
            }
            if signs_out {
                self.revoke(replaced, settings);
            }
        }
        self.publish(settings, now);
    }

    fn newest_token(&self) -> Option<T> {
        match self.newest() {
            Some((_, _, State::Live(Some(token)))) => Some(token),
            _ => self.served.as_ref().map(|served| served.token.clone()),
        }
    }

    /// Revokes this token, and what an earlier sign-out could not revoke.
    pub(super) fn revoke(&mut self, token: Option<T>, settings: &Settings) {
        let revocation = self.revocation.get_or_insert(Revocation {
            tokens: Vec::new(),
            under_way: false,
            error: None,
        });
        revocation.error = None;
        let Some(token) = token.filter(|_| settings.can_revoke) else { return };
        let at = revocation.tokens.iter().position(|other| other.is_identical(&token));
        match at {
            None => revocation.tokens.push(token),
            // It may have access tokens for more targets.
            Some(at) if at > 0 || !revocation.under_way => revocation.tokens[at] = token,
            Some(_) => {}
        }
    }

    /// The provider was asked to revoke the token of a login that was signed out.
    pub(crate) fn revoked(&mut self, outcome: Result<(), E>, settings: &Settings, now: &Now) {
        if let Some(revocation) = &mut self.revocation {
            revocation.under_way = false;
            match outcome {
                Ok(()) => drop(revocation.tokens.drain(..1.min(revocation.tokens.len()))),
                Err(error) => {
                    revocation.error = Some(error.clone());
                    self.note(Note::SignOutFailed(error));
                }
            }
        }
        self.publish(settings, now);
    }

    /// What carried the calls is gone: none of them will be answered. `sent`: whether the token request
    /// had begun.
    pub(crate) fn calls_lost(&mut self, error: &E, sent: bool, settings: &Settings, now: &Now) {
        self.abandoned = 0;
        if std::mem::take(&mut self.set_aside) > 0 {
            self.save_again(now);
        }
        if let Some(StoreCall { id, swap, .. }) = self.call.clone() {
            let failure = StoreFailure { error: error.clone(), slow: false, unreadable: None };
            match swap {
                Some(_) => self.swapped(id, Err(failure), settings, now),
                None => self.loaded(id, Err(failure), settings, now),
            }
        }
        if self.request.take().is_some() {
            match self.attempt.as_mut().filter(|_| !sent) {
                Some(attempt) => attempt.tries = attempt.tries.saturating_sub(1),
                None => self.lost(error.clone(), true, settings, now),
            }
        }
        if let Some(saving) = self.saving.as_ref().map(|saving| saving.id) {
            self.saved(saving, Err(error.clone()), settings, now);
        }
        if self.revocation.as_ref().is_some_and(|revocation| revocation.under_way) {
            self.revoked(Err(error.clone()), settings, now);
        }
        self.publish(settings, now);
    }
}

impl<E> Unsaved<E> {
    fn since(now: &Now) -> Self {
        Self { since: now.at, failures: 0, error: None, retry_at: now.at, late: false }
    }
}
