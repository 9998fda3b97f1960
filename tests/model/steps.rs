//! Everything that can happen next.

use std::time::Duration;

use crate::drive::name_of;
use crate::machine::{
    Answer, FailureClass, Home, Purpose, Rejection, State as Login, StoreFailure, Swapped, Target,
};
use crate::token::{Tok, Trouble};
use crate::world::*;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sort {
    /// It happens by itself, sooner or later.
    Progress,
    /// The application decides.
    Choice,
    Fault,
}

/// Something that happens; `usize`: in which session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// The application asks for a token.
    Ask(usize),
    /// The application asks for another token.
    Want(usize),
    /// The application wants one for the other target; `bool`: once a refusal is over.
    WantOther(usize, bool),
    /// A waiter is asked.
    Poll(usize),
    /// The store has read.
    Read(usize),
    ReadStale(usize),
    LoadFails(usize),
    /// The store has compared, and swapped or not.
    Swap(usize),
    SwapFailsBefore(usize),
    SwapFailsAfter(usize),
    SwapFailsLate(usize),
    /// The session is told what its store call came to.
    Told(usize),
    /// The provider answers.
    Arrives(usize, usize),
    RequestLost(usize, usize),
    AnswerLost(usize, usize),
    Later(usize, usize),
    GivesUp(usize, usize),
    GrantRefused(usize, usize),
    TargetRefused(usize, usize),
    /// The provider answers, and nothing of it can be used but the new refresh token.
    Unusable(usize, usize),
    /// The session is told the answer.
    Answered(usize, usize),
    /// What carried a request is gone, and its answer is never seen.
    Forgotten(usize, usize),
    /// Time passes in a session until it wants to do something.
    Wakes(usize),
    /// The same, while a holder stops or is cut off for a lease; `bool`: its monotonic clock stops, too.
    Outlasts(usize, bool),
    /// Time passes, and the tokens age.
    Ages,
    /// Time passes, and backoffs are over.
    BackoffOver,
    SignsIn(usize),
    SignsOut(usize),
    /// `bool`: what it has sent arrives later.
    Dies(usize, bool),
    Evicted(usize),
    /// The runtime ends. `bool`: its token request had been sent; its swap: 0 had no effect, 1 had one,
    /// 2 has it later.
    RuntimeEnds(usize, bool, u8),
    /// The application waits until all is saved.
    Flushes(usize),
    LateSwap,
    LateRequest,
    Emptied,
    Revoke(usize),
    RevokeFails(usize),
    Revoked(usize),
    Save(usize, usize),
    SaveFailsBefore(usize, usize),
    SaveFailsAfter(usize, usize),
    SaveHangs(usize, usize),
    Saved(usize, usize),
}

use Step::*;

