//! What the machine remembers, part by part.

use std::time::{Duration, SystemTime};

use super::{Now, Pause, Purpose, Reason, Record, Target};

/// What the store held, and since when it has been the same on this session's clock.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Seen<T, E> {
    pub(super) record: Option<Record<T, E>>,
    pub(super) version: Option<i64>,
    pub(super) since: Duration,
    /// When the store last said so.
    pub(super) looked: Duration,
}

impl<T, E: Clone> Seen<T, E> {
    /// The pause of the record: why, and how much of it is left.
    pub(super) fn paused(&self, now: &Now) -> Option<(E, Duration)> {
        let pause = self.record.as_ref()?.pause.as_ref()?;
        // The wall clock may have been set back: no pause lasts longer than it was meant to.
        let left = (self.since + pause.wait).saturating_sub(now.at).min(pause.left(now.wall));
        (!left.is_zero()).then(|| (pause.error.clone(), left))
    }
}

/// The tokens that requests carry.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Served<T> {
    pub(super) login: u64,
    pub(super) generation: u64,
    pub(crate) token: T,
}

/// A failed renewal, remembered until the next attempt is permitted.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Failure<E> {
    pub(super) reason: Reason<E>,
    pub(super) attempts: u32,
    /// `None`: not before another login.
    pub(super) retry_at: Option<Duration>,
    pub(super) of: FailureOf,
}

/// What a failed renewal is a failure of.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum FailureOf {
    /// Every session of the login meets it.
    Login,
    /// It is over when the store answers.
    Store,
    /// It says nothing of other sessions: one of them may have renewed meanwhile.
    Session,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Pending<T> {
    pub(super) login: u64,
    /// `None`: a sign-out.
    pub(super) token: Option<T>,
    /// The token that this replaces. A sign-out revokes it.
    pub(super) replaced: Option<T>,
    /// What an earlier sign-out was to revoke, and an earlier sign-in that a sign-out undoes, before the store
    /// had them.
    pub(super) owed: Vec<T>,
    /// The first number that was tried without an answer.
    pub(super) unanswered: Option<u64>,
}

/// What a token request brought, and the store does not have yet.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) enum Outcome<T, E> {
    /// A new token, or the end of the login.
    Gained(Record<T, E>),
    /// Nothing: clear the mark and record the pause.
    Nothing(Option<Pause<E>>),
}

/// A token, a sign-in or a sign-out that is not saved yet.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Unsaved<T, E> {
    /// The token that is saved still, where a renewal has brought the new one.
    pub(super) replaced: Option<T>,
    pub(super) since: Duration,
    pub(super) failures: u32,
    pub(super) error: Option<Reason<E>>,
    pub(super) retry_at: Duration,
    /// The wait for it was over.
    pub(super) late: bool,
}

/// The token request under way, and what it renews.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct TokenRequest {
    pub(super) id: u32,
    pub(super) login: u64,
    pub(super) generation: u64,
    pub(super) target: Target,
}

/// Attempts after a lost answer that nobody asks for.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct FollowUp {
    /// When the next one is due; `None`: not known yet.
    pub(super) at: Option<Duration>,
    left: u8,
}

impl FollowUp {
    pub(super) fn new() -> Self {
        Self { at: None, left: 3 }
    }

    /// Once another attempt has failed; the next one is due at that moment.
    pub(super) fn after(self, at: Duration) -> Option<Self> {
        Some(Self { at: Some(at), left: self.left.checked_sub(1)? })
    }
}

/// The claim to renew.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Attempt {
    /// When the swap was sent that the store has confirmed last; by both clocks.
    pub(super) confirmed: Option<(Duration, SystemTime)>,
    pub(super) tries: u8,
    /// Not before this.
    pub(super) try_at: Duration,
    pub(super) until: Duration,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct StoreCall<T, E> {
    pub(super) id: u32,
    pub(super) sent: (Duration, SystemTime),
    /// `None`: a load.
    pub(super) swap: Option<(Purpose, Record<T, E>)>,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct StoreHealth<E> {
    pub(super) failures: u32,
    /// It is not asked before this. `None` as soon as that is over.
    pub(super) retry_at: Option<Duration>,
    /// Why it failed last.
    pub(super) error: Option<E>,
    /// It has not answered since it last failed for more than a moment.
    pub(super) is_down: bool,
    /// The version of what it held last, if that cannot be read. Only a sign-in or a sign-out replaces
    /// it: somebody may fix it, or have the key that reads it.
    pub(super) unreadable: Option<i64>,
}

impl<E> StoreHealth<E> {
    pub(super) fn good() -> Self {
        Self { failures: 0, retry_at: None, error: None, is_down: false, unreadable: None }
    }
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Look {
    pub(super) at: Duration,
    pub(super) wait: Duration,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct SaveCall {
    pub(super) id: u32,
    pub(super) login: u64,
    pub(super) generation: u64,
    pub(super) since: Duration,
    /// A call that was set aside ended meanwhile: it may have written over this one.
    pub(super) again: bool,
}

/// Tokens to revoke after a sign-out.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Revocation<T, E> {
    /// The first one is next, or under way.
    pub(super) tokens: Vec<T>,
    pub(super) under_way: bool,
    /// Why the last attempt failed. There is no other one until the application asks.
    pub(super) error: Option<E>,
}
