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

use async_trait::async_trait;
use http::header::AUTHORIZATION;
use http::{Extensions, StatusCode};
use reqwest::{Request, Response};
use reqwest_middleware::{Middleware, Next, Result};
use url::Url;

use crate::challenge::{Verdict, verdict};
use crate::error::Error;
use crate::origin::Origins;
use crate::session::{Core, Session, Snapshot, TokenUpdated};
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
}

/// Whose token requests carry.
#[derive(Clone)]
enum Source {
    One(Session),
    Many(UserSessions),
}

impl OAuthMiddleware {
    pub(crate) fn new(session: Session, origins: Origins) -> Self {
        Self { source: Source::One(session), origins }
    }

    pub(crate) fn of_many(sessions: UserSessions, origins: Origins) -> Self {
        Self { source: Source::Many(sessions), origins }
    }

    /// The hot path: a fresh token, at once.
    #[inline]
    fn ready(&self, extensions: &Extensions) -> Option<Ready> {
        match &self.source {
            Source::One(session) => Some(Ready { snapshot: session.0.fresh()?, of: None }),
            Source::Many(sessions) => {
                let core = sessions.cached(extensions.get()?)?;
                Some(Ready { snapshot: core.fresh()?, of: Some(core) })
            }
        }
    }

    /// The token for a request that has none ready: of a user who is not in memory, or renewed first.
    async fn wait(&self, extensions: &Extensions) -> std::result::Result<Ready, Error> {
        let sessions = match &self.source {
            Source::One(session) => {
                return Ok(Ready { snapshot: session.0.usable().await?, of: None });
            }
            Source::Many(sessions) => sessions,
        };
        let user = extensions.get::<UserId>().ok_or_else(|| {
            Error::config(
                "the request names no user; add one with .with_extension(UserId::from(id))",
            )
        })?;
        let core = sessions.core(user);
        let snapshot = core.usable().await.inspect_err(|_| sessions.dismiss(user, &core))?;
        Ok(Ready { snapshot, of: Some(core) })
    }

    /// After a 401 that a new token may cure: sends the request again with another one.
    async fn again(
        &self,
        response: Response,
        Ready { snapshot: sent, of }: Ready,
        replay: Option<Request>,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> Result<Response> {
        let core = match (&of, &self.source) {
            (Some(core), _) => core,
            (None, Source::One(session)) => &session.0,
            (None, Source::Many(_)) => return Ok(finish(response, &sent)),
        };
        let Some(renewed) = core.rejected(&sent, replay.is_some()).await? else {
            return Ok(finish(response, &sent));
        };
        let Some(mut replay) = replay else { return Ok(finish(response, &sent)) };
        // The connection is free for the replay once the 401 is gone.
        drop(response);
        authorize(&mut replay, &renewed);
        let asked = replay.url().clone();
        let response = next.run(replay, extensions).await?;
        let rejected = rejects(&response, &asked);
        if rejected || response.status() != StatusCode::UNAUTHORIZED {
            core.replayed(&renewed, rejected);
        }
        Ok(finish(response, &renewed))
    }
}

/// A request that was sent.
#[expect(clippy::large_enum_variant, reason = "a box would cost every request an allocation")]
enum Asked {
    /// It can be sent again.
    Again(Request),
    /// It cannot; this is where it went.
    Once(Box<Url>),
}

impl Asked {
    fn url(&self) -> &Url {
        match self {
            Self::Again(request) => request.url(),
            Self::Once(url) => url,
        }
    }

    fn replay(self) -> Option<Request> {
        match self {
            Self::Again(request) => Some(request),
            Self::Once(_) => None,
        }
    }
}

/// A token to send.
struct Ready {
    snapshot: Arc<Snapshot>,
    /// Whose it is; `None`: the one session's.
    of: Option<Arc<Core>>,
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
            None => Box::pin(self.wait(extensions)).await?,
        };
        // A request with a stream for a body has no clone; only then is its URL kept for itself.
        // Boxed, so that the future of every other request stays small: beyond a kilobyte the
        // allocator is slower.
        let asked = match request.try_clone() {
            Some(replay) => Asked::Again(replay),
            None => Asked::Once(Box::new(request.url().clone())),
        };
        authorize(&mut request, &ready.snapshot);
        let response = next.clone().run(request, extensions).await?;
        if !rejects(&response, asked.url()) {
            return Ok(finish(response, &ready.snapshot));
        }
        Box::pin(self.again(response, ready, asked.replay(), extensions, next)).await
    }
}

/// Whether the answer is a 401 that a new token may cure.
#[inline]
fn rejects(response: &Response, asked: &Url) -> bool {
    // Redirects are followed below us. One that left the origin lost the token on the way, so what
    // answered has not seen it, and its 401 says nothing of it.
    response.status() == StatusCode::UNAUTHORIZED
        && asked.origin() == response.url().origin()
        && verdict(response.headers()) == Verdict::NewTokenMayHelp
}

fn authorize(request: &mut Request, snapshot: &Snapshot) {
    if let Some(header) = &snapshot.header {
        request.headers_mut().insert(AUTHORIZATION, header.clone());
    }
}

/// Leaves the marks of an answer: the token was accepted, its update is offered.
fn finish(mut response: Response, snapshot: &Snapshot) -> Response {
    if response.status() != StatusCode::UNAUTHORIZED {
        snapshot.accept();
    }
    if snapshot.offer()
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