/// What can happen.
pub fn enabled(world: &World, state: &State, out: &mut Vec<(Sort, Step)>) {
    let may = |kind: u32| world.may(kind) && state.faults > 0;
    let settings = world.settings();
    for (i, session) in state.sessions[..world.sessions].iter().enumerate() {
        let mut progress = |step| out.push((Sort::Progress, step));
        if !session.alive {
            progress(Ask(i));
            continue;
        }
        let real = &session.real;
        match session.call.as_ref().map(|call| &call.kind) {
            None => {}
            Some(CallKind::Load) => {
                progress(Read(i));
                if may(STALE) && state.old.is_some() {
                    out.push((Sort::Fault, ReadStale(i)));
                }
                if may(FAIL_BEFORE) {
                    out.push((Sort::Fault, LoadFails(i)));
                }
            }
            Some(CallKind::Swap(_, expected, _)) => {
                progress(Swap(i));
                let fits = *expected == state.store.as_ref().map(|(_, version)| *version);
                if may(FAIL_BEFORE) {
                    out.push((Sort::Fault, SwapFailsBefore(i)));
                }
                if may(FAIL_AFTER) && fits {
                    out.push((Sort::Fault, SwapFailsAfter(i)));
                }
                if may(FAIL_LATE) && state.late_swap.is_none() {
                    out.push((Sort::Fault, SwapFailsLate(i)));
                }
            }
            Some(CallKind::Loaded(_) | CallKind::Swapped(..)) => progress(Told(i)),
        }
        for (slot, request) in session.requests.iter().enumerate() {
            let Some(request) = request else { continue };
            if request.answer.is_some() {
                out.push((Sort::Progress, Answered(i, slot)));
                if request.orphan {
                    out.push((Sort::Progress, Forgotten(i, slot)));
                }
                continue;
            }
            out.push((Sort::Progress, Arrives(i, slot)));
            if request.orphan {
                continue;
            }
            if may(REQUEST_LOST) {
                out.push((Sort::Fault, RequestLost(i, slot)));
            }
            if may(ANSWER_LOST) {
                out.push((Sort::Fault, AnswerLost(i, slot)));
            }
            if may(LATER) {
                out.push((Sort::Fault, Later(i, slot)));
            }
            if may(LATE_REQUEST) && state.late_request.is_none() && request.request.refresh {
                out.push((Sort::Fault, GivesUp(i, slot)));
            }
            if may(UNUSABLE) && request.request.refresh {
                out.push((Sort::Fault, Unusable(i, slot)));
            }
            if may(TARGET_REFUSED) && !request.request.target.is_own() {
                out.push((Sort::Fault, TargetRefused(i, slot)));
            }
            if may(GRANT_REFUSED) && !request.request.refresh {
                out.push((Sort::Fault, GrantRefused(i, slot)));
            }
        }
        for (slot, saving) in session.saves.iter().enumerate() {
            let Some(saving) = saving else { continue };
            if saving.done.is_some() {
                out.push((Sort::Progress, Saved(i, slot)));
                continue;
            }
            out.push((Sort::Progress, Save(i, slot)));
            if may(SAVE_FAILS) {
                out.push((Sort::Fault, SaveFailsBefore(i, slot)));
                out.push((Sort::Fault, SaveFailsAfter(i, slot)));
            }
            if may(SAVE_HANGS) && !saving.hangs {
                out.push((Sort::Fault, SaveHangs(i, slot)));
            }
        }
        match session.revocation {
            None => {}
            Some((_, Some(_))) => out.push((Sort::Progress, Revoked(i))),
            Some((_, None)) => {
                out.push((Sort::Progress, Revoke(i)));
                if may(REVOKE_FAILS) {
                    out.push((Sort::Fault, RevokeFails(i)));
                }
            }
        }
        if world.lazy && session.waits() && state.is_answered(world, i) {
            out.push((Sort::Progress, Poll(i)));
        }
        if let Some(at) = real.wake_at(&settings).filter(|at| *at < Duration::MAX) {
            if !state.blockers(world, i, at).is_empty() {
                if may(PAUSE) {
                    out.push((Sort::Fault, Outlasts(i, false)));
                }
                if may(SLEEP) {
                    out.push((Sort::Fault, Outlasts(i, true)));
                }
            } else if (!real.is_requesting() || state.beats > 0)
                && (session.is_still() || (world.slow && at <= BASE + Duration::from_secs(1)))
            {
                out.push((Sort::Progress, Wakes(i)));
            }
        }
        if session.tickets[1].is_none() && state.is_other_wanted(world, i) {
            out.push((Sort::Progress, WantOther(i, true)));
            if session.refused {
                out.push((Sort::Progress, WantOther(i, false)));
            }
        }
        if session.tickets[0].is_none() && state.is_wanted(world, i) {
            let step = if real.in_use().is_some() { Want(i) } else { Ask(i) };
            out.push((Sort::Progress, step));
        }
        let is_done =
            real.pending().is_none() && session.signs_in.is_none() && session.signs_out.is_none();
        if is_done || world.hasty {
            if state.logins < world.logins {
                out.push((Sort::Choice, SignsIn(i)));
            }
            let live = real.known().is_some_and(|known| matches!(known.state, Login::Live(_)));
            if state.outs < world.outs && live {
                out.push((Sort::Choice, SignsOut(i)));
            }
        }
        if state.flushes > 0 && session.flush.is_none() && real.is_busy() {
            out.push((Sort::Choice, Flushes(i)));
        }
        if may(DEATH) {
            out.push((Sort::Fault, Dies(i, false)));
            let sent = session.requests.iter().flatten().any(|request| request.answer.is_none());
            let swaps = matches!(&session.call, Some(Call { kind: CallKind::Swap(..), .. }));
            if (sent && state.late_request.is_none()) || (swaps && state.late_swap.is_none()) {
                out.push((Sort::Fault, Dies(i, true)));
            }
        }
        if may(EVICTION) && !real.is_busy() && !session.waits() && real.known().is_some() {
            out.push((Sort::Fault, Evicted(i)));
        }
        if may(RUNTIME) && !session.is_at_rest() {
            let swaps = match session.call.as_ref().map(|call| &call.kind) {
                Some(CallKind::Swap(_, expected, _)) => {
                    let fits = *expected == state.store.as_ref().map(|(_, version)| *version);
                    1 + u8::from(fits) + u8::from(fits && state.late_swap.is_none())
                }
                _ => 1,
            };
            let unsent = session.requests.iter().flatten().all(|request| request.answer.is_none());
            for effect in 0..swaps {
                out.push((Sort::Fault, RuntimeEnds(i, true, effect)));
                if unsent {
                    out.push((Sort::Fault, RuntimeEnds(i, false, effect)));
                }
            }
        }
    }
    if state.late_swap.is_some() {
        out.push((Sort::Progress, LateSwap));
    }
    if state.late_request.is_some() {
        out.push((Sort::Progress, LateRequest));
    }
    if may(EMPTIED) && state.store.is_some() && (!world.all_know || state.all_know(world)) {
        out.push((Sort::Fault, Emptied));
    }
    if state.age < world.ages {
        out.push((Sort::Choice, Ages));
    }
    if state.is_paused() {
        out.push((Sort::Progress, BackoffOver));
    }
}

