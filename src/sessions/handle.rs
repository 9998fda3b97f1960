//! `UserSessions`: the handle that applications hold.

use std::fmt;
use std::sync::Arc;

use http::HeaderValue;

use super::cache::Cache;
use super::{UserId, UserSessionsBuilder};
use crate::client::OAuthClient;
use crate::error::Error;
use crate::middleware::OAuthMiddleware;
use crate::origin::Origins;
use crate::session::{Config, Core, Session};
use crate::token::Token;

/// Many users behind one client: a session for each, loaded from a [store](crate::store) when a request
/// first asks for it, once however many do
/// ([RFC 6749 §1.5](https://www.rfc-editor.org/rfc/rfc6749#section-1.5)).
///
/// Cheap to clone; clones are the same sessions. What goes wrong for one user touches no other.
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
pub struct UserSessions(Arc<Inner>);

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
        Self(Arc::new(Inner { config, cache }))
    }

    /// The layer for a `reqwest_middleware` client: it puts the token of the request's [`UserId`] (an
    /// extension) on requests to the listed origins, and on no others. A request to them that names
    /// no user is an error and is not sent, and so is one of a user who has no token
    /// ([RFC 6750 §2.1](https://www.rfc-editor.org/rfc/rfc6750#section-2.1)).
    ///
    /// # Errors
    ///
    /// [`Error::is_config`] where an origin is no origin, or is plain http and not loopback.
    pub fn middleware<O>(&self, origins: O) -> Result<OAuthMiddleware, Error>
    where
        O: TryInto<Origins>,
        Error: From<O::Error>,
    {
        Ok(OAuthMiddleware::of_many(self.clone(), origins.try_into()?))
    }

    /// The user's session, for what is no HTTP request. It is the one that requests use, while it is
    /// in memory.
    pub fn for_user(&self, user: impl Into<UserId>) -> Session {
        Session(self.core(&user.into()))
    }

    /// The `Authorization` header of a user who is in memory with a token that is neither expired nor
    /// due; `None` otherwise. See [`Session::header`]
    /// ([RFC 6750 §2.1](https://www.rfc-editor.org/rfc/rfc6750#section-2.1)).
    #[inline]
    pub fn header(&self, user: &UserId) -> Option<HeaderValue> {
        self.0.cache.get(user)?.fresh_header()
    }

    /// Begins a login: saves the token, then uses it, whatever there was before
    /// ([RFC 6749 §1.5](https://www.rfc-editor.org/rfc/rfc6749#section-1.5)).
    ///
    /// # Errors
    ///
    /// As [`Session::set_token`].
    ///
    /// # Cancellation
    ///
    /// Safe: saving and use go on without the caller.
    pub async fn sign_in(&self, user: impl Into<UserId>, token: Token) -> Result<(), Error> {
        self.core(&user.into()).replace(token).await
    }

    /// Ends a login: revokes its token with the provider
    /// ([RFC 7009](https://www.rfc-editor.org/rfc/rfc7009)), and removes it from the store. What stays
    /// there says that the login has ended, so that no other process puts the token back; see
    /// [`forget`](Self::forget).
    ///
    /// # Errors
    ///
    /// As [`Session::sign_out`].
    ///
    /// # Cancellation
    ///
    /// Safe: the sign-out goes on without the caller.
    pub async fn sign_out(&self, user: impl Into<UserId>) -> Result<(), Error> {
        let user = user.into();
        self.core(&user).sign_out().await?;
        self.0.cache.remove(&user);
        Ok(())
    }

    /// Removes all that the store has of a user, as when an account is closed. To be called after
    /// [`sign_out`](Self::sign_out), once every process has had the time to notice: one that still has
    /// the user's token in memory would put it back.
    ///
    /// # Errors
    ///
    /// [`Error::is_store`].
    pub async fn forget(&self, user: impl Into<UserId>) -> Result<(), Error> {
        let user = user.into();
        let shelf = self.core(&user).shelf();
        if let Some(shelf) = shelf {
            shelf.delete().await?;
        }
        self.0.cache.remove(&user);
        Ok(())
    }

    /// How many users' sessions are in memory.
    pub fn loaded_sessions(&self) -> usize {
        self.0.cache.len()
    }

    /// The session of a request's user, if it is in memory; the hot path.
    #[inline]
    pub(crate) fn cached(&self, user: &UserId) -> Option<Arc<Core>> {
        self.0.cache.get(user)
    }

    pub(crate) fn core(&self, user: &UserId) -> Arc<Core> {
        self.0
            .cache
            .get_or_make(user, || Arc::new(Core::new(self.0.config.clone(), user.0.clone(), None)))
    }

    /// A user who has no token takes up no room.
    pub(crate) fn dismiss(&self, user: &UserId, core: &Core) {
        if core.is_empty() {
            self.0.cache.remove(user);
        }
    }
}

impl fmt::Debug for UserSessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserSessions")
            .field("client", &self.0.config.client)
            .field("loaded_sessions", &self.loaded_sessions())
            .finish_non_exhaustive()
    }
}
