//! The request path of an [`Api`]: inject, send, and on a 401 renew and send again.
//!
//! With many users the request's user decides whose session it is: one look into the cache more.
//!
//! Hot path, per request: compare the URL with the origins, look for an `Authorization` header,
//! load the snapshot, read the clock, clone the request for a replay (a buffered body is a
//! reference count), clone the header value (another), insert it. No lock, no allocation of our
//! own, no formatting. Everything rarer is in futures that are boxed when they are needed.

use std::hash::{BuildHasher, RandomState};
use std::num::NonZeroU64;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use http::Extensions;
use reqwest::{Request, Response};
use url::{Position, Url};

use super::api::{Api, Source};
use super::deadline::Deadline;
use super::exchange::{Exchange, send_bare};
use super::request_error::RequestError;
use super::request_options::{Handling, TokenUse, target, user};
use super::send_request::SendRequest;
use super::sent::Sent;
use crate::error::Error;
use crate::origin::may_carry_token;
use crate::session::{Driver, Provenance, Snapshot, Target, offer_update};

impl Api {
    /// One request, under any stack.
    #[expect(clippy::manual_async_fn, reason = "its future would hold the request twice")]
    #[inline]
    pub(crate) fn run<'a, S, F>(
        &'a self,
        mut request: Request,
        extensions: &'a mut Extensions,
        mut send: S,
    ) -> impl Future<Output = Result<Response, F>>
    where
        S: SendRequest + 'a,
        F: From<RequestError<S::Error>>,
    {
        async move {
            let handling = Handling::of(extensions);
            if handling.token == TokenUse::Never
                || !self.allows(&request).map_err(RequestError::Token)?
            {
                let sent = send.send(request, extensions).await;
                return Ok(sent.map_err(RequestError::Send)?);
            }
            let deadline = Deadline::of(&request, &handling);
            let names_no_user =
                || matches!(self.source, Source::Many(_)) && user(extensions).is_none();
            if handling.token == TokenUse::IfAny && names_no_user() {
                return Ok(Box::pin(send_bare(request, extensions, &mut send)).await?);
            }
            let ready = match self.ready(extensions, &handling) {
                Some(ready) => ready,
                None => {
                    let timeouts = [request.timeout().copied(), handling.longest_wait];
                    let limit = timeouts.into_iter().flatten().min();
                    let ready = Box::pin(self.wait(extensions, &handling, limit)).await;
                    // None is left if a token that is good was waited for in vain: then it has its time anew.
                    if let Some(left) = deadline.left().filter(|left| !left.is_zero()) {
                        *request.timeout_mut() = Some(left);
                    }
                    match ready {
                        Ok(ready) => ready,
                        Err(error) if handling.goes_bare_after(&error) => {
                            return Ok(Box::pin(send_bare(request, extensions, &mut send)).await?);
                        }
                        Err(error) => return Err(RequestError::Token(error).into()),
                    }
                }
            };
            let sent = Sent::of(&mut request, extensions, handling.is_sent_once);
            self.placement.put(&mut request, &ready.snapshot);
            let sent_now = send.send(request, extensions).await;
            let mut response = match sent_now {
                Ok(response) => response,
                Err(error) => {
                    return Err(RequestError::Send(self.placement.hide_in_error(error)).into());
                }
            };
            if self.placement.is_in_url() {
                response = self.placement.hide(response);
            }
            if !self.verdict.is_refusal(&response) {
                return Ok(annotate(response, &ready.snapshot, extensions, true));
            }
            let waits = (handling, deadline);
            Ok(Box::pin(self.after_refusal(response, ready, sent, waits, extensions, send)).await?)
        }
    }

    /// Whether the request gets a token.
    #[inline]
    fn allows(&self, request: &Request) -> Result<bool, Error> {
        let has_own = || self.placement.is_taken(request);
        match &self.origins {
            Some(origins) => Ok(origins.allow(request.url()) && !has_own()),
            None if has_own() => Ok(false),
            None if may_carry_token(request.url()) => Ok(true),
            None => Err(Error::config(
                "the request's URL must not carry a token: it is not https (or http to loopback), or it has user info",
            )),
        }
    }

    /// The hot path: a fresh token, at once.
    #[inline]
    fn ready(&self, extensions: &Extensions, handling: &Handling) -> Option<SelectedToken> {
        if self.is_foreground {
            return None;
        }
        match &self.source {
            Source::One(session) => {
                let snapshot = session.0.fresh_for(self.target(extensions, handling))?;
                Some(SelectedToken { snapshot, session: None })
            }
            Source::Many(sessions) => {
                let session = sessions.cached(user(extensions)?)?;
                let snapshot = session.fresh_for(self.target(extensions, handling))?;
                Some(SelectedToken { snapshot, session: Some(session) })
            }
        }
    }

    /// What the token is to be for.
    #[inline]
    fn target<'a>(&'a self, extensions: &'a Extensions, handling: &Handling) -> &'a Target {
        let own = match &self.source {
            Source::One(session) => &session.1,
            Source::Many(sessions) => sessions.target(),
        };
        if handling.has_target { target(extensions).unwrap_or(own) } else { own }
    }

    /// The token for a request that has none ready: of a user who is not in memory, or renewed first.
    async fn wait(
        &self,
        extensions: &Extensions,
        handling: &Handling,
        limit: Option<Duration>,
    ) -> Result<SelectedToken, Error> {
        let target = self.target(extensions, handling);
        let sessions = match &self.source {
            Source::One(session) => {
                let snapshot = session.0.usable(target, limit).await?;
                return Ok(SelectedToken { snapshot, session: None });
            }
            Source::Many(sessions) => sessions,
        };
        let user = user(extensions).ok_or_else(|| {
            Error::config(
                "the request names no user; add one with .with_extension(UserId::from(id)), or with RequestOptions::user",
            )
        })?;
        let (session, snapshot) = sessions.usable(user, target, limit).await?;
        Ok(SelectedToken { snapshot, session: Some(session) })
    }

    /// After a response that does not say that the token is good: sends the request again where that may help.
    async fn after_refusal<S: SendRequest>(
        &self,
        response: Response,
        SelectedToken { snapshot, session }: SelectedToken,
        sent: Sent,
        (handling, deadline): (Handling, Deadline),
        extensions: &mut Extensions,
        send: S,
    ) -> Result<Response, RequestError<S::Error>> {
        let driver = match (&session, &self.source) {
            (Some(driver), _) => driver,
            (None, Source::One(session)) => &session.0,
            (None, Source::Many(_)) => return Ok(annotate(response, &snapshot, extensions, false)),
        };
        let (asked, replay) = sent.into_parts();
        let (origins, verdict, redirects) = (self.origins.as_ref(), &self.verdict, 0);
        let mut exchange = Exchange {
            origins,
            verdict,
            placement: &self.placement,
            asked,
            replay,
            snapshot,
            deadline,
            extensions,
            send,
            redirects,
        };
        let mut response = exchange.follow(response).await?;
        // What the store brings may have been rejected before; what a renewal brings is tried once.
        let mut is_last = false;
        while exchange.is_token_rejected(&response) {
            if is_last {
                break;
            }
            let path = path_of(response.url());
            let (sent, can_replay) = (&exchange.snapshot, exchange.replay.is_some());
            let limit = deadline.left_to_wait();
            let another = match driver.rejected(sent, path, can_replay, limit).await {
                Err(error) if handling.goes_bare_after(&error) => {
                    return exchange.replay_bare(response).await;
                }
                another => another?,
            };
            let Some(another) = another else { break };
            is_last = another.provenance != Provenance::Adopted;
            exchange.snapshot = another;
            response = exchange.replay(response).await?;
            let is_rejected = exchange.is_token_rejected(&response);
            if is_rejected || !self.verdict.is_refusal(&response) {
                driver.replayed(&exchange.snapshot, path_of(response.url()), is_rejected);
            }
        }
        let is_accepted = !self.verdict.is_refusal(&response);
        Ok(annotate(response, &exchange.snapshot, exchange.extensions, is_accepted))
    }
}

/// A token to send.
struct SelectedToken {
    snapshot: Arc<Snapshot>,
    /// Whose it is; `None`: the one session's.
    session: Option<Arc<Driver>>,
}

/// Leaves the marks of an answer: the token was accepted, its update is offered.
#[inline(always)]
fn annotate(
    mut response: Response,
    snapshot: &Arc<Snapshot>,
    extensions: &mut Extensions,
    is_accepted: bool,
) -> Response {
    if is_accepted {
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