impl State {
    /// Whether all sessions know what the store holds.
    fn all_know(&self, world: &World) -> bool {
        let Some((record, _)) = &self.store else { return false };
        self.sessions[..world.sessions].iter().all(|session| {
            session.alive && session.real.known().is_some_and(|known| !record.is_above(known))
        })
    }

    /// Whether the provider said "later", and that is not over.
    pub fn is_paused(&self) -> bool {
        self.seen.presented.iter().flatten().any(|presentation| presentation.paused)
            || self.sessions.iter().any(|session| session.real.awaits_backoff())
            || self.store.as_ref().is_some_and(|(record, _)| {
                record.pause.as_ref().is_some_and(|pause| pause.until > 0)
            })
    }

    /// Whether a waiter would get an answer.
    fn is_answered(&self, world: &World, i: usize) -> bool {
        let mut copy = self.clone();
        copy.ask(world, i, &world.settings(), &self.now(Duration::ZERO));
        copy != *self
    }

    /// Whether the application will ask this session for a token, or for another one.
    fn is_wanted(&self, world: &World, i: usize) -> bool {
        let real = &self.sessions[i].real;
        let stored = self.store.as_ref();
        let looked = real.seen().map(|(_, version, _)| version);
        let has_looked =
            world.home != Home::Store || looked == Some(stored.map(|(_, version)| *version));
        let is_live = real.known().is_some_and(|known| matches!(known.state, Login::Live(_)));
        let Some((login, generation)) = real.in_use() else {
            // There is nothing to serve: only something new helps.
            let grant = world.grant != Grant::None
                && real.known().is_none_or(|known| !matches!(known.state, Login::SignedOut));
            return !has_looked || ((grant || is_live) && !self.must_wait(world, i));
        };
        if !is_live && world.grant == Grant::None && real.pending().is_none() {
            return !has_looked && !self.must_wait(world, i);
        }
        let is_behind = world.home == Home::Store
            && !real.is_busy()
            && stored.is_none_or(|(record, _)| {
                (record.login, record.generation) != (login, generation)
                    || !matches!(record.state, Login::Live(_))
            });
        // A mark that stays is taken over with the next renewal.
        let is_left = stored.is_some_and(|(record, _)| record.mark.is_some())
            && !real.is_busy()
            && generation < LAST + 2;
        let wants = match world.wants {
            Wants::Aged => real.served().is_some_and(|served| {
                use crate::machine::{Credential, Stage};
                served.token.stage(&Target::OWN, self.wall()) != Stage::Fresh
            }),
            _ => generation < LAST,
        };
        // To ask for what nobody can renew changes nothing.
        let renewable =
            world.grant != Grant::None || real.served().is_some_and(|served| served.token.refresh);
        let wants = wants && renewable;
        (wants || is_behind || is_left) && !self.must_wait(world, i)
    }

    /// Whether the application will ask this session for a token for the other target.
    fn is_other_wanted(&self, world: &World, i: usize) -> bool {
        let real = &self.sessions[i].real;
        let is_live = real.known().is_some_and(|known| matches!(known.state, Login::Live(_)));
        let Some(served) = real.served().filter(|_| world.two_targets && is_live) else {
            return false;
        };
        let token = served.token;
        let wants = match world.wants {
            Wants::Aged => {
                use crate::machine::{Credential, Stage};
                token.stage(&targets()[1], self.wall()) != Stage::Fresh
            }
            _ => token.other == u8::MAX || u64::from(token.generation) < LAST,
        };
        wants && !self.must_wait(world, i)
    }

    /// Whether the time for another attempt has not come.
    fn must_wait(&self, world: &World, i: usize) -> bool {
        let session = &self.sessions[i];
        let saves = !session.is_still() && self.until_permitted(world, i) > Duration::ZERO;
        session.real.has_failed() && (self.is_paused() || saves)
    }

    /// Sessions that are alive and may hold the mark that this one watches, if the lease ends by then.
    pub fn blockers(&self, world: &World, i: usize, at: Duration) -> Vec<usize> {
        let Some((Some(record), version, since)) = self.sessions[i].real.seen() else {
            return Vec::new();
        };
        let Some(mark) = record.mark else { return Vec::new() };
        let unchanged = version == self.store.as_ref().map(|(_, version)| *version);
        if !unchanged || at < since + LEASE || since + LEASE <= BASE {
            return Vec::new();
        }
        let holds = |session: &Session| {
            let name = u64::from(session.name);
            let asks = session
                .requests
                .iter()
                .flatten()
                .any(|request| !request.orphan && request.request.login == record.login);
            let named = mark.holder.is_none_or(|holder| holder == name);
            let swaps = matches!(&session.call, Some(Call { kind: CallKind::Swap(..), .. }));
            session.alive && named && (session.real.is_renewing() || asks || swaps)
        };
        (0..world.sessions).filter(|j| *j != i && holds(&self.sessions[*j])).collect()
    }

    /// What becomes of the state.
    pub fn take(&mut self, world: &World, sort: Sort, step: Step) {
        if sort == Sort::Fault {
            self.faults -= 1;
        }
        self.happen(world, step);
        self.settle(world);
    }

