//! What the answers to token requests do to the memory: a new token, the end of a login, or a failure and
//! its backoff.

use std::time::Duration;

use super::backoff::between;
use super::{
    Answer, Credential, Failure, FailureClass, FailureOf, FollowUp, Home, Machine, Note, Now,
    Outcome, Pause, Presented, Reason, Record, SECOND_TRY, Settings, State, Target, Unsaved,
};

impl<T: Credential, E: Clone> Machine<T, E> {
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
        let is_owed = !is_current && request.token.as_ref().is_some_and(|token| self.owes(token));
        if let (true, Answer::Token(token) | Answer::Rotated(token, ..)) = (is_owed, &answer) {
            // The login was signed out, and another one has taken its place.
            self.note(Note::RenewalDiscarded);
            self.owe(token.clone(), settings);
            self.publish(settings, now);
            return;
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
            Answer::Rotated(token, error, retry_after) => {
                let record = record(generation + 1, State::Live(Some(token)));
                self.rotated(record, &target, (error, retry_after), is_current, settings, now);
            }
            Answer::Refused(error) => {
                if settings.has_grant {
                    self.note(Note::RefreshTokenRefused(error.clone()));
                }
                let record = record(generation, State::Ended(error));
                self.gained(record, &target, is_current, settings, now);
            }
            Answer::TargetRefused(error, retry_after) if is_current => {
                self.target_refused(&target, error, retry_after, settings, now);
            }
            Answer::Failed(error, class) if is_current => {
                let in_doubt = matches!(class, FailureClass::Foreign { in_doubt: true, .. });
                self.response_lost |= request.refresh && in_doubt;
                self.gained_nothing(&target, error, class, settings, now);
            }
            Answer::Lost(error) if is_current => {
                self.lost(&target, error, request.refresh, settings, now);
            }
            Answer::Failed(..) | Answer::Lost(_) | Answer::TargetRefused(..) => {}
        }
        self.publish(settings, now);
    }

    /// The renewal has failed, but the refresh token was replaced: the new one is stored, or saved, before
    /// anything else, and the next attempt presents it.
    fn rotated(
        &mut self,
        mut record: Record<T, E>,
        target: &Target,
        (error, retry_after): (E, Option<Duration>),
        is_current: bool,
        settings: &Settings,
        now: &Now,
    ) {
        let class = FailureClass::Foreign { in_doubt: false, retry_after };
        let (attempts, wait) = self.backoff(class, settings, now);
        let is_recorded = settings.home == Home::Store;
        if is_recorded {
            record.pause = Some(Pause::new(now.wall, wait, error.clone(), attempts));
        }
        let is_kept = self.gained(record, target, is_current, settings, now);
        // It is no renewal.
        self.renewed = None;
        if is_kept && is_current {
            self.fail_for(target, error, (attempts, wait), is_recorded, settings, now);
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
            let signed_out = self.is_signing_out()
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
        let base = base.and_then(Record::token).cloned();
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
                let saved = self.unsaved.take().and_then(|unsaved| unsaved.replaced);
                let replaced = saved.or(base);
                self.unsaved = Some(Unsaved { replaced, ..Unsaved::since(now) });
            }
            self.want_others(target, now);
            self.access_mut(target).refusal = None;
            self.failure = None;
            (self.response_lost, self.follow_up) = (false, None);
            return true;
        }
        self.unsaved = None;
        // If there is a grant, it is asked next, as long as a token is wanted.
        if let Some(error) = error.filter(|_| is_current && !settings.has_grant) {
            let retry_at = (settings.home == Home::Store).then(|| now.at + settings.moment());
            let reason = Reason::Ended { error, lost: self.response_lost };
            self.fail(target, reason, retry_at, FailureOf::Login, now);
        }
        true
    }

    pub(super) fn lost(
        &mut self,
        target: &Target,
        error: E,
        refresh: bool,
        settings: &Settings,
        now: &Now,
    ) {
        if refresh {
            if !self.response_lost && !settings.foreground && !settings.manual_refresh {
                self.follow_up = Some(FollowUp::new());
            }
            self.response_lost = true;
        }
        let try_at = now.at + between(SECOND_TRY.0, SECOND_TRY.1, now.jitter);
        let is_wanted = self.wanted().is_some();
        let attempt = self
            .attempt
            .as_mut()
            .filter(|attempt| refresh && attempt.tries < 2 && try_at < attempt.until);
        match attempt {
            Some(attempt) if is_wanted => {
                attempt.confirmed = None;
                attempt.try_at = try_at;
                self.note(Note::ResponseLost(error));
            }
            _ => self.gained_nothing(target, error, FailureClass::Transient(None), settings, now),
        }
    }

    fn gained_nothing(
        &mut self,
        target: &Target,
        error: E,
        class: FailureClass,
        settings: &Settings,
        now: &Now,
    ) {
        let (attempts, wait) = self.backoff(class, settings, now);
        self.follow_up = self.follow_up.take().and_then(|follow_up| follow_up.after(now.at + wait));
        if class == FailureClass::Local {
            self.release(None, settings);
            self.fail(target, Reason::Error(error), Some(now.at + wait), FailureOf::Session, now);
            self.count_attempts(attempts);
            return;
        }
        let pause = Pause::new(now.wall, wait, error.clone(), attempts);
        let is_recorded = self.release(Some(pause), settings);
        self.fail_for(target, error, (attempts, wait), is_recorded, settings, now);
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
        target: &Target,
        error: E,
        (attempts, wait): (u32, Duration),
        is_recorded: bool,
        settings: &Settings,
        now: &Now,
    ) {
        // The record says when to ask the provider again, but another session may sign in before that.
        let wait = if is_recorded { wait.min(settings.moment()) } else { wait };
        self.fail(target, Reason::Error(error), Some(now.at + wait), FailureOf::Login, now);
        self.count_attempts(attempts);
    }

    fn count_attempts(&mut self, attempts: u32) {
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

    /// The wanted renewals have failed, with that of the target: their waiters get the reason.
    pub(super) fn fail(
        &mut self,
        target: &Target,
        reason: Reason<E>,
        retry_at: Option<Duration>,
        of: FailureOf,
        now: &Now,
    ) {
        self.want_nothing();
        self.use_rejected(&reason);
        self.look = None;
        self.failures = self.failures.wrapping_add(1);
        let before = self.failure.take();
        // Only token requests count.
        let attempts = before.as_ref().map_or(0, |failure| failure.attempts);
        let attempt = attempts.saturating_add(1);
        let known_before = before.is_some_and(|failure| failure.reason.is_final());
        let took = self.took(now);
        self.note(Note::RenewalFailed {
            target: target.clone(),
            reason: reason.clone(),
            attempt,
            known_before,
            took,
        });
        self.failure = Some(Failure { reason, attempts, retry_at, of });
    }
}
