//! `Session`: one login, for calls that block.

use std::fmt;
use std::sync::Arc;

use http::HeaderValue;
use reqwest::blocking::{Client, Request, Response};

use super::owned::Owned;
use super::{Api, Runtime};
use crate::error::Error;
use crate::origin::Origins;
use crate::request::{RequestError, RequestOptions};
use crate::session::{self, KeepFreshGuard};
use crate::token::Token;

/// A [`Session`](crate::Session) for programs without async; from
/// [`Runtime::session`](super::Runtime::session). Each method is the one of that name there, and waits for it.
///
/// Cheap to clone; clones are the same session. **Dropping the last one waits for running renewals and saves,
/// as [`shutdown`](Self::shutdown) does**, no longer than one renewal may take; an [`Api`] of the session counts
/// as one. It cannot return an error, so call `shutdown` before. A `static` is never dropped.
#[derive(Clone)]
pub struct Session {
    session: session::Session,
    owned: Arc<Owned>,
}

impl Session {
    pub(super) fn new(session: session::Session, runtime: Runtime) -> Self {
        let owned = Arc::new(Owned::new(session.with_origins(None), runtime));
        Self { session, owned }
    }

    /// A token that may be used now: at once while it is valid, after a renewal if it has expired.
    ///
    /// # Errors
    ///
    /// Those of [`Session::token`](crate::Session::token), and of [`Runtime::block_on`].
    pub fn token(&self) -> Result<Token, Error> {
        self.owned.runtime.block_on(self.session.token())
    }

    /// The `Authorization` header of a token that is neither expired nor due; `None` otherwise.
    pub fn header(&self) -> Option<HeaderValue> {
        self.session.header()
    }

    /// Renews now, or joins the renewal under way.
    ///
    /// # Errors
    ///
    /// Those of [`Session::refresh`](crate::Session::refresh), and of [`Runtime::block_on`].
    pub fn refresh(&self) -> Result<Token, Error> {
        self.owned.runtime.block_on(self.session.refresh())
    }

    /// For a response that rejects this token, in a client of your own: another token to try again
    /// with.
    ///
    /// # Errors
    ///
    /// Those of [`Session::renew_rejected`](crate::Session::renew_rejected), and of [`Runtime::block_on`].
    pub fn renew_rejected(&self, rejected: &Token) -> Result<Option<Token>, Error> {
        self.owned.runtime.block_on(self.session.renew_rejected(rejected))
    }

    /// Takes this token out of use, so that the next request that needs one gets another; see
    /// [`Session::mark_rejected`](crate::Session::mark_rejected).
    pub fn mark_rejected(&self, rejected: &Token) -> bool {
        self.session.mark_rejected(rejected)
    }

    /// Starts a new login with this token: saves it, then uses it.
    ///
    /// # Errors
    ///
    /// Those of [`Session::set_token`](crate::Session::set_token), and of [`Runtime::block_on`].
    pub fn set_token(&self, token: Token) -> Result<(), Error> {
        self.owned.runtime.block_on(self.session.set_token(token))
    }

    /// Ends the login here and at the provider.
    ///
    /// # Errors
    ///
    /// Those of [`Session::sign_out`](crate::Session::sign_out), and of [`Runtime::block_on`].
    pub fn sign_out(&self) -> Result<(), Error> {
        self.owned.runtime.block_on(self.session.sign_out())
    }

    /// Ends the login without waiting for the provider.
    ///
    /// # Errors
    ///
    /// Those of [`Session::sign_out_locally`](crate::Session::sign_out_locally), and of
    /// [`Runtime::block_on`].
    pub fn sign_out_locally(&self) -> Result<(), Error> {
        self.owned.runtime.block_on(self.session.sign_out_locally())
    }

    /// Renews the token when it is due even while no request is made, until the returned guard is dropped.
    ///
    /// # Errors
    ///
    /// Those of [`Session::keep_fresh`](crate::Session::keep_fresh).
    pub fn keep_fresh(&self) -> Result<KeepFreshGuard, Error> {
        self.owned.runtime.enter(|| self.session.keep_fresh())
    }

    /// Sends the request with this session's token, as [`Session::execute`](crate::Session::execute) does: to
    /// the origin of its URL, and nowhere else. For the differences with `reqwest::blocking` see [`Api`].
    ///
    /// # Errors
    ///
    /// Those of [`Session::execute`](crate::Session::execute), and of [`Runtime::block_on`].
    pub fn execute(&self, http: &Client, request: Request) -> Result<Response, RequestError> {
        self.any_origin().execute(http, request)
    }

    /// As [`execute`](Self::execute), with options for this request.
    ///
    /// # Errors
    ///
    /// As [`execute`](Self::execute).
    pub fn execute_with(
        &self,
        http: &Client,
        request: Request,
        options: RequestOptions,
    ) -> Result<Response, RequestError> {
        self.any_origin().execute_with(http, request, options)
    }

    fn any_origin(&self) -> Api {
        Api::sharing(self.session.with_origins(None), self.owned.clone())
    }

    /// An API that takes this session's token: the listed origins, and no others.
    ///
    /// # Errors
    ///
    /// [`Error::is_config`] if an origin is no origin, or is plain http and not loopback.
    pub fn api<O>(&self, origins: O) -> Result<Api, Error>
    where
        O: TryInto<Origins>,
        Error: From<O::Error>,
    {
        Ok(Api::sharing(self.session.api(origins)?, self.owned.clone()))
    }

    /// The same session for async code, and for everything that has no method here.
    pub fn as_async(&self) -> &session::Session {
        &self.session
    }

    /// Waits for running renewals and saves, and tries once more to save what is not saved yet.
    ///
    /// # Errors
    ///
    /// Those of [`Session::shutdown`](crate::Session::shutdown), and of [`Runtime::block_on`].
    pub fn shutdown(&self) -> Result<(), Error> {
        self.owned.runtime.block_on(self.session.shutdown())
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Session").field(&self.session).finish()
    }
}
