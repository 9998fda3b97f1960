//! `Session`: the handle that applications hold.

use std::fmt;
use std::sync::Arc;

use http::HeaderValue;

use super::core::{Core, runtime};
use super::{KeepFreshGuard, SessionBuilder, TokenUpdates};
use crate::client::OAuthClient;
use crate::error::Error;
use crate::grant::Grant;
use crate::middleware::OAuthMiddleware;
use crate::origin::Origins;
use crate::token::Token;

/// One login, or one service's own access: a token that is renewed and saved by itself
/// ([RFC 6749 §1.5](https://www.rfc-editor.org/rfc/rfc6749#section-1.5)).
///
/// Cheap to clone; clones are the same session. Nothing runs in the background until the first
/// renewal (or [`keep_fresh`](Self::keep_fresh)). Dropping the last handle cuts neither a running
/// renewal nor an unfinished save off.
#[derive(Clone)]
pub struct Session(pub(crate) Arc<Core>);

impl Session {
    /// A session whose tokens come from this client's token endpoint.
    pub fn builder(client: OAuthClient) -> SessionBuilder {
        SessionBuilder::new(Some(client))
    }

    /// A session whose tokens come from the application's own source, with no token endpoint.
    pub fn from_grant(grant: impl Grant) -> SessionBuilder {
        SessionBuilder::new(None).grant(grant)
    }

    /// The layer for a `reqwest_middleware` client: it puts this session's token on requests to
    /// the listed origins (`"https://api.example"`), and on no others. See [`Origins`]
    /// ([RFC 6750 §2.1](https://www.rfc-editor.org/rfc/rfc6750#section-2.1)).
    ///
    /// A `&Url` stands for its origin, whatever its path.
    ///
    /// # Errors
    ///
    /// [`Error::is_config`] where an origin is no origin, or is plain http and not loopback.
    pub fn middleware<O>(&self, origins: O) -> Result<OAuthMiddleware, Error>
    where
        O: TryInto<Origins>,
        Error: From<O::Error>,
    {
        Ok(OAuthMiddleware::new(self.clone(), origins.try_into()?))
    }

    /// A token that may be used now, for what is no HTTP request (websockets, gRPC metadata): at
    /// once while it is valid, after a renewal where it has expired
    /// ([RFC 6749 §1.4](https://www.rfc-editor.org/rfc/rfc6749#section-1.4)).
    ///
    /// # Errors
    ///
    /// Those of the renewal; [`Error::is_expired`] in a [`manual_refresh`](SessionBuilder::manual_refresh) session.
    ///
    /// # Cancellation
    ///
    /// Safe: a renewal goes on without the caller.
    pub async fn token(&self) -> Result<Token, Error> {
        match self.0.usable().await?.token() {
            Some(token) => Ok(Token::clone(token)),
            None => Err(Error::config("the access token cannot stand in a header")),
        }
    }

    /// The `Authorization` header of a token that is neither expired nor due, ready to send and marked
    /// sensitive; `None` otherwise. For places that cannot wait, such as a gRPC interceptor; beside
    /// [`keep_fresh`](Self::keep_fresh), or with [`token`](Self::token) where there is none
    /// ([RFC 6750 §2.1](https://www.rfc-editor.org/rfc/rfc6750#section-2.1)).
    #[inline]
    pub fn header(&self) -> Option<HeaderValue> {
        self.0.fresh_header()
    }

    /// The present token as it is, expired or not, without any renewal; `None` where there is none
    /// yet.
    pub fn current_token(&self) -> Option<Token> {
        let snapshot = self.0.current.load();
        snapshot.header.as_ref().and(snapshot.token()).map(|token| Token::clone(token))
    }

