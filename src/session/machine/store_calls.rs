//! What the store's answers do to the memory. Afterwards the decision list says what to do.

use std::time::Duration;

use super::{
    Credential, FailureOf, Found, Machine, Note, Now, Outcome, Purpose, Reason, Record, Settings,
    State, StoreFailure, StoreHealth, Swapped,
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
        if self.failure.as_ref().is_some_and(|failure| failure.of == FailureOf::Store) {
            self.failure = None;
        }
    }

    /// Nothing is forgotten: the list decides again from the same memory.
    fn store_failed(&mut self, failure: StoreFailure<E>, settings: &Settings, now: &Now) {
        self.store.failures = self.store.failures.saturating_add(1);
        let failures = self.store.failures;
        let before = std::mem::replace(&mut self.store.unreadable, failure.unreadable);
        if failure.unreadable.is_some() && before.is_none() && self.pending.is_some() {
            // The sign-in or sign-out goes on with what is known now.
            return;
        }
        // Other sessions count the time for which a mark does not change.
        let is_urgent = self.request.is_some() || matches!(self.outcome, Some(Outcome::Gained(_)));
        if failures == 1 && (!failure.slow || is_urgent) {
            return;
        }
        self.store.is_down = true;
        self.wants_read = false;
        let mut wait = settings.backoff.transient(failures, now.jitter);
        // Other sessions wait for what is not stored yet.
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
            // What this session alone knows is the more useful error. Of a login whose end is stored, the store
            // may have the next one.
            let own = match &self.outcome {
                Some(Outcome::Gained(record)) => Some(record),
                _ => self.known.as_ref().filter(|_| self.pending.is_some()),
            };
            let reason = if own.is_some_and(|own| !matches!(own.state, State::Live(_))) {
                self.why_not(own, settings, now)
            } else {
                Reason::Error(failure.error)
            };
            self.fail(&self.next_target(), reason, Some(retry_at), FailureOf::Store, now);
        }
    }
}
