//! What a request gets: a token, an error, or a wait.
//!
//! A waiter holds a [`Ticket`] and asks again after each change, until there is a token that may be used,
//! or a renewal has failed since the ticket was drawn. So no answer can be missed.

use std::time::Duration;

use super::{
    Credential, FailureOf, Home, Machine, Note, Now, Reason, Settings, Stage, State, Target,
    Unsaved,
};

/// What somebody waits for.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Ticket {
    pub(crate) target: Target,
    pub(super) failures: u32,
    pub(super) refusals: u32,
    /// The serial of the token in use when it was drawn; zero: none.
    pub(super) in_use: u64,
    /// The token with this serial will not do.
    pub(super) not: Option<u64>,
    /// Renew, also where the session renews only when told to.
    by_hand: bool,
}

/// The answer to a ticket.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Poll<T, E> {
    Ready(T),
    Wait,
    Failed(Reason<E>),
}

/// Who waits for all to be saved.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Flush {
    failures: u32,
    store_failures: u32,
}

/// Why no renewal is permitted, and until when; `None`: until another login begins.
type Block<E> = (Reason<E>, Option<Duration>);

impl<T: Credential, E: Clone> Machine<T, E> {
    /// For a token that may be used.
    pub(crate) fn ticket(&mut self, target: &Target) -> Ticket {
        let failures = self.failures;
        let access = self.access_mut(target);
        Ticket {
            target: target.clone(),
            failures,
            refusals: access.refusals,
            in_use: access.serial,
            not: None,
            by_hand: false,
        }
    }

    /// For a token other than this; `None`: for any.
    pub(crate) fn ticket_for_another(
        &mut self,
        target: &Target,
        than: Option<&T>,
        by_hand: bool,
    ) -> Ticket {
        let ticket = self.ticket(target);
        let served = self.served.as_ref().zip(than);
        let is_in_use = served.is_some_and(|(served, than)| served.token.is_same(target, than));
        Ticket { not: is_in_use.then_some(ticket.in_use), by_hand, ..ticket }
    }

    /// What the ticket gets now. Starts a renewal where one is due and permitted.
    pub(crate) fn poll(&mut self, ticket: &Ticket, settings: &Settings, now: &Now) -> Poll<T, E> {
        let target = &ticket.target;
        let (serial, refusals) = {
            let access = self.access_mut(target);
            (access.serial, access.refusals)
        };
        let stage = self.stage(target, now);
        let may_renew = ticket.by_hand || !settings.manual_refresh;
        let has_failed = self.failures != ticket.failures;
        let is_refused = refusals != ticket.refusals;
        let served = self.served.as_ref().filter(|_| serial != 0 && ticket.not != Some(serial));
        let token = served.map(|served| served.token.clone());
        if let Some(token) = token.as_ref().filter(|_| stage != Stage::Expired) {
            if self.awaits_store(settings) && self.want_read(settings, now).is_ok() {
                return Poll::Wait;
            }
            // One renewal a call, though what it brought may be due at once; in the foreground one attempt.
            let has_tried = settings.foreground && (has_failed || is_refused);
            let may_renew = may_renew && !has_tried && !self.is_just_renewed(ticket);
            if stage == Stage::Due && may_renew && self.is_newest_in_use() {
                // While the token is good, a reason that prevents a renewal does not matter.
                let wanted = self.want(target, settings, now).is_ok();
                if settings.foreground && wanted {
                    return Poll::Wait;
                }
            }
            if settings.foreground && self.settles(settings, now) {
                return Poll::Wait;
            }
            return Poll::Ready(token.clone());
        } else if let Some(token) = token.filter(|_| self.is_just_renewed(ticket)) {
            // The provider may take longer than its tokens live.
            return Poll::Ready(token);
        }
        let refusal = self.access(target).and_then(|access| access.refusal.as_ref());
        let failure = self.failure.as_ref().filter(|_| has_failed);
        if let Some(failure) = failure.or(refusal.filter(|_| is_refused)) {
            if settings.foreground && self.settles(settings, now) {
                return Poll::Wait;
            }
            return Poll::Failed(failure.reason.clone());
        }
        if let Some(answer) = self.poll_unsaved(settings) {
            return answer;
        }
        let outcome = if may_renew {
            self.want_or_look(target, settings, now)
        } else {
            self.want_read(settings, now)
        };
        match outcome {
            Ok(()) => Poll::Wait,
            Err(reason) => Poll::Failed(reason),
        }
    }

