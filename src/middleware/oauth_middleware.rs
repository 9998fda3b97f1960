//! `OAuthMiddleware`: inject, send, and on a 401 renew and send again.
//!
//! With many users the request's user decides whose session it is: one look into the cache more.
//!
//! Hot path, per request: compare the URL with the origins, look for an `Authorization` header,
//! load the snapshot, read the clock, clone the request for a replay (a buffered body is a
//! reference count), clone the header value (another), insert it. No lock, no allocation of our
//! own, no formatting. Everything rarer is in futures that are boxed when they are needed.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::num::NonZeroU64;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use async_trait::async_trait;
use http::header::AUTHORIZATION;
use http::{Extensions, StatusCode};
use reqwest::{Request, Response};
use reqwest_middleware::{Middleware, Next, Result};
use url::{Position, Url};

use super::deadline::Deadline;
use super::exchange::{Exchange, authorize};
use super::sent::Sent;
use crate::challenge::may_new_token_help;
use crate::error::Error;
use crate::origin::Origins;
use crate::session::{Driver, Provenance, Session, Snapshot, offer_update};
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
///   request again, once. A request whose body is a stream is sent once, and its 401 is returned,
///   unless it has a [`ReplayBody`](crate::ReplayBody);
/// - after a redirect to another listed origin, which reqwest follows without the token, sends the
///   request there with it. Give the client [`redirect_policy`](crate::redirect_policy).
///
/// A request's own timeout ([`reqwest::RequestBuilder::timeout`]) bounds all of this together. The
/// client's ([`reqwest::ClientBuilder::timeout`]) bounds each sending, and no wait for a renewal.
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

    /// After a 401: sends the request again where that may help.
    async fn after_401(
        &self,
        response: Response,
        SelectedToken { snapshot, session }: SelectedToken,
        sent: Sent,
        deadline: Deadline,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> Result<Response> {
        let driver = match (&session, &self.source) {
            (Some(driver), _) => driver,
            (None, Source::One(session)) => &session.0,
            (None, Source::Many(_)) => return Ok(annotate(response, &snapshot, extensions)),
        };
        let (asked, replay) = sent.into_parts();
        let origins = &self.origins;
        let redirects = 0;
        let mut exchange =
            Exchange { origins, asked, replay, snapshot, deadline, extensions, next, redirects };
        let mut response = exchange.follow(response).await?;
        // What the store brings may have been rejected before; what a renewal brings is tried once.
        let mut is_last = false;
        while is_token_rejected(&response, &exchange.asked) {
            if is_last {
                break;
            }
            let path = path_of(response.url());
            let (sent, can_replay) = (&exchange.snapshot, exchange.replay.is_some());
            let another = driver.rejected(sent, path, can_replay, deadline.left()).await?;
            let Some(another) = another else { break };
            is_last = another.provenance != Provenance::Adopted;
            exchange.snapshot = another;
            response = exchange.replay(response).await?;
            let is_rejected = is_token_rejected(&response, &exchange.asked);
            if is_rejected || response.status() != StatusCode::UNAUTHORIZED {
                driver.replayed(&exchange.snapshot, path_of(response.url()), is_rejected);
            }
        }
        Ok(annotate(response, &exchange.snapshot, exchange.extensions))
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
        let deadline = Deadline::of(&request);
        let ready = match self.ready(extensions) {
            Some(ready) => ready,
            None => {
                let ready = Box::pin(self.wait(extensions, request.timeout().copied())).await?;
                // None is left if a token that is good was waited for in vain: then it has its time anew.
                if let Some(left) = deadline.left().filter(|left| !left.is_zero()) {
                    *request.timeout_mut() = Some(left);
                }
                ready
            }
        };
        let sent = Sent::of(&mut request, extensions);
        authorize(&mut request, &ready.snapshot);
        let response = next.clone().run(request, extensions).await?;
        if response.status() != StatusCode::UNAUTHORIZED {
            return Ok(annotate(response, &ready.snapshot, extensions));
        }
        Box::pin(self.after_401(response, ready, sent, deadline, extensions, next)).await
    }
}

/// Whether the answer is a 401 that a new token may cure.
fn is_token_rejected(response: &Response, asked: &Url) -> bool {
    // Redirects are followed below us. One that left the origin lost the token on the way, so what
    // answered has not seen it, and its 401 says nothing of it.
    response.status() == StatusCode::UNAUTHORIZED
        && asked.origin() == response.url().origin()
        && may_new_token_help(response.headers())
}

/// Leaves the marks of an answer: the token was accepted, its update is offered.
#[inline(always)]
fn annotate(
    mut response: Response,
    snapshot: &Arc<Snapshot>,
    extensions: &mut Extensions,
) -> Response {
    if response.status() != StatusCode::UNAUTHORIZED {
        snapshot.mark_accepted(|| path_of(response.url()));
    }
    if snapshot.has_update() {
        offer_update(&mut response, snapshot, extensions);
    }
    response
}

/// What a session remembers of a path: a hash of origin and path. Nobody can choose paths that collide.
#[cold]
fn path_of(url: &Url) -> NonZeroU64 {
    static KEYS: LazyLock<RandomState> = LazyLock::new(RandomState::new);
    let hash = KEYS.hash_one(&url[..Position::AfterPath]);
    NonZeroU64::new(hash).unwrap_or(NonZeroU64::MIN)
}

impl fmt::Debug for OAuthMiddleware {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OAuthMiddleware").field("origins", &self.origins).finish_non_exhaustive()
    }
}