    fn happen(&mut self, world: &World, step: Step) {
        let zero = Duration::ZERO;
        let failure = |slow| StoreFailure { error: Trouble, slow, unreadable: None };
        match step {
            Ask(i) => {
                if !self.sessions[i].alive {
                    let name = self.sessions[i].name;
                    self.sessions[i] = Session::new(name);
                }
                let later = self.until_permitted(world, i);
                self.sessions[i].tickets[0] = Some(self.sessions[i].real.ticket(&Target::OWN));
                self.event(world, i, later, |_, _, _| {});
            }
            Want(i) => {
                let later = self.until_permitted(world, i);
                self.want(world, i, 0, later);
            }
            WantOther(i, is_patient) => {
                if is_patient {
                    self.sessions[i].refused = false;
                    self.sessions[i].real.end_refusals();
                }
                let later = self.until_permitted(world, i);
                self.want(world, i, 1, later);
            }
            Poll(i) => {
                self.ask(world, i, &world.settings(), &self.now(zero));
                self.event(world, i, zero, |_, _, _| {});
            }
            Read(i) => {
                let found = self.store.clone();
                self.call(i).kind = CallKind::Loaded(found);
            }
            ReadStale(i) => {
                let found = self.old.clone().flatten();
                self.call(i).kind = CallKind::Loaded(found);
            }
            LoadFails(i) => {
                let id = self.call(i).id;
                self.sessions[i].call = None;
                self.event(world, i, zero, |real, settings, now| {
                    real.loaded(id, Err(failure(false)), settings, now);
                });
            }
            Swap(i) => {
                let CallKind::Swap(purpose, expected, record) = self.call(i).kind.clone() else {
                    unreachable!()
                };
                let outcome = match self.apply(world, purpose, expected, record) {
                    Some(version) => Swapped::Stored(version),
                    None => Swapped::Conflict(self.store.clone()),
                };
                self.call(i).kind = CallKind::Swapped(purpose, outcome);
            }
            SwapFailsBefore(i) => self.swap_fails(world, i, false),
            SwapFailsAfter(i) => {
                let (purpose, expected, record) = self.swap_of(i);
                self.apply(world, purpose, expected, record);
                self.swap_fails(world, i, true);
            }
            SwapFailsLate(i) => {
                self.late_swap = Some(self.swap_of(i));
                self.swap_fails(world, i, true);
            }
            Told(i) => {
                let Some(Call { id, kind }) = self.sessions[i].call.take() else { unreachable!() };
                self.event(world, i, zero, |real, settings, now| match kind {
                    CallKind::Loaded(found) => real.loaded(id, Ok(found), settings, now),
                    CallKind::Swapped(_, outcome) => real.swapped(id, Ok(outcome), settings, now),
                    _ => unreachable!(),
                });
            }
            Arrives(i, slot) => {
                let request = self.request(i, slot).request.clone();
                let answer = if request.refresh {
                    let Some(token) = request.token else { unreachable!() };
                    self.provide(world, token, &request.target)
                } else {
                    self.grant(world, request.login, request.generation)
                };
                self.request(i, slot).answer = Some(answer);
            }
            Unusable(i, slot) => {
                let Some(old) = self.request(i, slot).request.token else { unreachable!() };
                let answer = match self.provide(world, old, &Target::OWN) {
                    Answer::Token(new) => {
                        let Tok { generation, .. } = new;
                        Answer::Rotated(Tok { generation, ..old }, Trouble, None)
                    }
                    refused => refused,
                };
                self.request(i, slot).answer = Some(answer);
            }
            RequestLost(i, slot) => self.lose(world, i, slot),
            AnswerLost(i, slot) => {
                let request = self.request(i, slot).request.clone();
                match request.token.filter(|_| request.refresh) {
                    Some(token) => self.provide(world, token, &request.target),
                    None => self.grant(world, request.login, request.generation),
                };
                self.lose(world, i, slot);
            }
            GivesUp(i, slot) => {
                self.late_request = self.request(i, slot).request.token;
                self.lose(world, i, slot);
            }
            Later(i, slot) => {
                let request = self.sessions[i].requests[slot].take().map(|r| r.request);
                let Some(request) = request else { unreachable!() };
                let presented =
                    &mut self.seen.presented[request.login as usize][request.generation as usize];
                if request.refresh && presented.by == self.sessions[i].name {
                    presented.paused = true;
                    presented.excused = true;
                }
                self.event(world, i, zero, |real, settings, now| {
                    let answer = Answer::Failed(Trouble, FailureClass::Transient(None));
                    real.answered(request, answer, settings, now);
                });
            }
            GrantRefused(i, slot) => {
                let request = self.sessions[i].requests[slot].take().map(|r| r.request);
                let Some(request) = request else { unreachable!() };
                self.event(world, i, zero, |real, settings, now| {
                    let answer = Answer::Failed(Trouble, FailureClass::Misconfigured(None));
                    real.answered(request, answer, settings, now);
                });
            }
            TargetRefused(i, slot) => {
                let request = self.sessions[i].requests[slot].take().map(|r| r.request);
                let Some(request) = request else { unreachable!() };
                let at = (request.login as usize, request.generation as usize);
                // It may be presented again, for another target.
                self.seen.presented[at.0][at.1].excused = true;
                self.seen.presented[at.0][at.1].times = 0;
                self.sessions[i].refused |= self.sessions[i].real.is_current(&request);
                self.event(world, i, zero, |real, settings, now| {
                    real.answered(request, Answer::TargetRefused(Trouble, None), settings, now);
                });
            }
            Answered(i, slot) => {
                let Some(Request { request, answer: Some(answer), .. }) =
                    self.sessions[i].requests[slot].take()
                else {
                    unreachable!()
                };
                let presented =
                    &mut self.seen.presented[request.login as usize][request.generation as usize];
                presented.answered |= request.refresh
                    && matches!(answer, Answer::Token(_) | Answer::Rotated(..))
                    && presented.by == self.sessions[i].name;
                if let Answer::Rotated(token, ..) = &answer {
                    let next =
                        &mut self.seen.presented[token.login as usize][token.generation as usize];
                    if next.by == 0 {
                        let by = self.sessions[i].name;
                        let (excused, paused) = (true, true);
                        *next = Presentation { by, excused, paused, ..Presentation::default() };
                    }
                }
                self.event(world, i, zero, |real, settings, now| {
                    real.answered(request, answer, settings, now);
                });
            }
            Forgotten(i, slot) => self.sessions[i].requests[slot] = None,
            Wakes(i) => {
                let later = self.until_wake(world, i);
                if self.sessions[i].real.is_requesting() {
                    self.beats -= 1;
                }
                self.event(world, i, later, |_, _, _| {});
            }
            Outlasts(i, sleeps) => {
                let later = self.until_wake(world, i);
                for j in self.blockers(world, i, BASE + later) {
                    let holder = &mut self.sessions[j];
                    if sleeps {
                        holder.real.sleep(LEASE);
                    } else {
                        holder.real.shift(LEASE);
                    }
                    self.excuse(self.sessions[j].name);
                }
                self.event(world, i, later, |_, _, _| {});
            }
            Ages => self.age += 1,
            BackoffOver => {
                for presentation in self.seen.presented.iter_mut().flatten() {
                    presentation.paused = false;
                    presentation.times = 0;
                }
                self.each_record(&mut |record| {
                    record.pause.iter_mut().for_each(|pause| pause.until = 0);
                });
                for session in &mut self.sessions {
                    session.real.end_backoff();
                }
            }
            SignsIn(i) => {
                self.logins += 1;
                let login = self.logins;
                let token = self.issue(world, login, 0, world.refreshable);
                self.sign(world, i, login, Some(token));
            }
            SignsOut(i) => {
                let login = OUTS + self.outs;
                self.outs += 1;
                self.sign(world, i, login, None);
            }
            Flushes(i) => {
                self.flushes -= 1;
                let now = self.now(zero);
                self.sessions[i].flush = Some(self.sessions[i].real.flush(&now));
                self.event(world, i, zero, |_, _, _| {});
            }
            Dies(i, late) => {
                if late {
                    let session = &mut self.sessions[i];
                    if let (None, Some(Call { kind: CallKind::Swap(p, e, r), .. })) =
                        (&self.late_swap, &session.call)
                    {
                        self.late_swap = Some((*p, *e, r.clone()));
                    }
                    let sent = session.requests.iter().flatten().find(|r| r.answer.is_none());
                    if let (None, Some(sent)) = (self.late_request, sent) {
                        self.late_request = sent.request.token;
                    }
                }
                let name = self.sessions[i].name;
                self.sessions[i] = Session::new(name + world.sessions as u8);
                self.sessions[i].alive = false;
                self.excuse(name);
            }
            Evicted(i) => {
                let name = self.sessions[i].name + world.sessions as u8;
                self.sessions[i] = Session::new(name);
                self.sessions[i].alive = false;
            }
            RuntimeEnds(i, sent, effect) => {
                if let Some(Call { kind: CallKind::Swap(..), .. }) = &self.sessions[i].call {
                    let (purpose, expected, record) = self.swap_of(i);
                    match effect {
                        0 => {}
                        1 => {
                            self.apply(world, purpose, expected, record);
                        }
                        _ => self.late_swap = Some((purpose, expected, record)),
                    }
                }
                let session = &mut self.sessions[i];
                session.call = None;
                session.revocation = None;
                session.saves = [const { None }; 4];
                let name = session.name;
                for slot in 0..session.requests.len() {
                    let session = &mut self.sessions[i];
                    let Some(request) = &mut session.requests[slot] else { continue };
                    let at = (request.request.login as usize, request.request.generation as usize);
                    if sent && (request.answer.is_some() || world.may(LATE_REQUEST)) {
                        request.orphan = true;
                        self.seen.presented[at.0][at.1].excused |=
                            self.seen.presented[at.0][at.1].by == name;
                    } else {
                        session.requests[slot] = None;
                        // It never arrived, so nothing was presented.
                        if sent {
                            self.seen.presented[at.0][at.1].excused = true;
                        } else if self.seen.presented[at.0][at.1].by == name {
                            self.seen.presented[at.0][at.1] = Presentation::default();
                        }
                    }
                }
                self.event(world, i, zero, |real, settings, now| {
                    real.calls_lost(&Trouble, sent, settings, now);
                    real.resumed(settings, now);
                });
            }
            LateSwap => {
                if let Some((purpose, expected, record)) = self.late_swap.take() {
                    self.apply(world, purpose, expected, record);
                }
            }
            LateRequest => {
                if let Some(token) = self.late_request.take() {
                    self.provide(world, token, &Target::OWN);
                }
            }
            Emptied => {
                self.remember(world);
                self.store = None;
                self.seen.emptied = true;
            }
            Revoke(i) => {
                let Some((token, _)) = self.sessions[i].revocation else { unreachable!() };
                self.revoke(token);
                self.sessions[i].revocation = Some((token, Some(true)));
            }
            RevokeFails(i) => {
                if let Some((_, outcome)) = &mut self.sessions[i].revocation {
                    *outcome = Some(false);
                }
            }
            Revoked(i) => {
                let Some((_, Some(worked))) = self.sessions[i].revocation.take() else {
                    unreachable!()
                };
                self.event(world, i, zero, |real, settings, now| {
                    real.revoked(worked.then_some(()).ok_or(Trouble), settings, now);
                });
            }
            Save(i, slot) => self.save_done(i, slot, true, true),
            SaveFailsBefore(i, slot) => self.save_done(i, slot, false, false),
            SaveFailsAfter(i, slot) => self.save_done(i, slot, true, false),
            SaveHangs(i, slot) => {
                if let Some(saving) = &mut self.sessions[i].saves[slot] {
                    saving.hangs = true;
                }
                let later = Duration::from_secs(60);
                self.event(world, i, later, |_, _, _| {});
            }
            Saved(i, slot) => {
                let Some(Saving { id, done: Some(ok), .. }) = self.sessions[i].saves[slot].take()
                else {
                    unreachable!()
                };
                self.event(world, i, zero, |real, settings, now| {
                    real.saved(id, ok.then_some(()).ok_or(Trouble), settings, now);
                });
            }
        }
    }

