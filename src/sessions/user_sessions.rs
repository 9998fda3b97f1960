//! `UserSessions`: the handle that applications hold.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;

use super::cache::Cache;
use super::{UserId, UserSessionsBuilder};
use crate::client::OAuthClient;
use crate::error::Error;
use crate::session::{Config, Driver, Session, Snapshot, Target};
use crate::token::Token;

/// Many users behind one client: a session for each. A session is loaded from a [store](crate::store)
/// at the user's first request, once, however many requests come at the same time
/// ([RFC 6749 §1.5](https://www.rfc-editor.org/rfc/rfc6749#section-1.5)).
///
/// Cheap to clone; clones are the same sessions. A failure of one user does not affect another
/// user.
///
/// ```no_run
/// # async fn f(app: reqwest_oauth2::OAuthClient) -> Result<(), Box<dyn std::error::Error>> {
/// # let store = reqwest_oauth2::store::MemoryStore::new();
/// use reqwest_middleware::ClientBuilder;
/// use reqwest_oauth2::{UserId, UserSessions};
///
/// let sessions = UserSessions::builder(app).store(store).build();
/// let http = ClientBuilder::new(reqwest::Client::new())
///     .with(sessions.middleware(["https://api.example"])?)
///     .build();
/// http.get("https://api.example/me").with_extension(UserId::from("alice")).send().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct UserSessions(Arc<Inner>, Target);

struct Inner {
    config: Arc<Config>,
    cache: Cache,
}

impl UserSessions {
    /// Sessions whose tokens come from this client's token endpoint.
    pub fn builder(client: OAuthClient) -> UserSessionsBuilder {
        UserSessionsBuilder::new(client)
    }

    pub(super) fn new(config: Arc<Config>, cache: Cache) -> Self {
        Self(Arc::new(Inner { config, cache }), Target::OWN)
    }

    /// The user's session, for everything but HTTP requests through the layer. While it is in
    /// memory, requests use the same session.
    pub fn for_user(&self, user: impl Into<UserId>) -> Session {
        let user = user.into();
        let session = self.session(&user);
        self.0.cache.keep(&user, &session);
        Session(session, self.1.clone())
    }

    /// The same sessions for another resource: a handle whose users' access tokens are for that one, each
    /// from the refresh token of the user's login
    /// ([RFC 8707 §2.2](https://www.rfc-editor.org/rfc/rfc8707#section-2.2)). As
    /// [`Session::for_resource`]; for one request there is
    /// [`RequestOptions::resource`](crate::RequestOptions::resource).
    ///
    /// # Errors
    ///
    /// As [`Session::for_resource`].
    pub fn for_resource(&self, resource: impl AsRef<str>) -> Result<Self, Error> {
        self.with_target(self.1.with_resources([resource])?)
    }

    /// The same sessions with another scope: as [`Session::with_scope`]
    /// ([RFC 6749 §6](https://www.rfc-editor.org/rfc/rfc6749#section-6)).
    ///
    /// # Errors
    ///
    /// As [`Session::with_scope`].
    pub fn with_scope(&self, scope: impl AsRef<str>) -> Result<Self, Error> {
        self.with_target(self.1.with_scope(scope.as_ref())?)
    }

    fn with_target(&self, target: Target) -> Result<Self, Error> {
        self.config().check_target(&target)?;
        Ok(Self(self.0.clone(), target))
    }

    /// What the tokens are for.
    #[inline]
    pub(crate) fn target(&self) -> &Target {
        &self.1
    }

    /// The `Authorization` header of a user who is in memory with a token that is neither expired nor
    /// due; `None` otherwise. See [`Session::header`]
    /// ([RFC 6750 §2.1](https://www.rfc-editor.org/rfc/rfc6750#section-2.1)).
    #[inline]
    pub fn header(&self, user: &UserId) -> Option<HeaderValue> {
        let session = self.0.cache.get(user)?;
        if self.1.is_own() {
            return session.fresh_header();
        }
        session.fresh_for(&self.1)?.header.clone()
    }

