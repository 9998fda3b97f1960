//! Sign-ins and sign-outs, and the tokens that a sign-out revokes.

use super::unauthorized::Paths;
use super::{
    Credential, Home, Machine, Note, Now, Outcome, Pending, Record, Revocation, Settings, State,
    Unsaved,
};

impl<T: Credential, E: Clone> Machine<T, E> {
    /// The application signs in with this token, or out with none. Work for the earlier login no
    /// longer counts. The same token again, before its renewal is saved, begins no other login: its refresh
    /// token may be consumed, and what the renewal brings is needed. Whether another session renews it, the
    /// store tells (`is_being_renewed_in_store`).
    pub(crate) fn set_login(
        &mut self,
        login: u64,
        token: Option<T>,
        settings: &Settings,
        now: &Now,
    ) {
        if token.as_ref().is_some_and(|token| self.is_being_renewed(token)) {
            return;
        }
        if self.request.take().is_some() {
            self.abandoned += 1;
        }
        let replaced = self.newest_token();
        let owed = self.owed(token.as_ref());
        self.began = Some(now.at);
        let signs_out = token.is_none();
        self.attempt = None;
        self.failure = None;
        self.want_nothing();
        self.forget_login();
        self.renewed = None;
        self.unsaved = None;
        // Waiters for the old login's token now wait for this one.
        if settings.home == Home::Store {
            self.store.retry_at = None;
            self.pending = Some(Pending { login, token, owed, replaced, unanswered: None });
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

    /// Whether its renewal is under way, or has brought a token that is not saved yet: whoever reads what is
    /// saved still finds this one.
    fn is_being_renewed(&self, token: &T) -> bool {
        let is_it = |newest: &T| self.request.is_some() && newest.is_identical(token);
        let replaced = self.unsaved.as_ref().and_then(|unsaved| unsaved.replaced.as_ref());
        replaced.is_some_and(|replaced| replaced.is_identical(token))
            || matches!(self.newest(), Some((_, _, State::Live(Some(newest)))) if is_it(&newest))
    }

    /// What was learned of a login does not count for the next one.
    pub(super) fn forget_login(&mut self) {
        (self.response_lost, self.follow_up) = (false, None);
        for access in self.each_access_mut() {
            access.paths = Paths::default();
            access.refusal = None;
        }
    }

    fn newest_token(&self) -> Option<T> {
        match self.newest() {
            Some((_, _, State::Live(Some(token)))) => Some(token),
            _ => self.served.as_ref().map(|served| served.token.clone()),
        }
    }

    /// What is still to be revoked of a sign-in or sign-out that the store does not have, now that another
    /// one takes its place. What is signed in again is not.
    fn owed(&mut self, token: Option<&T>) -> Vec<T> {
        let mut owed = Vec::new();
        if let Some(earlier) = self.pending.take() {
            owed = earlier.owed;
            match earlier.token {
                None => {
                    owed.extend(earlier.replaced);
                    if let Some(Outcome::Gained(record)) = &self.outcome {
                        owed.extend(record.token().cloned());
                    }
                }
                Some(undone) => owed.extend(token.is_none().then_some(undone)),
            }
        }
        if let Some(token) = token {
            owed.retain(|other| !other.is_identical(token));
            self.keep(token);
        }
        owed
    }

    /// Whether this token is still to be revoked, whatever the store says.
    pub(super) fn owes(&self, token: &T) -> bool {
        let waiting = self.pending.iter().flat_map(|pending| &pending.owed);
        let next = self.revocation.iter().flat_map(|revocation| &revocation.tokens);
        waiting.chain(next).any(|other| other.is_identical(token))
    }

    /// Revokes this token too, once the store has what is pending.
    pub(super) fn owe(&mut self, token: T, settings: &Settings) {
        match &mut self.pending {
            Some(pending) => pending.owed.push(token),
            None => self.revoke(Some(token), settings),
        }
    }

    /// Does not revoke this token, unless that has begun.
    fn keep(&mut self, token: &T) {
        let Some(revocation) = &mut self.revocation else { return };
        let mut has_begun = revocation.under_way;
        let is_other = |other: &T| std::mem::take(&mut has_begun) || !other.is_identical(token);
        revocation.tokens.retain(is_other);
        revocation.error.take_if(|_| revocation.tokens.is_empty());
    }

    /// Revokes this token, and what an earlier sign-out could not revoke.
    pub(super) fn revoke(&mut self, token: Option<T>, settings: &Settings) {
        let revocation = self.revocation.get_or_insert(Revocation {
            tokens: Vec::new(),
            under_way: false,
            error: None,
        });
        let has_failed = revocation.error.take().is_some();
        let Some(token) = token.filter(|_| settings.can_revoke) else { return };
        let at = revocation.tokens.iter().position(|other| other.is_identical(&token));
        match at {
            // The provider may refuse the others for ever.
            None if has_failed => revocation.tokens.insert(0, token),
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
                    // The others are next.
                    let refused = 1.min(revocation.tokens.len());
                    revocation.tokens.rotate_left(refused);
                    revocation.error = Some(error.clone());
                    self.note(Note::SignOutFailed(error));
                }
            }
        }
        self.publish(settings, now);
    }
}