    /// Somebody wants another token than the one in use, for the target at this place.
    fn want(&mut self, world: &World, i: usize, at: usize, later: Duration) {
        let (settings, now) = (world.settings(), self.now(later));
        let target = &targets()[at];
        let session = &mut self.sessions[i];
        let real = &mut session.real;
        let token = real.served().map(|served| served.token);
        let mut wants_another = true;
        session.tickets[at] = Some(match (world.wants, token) {
            (Wants::ByHand, Some(token)) => real.ticket_for_another(target, Some(&token), true),
            (Wants::Rejected, Some(token)) if token.access_for(target).is_some() => {
                let accepted_by = world.accepted.then_some(1);
                let rejection = Rejection { path: 0, accepted_by };
                wants_another = real.rejected(target, &token, rejection, &settings, &now);
                if wants_another {
                    real.ticket_for_another(target, Some(&token), false)
                } else {
                    real.ticket(target)
                }
            }
            _ => {
                wants_another = false;
                real.ticket(target)
            }
        });
        let access = token.and_then(|token| Some((token.login, token.access_for(target)?)));
        session.than[at] = access.filter(|_| wants_another);
        self.event(world, i, later, |_, _, _| {});
    }

    fn call(&mut self, i: usize) -> &mut Call {
        let Some(call) = &mut self.sessions[i].call else { unreachable!() };
        call
    }