    /// Renews now, or joins the renewal under way, and returns the new token
    /// ([RFC 6749 §6](https://www.rfc-editor.org/rfc/rfc6749#section-6)). While an earlier failure
    /// forbids an attempt, that failure is returned at once. With a
    /// [store](SessionBuilder::store), a token that a sibling has put there since this session last
    /// looked is taken instead.
    ///
    /// # Errors
    ///
    /// Those of the renewal: [`Error::is_reauthorization_required`], [`Error::is_transient`].
    ///
    /// # Cancellation
    ///
    /// Safe: the renewal goes on without the caller.
    pub async fn refresh(&self) -> Result<Token, Error> {
        let generation = self.0.current.load().generation;
        match self.0.renewed(generation).await?.token() {
            Some(token) => Ok(Token::clone(token)),
            None => Err(Error::config("the access token cannot stand in a header")),
        }
    }

    /// Uses this token from now on, as after a new login: hands it to the saver, then puts it on
    /// requests. Forgets a remembered failure; a renewal under way is void
    /// ([RFC 6749 §1.5](https://www.rfc-editor.org/rfc/rfc6749#section-1.5)).
    ///
    /// # Errors
    ///
    /// [`Error::is_save`] in a session with [`strict_saving`](SessionBuilder::strict_saving): the
    /// token is kept, and used once it is saved. Outside a Tokio runtime, an error that says so.
    ///
    /// # Cancellation
    ///
    /// Safe: saving and use go on without the caller.
    pub async fn set_token(&self, token: Token) -> Result<(), Error> {
        self.0.replace(token).await
    }

    /// The new tokens from now on, as they come into use.
    pub fn subscribe(&self) -> TokenUpdates {
        TokenUpdates(self.0.subscribe())
    }

    /// Renews the token when it is due even while no request is made, until the returned guard is
    /// dropped. One task; it does not keep the session alive.
    ///
    /// # Errors
    ///
    /// Outside a Tokio runtime.
    pub fn keep_fresh(&self) -> Result<KeepFreshGuard, Error> {
        Ok(KeepFreshGuard::start(&self.0, &runtime()?))
    }

    /// Why the present token is not saved yet: `None` when it is, or where there is neither saver nor
    /// store.
    /// Saving is tried again meanwhile.
    pub fn save_error(&self) -> Option<Error> {
        self.0.outbox.pending()?.1
    }

    /// Ends the login: revokes the token with the provider
    /// ([RFC 7009](https://www.rfc-editor.org/rfc/rfc7009); the refresh token where there is one,
    /// where a [`revocation_endpoint`](OAuthClient::revocation_endpoint) is known), has what was
    /// saved deleted ([`on_sign_out`](SessionBuilder::on_sign_out)), and stops renewing: from then
    /// on requests get an error that asks for reauthorization, until
    /// [`set_token`](Self::set_token). With a [store](SessionBuilder::store) the stored token is the
    /// one that is revoked, and a mark in its place tells the siblings that the login has ended. A
    /// login that [`set_token`](Self::set_token) begins meanwhile stays.
    ///
    /// # Errors
    ///
    /// Where the provider did not revoke the token, it is still valid, and the session goes on with
    /// it; try again, after [`Error::retry_after`] where the provider named it. [`Error::is_save`]
    /// where the login has ended but what was saved is not deleted yet; it is tried again.
    ///
    /// # Cancellation
    ///
    /// Safe: the sign-out goes on without the caller.
    pub async fn sign_out(&self) -> Result<(), Error> {
        self.0.sign_out().await
    }

    /// Waits for a renewal under way, and for a token that is not saved yet to be tried once more
    /// (as long as a renewal waits for the saver). To be called before the runtime is shut down.
    ///
    /// # Errors
    ///
    /// [`Error::is_save`] where the token could still not be saved.
    ///
    /// # Cancellation
    ///
    /// Safe: renewal and save go on while the runtime lives.
    pub async fn shutdown(&self) -> Result<(), Error> {
        self.0.settle().await
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let snapshot = self.0.current.load();
        f.debug_struct("Session")
            .field("client", &self.0.config.client)
            .field("token", &snapshot.token())
            .finish_non_exhaustive()
    }
}
