//! `Reason`: why a request gets no token.

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
    SignedOut,
    /// The provider refused the refresh token; `lost`: after a response had been lost.
    Ended {
        error: E,
        lost: bool,
    },
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
    pub(crate) fn is_final(&self) -> bool {
        matches!(
            self,
            Self::NoStoredToken
                | Self::NoToken
                | Self::NotRenewable
                | Self::SignedOut
                | Self::Ended { .. }
        )
    }
}