    fn request(&mut self, i: usize, slot: usize) -> &mut Request {
        let Some(request) = &mut self.sessions[i].requests[slot] else { unreachable!() };
        request
    }

    fn swap_of(&self, i: usize) -> (Purpose, Option<i64>, Rec) {
        match &self.sessions[i].call {
            Some(Call { kind: CallKind::Swap(purpose, expected, record), .. }) => {
                (*purpose, *expected, record.clone())
            }
            _ => unreachable!(),
        }
    }

    fn swap_fails(&mut self, world: &World, i: usize, slow: bool) {
        let id = self.call(i).id;
        self.sessions[i].call = None;
        self.event(world, i, Duration::ZERO, |real, settings, now| {
            let failure = StoreFailure { error: Trouble, slow, unreadable: None };
            real.swapped(id, Err(failure), settings, now);
        });
    }

    /// A token request without an answer.
    fn lose(&mut self, world: &World, i: usize, slot: usize) {
        let Some(Request { request, .. }) = self.sessions[i].requests[slot].take() else {
            unreachable!()
        };
        let presented =
            &mut self.seen.presented[request.login as usize][request.generation as usize];
        if request.refresh && presented.by == self.sessions[i].name {
            presented.excused = true;
            // The second try was the last one.
            presented.paused = presented.times > 1;
        }
        self.event(world, i, Duration::ZERO, |real, settings, now| {
            real.answered(request, Answer::Lost(Trouble), settings, now);
        });
    }

