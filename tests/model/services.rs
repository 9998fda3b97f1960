//! The store and the provider.

use crate::machine::{Answer, Purpose, State as Login, Target};
use crate::token::{Tok, Trouble};
use crate::world::*;

impl State {
    /// Compares and swaps. The new version, if it was the one expected.
    pub fn apply(
        &mut self,
        world: &World,
        purpose: Purpose,
        expected: Option<i64>,
        new: Rec,
    ) -> Option<i64> {
        if expected != self.store.as_ref().map(|(_, version)| *version) {
            return None;
        }
        self.check_write(purpose, &new);
        self.remember(world);
        let version = self.new_version();
        if new.token().is_some() {
            self.seen.stored[new.login as usize] |= 1 << new.generation;
        }
        self.store = Some((new, version));
        Some(version)
    }

    fn check_write(&mut self, purpose: Purpose, new: &Rec) {
        let login = new.login as u8;
        let position = |state: &Self, login: u8| {
            state.seen.entered.iter().position(|entered| *entered == login)
        };
        if self.seen.gone >> login & 1 == 1 {
            self.violate(Property::SignedOutComesBack);
        }
        if let Some((old, _)) = self.store.clone() {
            if old.login == new.login {
                if old.is_above(new) {
                    self.violate(Property::GoesBack);
                }
            } else if let Some(before) = position(self, login) {
                // It had been there before the one that it replaces now.
                let flips = !self.seen.emptied
                    && position(self, old.login as u8).is_none_or(|other| other > before);
                if flips || self.seen.after[old.login as usize] >> login & 1 == 1 {
                    self.violate(Property::OlderReplacesNewer);
                }
            }
            let signs_out = matches!(new.state, Login::SignedOut);
            if purpose == Purpose::Login && signs_out && old.login != new.login {
                self.seen.gone |= 1 << old.login;
            }
        }
        if position(self, login).is_none()
            && let Some(slot) = self.seen.entered.iter_mut().find(|slot| **slot == 0)
        {
            *slot = login;
        }
        if matches!(new.state, Login::Ended(_)) && self.provider.refused[login as usize] == 0 {
            self.violate(Property::EndedWithoutRefusal);
        }
    }

    /// What a stale load will return.
    pub fn remember(&mut self, world: &World) {
        if world.may(STALE) && !(world.stale_first && self.old.is_some()) {
            self.old = Some(self.store.clone());
        }
    }

    pub fn issue(&self, world: &World, login: u8, generation: u8, refresh: bool) -> Tok {
        let born = if world.ages == 0 { u8::MAX } else { self.age };
        Tok {
            login,
            generation,
            access: generation,
            other: u8::MAX,
            refresh,
            born,
            other_born: born,
        }
    }

    /// A refresh token reaches the provider.
    pub fn provide(&mut self, world: &World, token: Tok, target: &Target) -> Answer<Tok, Trouble> {
        let login = token.login as usize;
        let next = self.issue(world, token.login, token.generation + 1, true);
        let next = if target.is_own() {
            Tok { other: token.other, other_born: token.other_born, ..next }
        } else {
            Tok { access: token.access, born: token.born, other: next.generation, ..next }
        };
        let provider = &mut self.provider;
        if provider.ended >> login & 1 == 0 {
            if token.generation == provider.current[login] {
                provider.current[login] += 1;
                return Answer::Token(next);
            }
            if world.grace && token.generation + 1 == provider.current[login] {
                return Answer::Token(next);
            }
            // Reuse: the login ends.
            provider.ended |= 1 << login;
        }
        provider.refused[login] |= 1 << token.generation;
        if !world.without.contains(&Property::LoginLost) && provider.revoked >> login & 1 == 0 {
            self.violate(Property::LoginLost);
        }
        Answer::Refused(Trouble)
    }

    /// A grant is asked for a token of a login: the provider begins it again.
    pub fn grant(&mut self, world: &World, login: u64, generation: u64) -> Answer<Tok, Trouble> {
        let (login, generation) = (login as u8, generation as u8 + 1);
        self.provider.current[login as usize] = generation;
        self.provider.ended &= !(1 << login);
        Answer::Token(self.issue(world, login, generation, world.grant == Grant::Refreshable))
    }

    pub fn revoke(&mut self, token: Tok) {
        let login = token.login as usize;
        if token.generation == self.provider.current[login] {
            self.provider.ended |= 1 << login;
            self.provider.revoked |= 1 << login;
        }
    }

    /// How it begins.
    pub fn first(world: &World) -> Self {
        let mut state = Self {
            store: None,
            old: None,
            sessions: std::array::from_fn(|i| {
                Session::new(if i < world.sessions { NAMES as u8 + i as u8 } else { 0 })
            }),
            provider: Provider { current: [0; LOGINS], refused: [0; LOGINS], ended: 0, revoked: 0 },
            late_swap: None,
            late_request: None,
            logins: 1,
            outs: 0,
            faults: world.faults,
            beats: world.beats,
            flushes: world.flushes,
            age: 0,
            clock: 1,
            seen: Seen {
                presented: [[Presentation::default(); GENERATIONS]; LOGINS],
                entered: [0; 7],
                after: [0; LOGINS],
                stored: [0; LOGINS],
                gone: 0,
                emptied: false,
                violation: None,
            },
        };
        let token = state.issue(world, 1, 0, world.refreshable);
        let first = Rec {
            login: 1,
            number: crate::world::first_number(),
            generation: 0,
            state: Login::Live(Some(token)),
            mark: None,
            pause: None,
        };
        let stored = match world.start {
            Start::Empty | Start::Given => None,
            Start::Loaded | Start::Stored => Some(first),
            Start::Unnumbered => Some(Rec { number: crate::machine::UNNUMBERED, ..first }),
            Start::Marked => {
                let mark = crate::machine::Mark { holder: Some(7), at: 1, lease: LEASE };
                Some(first.with_mark(Some(mark)))
            }
        };
        if world.start == Start::Empty {
            state.logins = 0;
        }
        if let Some(stored) = stored {
            state.seen.entered[0] = 1;
            state.seen.stored[1] = 1;
            state.store = Some((stored, 1));
        }
        if world.home != crate::machine::Home::Store {
            state.store = None;
        }
        for i in 0..world.sessions {
            let own = world.home != crate::machine::Home::Store;
            if own || world.start == Start::Given && i == 0 {
                state.sessions[i].real = Real::with_token(NAMES, 1, token);
                state.sessions[i].set = 1;
            }
            if world.start == Start::Loaded && !own {
                let (settings, now) = (world.settings(), state.now(std::time::Duration::ZERO));
                let found = state.store.clone();
                let real = &mut state.sessions[i].real;
                let ticket = real.ticket(&Target::OWN);
                let _ = real.poll(&ticket, &settings, &now);
                let _ = real.next(&settings, &now);
                let call = *real.last_id();
                real.loaded(call, Ok(found), &settings, &now);
                assert!(real.next(&settings, &now).is_none());
                real.take_notes();
                assert_eq!(real.in_use(), Some((1, 0)));
            }
        }
        state.settle(world);
        state
    }
}
