//! `Grant`: the trait, and what a grant is given.

use std::fmt;
use std::future::Future;

use async_trait::async_trait;

use crate::client::OAuthClient;
use crate::error::Error;
use crate::token::Token;

/// A source of tokens that a [`Session`](crate::Session) may ask again whenever it needs one: a
/// grant of the protocol ([RFC 6749 §1.3](https://www.rfc-editor.org/rfc/rfc6749#section-1.3)), or
/// the application's own (a metadata server, a vault, another SDK).
///
/// Any closure `Fn() -> Future<Output = Result<Token, Error>>` is one. A session runs one grant at
/// a time, in a task that goes on when the requests that wanted the token are gone; it gives up
/// waiting after [`SessionBuilder::grant_timeout`](crate::SessionBuilder::grant_timeout).
#[async_trait]
pub trait Grant: Send + Sync + 'static {
    /// Gets a token.
    ///
    /// # Errors
    ///
    /// [`Error::transient`] for what may pass, [`Error::permanent`] for what will not; errors of
    /// [`OAuthClient`] as they are.
    async fn token(&self, context: &GrantContext<'_>) -> Result<Token, Error>;
}

#[async_trait]
impl<F, Fut> Grant for F
where
    F: Fn() -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Token, Error>> + Send,
{
    async fn token(&self, _: &GrantContext<'_>) -> Result<Token, Error> {
        self().await
    }
}

/// What a session tells the [`Grant`] that it asks.
pub struct GrantContext<'a> {
    pub(crate) client: Option<&'a OAuthClient>,
    pub(crate) previous: Option<&'a Token>,
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

    /// The token that is to be replaced, where there is one.
    pub fn previous_token(&self) -> Option<&'a Token> {
        self.previous
    }
}

impl fmt::Debug for GrantContext<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GrantContext")
            .field("client", &self.client)
            .field("previous", &self.previous)
            .finish()
    }
}
