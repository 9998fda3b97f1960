//! `GrantContext`.

use std::fmt;

use crate::client::OAuthClient;
use crate::error::Error;
use crate::token::Token;

/// What a session passes to its [`Grant`](super::Grant).
pub struct GrantContext<'a> {
    pub(crate) client: Option<&'a OAuthClient>,
    pub(crate) previous_token: Option<&'a Token>,
}

impl<'a> GrantContext<'a> {
    /// The session's client.
    ///
    /// # Errors
    ///
    /// [`Error::is_config`] in a session that was built without one.
    pub fn client(&self) -> Result<&'a OAuthClient, Error> {
        self.client.ok_or_else(|| {
            Error::config("this session has no OAuthClient, which the grant needs; build it with Session::builder")
        })
    }

    /// The token that is to be replaced, if there is one.
    pub fn previous_token(&self) -> Option<&'a Token> {
        self.previous_token
    }
}

impl fmt::Debug for GrantContext<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GrantContext")
            .field("client", &self.client)
            .field("previous_token", &self.previous_token)
            .finish()
    }
}
