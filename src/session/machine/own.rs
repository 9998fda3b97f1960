//! The decision list of a session without a store: the record in memory is the only one.
//!
//! 1. Hand what is not saved to the saver, one call at a time, always the newest.
//! 2. A renewal is wanted and permitted: present the refresh token, or ask the grant. With a saver, the
//!    token of the previous renewal is saved first, or its save is known to be slow.
//!
//! A call of the saver that takes longer than a minute is set aside, never dropped: it may work on a
//! thread of its own, where nobody can stop it. When it ends after a newer token was saved, it may have
//! written the older one over it, so the newest is saved once more.

use super::{
    Action, Credential, FailureOf, Home, LONGEST_SAVE, MAX_SET_ASIDE, Machine, Now, Reason, Record,
    SaveCall, Settings, State,
};

impl<T: Credential, E: Clone> Machine<T, E> {
    pub(super) fn next_own(&mut self, settings: &Settings, now: &Now) -> Option<Action<T, E>> {
        if let Some(action) = self.next_save(settings, now) {
            return Some(action);
        }
        if self.request.is_some() {
            return None;
        }
        if self.wanted().is_none() {
            // Then there is no second try either.
            self.attempt = None;
            return None;
        }
        let may_present = match &self.attempt {
            Some(attempt) => now.at >= attempt.try_at,
            None => self.is_released(settings),
        };
        if !may_present {
            return None;
        }
        let record = self.known.clone().unwrap_or_else(|| Record {
            login: self.name,
            number: 0,
            generation: 0,
            state: State::Live(None),
            mark: None,
            pause: None,
        });
        let Some(refresh) = Self::way_to_renew(&record, settings, now) else {
            let reason = self.why_not(self.known.as_ref(), settings, now);
            let retry_at = reason.retry_at(settings, now);
            self.attempt = None;
            self.fail(&self.next_target(), reason, retry_at, FailureOf::Login, now);
            return None;
        };
        Some(self.present(&record, refresh, settings, now))
    }

    fn next_save(&mut self, settings: &Settings, now: &Now) -> Option<Action<T, E>> {
        if settings.home != Home::Saver {
            return None;
        }
        if let Some(saving) = &self.saving
            && now.at >= saving.since + LONGEST_SAVE
            && self.set_aside < MAX_SET_ASIDE
        {
            let is_newest = self.is_newest(saving);
            self.saving = None;
            self.set_aside += 1;
            self.save_failed(Reason::SaveOverdue, is_newest, settings, now);
        }
        let unsaved = self.unsaved.as_ref()?;
        if self.saving.is_some() || now.at < unsaved.retry_at {
            return None;
        }
        let known = self.known.as_ref()?;
        let (login, generation, state) = (known.login, known.generation, known.state.clone());
        let call = match &state {
            State::Live(Some(_)) | State::SignedOut => self.id(),
            State::Live(None) | State::Ended(_) => {
                self.unsaved = None;
                return None;
            }
        };
        self.saving = Some(SaveCall { id: call, login, generation, since: now.at, again: false });
        Some(match state {
            State::Live(Some(token)) => Action::Save { call, token },
            _ => Action::Delete { call },
        })
    }
}
