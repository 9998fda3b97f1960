//! The end of a runtime: what it carried is never answered, and what is left to do waits for the next one.

use super::{Credential, Machine, Now, Settings, StoreCall, StoreFailure};

impl<T: Credential, E: Clone> Machine<T, E> {
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
        if let Some(request) = self.request.take() {
            self.restart_attempt(settings, now);
            match self.attempt.as_mut().filter(|_| !sent) {
                Some(attempt) => attempt.tries = attempt.tries.saturating_sub(1),
                None => self.lost(&request.target, error.clone(), true, settings, now),
            }
        }
        if let Some(saving) = self.saving.as_ref().map(|saving| saving.id) {
            self.saved(saving, Err(error.clone()), settings, now);
        }
        if self.revocation.as_ref().is_some_and(|revocation| revocation.under_way) {
            self.revoked(Err(error.clone()), settings, now);
        }
        // Nobody is there to ask again.
        self.follow_up = None;
        self.publish(settings, now);
    }

    /// Somebody works for the session again, after nobody did. What is left to do has its whole time from
    /// now on: nobody else has held it up.
    pub(crate) fn resumed(&mut self, settings: &Settings, now: &Now) {
        for access in self.each_access_mut() {
            access.wanted = access.wanted.map(|_| now.at);
        }
        self.began = self.began.map(|_| now.at);
        self.unsaved.iter_mut().for_each(|unsaved| unsaved.since = now.at);
        self.restart_attempt(settings, now);
    }

    fn restart_attempt(&mut self, settings: &Settings, now: &Now) {
        let until = now.at + settings.attempt_limit();
        self.attempt.iter_mut().for_each(|attempt| attempt.until = until);
    }
}