    /// Wants a renewal. If only this session cannot renew, it wants what another one has stored.
    fn want_or_look(
        &mut self,
        target: &Target,
        settings: &Settings,
        now: &Now,
    ) -> Result<(), Reason<E>> {
        let outcome = self.want(target, settings, now);
        let is_own = self.failure.as_ref().is_some_and(|failure| failure.of == FailureOf::Session);
        if outcome.is_err() && is_own && self.pending.is_none() && self.may_look(settings, now) {
            self.wants_read = true;
            return Ok(());
        }
        outcome
    }

    /// Whether the store may be read now, and was not a moment ago.
    fn may_look(&self, settings: &Settings, now: &Now) -> bool {
        let is_down = self.store.retry_at.is_some_and(|at| now.at < at);
        let is_known = self.read.is_some_and(|at| now.at < at + settings.moment());
        settings.home == Home::Store && !is_down && !is_known
    }

    /// Wants what the store holds now, and no renewal, unless it is known.
    fn want_read(&mut self, settings: &Settings, now: &Now) -> Result<(), Reason<E>> {
        if self.is_signing_out() {
            return Err(Reason::SignedOut);
        }
        let block = self.store_block(settings, now).filter(|block| is_on(block, now));
        if let Some((reason, _)) = block {
            return Err(reason);
        }
        if self.may_look(settings, now) {
            self.wants_read = true;
            return Ok(());
        }
        let known = self.known.as_ref();
        // A refresh by hand may help, unless it is known that only a new login does.
        Err(match known.map(|known| &known.state) {
            Some(State::Ended(_) | State::SignedOut) => self.why_not(known, settings, now),
            None if !settings.has_grant => self.why_not(known, settings, now),
            _ if self.is_kept_by_expiry(settings, now) => Reason::LoginExpired,
            _ => Reason::Expired,
        })
    }

    /// Whether a sign-out is not stored yet.
    pub(super) fn is_signing_out(&self) -> bool {
        self.pending.as_ref().is_some_and(|pending| pending.token.is_none())
    }

    /// What has forbidden a renewal, and until when; some of it may be over.
    fn blocks(
        &self,
        target: &Target,
        settings: &Settings,
        now: &Now,
    ) -> impl Iterator<Item = Block<E>> {
        let failure = self.failure.as_ref().filter(|failure| {
            // The clock may have been set right.
            !matches!(failure.reason, Reason::LoginExpired) || self.is_kept_by_expiry(settings, now)
        });
        let refusal = self.access(target).and_then(|access| access.refusal.as_ref());
        let failures = failure.into_iter().chain(refusal);
        let blocks = failures.map(|failure| (failure.reason.clone(), failure.retry_at));
        blocks.chain(self.store_block(settings, now))
    }

    /// The same of a store that fails.
    fn store_block(&self, settings: &Settings, now: &Now) -> Option<Block<E>> {
        let (error, at) = self.store.error.as_ref().zip(self.store.retry_at)?;
        let is_needed = self.renewable_without_store(settings, now).is_none();
        is_needed.then(|| (Reason::Error(error.clone()), Some(at)))
    }

    /// Whether something is under way, or is to be done now, that the end of the runtime would cut off,
    /// and that takes no longer than it may.
    fn settles(&self, settings: &Settings, now: &Now) -> bool {
        // A store that fails is not waited for: the call may have its token.
        let store_work = self.outcome.is_some() || self.pending.is_some() || self.attempt.is_some();
        let store_is_due = settings.home != Home::Store || self.store.retry_at.is_none();
        let saves = self.unsaved.as_ref().is_some_and(|unsaved| match self.saving {
            Some(_) => !unsaved.late,
            None => settings.home == Home::Saver && now.at >= unsaved.retry_at,
        });
        self.is_active() || saves || (store_work && store_is_due)
    }