    /// The session of this name died or stopped: what it presented, its successor may present.
    fn excuse(&mut self, name: u8) {
        for presentation in self.seen.presented.iter_mut().flatten() {
            if presentation.by == name {
                presentation.excused = true;
                presentation.paused = false;
                presentation.times = 0;
            }
        }
    }

    fn until_wake(&self, world: &World, i: usize) -> Duration {
        let at = self.sessions[i].real.wake_at(&world.settings());
        at.unwrap_or_default().saturating_sub(BASE)
    }

    /// How long until a renewal is permitted again.
    fn until_permitted(&self, world: &World, i: usize) -> Duration {
        let (settings, now) = (world.settings(), self.now(Duration::ZERO));
        let at = self.sessions[i].real.retry_at(&Target::OWN, &settings, &now).flatten();
        at.unwrap_or_default().saturating_sub(BASE)
    }

    fn sign(&mut self, world: &World, i: usize, login: u8, token: Option<Tok>) {
        self.clock += 1;
        self.seen.after[login as usize] = match world.home {
            Home::Store => {
                let entered = self.seen.entered.iter().filter(|login| **login != 0);
                entered.fold(0, |all, login| all | 1 << login)
            }
            _ => self.sessions[i].real.known().map_or(0, |known| 1 << known.login),
        };
        let session = &mut self.sessions[i];
        session.set = login;
        session.refused = false;
        if token.is_some() {
            session.signs_in = Some(login.into());
            session.signs_out = None;
        } else {
            session.signs_out = Some(login.into());
            session.signs_in = None;
            if world.home != Home::Store {
                self.seen.gone |= self.sessions[i].real.known().map_or(0, |known| 1 << known.login);
            }
        }
        self.event(world, i, Duration::ZERO, |real, settings, now| {
            real.set_login(login.into(), token, settings, now);
        });
    }

    fn save_done(&mut self, i: usize, slot: usize, effect: bool, ok: bool) {
        let Some(saving) = &mut self.sessions[i].saves[slot] else { unreachable!() };
        saving.done = Some(ok);
        let token = saving.token;
        if effect {
            self.sessions[i].saved = token;
            if let Some(token) = token {
                self.seen.stored[token.login as usize] |= 1 << token.generation;
            }
        }
    }
}

