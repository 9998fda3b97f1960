//! The request path of an [`Api`]: inject, send, and on a 401 renew and send again.
//!
//! With many users the request's user decides whose session it is: one look into the cache more.
//!
//! Hot path, per request: compare the URL with the origins, look for an `Authorization` header,
//! load the snapshot, read the clock, clone the request for a replay (a buffered body is a
//! reference count), clone the header value (another), insert it. No lock, no allocation of our
//! own, no formatting. Everything rarer is in futures that are boxed when they are needed.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use http::Extensions;

use super::api::{Api, Source};
use super::deadline::Deadline;
use super::exchange::{Exchange, send_bare};
#[cfg(feature = "keys")]
use super::proofs::{Proved, prove};
use super::request_error::RequestError;
use super::request_options::{Handling, TokenUse, target, user};
use super::sent::Sent;
use super::stack::{Address, Stack, StackRequest, StackResponse};
use crate::error::Error;
use crate::session::{Driver, Provenance, Snapshot, Target, offer_update};

impl Api {
    /// One request, under any stack.
    #[expect(clippy::manual_async_fn, reason = "its future would hold the request twice")]
    #[inline]
    pub(crate) fn run<'a, S, F>(
        &'a self,
        mut request: S::Request,
        extensions: &'a mut Extensions,
        mut send: S,
    ) -> impl Future<Output = Result<S::Response, F>>
    where
        S: Stack + 'a,
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
                    let timeouts = [request.timeout(), handling.longest_wait];
                    let limit = timeouts.into_iter().flatten().min();
                    let ready = Box::pin(self.wait(extensions, &handling, limit)).await;
                    // None is left if a token that is good was waited for in vain: then it has its time anew.
                    if let Some(left) = deadline.left().filter(|left| !left.is_zero()) {
                        request.set_timeout(Some(left));
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
            #[cfg(feature = "keys")]
            let proved = match &ready.snapshot.bound {
                None => None,
                Some(bound) => match Box::pin(prove(bound, &mut request, deadline)).await {
                    Ok(proved) => Some(proved),
                    Err(error) => return Err(RequestError::Token(error).into()),
                },
            };
            let sent_now = send.send(request, extensions).await;
            let mut response = match sent_now {
                Ok(response) => response,
                Err(error) => {
                    return Err(RequestError::Send(self.placement.hide_in_error(error)).into());
                }
            };
            #[cfg(feature = "keys")]
            if let (Some(bound), Some(proved)) = (&ready.snapshot.bound, &proved) {
                proved.hear(bound, &response);
            }
            if self.placement.is_in_url() {
                response = self.placement.hide(response);
            }
            if !self.verdict.is_refusal(&response) {
                mark_accepted(&response, &ready.snapshot, || sent.path());
                return Ok(with_update(response, &ready.snapshot, extensions));
            }
            let waits = (handling, deadline);
            #[cfg(feature = "keys")]
            let sent = (sent, proved);
            #[cfg(not(feature = "keys"))]
            let sent = (sent, ());
            Ok(Box::pin(self.after_refusal(response, ready, sent, waits, extensions, send)).await?)
        }
    }

    /// Whether the request gets a token.
    #[inline]
    fn allows(&self, request: &impl StackRequest) -> Result<bool, Error> {
        Ok(!self.placement.is_taken(request) && request.is_for(self.origins.as_ref())?)
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
    async fn after_refusal<S: Stack>(
        &self,
        response: S::Response,
        SelectedToken { snapshot, session }: SelectedToken,
        (sent, _proved): (Sent<S::Request>, LastProof),
        (handling, deadline): (Handling, Deadline),
        extensions: &mut Extensions,
        send: S,
    ) -> Result<S::Response, RequestError<S::Error>> {
        let driver = match (&session, &self.source) {
            (Some(driver), _) => driver,
            (None, Source::One(session)) => &session.0,
            (None, Source::Many(_)) => {
                return Ok(with_update(response, &snapshot, extensions));
            }
        };
        let path = sent.path();
        let (asked, replay) = sent.into_parts();
        let (origins, verdict, redirects) = (self.origins.as_ref(), &self.verdict, 0);
        let mut exchange = Exchange {
            origins,
            verdict,
            placement: &self.placement,
            asked,
            path,
            replay,
            snapshot,
            deadline,
            extensions,
            send,
            redirects,
            #[cfg(feature = "keys")]
            proved: _proved,
            #[cfg(feature = "keys")]
            has_second_proof: false,
        };
        let mut response = exchange.follow(response).await?;
        // What the store brings may have been rejected before; what a renewal brings is tried once.
        let mut is_last = false;
        while exchange.is_token_rejected(&response) {
            if is_last {
                break;
            }
            let path = exchange.path(&response);
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
                driver.replayed(&exchange.snapshot, exchange.path(&response), is_rejected);
            }
        }
        if !self.verdict.is_refusal(&response) {
            mark_accepted(&response, &exchange.snapshot, || exchange.path);
        }
        Ok(with_update(response, &exchange.snapshot, exchange.extensions))
    }
}

/// What the last proof was made of, where there was one.
#[cfg(feature = "keys")]
type LastProof = Option<Box<Proved>>;
#[cfg(not(feature = "keys"))]
type LastProof = ();

/// A token to send.
struct SelectedToken {
    snapshot: Arc<Snapshot>,
    /// Whose it is; `None`: the one session's.
    session: Option<Arc<Driver>>,
}

/// Leaves the mark of an answer: the token was accepted. `asked`: the path that was asked, which answered
/// unless redirects were followed.
#[inline(always)]
fn mark_accepted(
    response: &impl StackResponse,
    snapshot: &Snapshot,
    asked: impl FnOnce() -> NonZeroU64,
) {
    snapshot.mark_accepted(|| response.url().map_or_else(asked, Address::path));
}

/// Offers the token's update with the response.
#[inline(always)]
fn with_update<R: StackResponse>(
    mut response: R,
    snapshot: &Arc<Snapshot>,
    extensions: &mut Extensions,
) -> R {
    if snapshot.has_update() {
        offer_update(response.extensions_mut(), snapshot, extensions);
    }
    response
}