    /// While the newest token waits to be saved.
    fn poll_unsaved(&self, settings: &Settings) -> Option<Poll<T, E>> {
        let unsaved = self.unsaved.as_ref()?;
        let (_, _, state) = self.newest()?;
        if !matches!(state, State::Live(Some(_))) {
            return None;
        }
        if self.is_newest_in_use() {
            return None;
        }
        if !settings.strict_saving {
            return Some(Poll::Wait);
        }
        Some(match &unsaved.error {
            Some(reason) => Poll::Failed(reason.clone()),
            None if unsaved.late => Poll::Failed(Reason::SaveSlow),
            None => Poll::Wait,
        })
    }

    /// Whether the token in use is the one that the ticket waits for, expired or not.
    fn is_just_renewed(&self, ticket: &Ticket) -> bool {
        let Some(access) = self.access(&ticket.target) else { return false };
        self.served.as_ref().is_some_and(|served| {
            ticket.in_use != access.serial
                && served.token.is_renewed(&access.target)
                && !access.rejected
        })
    }

    /// Whether no newer token than the one in use waits to be saved.
    fn is_newest_in_use(&self) -> bool {
        self.newest().is_none_or(|(login, generation, state)| {
            let in_use = self.served.as_ref();
            !matches!(state, State::Live(Some(_)))
                || in_use.is_some_and(|s| (s.login, s.generation) == (login, generation))
        })
    }

    /// Wants a renewal, unless something forbids it now.
    pub(super) fn want(
        &mut self,
        target: &Target,
        settings: &Settings,
        now: &Now,
    ) -> Result<(), Reason<E>> {
        let is_under_way = self.request.as_ref().is_some_and(|request| request.target == *target);
        if is_under_way || self.access_mut(target).wanted.is_some() {
            return Ok(());
        }
        if self.is_signing_out() {
            return Err(Reason::SignedOut);
        }
        if let Some(reason) = self.must_wait(target, settings, now) {
            return Err(reason);
        }
        let known = self.known.as_ref();
        if settings.home != Home::Store && !Self::is_renewable(known, settings, now) {
            let reason = self.why_not(known, settings, now);
            if matches!(reason, Reason::LoginExpired) {
                let retry_at = reason.retry_at(settings, now);
                self.fail(target, reason.clone(), retry_at, FailureOf::Login, now);
            }
            return Err(reason);
        }
        self.access_mut(target).wanted = Some(now.at);
        self.began.get_or_insert(now.at);
        let (cause, serial) = (self.cause(target, now), self.serial_of(target));
        self.note(Note::RenewalStarted { target: target.clone(), cause, serial });
        Ok(())
    }

    /// Why no renewal may begin now, though one may later.
    pub(super) fn must_wait(
        &self,
        target: &Target,
        settings: &Settings,
        now: &Now,
    ) -> Option<Reason<E>> {
        let block = self.blocks(target, settings, now).find(|block| is_on(block, now));
        block.map(|(reason, _)| reason)
    }

    /// Whether the sign-in with this id is saved, if its caller waits for that.
    pub(crate) fn poll_login(&self, login: u64, settings: &Settings) -> Poll<(), E> {
        let current = match &self.pending {
            Some(pending) => Some(pending.login),
            None => self.known.as_ref().map(|known| known.login),
        };
        let Some(unsaved) = self.unsaved.as_ref().filter(|_| current == Some(login)) else {
            return Poll::Ready(());
        };
        match &unsaved.error {
            Some(reason) if settings.strict_saving => Poll::Failed(reason.clone()),
            None if unsaved.late && settings.strict_saving => Poll::Failed(Reason::SaveSlow),
            None if !unsaved.late => Poll::Wait,
            _ => Poll::Ready(()),
        }
    }

    /// Whether the sign-out with this id is complete: stored, and revoked at the provider.
    pub(crate) fn poll_sign_out(&self, login: u64) -> Poll<(), E> {
        let unsaved = self.unsaved_sign_out(login);
        if let Some(unsaved) = unsaved {
            match &unsaved.error {
                Some(reason) if self.pending.is_some() => return Poll::Failed(reason.clone()),
                None if unsaved.late && self.pending.is_some() => {
                    return Poll::Failed(Reason::SaveSlow);
                }
                None if !unsaved.late => return Poll::Wait,
                _ => {}
            }
        }
        match (&self.revocation, unsaved) {
            (Some(revocation), _) => match &revocation.error {
                Some(error) => Poll::Failed(Reason::Error(error.clone())),
                None => Poll::Wait,
            },
            (None, Some(unsaved)) => {
                Poll::Failed(unsaved.error.clone().unwrap_or(Reason::SaveSlow))
            }
            (None, None) => Poll::Ready(()),
        }
    }