/// What happens, in plain words; before it does.
pub fn describe(world: &World, state: &State, step: Step) -> String {
    let me = |i: usize| ["A", "B", "C"][i];
    let token = |i: usize, slot: usize| {
        let request = state.sessions[i].requests[slot].as_ref().map(|r| &r.request);
        match request {
            Some(request) if request.refresh => {
                let other = if request.target.is_own() { "" } else { " for the other target" };
                format!("refresh token {}.{}{other}", request.login, request.generation)
            }
            Some(request) => format!("grant for {}.{}", request.login, request.generation),
            None => String::new(),
        }
    };
    let swap = |i: usize| {
        let (purpose, expected, new) = state.swap_of(i);
        let fits = expected == state.store.as_ref().map(|(_, version)| *version);
        let outcome = if fits { "stored" } else { "conflict" };
        (format!("{}'s swap ({}) of {}", me(i), name_of(purpose), show(&new)), outcome)
    };
    match step {
        Ask(i) if !state.sessions[i].alive => format!("{} starts anew and asks for a token", me(i)),
        Ask(i) => format!("{} asks for a token", me(i)),
        Want(i) => {
            let (login, generation) = state.sessions[i].real.in_use().unwrap_or_default();
            format!("{} needs another token than {login}.{generation}", me(i))
        }
        WantOther(i, _) => format!("{} needs a token for the other target", me(i)),
        Poll(i) => format!("whoever waits at {} is asked", me(i)),
        Read(i) => format!("{}'s load reads {}", me(i), show_stored(&state.store)),
        ReadStale(i) => {
            format!(
                "{}'s load reads what was: {}",
                me(i),
                show_stored(&state.old.clone().flatten())
            )
        }
        LoadFails(i) => format!("{}'s load fails", me(i)),
        Swap(i) => format!("{}: {}", swap(i).0, swap(i).1),
        SwapFailsBefore(i) => format!("{} fails before its effect", swap(i).0),
        SwapFailsAfter(i) => format!("{} is done, its answer lost", swap(i).0),
        SwapFailsLate(i) => format!("{} fails, its effect comes later", swap(i).0),
        Told(i) => match &state.sessions[i].call {
            Some(Call { kind: CallKind::Swapped(_, Swapped::Stored(_)), .. }) => {
                format!("{} is told: stored", me(i))
            }
            Some(Call { kind: CallKind::Swapped(..), .. }) => {
                format!("{} is told: conflict", me(i))
            }
            _ => format!("{} is told of the load", me(i)),
        },
        Arrives(i, slot) => format!("{}'s {} reaches the provider", me(i), token(i, slot)),
        RequestLost(i, slot) => format!("{}'s {} is lost on its way", me(i), token(i, slot)),
        AnswerLost(i, slot) => {
            format!("{}'s {} reaches the provider, the answer is lost", me(i), token(i, slot))
        }
        Later(i, slot) => format!("the provider answers {}'s {}: later", me(i), token(i, slot)),
        Unusable(i, slot) => {
            format!("{}'s {} reaches the provider, the answer is unusable", me(i), token(i, slot))
        }
        TargetRefused(i, slot) => {
            format!("the provider refuses the other target to {}'s {}", me(i), token(i, slot))
        }
        GrantRefused(i, slot) => format!("{}'s {} is refused", me(i), token(i, slot)),
        GivesUp(i, slot) => {
            format!("{} gives up its {}, which is still on its way", me(i), token(i, slot))
        }
        Answered(i, slot) => {
            let answer = state.sessions[i].requests[slot].as_ref().and_then(|r| r.answer.as_ref());
            let answer = match answer {
                Some(Answer::Token(token)) => format!("token {}.{}", token.login, token.generation),
                Some(Answer::Rotated(token, ..)) => {
                    format!("nothing but refresh token {}.{}", token.login, token.generation)
                }
                Some(Answer::Refused(_)) => "refused".to_owned(),
                _ => "failed".to_owned(),
            };
            format!("{} gets the answer to its {}: {answer}", me(i), token(i, slot))
        }
        Forgotten(i, slot) => format!("the answer to {}'s {} is never seen", me(i), token(i, slot)),
        Wakes(i) => {
            format!("{} wakes {:?} later", me(i), state.until_wake(world, i))
        }
        Outlasts(i, sleeps) => {
            let later = state.until_wake(world, i);
            let stopped = state.blockers(world, i, BASE + later);
            let names: Vec<&str> = stopped.into_iter().map(me).collect();
            let how = if sleeps { "sleeps, its monotonic clock too" } else { "stops" };
            format!("{} {how}; {} sees no change for a lease", names.join(", "), me(i))
        }
        Ages => "time passes, and the tokens age".to_owned(),
        BackoffOver => "time passes, and the backoff is over".to_owned(),
        SignsIn(i) => format!("{}: sign-in, login {}", me(i), state.logins + 1),
        SignsOut(i) => format!("{}: sign-out, login {}", me(i), OUTS + state.outs),
        Flushes(i) => format!("{} waits until all is saved", me(i)),
        Dies(i, false) => format!("{} dies", me(i)),
        Dies(i, true) => format!("{} dies, what it has sent arrives later", me(i)),
        Evicted(i) => format!("{} is idle and dropped", me(i)),
        RuntimeEnds(i, sent, effect) => format!(
            "the runtime under {} ends; its token request was {}, its swap had {}",
            me(i),
            if sent { "sent" } else { "not sent" },
            ["no effect", "its effect", "not had its effect yet"][effect as usize]
        ),
        LateSwap => {
            let late = state.late_swap.as_ref().map(|(_, _, record)| show(record));
            format!("the late swap of {} arrives", late.unwrap_or_default())
        }
        LateRequest => {
            let late = state.late_request.map(|token| (token.login, token.generation));
            let (login, generation) = late.unwrap_or_default();
            format!("the late refresh token {login}.{generation} reaches the provider")
        }
        Emptied => "the store loses its content".to_owned(),
        Revoke(i) => format!("the provider revokes for {}", me(i)),
        RevokeFails(i) => format!("{}'s revocation fails", me(i)),
        Revoked(i) => format!("{} is told of the revocation", me(i)),
        Save(i, _) => format!("{}'s saver does its work", me(i)),
        SaveFailsBefore(i, _) => format!("{}'s saver fails before its effect", me(i)),
        SaveFailsAfter(i, _) => format!("{}'s saver fails after its effect", me(i)),
        SaveHangs(i, _) => format!("{}'s saver hangs for a minute", me(i)),
        Saved(i, slot) => {
            let ok = state.sessions[i].saves[slot].as_ref().and_then(|saving| saving.done);
            let outcome = if ok == Some(true) { "saved" } else { "failed" };
            format!("{} is told: {outcome}", me(i))
        }
    }
}

fn show_stored(stored: &Versioned) -> String {
    stored.as_ref().map_or("nothing".to_owned(), |(record, _)| show(record))
}

pub fn show(record: &Rec) -> String {
    let state = match &record.state {
        Login::Live(Some(_)) => "",
        Login::Live(None) => ", no token yet",
        Login::Ended(_) => ", ended",
        Login::SignedOut => ", signed out",
    };
    let mark = match record.mark.map(|mark| mark.holder) {
        None => String::new(),
        Some(None) => ", marked by nobody".to_owned(),
        Some(Some(name)) => format!(", marked by {name}"),
    };
    let pause = match &record.pause {
        Some(pause) if pause.until > 0 => ", not yet",
        _ => "",
    };
    let (login, generation, number) = (record.login, record.generation, record.number % 1000);
    format!("[{login}.{generation} no. {number}{state}{mark}{pause}]")
}
