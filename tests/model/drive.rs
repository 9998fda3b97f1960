//! What the driver of a session does: it tells the machine what happened, performs what the machine
//! asks for, and asks the waiters again.

use std::time::Duration;

use crate::machine::{Action, Home, Now, Poll, Presented, Purpose, Reason, Settings};
use crate::world::{
    BASE, Call, CallKind, Presentation, Property, Real, Request, Saving, State, TARGET_REFUSED,
    World, targets,
};

impl State {
    /// Something happens in a session, this long after the last event.
    pub fn event(
        &mut self,
        world: &World,
        i: usize,
        later: Duration,
        happens: impl FnOnce(&mut Real, &Settings, &Now),
    ) {
        let (settings, now) = (world.settings(), self.now(later));
        let pending = self.sessions[i].real.pending();
        let in_use = self.sessions[i].real.in_use();
        let other =
            |real: &Real| real.served().map(|served| (served.token.login, served.token.other));
        let before = other(&self.sessions[i].real);
        happens(&mut self.sessions[i].real, &settings, &now);
        self.drive(world, i, &settings, &now);
        // With a new token a refusal is over.
        self.sessions[i].refused &= other(&self.sessions[i].real) == before;
        self.check_yield(i, pending);
        self.check_served(world, i, in_use);
        let session = &mut self.sessions[i];
        if session.real.wake_at(&settings).is_some_and(|at| at <= now.at) {
            self.violate(Property::Spins);
        }
        let session = &mut self.sessions[i];
        session.real.shift(later);
        debug_assert!(now.at - later == BASE);
    }

    fn drive(&mut self, world: &World, i: usize, settings: &Settings, now: &Now) {
        let mut asked = false;
        for _ in 0..40 {
            if let Some(action) = self.sessions[i].real.next(settings, now) {
                self.perform(world, i, action);
                asked = false;
            } else if !asked {
                // What they are told may want a renewal, and that may fail at once.
                asked = world.lazy || !self.ask(world, i, settings, now);
            } else {
                let real = &mut self.sessions[i].real;
                real.take_notes();
                // As the driver does: a session with nothing to do rests, and wakes with the next event.
                if let Some(resting) = real.rest() {
                    *real = resting.wake(now.at);
                }
                return;
            }
        }
        self.violate(Property::Spins);
    }

    /// A waiter asks again. Whether that changed anything.
    pub fn ask(&mut self, world: &World, i: usize, settings: &Settings, now: &Now) -> bool {
        let session = &mut self.sessions[i];
        let was_busy = session.real.is_busy();
        let waited = session.waits();
        let (mut failed, mut wrong) = (None, None);
        for (at, target) in targets().iter().enumerate() {
            let Some(ticket) = &session.tickets[at] else { continue };
            match session.real.poll(ticket, settings, now) {
                Poll::Wait => continue,
                Poll::Ready(token) => {
                    let access = token.access_for(target);
                    let got = access.map(|generation| (token.login, generation));
                    if got.is_none() || got == session.than[at] {
                        wrong = Some(Property::SameAgain);
                    }
                }
                Poll::Failed(reason) => {
                    let is_refusal = matches!(reason, Reason::Error(_));
                    if world.kinds == TARGET_REFUSED && target.is_own() && is_refusal {
                        wrong = Some(Property::FailedForAnother);
                    }
                    failed = Some(reason);
                }
            }
            session.tickets[at] = None;
            session.than[at] = None;
        }
        if let Some(login) = session.signs_in
            && session.real.poll_login(login, settings) != Poll::Wait
        {
            session.signs_in = None;
        }
        if let Some(login) = session.signs_out
            && session.real.poll_sign_out(login) != Poll::Wait
        {
            session.signs_out = None;
        }
        if let Some(flush) = &session.flush
            && session.real.poll_flush(flush) != Poll::Wait
        {
            session.flush = None;
        }
        let changed = session.real.is_busy() != was_busy || session.waits() != waited;
        if let Some(wrong) = wrong {
            self.violate(wrong);
        }
        let session = &self.sessions[i];
        if let Some(Reason::Ended { .. }) = failed {
            let known = session.real.known().map(|known| known.login as usize);
            if settings.has_grant || known.is_some_and(|login| self.provider.refused[login] == 0) {
                self.violate(Property::EndedWithoutRefusal);
            }
        }
        changed
    }

