//! For the model test: states that behave the same are made to look the same, so that loops close.

use std::iter::once;
use std::time::Duration;

use super::{
    Attempt, Credential, LONGEST_SAVE, Machine, Now, Outcome, Pause, Record, Settings, Ticket,
};

impl<T: Credential, E: Clone> Machine<T, E> {
    /// Moves everything back in time, so that `by` later the clock shows the same as before.
    pub(crate) fn shift(&mut self, by: Duration) {
        for instant in self.instants() {
            *instant = instant.saturating_sub(by);
        }
    }

    /// Takes the wall clock of what the session remembers back: the machine has slept meanwhile, and
    /// its monotonic clock with it.
    pub(crate) fn sleep(&mut self, by: Duration) {
        let confirmed = self.attempt.iter_mut().filter_map(|attempt| attempt.confirmed.as_mut());
        confirmed.for_each(|(_, wall)| *wall -= by);
        self.call.iter_mut().for_each(|call| call.sent.1 -= by);
    }

    /// Forgets how long ago things were, and how often they happened, where that decides nothing.
    pub(crate) fn settle(
        &mut self,
        tickets: &mut [Option<Ticket>],
        settings: &Settings,
        now: &Now,
    ) {
        let raise = |instant: &mut Duration, by: Duration| *instant = (*instant).max(now.at - by);
        let passed = Duration::ZERO;
        let young = settings.lease / 2;
        let age = |wall: &mut std::time::SystemTime| {
            let is_old = now.wall.duration_since(*wall).unwrap_or_default() >= young;
            *wall = if is_old { now.wall - young } else { now.wall };
        };
        self.began = None;
        self.store.retry_at.iter_mut().for_each(|at| raise(at, passed));
        self.store.failures = self.store.failures.min(4);
        if let Some(failure) = &mut self.failure {
            failure.attempts = failure.attempts.min(2);
            failure.retry_at.iter_mut().for_each(|at| raise(at, passed));
        }
        // It waits for a backoff, which is over when the model says so.
        let at = self.follow_up.as_mut().and_then(|follow_up| follow_up.at.as_mut());
        at.into_iter().filter(|at| **at > passed).for_each(|at| *at = Duration::MAX);
        if let Some(unsaved) = &mut self.unsaved {
            raise(&mut unsaved.since, settings.save_wait);
            raise(&mut unsaved.retry_at, passed);
            unsaved.failures = unsaved.failures.min(4);
        }
        for access in self.each_access_mut() {
            access.wanted.iter_mut().for_each(|at| raise(at, settings.patience()));
            for quiet in access.paths.each() {
                raise(&mut quiet.until, passed);
                quiet.times = quiet.times.min(2);
            }
            if let Some(refusal) = &mut access.refusal {
                refusal.attempts = refusal.attempts.min(2);
                // It is longer than a lease, and over when the model says so.
                let is_over = refusal.retry_at == Some(passed);
                refusal.retry_at = Some(if is_over { passed } else { now.at * 2 });
            }
        }
        let wanted = self.wanted();
        if let Some(Attempt { confirmed, tries, try_at, until }) = &mut self.attempt {
            raise(try_at, passed);
            raise(until, passed);
            if *tries == 0 {
                *until = now.at;
            }
            if let Some((at, wall)) = confirmed {
                raise(at, young);
                age(wall);
            }
        }
        if let Some(call) = &mut self.call {
            raise(&mut call.sent.0, young);
            age(&mut call.sent.1);
        }
        self.look.iter_mut().for_each(|look| raise(&mut look.at, passed));
        self.saving.iter_mut().for_each(|saving| raise(&mut saving.since, LONGEST_SAVE));
        let tick = Duration::from_millis(1);
        if let Some(seen) = &mut self.seen {
            raise(&mut seen.since, settings.lease);
            // Only whether it was before the renewal was wanted; the next will be wanted later.
            seen.looked = match wanted {
                Some(wanted) if seen.looked >= wanted => wanted,
                Some(wanted) => wanted - tick,
                None => now.at - tick,
            };
        }
        self.serial = 2;
        let failures = std::mem::take(&mut self.failures);
        for access in once(&mut self.own).chain(&mut self.others) {
            let old = access.serial;
            access.serial = old.min(2);
            let new = |serial| if serial == old { old.min(2) } else { 0 };
            let refusals = std::mem::take(&mut access.refusals);
            let mut tickets = tickets.iter_mut().flatten();
            let Some(ticket) = tickets.find(|ticket| ticket.target == access.target) else {
                continue;
            };
            ticket.in_use = new(ticket.in_use);
            ticket.not = ticket.not.map(new);
            access.refusals = refusals.wrapping_sub(std::mem::take(&mut ticket.refusals)).min(1);
            // Whether it has failed since then: the ticket keeps the difference.
            let has_failed = failures != std::mem::take(&mut ticket.failures);
            ticket.failures = u32::from(!has_failed);
            self.failures = 1;
        }
    }