    /// Starts a login: saves the token, then uses it. Replaces an earlier login of the user
    /// ([RFC 6749 §1.5](https://www.rfc-editor.org/rfc/rfc6749#section-1.5)).
    ///
    /// # Errors
    ///
    /// As [`Session::set_token`].
    ///
    /// # Cancellation
    ///
    /// Safe: saving goes on without the caller.
    pub async fn sign_in(&self, user: impl Into<UserId>, token: Token) -> Result<(), Error> {
        let user = user.into();
        let session = self.session(&user);
        let outcome = session.set_token(token).await;
        self.0.cache.settle(&user, &session);
        outcome
    }

    /// Ends a login: see [`Session::sign_out`]. The record in the store stays, without a token, and
    /// tells other processes that the login has ended.
    ///
    /// # Errors
    ///
    /// As [`Session::sign_out`]. If the provider did not revoke a token, call this again within
    /// [`idle_timeout`](crate::UserSessionsBuilder::idle_timeout): the token to revoke is only remembered
    /// while the user's session is in memory.
    ///
    /// # Cancellation
    ///
    /// Safe: the sign-out goes on without the caller.
    pub async fn sign_out(&self, user: impl Into<UserId>) -> Result<(), Error> {
        let user = user.into();
        self.session(&user).sign_out().await?;
        self.0.cache.remove(&user);
        Ok(())
    }

    /// Ends a login here and now, whatever the provider answers: see [`Session::sign_out_locally`].
    ///
    /// # Errors
    ///
    /// As [`Session::sign_out_locally`].
    ///
    /// # Cancellation
    ///
    /// Safe: the sign-out goes on without the caller.
    pub async fn sign_out_locally(&self, user: impl Into<UserId>) -> Result<(), Error> {
        let user = user.into();
        let session = self.session(&user);
        session.sign_out_locally().await?;
        if !session.owes_revocation() {
            drop(session);
            self.0.cache.remove(&user);
        }
        Ok(())
    }

    /// Waits for all running renewals and saves, and tries once more to save each token that is not
    /// saved yet. Call it before the runtime ends and after the last request: a renewal that is cut off
    /// after the provider has answered loses its user's login.
    ///
    /// Waits no longer than one renewal may take.
    ///
    /// # Errors
    ///
    /// The first error of [`Session::shutdown`]; all sessions are waited for.
    ///
    /// # Cancellation
    ///
    /// Safe: renewals and saves go on while the runtime lives.
    pub async fn shutdown(&self) -> Result<(), Error> {
        let sessions = self.0.cache.busy();
        let outcomes = futures_util::future::join_all(sessions.iter().map(Driver::shut_down)).await;
        outcomes.into_iter().collect()
    }

    /// How many users with a token are in memory; also those that [`for_user`](Self::for_user) was asked for.
    pub fn loaded_sessions(&self) -> usize {
        self.0.cache.len()
    }

    pub(crate) fn config(&self) -> &Config {
        &self.0.config
    }

    /// The session of a request's user, if it is in memory; the hot path.
    #[inline]
    pub(crate) fn cached(&self, user: &UserId) -> Option<Arc<Driver>> {
        self.0.cache.get(user)
    }

    /// The token of a user that may be used, and whose session it is.
    pub(crate) async fn usable(
        &self,
        user: &UserId,
        target: &Target,
        limit: Option<Duration>,
    ) -> Result<(Arc<Driver>, Arc<Snapshot>), Error> {
        let session = self.session(user);
        let outcome = session.usable(target, limit).await;
        self.0.cache.settle(user, &session);
        Ok((session, outcome?))
    }

    fn session(&self, user: &UserId) -> Arc<Driver> {
        let make = || Arc::new(Driver::new(self.0.config.clone(), user.0.clone(), None));
        self.0.cache.get_or_make(user, make)
    }
}

impl fmt::Debug for UserSessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserSessions")
            .field("client", &self.0.config.client())
            .field("loaded_sessions", &self.loaded_sessions())
            .finish_non_exhaustive()
    }
}
