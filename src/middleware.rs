//! `OAuthMiddleware`: the request path as a layer of a `reqwest_middleware` client.

use std::fmt;

use futures_util::future::BoxFuture;
use http::Extensions;
use reqwest::{Request, Response};
use reqwest_middleware::{Middleware, Next, Result};

use crate::error::Error;
use crate::origin::Origins;
use crate::request::{Api, RequestError, SendRequest};
use crate::session::Session;
use crate::sessions::UserSessions;

/// The layer that puts a session's token on requests; from
/// [`Session::middleware`](crate::Session::middleware), or from
/// [`UserSessions::middleware`](crate::UserSessions::middleware) for many users.
///
/// For what it does for a request see [`Api`], which it adapts: `OAuthMiddleware::from(api)`.
/// Extensions of a request change how it is sent: [`RequestOptions`](crate::RequestOptions),
/// [`UserId`](crate::UserId), [`ReplayBody`](crate::ReplayBody). Errors of the renewal come as
/// [`reqwest_middleware::Error::Middleware`]; see [`Error::find_in`](crate::Error::find_in).
///
/// Put retrying layers outside this one (before it, in `ClientBuilder::with`), so that each attempt
/// gets the current token.
#[derive(Clone)]
pub struct OAuthMiddleware(Api);

impl From<Api> for OAuthMiddleware {
    fn from(api: Api) -> Self {
        Self(api)
    }
}

impl Session {
    /// The layer for a `reqwest_middleware` client: it puts this session's token on requests to
    /// the listed origins (`"https://api.example"`), and on no others. See [`Origins`]
    /// ([RFC 6750 §2.1](https://www.rfc-editor.org/rfc/rfc6750#section-2.1)).
    ///
    /// A `&Url` stands for its origin, whatever its path.
    ///
    /// # Errors
    ///
    /// [`Error::is_config`] if an origin is no origin, or is plain http and not loopback.
    pub fn middleware<O>(&self, origins: O) -> std::result::Result<OAuthMiddleware, Error>
    where
        O: TryInto<Origins>,
        Error: From<O::Error>,
    {
        self.api(origins).map(OAuthMiddleware)
    }
}

impl UserSessions {
    /// The layer for a `reqwest_middleware` client: it puts the token of the request's
    /// [`UserId`](crate::UserId) (an extension) on requests to the listed origins, and on no others. A
    /// request to them without a `UserId`, or for a user without a token, fails and is not sent
    /// ([RFC 6750 §2.1](https://www.rfc-editor.org/rfc/rfc6750#section-2.1)).
    ///
    /// # Errors
    ///
    /// [`Error::is_config`] if an origin is no origin, or is plain http and not loopback.
    pub fn middleware<O>(&self, origins: O) -> std::result::Result<OAuthMiddleware, Error>
    where
        O: TryInto<Origins>,
        Error: From<O::Error>,
    {
        self.api(origins).map(OAuthMiddleware)
    }
}

/// As `async_trait` writes it, but with one future in the box, so that it stays below a kilobyte: beyond
/// that the allocator is slower.
impl Middleware for OAuthMiddleware {
    fn handle<'s, 'e, 'n, 'f>(
        &'s self,
        request: Request,
        extensions: &'e mut Extensions,
        next: Next<'n>,
    ) -> BoxFuture<'f, Result<Response>>
    where
        's: 'f,
        'e: 'f,
        'n: 'f,
        Self: 'f,
    {
        Box::pin(Api::run(&self.0, request, extensions, Below(next), Into::into))
    }
}

impl From<RequestError<Self>> for reqwest_middleware::Error {
    fn from(error: RequestError<Self>) -> Self {
        match error {
            RequestError::Token(error) => error.into(),
            RequestError::Send(error) => error,
        }
    }
}

/// The rest of the client's layers.
struct Below<'a>(Next<'a>);

impl SendRequest for Below<'_> {
    type Error = reqwest_middleware::Error;

    #[inline]
    fn send<'a>(
        &'a mut self,
        request: Request,
        extensions: &'a mut Extensions,
    ) -> impl Future<Output = Result<Response>> + Send {
        self.0.clone().run(request, extensions)
    }
}

impl fmt::Debug for OAuthMiddleware {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OAuthMiddleware").field(&self.0).finish()
    }
}
