//! `Action`: what the machine wants done, and what comes of it.

use std::time::Duration;

use super::{FailureClass, Record, Target};

/// What to do next.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Action<T, E> {
    Load {
        call: u32,
    },
    /// `expected`: the version that is replaced; `None`: nothing. `unreadable`: nobody can read that.
    Swap {
        call: u32,
        purpose: Purpose,
        expected: Option<i64>,
        unreadable: bool,
        record: Record<T, E>,
    },
    /// Get a token from the provider or the grant, within the limit.
    Present {
        request: Presented<T>,
        limit: Duration,
    },
    Save {
        call: u32,
        token: T,
    },
    Delete {
        call: u32,
    },
    Revoke {
        token: T,
    },
}

/// What a swap is for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Purpose {
    /// To claim the renewal, or to keep the claim.
    Mark,
    /// To sign in or out.
    Login,
    /// To record what a token request brought.
    Outcome,
    /// To write back what the store has lost.
    Restore,
}

/// A token request: which refresh token it presents, or that the grant is asked.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Presented<T> {
    pub(crate) id: u32,
    pub(crate) login: u64,
    pub(crate) number: u64,
    pub(crate) generation: u64,
    /// The token that is replaced.
    pub(crate) token: Option<T>,
    /// What the new access token is to be for.
    pub(crate) target: Target,
    /// Whether its refresh token is presented; otherwise the grant is asked.
    pub(crate) refresh: bool,
}

/// What a token request brought.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Answer<T, E> {
    Token(T),
    /// Only the new refresh token in it can be used: the old token, with that refresh token. With what the
    /// provider said in `Retry-After`.
    Rotated(T, E, Option<Duration>),
    /// The provider refused the refresh token: the login has ended.
    Refused(E),
    /// The provider gives no access token for this target. The refresh token is as good as before. With
    /// what the provider said in `Retry-After`.
    TargetRefused(E, Option<Duration>),
    Failed(E, FailureClass),
    /// There was no answer, or half of one: the provider may have replaced the refresh token.
    Lost(E),
}

/// What the store holds, and its version.
pub(crate) type Found<T, E> = Option<(Record<T, E>, i64)>;

/// What a swap came to.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Swapped<T, E> {
    Stored(i64),
    Conflict(Found<T, E>),
}

/// A store call that failed. Whether it had an effect is not known, unless the store says that what it
/// holds cannot be read.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct StoreFailure<E> {
    pub(crate) error: E,
    /// Whether the time ran out. Any other failure, if it is the first in a row, is tried again at once.
    pub(crate) slow: bool,
    /// The version of what the store holds and nobody can read: nothing was changed.
    pub(crate) unreadable: Option<i64>,
}