    fn perform(
        &mut self,
        world: &World,
        i: usize,
        action: Action<crate::token::Tok, crate::token::Trouble>,
    ) {
        let session = &mut self.sessions[i];
        match action {
            Action::Load { call } => {
                let call = Call { id: call, kind: CallKind::Load };
                if session.call.replace(call).is_some() {
                    self.violate(Property::TooMuchUnderWay);
                }
            }
            Action::Swap { call, purpose, expected, record, .. } => {
                let call = Call { id: call, kind: CallKind::Swap(purpose, expected, record) };
                if session.call.replace(call).is_some() {
                    self.violate(Property::TooMuchUnderWay);
                }
            }
            Action::Present { request, .. } => self.present(world, i, request),
            Action::Save { call, token } => {
                self.save(i, Saving { id: call, token: Some(token), done: None, hangs: false });
            }
            Action::Delete { call } => {
                self.save(i, Saving { id: call, token: None, done: None, hangs: false });
            }
            Action::Revoke { token } => {
                let live = match world.home {
                    Home::Store => self.store.as_ref().map(|(record, _)| record),
                    _ => session.real.known(),
                };
                let in_use = live
                    .is_some_and(|record| record.token().is_some_and(|t| t.login == token.login));
                if session.revocation.replace((token, None)).is_some() {
                    self.violate(Property::TooMuchUnderWay);
                }
                if in_use && !self.seen.emptied {
                    self.violate(Property::RevokedInUse);
                }
            }
        }
    }

    fn save(&mut self, i: usize, saving: Saving) {
        let saves = &mut self.sessions[i].saves;
        let busy = saves.iter().flatten().filter(|saving| !saving.hangs).count();
        match saves.iter_mut().find(|slot| slot.is_none()) {
            Some(slot) if busy == 0 => *slot = Some(saving),
            _ => self.violate(Property::TooMuchUnderWay),
        }
    }

    fn present(&mut self, world: &World, i: usize, request: Presented<crate::token::Tok>) {
        let (login, generation) = (request.login as usize, request.generation as usize);
        let named = request.token.is_none_or(|token| {
            (token.login as usize, token.generation as usize) == (login, generation)
        });
        assert!(named, "the token is not that of the record: {request:?}");
        if generation + 1 >= crate::world::GENERATIONS {
            self.violate(Property::Endless);
            return;
        }
        if !request.target.is_own() && self.sessions[i].refused {
            self.violate(Property::AskedTooEarly);
        }
        let is_given = (login, generation) == (1, 0);
        let is_saved = is_given || self.seen.stored[login] >> generation & 1 == 1;
        if world.home == Home::Saver && world.kinds == 0 && !is_saved {
            self.violate(Property::PresentedUnsaved);
        }
        // After a sign-in or sign-out here, no login is presented that had been there before.
        let session = &self.sessions[i];
        let set = session.set as usize;
        let replaced = session.real.pending().is_some()
            || (set != 0 && set != login && self.seen.after[set] >> login & 1 == 1);
        let name = session.name;
        let under_way = session.requests.iter().flatten();
        let under_way =
            under_way.filter(|other| !other.orphan && other.request.login == request.login);
        let under_way = under_way.count();
        let is_bare = !request.refresh;
        let slot = self.sessions[i].requests.iter_mut().find(|slot| slot.is_none());
        match slot {
            Some(slot) => *slot = Some(Request { request, answer: None, orphan: false }),
            None => self.violate(Property::TooMuchUnderWay),
        }
        if replaced {
            self.violate(Property::PresentedForAnother);
        }
        if under_way > 0 {
            self.violate(Property::TooMuchUnderWay);
        }
        if is_bare {
            return;
        }
        let before = self.seen.presented[login][generation];
        if before.by != 0 && before.paused {
            self.violate(Property::AskedTooEarly);
        } else if before.by != 0 && (!before.excused || before.answered && before.by == name) {
            self.violate(Property::PresentedTwice);
        }
        self.seen.presented[login][generation] = Presentation {
            by: name,
            excused: false,
            paused: false,
            answered: false,
            times: before.times + 1,
        };
    }

    /// A sign-in or sign-out is no longer pending: it is stored, or it gave way.
    fn check_yield(&mut self, i: usize, before: Option<u64>) {
        let Some(login) = before else { return };
        let real = &self.sessions[i].real;
        if real.pending().is_some() {
            return;
        }
        let Some((Some(found), _, _)) = real.seen() else { return };
        if found.login != login && self.seen.after[login as usize] >> found.login & 1 == 1 {
            self.violate(Property::NewestThrownAway);
        }
    }

    fn check_served(&mut self, world: &World, i: usize, before: Option<(u64, u64)>) {
        let Some((login, generation)) = self.sessions[i].real.in_use() else { return };
        if before.is_some_and(|(l, g)| l == login && g > generation) {
            self.violate(Property::ServedGoesBack);
        }
        let kept = self.seen.stored[login as usize] >> generation & 1 == 1;
        let given = (login, generation) == (1, 0);
        if world.strict_saving && world.home != Home::Memory && !kept && !given {
            self.violate(Property::UsedUnsaved);
        }
    }
}

/// In words.
pub fn name_of(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::Mark => "mark",
        Purpose::Login => "sign-in or sign-out",
        Purpose::Outcome => "outcome",
        Purpose::Restore => "write-back",
    }
}
