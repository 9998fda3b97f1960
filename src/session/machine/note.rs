//! `Note`: what an operator may want to know.

use std::time::Duration;

use super::{Reason, Target};

/// What an operator may want to know. `serial` counts the tokens that the session has used; zero: none.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Note<E> {
    RenewalStarted {
        target: Target,
        cause: Cause,
        serial: u64,
    },
    /// Another token than before is in use.
    TokenInUse {
        target: Target,
        serial: u64,
        took: Duration,
    },
    /// The refresh token of the login in use has little left of its life.
    LoginExpiresSoon,
    /// For all targets that want one; this one was next.
    RenewalFailed {
        target: Target,
        reason: Reason<E>,
        attempt: u32,
        known_before: bool,
        took: Duration,
    },
    /// The provider refuses this target, and has said nothing of the login.
    TargetRefused {
        target: Target,
        error: E,
        attempt: u32,
        took: Duration,
    },
    RenewalDiscarded,
    ResponseLost(E),
    RefreshTokenRefused(E),
    RenewingWithoutStore(E),
    LeaseLost,
    Saved,
    Deleted,
    SaveConflict,
    SaveFailed {
        reason: Reason<E>,
        attempt: u32,
    },
    SaveSlow,
    TokenRejected {
        target: Target,
        serial: u64,
    },
    UnauthorizedAfterRenewal {
        target: Target,
        serial: u64,
    },
    SignedOut,
    SignOutFailed(E),
}

/// Why a token is renewed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Cause {
    NoToken,
    Rejected,
    Expired,
    Due,
    Manual,
}
