//! `OAuthMiddleware`: inject, send, and on a 401 renew and send again.
//!
//! Hot path, per request: compare the URL with the origins, look for an `Authorization` header,
//! load the snapshot, read the clock, clone the request for a replay (a buffered body is a
//! reference count), clone the header value (another), insert it. No lock, no allocation of our
//! own, no formatting. Everything rarer is in futures that are boxed when they are needed.

use async_trait::async_trait;
use http::header::AUTHORIZATION;
use http::{Extensions, StatusCode};
use reqwest::{Request, Response};
use reqwest_middleware::{Middleware, Next, Result};
use std::fmt;
use std::sync::Arc;

use crate::challenge::{Verdict, verdict};
use crate::origin::Origins;
use crate::session::{Session, Snapshot, TokenUpdated};

/// The layer that puts a session's token on requests; from
/// [`Session::middleware`](crate::Session::middleware).
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
    session: Session,
    origins: Origins,
}

impl OAuthMiddleware {
    pub(crate) fn new(session: Session, origins: Origins) -> Self {
        Self { session, origins }
    }

    /// After a 401: sends the request again with another token, where that may help.
    async fn again(
        &self,
        response: Response,
        sent: Arc<Snapshot>,
        replay: Option<Request>,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> Result<Response> {
        let core = &self.session.0;
        if verdict(response.headers()) != Verdict::NewTokenMayHelp {
            return Ok(finish(response, &sent));
        }
        let Some(renewed) = core.rejected(&sent, replay.is_some()).await? else {
            return Ok(finish(response, &sent));
        };
        let Some(mut replay) = replay else { return Ok(finish(response, &sent)) };
        // The connection is free for the replay once the 401 is gone.
        drop(response);
        authorize(&mut replay, &renewed);
        let response = next.run(replay, extensions).await?;
        let rejected = response.status() == StatusCode::UNAUTHORIZED;
        core.replayed(&renewed, rejected);
        Ok(finish(response, &renewed))
    }
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
        let snapshot = match self.session.0.fresh() {
            Some(snapshot) => snapshot,
            None => Box::pin(self.session.0.usable()).await?,
        };
        let replay = request.try_clone();
        // A request with a stream for a body has no clone; only then is its URL kept for itself.
        // Boxed, so that the future of every other request stays small.
        let streamed_to = replay.is_none().then(|| Box::new(request.url().clone()));
        authorize(&mut request, &snapshot);
        let response = next.clone().run(request, extensions).await?;
        if response.status() != StatusCode::UNAUTHORIZED {
            return Ok(finish(response, &snapshot));
        }
        // Redirects are followed below us. One that left the origin lost the token on the way, so
        // what answered has not seen it, and its 401 says nothing of it.
        let asked = replay.as_ref().map(Request::url).or(streamed_to.as_deref());
        if asked.is_none_or(|asked| asked.origin() != response.url().origin()) {
            return Ok(finish(response, &snapshot));
        }
        Box::pin(self.again(response, snapshot, replay, extensions, next)).await
    }
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
        f.debug_struct("OAuthMiddleware")
            .field("session", &self.session)
            .field("origins", &self.origins)
            .finish()
    }
}
