//! `Issued`: the refresh token that came with an error.

use std::sync::Arc;

use secrecy::SecretString;

/// What came of the refresh token of a response that is an error otherwise.
#[derive(Clone, Default)]
pub(super) enum Issued {
    /// There was none.
    #[default]
    Nothing,
    /// The provider has replaced the one before with it. A session takes it out before it passes the error
    /// on.
    RefreshToken(Arc<SecretString>),
    /// A session has taken it out, and keeps it.
    Kept,
}
