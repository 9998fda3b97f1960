//! `OAuthMiddleware`: inject, send, and on a 401 renew and send again.
//!
//! With many users the request's user decides whose session it is: one look into the cache more.
//!
//! Hot path, per request: compare the URL with the origins, look for an `Authorization` header,
//! load the snapshot, read the clock, clone the request for a replay (a buffered body is a
//! reference count), clone the header value (another), insert it. No lock, no allocation of our
//! own, no formatting. Everything rarer is in futures that are boxed when they are needed.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http::header::AUTHORIZATION;
use http::{Extensions, StatusCode};
use reqwest::{Request, Response};
use reqwest_middleware::{Middleware, Next, Result};
use url::Url;

use crate::challenge::may_new_token_help;
use crate::error::Error;
use crate::origin::Origins;
use crate::session::{Driver, Provenance, Session, Snapshot, TokenUpdated};
use crate::sessions::{UserId, UserSessions};

/// The layer that puts a session's token on requests; from
/// [`Session::middleware`](crate::Session::middleware), or from
/// [`UserSessions::middleware`](crate::UserSessions::middleware) for many users.
///
/// For a request to a listed origin that carries no `Authorization` header of its own, it
///
/// - sends `Authorization: Bearer …` ([RFC 6750 §2.1](https://www.rfc-editor.org/rfc/rfc6750#section-2.1))
///   with a token that has not expired, renewing it first where it has;
/// - after a 401 that a new token may cure
///   ([RFC 6750 §3.1](https://www.rfc-editor.org/rfc/rfc6750#section-3.1)), renews and sends the
///   request again, once. A request whose body is a stream is sent once, and its 401 is returned.
///
/// Any other request passes unchanged. A token for plain http on loopback goes through the
/// application's own client, and so through its proxy, if it has one. Errors of the renewal come as
/// [`reqwest_middleware::Error::Middleware`]; see [`Error::find_in`](crate::Error::find_in).
///
/// Put retrying layers outside this one (before it, in `ClientBuilder::with`), so that each attempt
/// gets the present token.
#[derive(Clone)]
pub struct OAuthMiddleware {
    source: Source,
    origins: Origins,
    /// Whether a fresh token is no reason to go on at once.
    is_foreground: bool,
}

/// Whose token requests carry.
#[derive(Clone)]
enum Source {
    One(Session),
    Many(UserSessions),
}

impl OAuthMiddleware {
    /// The hot path: a fresh token, at once.
    #[inline]
    fn ready(&self, extensions: &Extensions) -> Option<SelectedToken> {
        if self.is_foreground {
            return None;
        }
        match &self.source {
            Source::One(session) => {
                Some(SelectedToken { snapshot: session.0.fresh()?, session: None })
            }
            Source::Many(sessions) => {
                let session = sessions.cached(extensions.get()?)?;
                Some(SelectedToken { snapshot: session.fresh()?, session: Some(session) })
            }
        }
    }

    /// The token for a request that has none ready: of a user who is not in memory, or renewed first.
    async fn wait(
        &self,
        extensions: &Extensions,
        limit: Option<Duration>,
    ) -> std::result::Result<SelectedToken, Error> {
        let sessions = match &self.source {
            Source::One(session) => {
                let snapshot = session.0.usable(limit).await?;
                return Ok(SelectedToken { snapshot, session: None });
            }
            Source::Many(sessions) => sessions,
        };
        let user = extensions.get::<UserId>().ok_or_else(|| {
            Error::config(
                "the request names no user; add one with .with_extension(UserId::from(id))",
            )
        })?;
        let (session, snapshot) = sessions.usable(user, limit).await?;
        Ok(SelectedToken { snapshot, session: Some(session) })
    }