    /// Whether the sign-out with this id is complete here: stored, or what was saved is deleted. In the
    /// foreground it also waits for the provider, whatever the answer.
    pub(crate) fn poll_sign_out_here(&self, login: u64, settings: &Settings) -> Poll<(), E> {
        let outcome = match self.unsaved_sign_out(login) {
            None => Poll::Ready(()),
            Some(unsaved) => match &unsaved.error {
                Some(reason) => Poll::Failed(reason.clone()),
                None if unsaved.late => Poll::Failed(Reason::SaveSlow),
                None => return Poll::Wait,
            },
        };
        let revokes = self.revocation.as_ref().is_some_and(|revocation| revocation.error.is_none());
        if settings.foreground && revokes { Poll::Wait } else { outcome }
    }

    /// Whether the provider has not revoked yet what was signed out.
    pub(crate) fn owes_revocation(&self) -> bool {
        self.revocation.is_some()
    }

    /// What is not saved yet of the sign-out with this id. Another sign-out continues this one, and a sign-in
    /// takes its place: in a store once that is stored.
    fn unsaved_sign_out(&self, login: u64) -> Option<&Unsaved<T, E>> {
        let is_newest = self.known.as_ref().is_some_and(|known| known.login == login)
            || matches!(self.newest(), Some((_, _, State::SignedOut)));
        self.unsaved.as_ref().filter(|_| is_newest || self.pending.is_some())
    }

    /// Whether the newest token, or a sign-out, is not saved yet.
    pub(crate) fn is_unsaved(&self) -> bool {
        self.unsaved.is_some()
    }

    /// Why the newest token is not saved yet.
    pub(crate) fn save_error(&self) -> Option<Reason<E>> {
        let unsaved = self.unsaved.as_ref()?;
        unsaved.error.clone().or_else(|| unsaved.late.then_some(Reason::SaveSlow))
    }

    /// Tries to save what is not saved yet, without waiting for a backoff.
    pub(crate) fn flush(&mut self, now: &Now) -> Flush {
        if let Some(unsaved) = &mut self.unsaved {
            unsaved.retry_at = now.at;
        }
        if self.outcome.is_some() || self.pending.is_some() {
            self.store.retry_at = None;
        }
        Flush {
            failures: self.unsaved.as_ref().map_or(0, |unsaved| unsaved.failures),
            store_failures: self.store.failures,
        }
    }

    /// Whether nothing is under way, and all is saved.
    pub(crate) fn poll_flush(&self, flush: &Flush) -> Poll<(), E> {
        if let Some(unsaved) = self.unsaved.as_ref().filter(|u| u.failures > flush.failures)
            && let Some(reason) = &unsaved.error
        {
            return Poll::Failed(reason.clone());
        }
        // A wait for another session's mark loses nothing.
        let begins = self.wanted().is_some() && self.look.is_none();
        // Nor does a wait for a call of the saver that saves nothing new.
        if self.is_active() || self.attempt.is_some() || self.unsaved.is_some() || begins {
            return Poll::Wait;
        }
        // A mark that could not be cleared makes others wait, but costs no login.
        let waits = self.outcome.is_some() && self.store.failures <= flush.store_failures;
        if waits || self.pending.is_some() { Poll::Wait } else { Poll::Ready(()) }
    }

    /// When a renewal is permitted again after one failed: `Some(None)`: not before another login.
    pub(crate) fn retry_at(
        &self,
        target: &Target,
        settings: &Settings,
        now: &Now,
    ) -> Option<Option<Duration>> {
        let ends = self.blocks(target, settings, now).map(|(_, until)| until);
        ends.max_by_key(|until| until.unwrap_or(Duration::MAX))
    }
}

/// Whether it still forbids a renewal.
fn is_on<E>((_, until): &Block<E>, now: &Now) -> bool {
    until.is_none_or(|until| now.at < until)
}
