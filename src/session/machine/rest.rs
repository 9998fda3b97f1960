//! `Resting`: a session between renewals, in little memory.
//!
//! Most sessions are idle most of the time: their newest record is the stored one, its token is in use, and
//! nothing is running. Such a session needs only a few words of memory. Parts that only some of them have
//! are boxed.

use std::time::Duration;

use super::unauthorized::Paths;
use super::{Access, Credential, Failure, Machine, Record, Seen, Served, State, Target};

pub(crate) struct Resting<T, E> {
    name: u64,
    login: u64,
    number: u64,
    token: T,
    version: i64,
    generation: u32,
    serial: u32,
    own_serial: u32,
    failures: u32,
    /// The end of its milliseconds; zero: never.
    read: u32,
    /// Whether the store holds the record, under `version`.
    is_stored: bool,
    is_given: bool,
    after_rejection: bool,
    is_login_expiry_noted: bool,
    rare: Option<Box<Rare<T, E>>>,
}

struct Rare<T, E> {
    failure: Option<Failure<E>>,
    paths: Paths,
    others: Vec<Access<E>>,
    /// The record with its mark and pause, and since when it has been the same.
    seen: Option<(Record<T, E>, Duration)>,
}

impl<T: Credential, E: Clone> Machine<T, E> {
    /// `None` while there is more to remember.
    pub(crate) fn rest(&self) -> Option<Resting<T, E>> {
        let (known, served) = (self.known.as_ref()?, self.served.as_ref()?);
        let token = known.token()?;
        let (generation, serial) =
            (u32::try_from(known.generation).ok()?, u32::try_from(self.serial).ok()?);
        let in_use = (served.login, served.generation) == (known.login, known.generation);
        if self.is_busy()
            || !in_use
            || self.own.rejected
            || self.response_lost
            || self.revocation.is_some()
            || self.began.is_some()
            || self.store.failures > 0
            || !self.notes.is_empty()
        {
            return None;
        }
        let (version, seen) = match &self.seen {
            None => (None, None),
            Some(seen) => {
                let record = seen.record.as_ref().filter(|record| record.is_same(known))?;
                let is_plain = record.mark.is_none() && record.pause.is_none();
                (Some(seen.version?), (!is_plain).then(|| (record.clone(), seen.since)))
            }
        };
        let (failure, paths, others) =
            (self.failure.clone(), self.own.paths.clone(), self.others.clone());
        let rare = Rare { failure, paths, others, seen };
        let is_rare = rare.failure.is_some()
            || !rare.paths.is_empty()
            || !rare.others.is_empty()
            || rare.seen.is_some();
        Some(Resting {
            name: self.name,
            login: known.login,
            number: known.number,
            generation,
            token: token.clone(),
            version: version.unwrap_or_default(),
            serial,
            failures: self.failures,
            read: self.read.map_or(0, end_of_millis),
            is_stored: version.is_some(),
            is_given: self.is_given,
            own_serial: u32::try_from(self.own.serial).ok()?,
            after_rejection: self.own.after_rejection,
            is_login_expiry_noted: self.is_login_expiry_noted,
            rare: is_rare.then(|| Box::new(rare)),
        })
    }
}

impl<T: Credential, E: Clone> Resting<T, E> {
    /// The session as it was, at that moment.
    pub(crate) fn wake(self, at: Duration) -> Machine<T, E> {
        let Self { name, login, number, token, .. } = self;
        let (generation, serial) = (self.generation.into(), self.serial.into());
        let (failure, paths, others, seen) = match self.rare {
            Some(rare) => (rare.failure, rare.paths, rare.others, rare.seen),
            None => (None, Paths::default(), Vec::new(), None),
        };
        let own = Access {
            serial: self.own_serial.into(),
            after_rejection: self.after_rejection,
            paths,
            ..Access::new(Target::OWN)
        };
        let state = State::Live(Some(token.clone()));
        let known = Record { login, number, generation, state, mark: None, pause: None };
        // Of a record without mark and pause it does not matter since when it has been the same.
        let (record, since) = seen.unwrap_or_else(|| (known.clone(), at));
        let seen = self.is_stored.then(|| Seen {
            record: Some(record),
            version: Some(self.version),
            since,
            looked: Duration::ZERO,
        });
        // Less than 50 days ago, or nobody minds.
        let age = Duration::from_millis(end_of_millis(at).wrapping_sub(self.read).into());
        let read = (self.read != 0).then(|| at.saturating_sub(age));
        Machine {
            is_given: self.is_given,
            seen,
            served: Some(Served { login, generation, token }),
            own,
            others,
            serial,
            is_login_expiry_noted: self.is_login_expiry_noted,
            failure,
            failures: self.failures,
            read,
            known: Some(known),
            ..Machine::new(name)
        }
    }
}

/// The lower half of the milliseconds.
fn end_of_millis(at: Duration) -> u32 {
    u32::try_from(at.as_millis() & u128::from(u32::MAX)).unwrap_or_default()
}