    /// After a 401 that a new token may cure: sends the request again with another one. A token that
    /// another process has renewed may be rejected too; then it is renewed here, and the request is sent
    /// once more.
    async fn replay_after_401(
        &self,
        mut response: Response,
        SelectedToken { snapshot: mut sent, session }: SelectedToken,
        mut replay: Option<Request>,
        limit: Option<Duration>,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> Result<Response> {
        let driver = match (&session, &self.source) {
            (Some(driver), _) => driver,
            (None, Source::One(session)) => &session.0,
            (None, Source::Many(_)) => return Ok(annotate(response, &sent)),
        };
        loop {
            let renewed = driver.rejected(&sent, replay.is_some(), limit).await?;
            let (Some(renewed), Some(mut request)) = (renewed, replay) else { break };
            let is_adopted = renewed.provenance == Provenance::Adopted;
            replay = if is_adopted { request.try_clone() } else { None };
            // The connection is free for the replay once the 401 is gone.
            drop(response);
            authorize(&mut request, &renewed);
            let asked = request.url().clone();
            response = next.clone().run(request, extensions).await?;
            let rejected = is_token_rejected(&response, &asked);
            if rejected || response.status() != StatusCode::UNAUTHORIZED {
                driver.replayed(&renewed, rejected);
            }
            sent = renewed;
            if !rejected || replay.is_none() {
                break;
            }
        }
        Ok(annotate(response, &sent))
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
    /// [`Error::is_config`] where an origin is no origin, or is plain http and not loopback.
    pub fn middleware<O>(&self, origins: O) -> std::result::Result<OAuthMiddleware, Error>
    where
        O: TryInto<Origins>,
        Error: From<O::Error>,
    {
        let is_foreground = self.0.config().is_foreground();
        let source = Source::One(self.clone());
        Ok(OAuthMiddleware { source, origins: origins.try_into()?, is_foreground })
    }
}

impl UserSessions {
    /// The layer for a `reqwest_middleware` client: it puts the token of the request's [`UserId`] (an
    /// extension) on requests to the listed origins, and on no others. A request to them without a
    /// `UserId`, or for a user without a token, fails and is not sent
    /// ([RFC 6750 §2.1](https://www.rfc-editor.org/rfc/rfc6750#section-2.1)).
    ///
    /// # Errors
    ///
    /// [`Error::is_config`] where an origin is no origin, or is plain http and not loopback.
    pub fn middleware<O>(&self, origins: O) -> std::result::Result<OAuthMiddleware, Error>
    where
        O: TryInto<Origins>,
        Error: From<O::Error>,
    {
        let is_foreground = self.config().is_foreground();
        let source = Source::Many(self.clone());
        Ok(OAuthMiddleware { source, origins: origins.try_into()?, is_foreground })
    }
}

/// A request that was sent.
#[expect(clippy::large_enum_variant, reason = "a box would cost every request an allocation")]
enum Sent {
    /// It can be sent again.
    Replayable(Request),
    /// It cannot; this is where it went.
    NotReplayable(Box<Url>),
}

impl Sent {
    fn url(&self) -> &Url {
        match self {
            Self::Replayable(request) => request.url(),
            Self::NotReplayable(url) => url,
        }
    }

    fn timeout(&self) -> Option<Duration> {
        match self {
            Self::Replayable(request) => request.timeout().copied(),
            Self::NotReplayable(_) => None,
        }
    }

    fn replay(self) -> Option<Request> {
        match self {
            Self::Replayable(request) => Some(request),
            Self::NotReplayable(_) => None,
        }
    }
}

/// A token to send.
struct SelectedToken {
    snapshot: Arc<Snapshot>,
    /// Whose it is; `None`: the one session's.
    session: Option<Arc<Driver>>,
}

#[async_trait]
impl Middleware for OAuthMiddleware {
    async fn handle(
        &self,
        mut request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> Result<Response> {
        if !self.origins.allow(request.url()) || request.headers().contains_key(AUTHORIZATION) {
            return next.run(request, extensions).await;
        }
        let ready = match self.ready(extensions) {
            Some(ready) => ready,
            None => Box::pin(self.wait(extensions, request.timeout().copied())).await?,
        };
        // A request with a stream for a body has no clone; only then is its URL kept for itself.
        // Boxed, so that the future of every other request stays small: beyond a kilobyte the
        // allocator is slower.
        let asked = match request.try_clone() {
            Some(replay) => Sent::Replayable(replay),
            None => Sent::NotReplayable(Box::new(request.url().clone())),
        };
        authorize(&mut request, &ready.snapshot);
        let response = next.clone().run(request, extensions).await?;
        if !is_token_rejected(&response, asked.url()) {
            return Ok(annotate(response, &ready.snapshot));
        }
        let limit = asked.timeout();
        Box::pin(self.replay_after_401(response, ready, asked.replay(), limit, extensions, next))
            .await
    }
}

/// Whether the answer is a 401 that a new token may cure.
#[inline]
fn is_token_rejected(response: &Response, asked: &Url) -> bool {
    // Redirects are followed below us. One that left the origin lost the token on the way, so what
    // answered has not seen it, and its 401 says nothing of it.
    response.status() == StatusCode::UNAUTHORIZED
        && asked.origin() == response.url().origin()
        && may_new_token_help(response.headers())
}

#[inline(always)]
fn authorize(request: &mut Request, snapshot: &Snapshot) {
    if let Some(header) = &snapshot.header {
        request.headers_mut().insert(AUTHORIZATION, header.clone());
    }
}

/// Leaves the marks of an answer: the token was accepted, its update is offered.
#[inline(always)]
fn annotate(mut response: Response, snapshot: &Snapshot) -> Response {
    if response.status() != StatusCode::UNAUTHORIZED {
        snapshot.mark_accepted();
    }
    if snapshot.take_update()
        && let Some(token) = snapshot.token()
    {
        response.extensions_mut().insert(TokenUpdated((**token).clone()));
    }
    response
}

impl fmt::Debug for OAuthMiddleware {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OAuthMiddleware").field("origins", &self.origins).finish_non_exhaustive()
    }
}