    /// The provider's refusals of targets are long ago.
    pub(crate) fn end_refusals(&mut self) {
        for access in self.each_access_mut() {
            access.refusal.iter_mut().for_each(|refusal| refusal.retry_at = Some(Duration::ZERO));
        }
    }

    pub(crate) fn each_record(&mut self, f: &mut dyn FnMut(&mut Record<T, E>)) {
        self.seen.iter_mut().filter_map(|seen| seen.record.as_mut()).for_each(&mut *f);
        if let Some(call) = &mut self.call {
            call.swap.iter_mut().for_each(|(_, record)| f(record));
        }
    }

    /// Whether 401s of some path renew nothing, for a renewal has not helped against them.
    pub(crate) fn is_quiet(&self, now: &Now) -> bool {
        self.each_access().any(|access| access.paths.are_quiet(now))
    }

    /// Whether it asks again by itself once a backoff is over.
    pub(crate) fn awaits_backoff(&self) -> bool {
        self.follow_up.as_ref().is_some_and(|follow_up| follow_up.at == Some(Duration::MAX))
    }

    /// The backoff is over.
    pub(crate) fn end_backoff(&mut self) {
        self.own_pause().into_iter().for_each(|pause| pause.until = 0);
        let at = self.follow_up.as_mut().and_then(|follow_up| follow_up.at.as_mut());
        at.into_iter().for_each(|at| *at = Duration::ZERO);
    }

    /// A backoff that is not recorded yet.
    pub(crate) fn own_pause(&mut self) -> Option<&mut Pause<E>> {
        match &mut self.outcome {
            Some(Outcome::Nothing(pause)) => pause.as_mut(),
            Some(Outcome::Gained(record)) => record.pause.as_mut(),
            None => None,
        }
    }

    pub(crate) fn each_version(&mut self, f: &mut dyn FnMut(&mut i64)) {
        self.seen.iter_mut().filter_map(|seen| seen.version.as_mut()).for_each(f);
    }

    pub(crate) fn each_id(&mut self, f: &mut dyn FnMut(&mut u32)) {
        self.call.iter_mut().for_each(|call| f(&mut call.id));
        self.request.iter_mut().for_each(|request| f(&mut request.id));
        self.saving.iter_mut().for_each(|saving| f(&mut saving.id));
    }

    /// The highest id that was used.
    pub(crate) fn last_id(&mut self) -> &mut u32 {
        &mut self.ids
    }

    pub(crate) fn known(&self) -> Option<&Record<T, E>> {
        self.known.as_ref()
    }

    /// The record seen last, its version, and since when it has been the same.
    #[expect(clippy::type_complexity, reason = "for the model alone")]
    pub(crate) fn seen(&self) -> Option<(Option<&Record<T, E>>, Option<i64>, Duration)> {
        self.seen.as_ref().map(|seen| (seen.record.as_ref(), seen.version, seen.since))
    }

    /// The sign-in or sign-out that is not stored yet.
    pub(crate) fn pending(&self) -> Option<u64> {
        self.pending.as_ref().map(|pending| pending.login)
    }

    pub(crate) fn is_requesting(&self) -> bool {
        self.request.is_some()
    }

    /// Whether it may still present a refresh token, or has an answer that is not stored.
    pub(crate) fn is_renewing(&self) -> bool {
        let claims = self.attempt.is_some() && self.wanted().is_some();
        claims || self.outcome.is_some() || self.request.is_some()
    }

    /// The token in use: its login and generation.
    pub(crate) fn in_use(&self) -> Option<(u64, u64)> {
        self.served.as_ref().map(|served| (served.login, served.generation))
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.failure.is_some()
    }
}
