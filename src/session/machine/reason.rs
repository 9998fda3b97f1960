//! `Reason`: why a request gets no token.

use std::time::Duration;

use super::{Now, Settings};

/// Why a request gets no token.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Reason<E> {
    /// The renewal, the store or the saver failed.
    Error(E),
    /// The store has no token for this user.
    NoStoredToken,
    /// There is neither a token nor a grant.
    NoToken,
    /// The token has expired and nothing can renew it.
    NotRenewable,
    /// A resource server rejects the token, nothing can renew it, and the store has no other one.
    NoOther,
    SignedOut,
    /// The provider refused the refresh token; `lost`: after a response had been lost.
    Ended {
        error: E,
        lost: bool,
    },
    /// By this machine's clock the refresh token has expired, and there is no grant. No store is told:
    /// the clock may be wrong.
    LoginExpired,
    /// The token has expired in a session that renews only when told to.
    Expired,
    /// The newest token is not saved yet, since the store failed.
    NotSaved(E),
    /// The newest token was not saved within the wait.
    SaveSlow,
    /// A call of the saver has taken longer than a save may take.
    SaveOverdue,
    /// Another session has been renewing for longer than the wait.
    Busy,
}

impl<E> Reason<E> {
    /// When to look again at a session without a store that nothing can renew.
    pub(super) fn retry_at(&self, settings: &Settings, now: &Now) -> Option<Duration> {
        // The clock may be set right.
        matches!(self, Self::LoginExpired).then(|| now.at + settings.backoff.longest)
    }

    pub(crate) fn is_final(&self) -> bool {
        matches!(
            self,
            Self::NoStoredToken
                | Self::NoToken
                | Self::NotRenewable
                | Self::SignedOut
                | Self::Ended { .. }
                | Self::LoginExpired
        )
    }
}
