//! Grants: ways to get a token without asking a person.

mod client_credentials;
mod context;
mod credential_source;
mod jwt_bearer;
mod params;
mod refresh_token;
mod token_exchange;

pub use client_credentials::ClientCredentials;
pub use context::GrantContext;
pub use jwt_bearer::JwtBearer;
pub(crate) use refresh_token::refresh;
pub use token_exchange::{TokenExchange, TypedToken};

use std::future::Future;

use async_trait::async_trait;

use crate::error::Error;
use crate::token::Token;

/// A source of tokens that a [`Session`](crate::Session) may ask again whenever it needs one: a
/// grant of the protocol ([RFC 6749 §1.3](https://www.rfc-editor.org/rfc/rfc6749#section-1.3)), or
/// the application's own (a metadata server, a vault, another SDK).
///
/// Any closure `Fn() -> Future<Output = Result<Token, Error>>` is one. A session calls it once at a
/// time, in a task that goes on even if the requests that wanted the token are gone. It gives up
/// after [`SessionBuilder::grant_timeout`](crate::SessionBuilder::grant_timeout).
#[async_trait]
pub trait Grant: Send + Sync + 'static {
    /// Gets a token.
    ///
    /// # Errors
    ///
    /// [`Error::transient`] for failures that may pass, [`Error::permanent`] for those that will
    /// not. Errors of [`OAuthClient`](crate::OAuthClient) can be returned unchanged.
    async fn token(&self, context: &GrantContext<'_>) -> Result<Token, Error>;

    /// What the tokens are issued for, as `scope`, `resource` and `audience` with their values. A
    /// [store](crate::store) keeps tokens with different values apart. Empty by default. A
    /// [`request_param`](crate::OAuthClient::request_param) of the client with one of these names counts
    /// where the grant has none.
    fn issued_for(&self) -> Vec<(String, String)> {
        Vec::new()
    }
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
