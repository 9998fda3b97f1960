//! `Exchange`: a request that was answered with a 401, and what is sent after that.
//!
//! # Redirects
//!
//! reqwest follows redirects below this layer, and takes the token off where one leads to another origin, also
//! if a later one leads back. So a 401 from where they end may say nothing of the token. If that URL is listed,
//! the request is sent once more, straight to it, with the token.
//!
//! A redirect within the origin may be for the very token that was sent. So with another one the request
//! starts anew, at the first URL. A URL of the origin that differs in its query alone is no redirect: a layer
//! below may have put a parameter there, and would again. One that edits the path costs one request more.
//!
//! reqwest does not say how it was redirected. After a 301, 302 or 303 it sends a POST on as a GET, after a
//! 307 or 308 as it was. So a request with another method than GET or HEAD is sent on only where a HEAD
//! request to its own URL is redirected to the same place: then the server redirects whatever comes there,
//! and has not acted on the request. Otherwise it is sent no more. The body goes along only if it can be sent
//! again. Within the origin another HEAD request goes straight to where the redirect led: if the token is rejected
//! there, that may be what the redirect was for, and the request has nothing to do there.

#[cfg(feature = "keys")]
use std::borrow::Cow;
use std::num::NonZeroU64;
use std::sync::Arc;

use http::{Extensions, Method};
use url::Url;

use super::deadline::Deadline;
use super::placement::Placement;
#[cfg(feature = "keys")]
use super::proofs::{Proved, prove, prove_here};
use super::request_error::RequestError;
use super::request_options::SentWithoutToken;
use super::sent::Replay;
use super::stack::{Stack, StackRequest, StackResponse, path_of_url};
use super::verdict::Verdict;
use crate::origin::Origins;
use crate::session::Snapshot;
use crate::step_up::StepUp;

/// How often a request is sent on. Each time reqwest may have followed ten redirects.
const MOST_REDIRECTS: u8 = 5;

pub(super) struct Exchange<'a, S: Stack> {
    /// `None`: where the request was sent first, and nowhere else.
    pub(super) origins: Option<&'a Origins>,
    pub(super) verdict: &'a Verdict,
    pub(super) placement: &'a Placement,
    /// Where the request was sent last, if redirects may have been followed.
    pub(super) asked: Option<Url>,
    /// Where it starts with another token, if that is somewhere else.
    pub(super) start: Option<Url>,
    /// What a session remembers of where it was sent first.
    pub(super) path: NonZeroU64,
    pub(super) replay: Option<Replay<S>>,
    /// The token that was sent last.
    pub(super) snapshot: Arc<Snapshot>,
    pub(super) deadline: Deadline,
    pub(super) extensions: &'a mut Extensions,
    pub(super) send: S,
    pub(super) redirects: u8,
    /// What the last proof was made of, where the token is bound to a key.
    #[cfg(feature = "keys")]
    pub(super) proved: Option<Proved>,
    /// The request was sent again because of its proof.
    #[cfg(feature = "keys")]
    pub(super) has_second_proof: bool,
}

impl<S: Stack> Exchange<'_, S> {
    /// Sends the request again, with the current token.
    pub(super) async fn replay(
        &mut self,
        before: S::Response,
    ) -> Result<S::Response, RequestError<S::Error>> {
        let Some(request) = self.made_anew() else { return Ok(before) };
        // The connection is free for the replay once the 401 is gone.
        drop(before);
        let response = self.send(request).await?;
        self.follow(response).await
    }

    /// The request, to be sent with another token or none.
    fn made_anew(&mut self) -> Option<S::Request> {
        if let (Some(start), Some(replay)) = (self.start.take(), &mut self.replay) {
            replay.request.redirect(&start);
            self.asked = Some(start);
        }
        self.made_again()
    }

    /// The request, to be sent again.
    fn made_again(&self) -> Option<S::Request> {
        self.replay.as_ref()?.make(&self.send)
    }

    /// Sends the request on to the listed URL that it was redirected to, perhaps without its token.
    pub(super) async fn follow(
        &mut self,
        mut response: S::Response,
    ) -> Result<S::Response, RequestError<S::Error>> {
        while let Some(url) = self.redirected_to(&response) {
            if !self.is_sent_on(&url).await {
                // The server may have acted on it.
                self.replay = None;
                break;
            }
            if self.is_rejected_at(&url).await {
                break;
            }
            let Some(replay) = &mut self.replay else { break };
            if !replay.request.redirect(&url) {
                break;
            }
            let Some(request) = replay.make(&self.send) else { break };
            drop(response);
            self.redirects += 1;
            let is_within = self.is_within(&url);
            let asked = self.asked.replace(url);
            self.start = asked.filter(|_| is_within);
            response = self.send(request).await?;
        }
        #[cfg(feature = "keys")]
        if self.may_second_proof_help(&response)
            && let Some(request) = self.made_again()
        {
            self.has_second_proof = true;
            drop(response);
            response = self.send(request).await?;
            return Box::pin(self.follow(response)).await;
        }
        Ok(response)
    }

    /// Whether the server did not accept the proof, and has said what it lacked; once per request.
    #[cfg(feature = "keys")]
    fn may_second_proof_help(&self, response: &S::Response) -> bool {
        let (Some(bound), Some(proved)) = (self.snapshot.bound(), &self.proved) else {
            return false;
        };
        !self.has_second_proof && proved.may_another_help(bound, self.asked.as_ref(), response)
    }

    /// Whether the response says that a new token may help.
    pub(super) fn is_token_rejected(&self, response: &S::Response) -> bool {
        self.has_seen_token(response) && self.verdict.is_curable(response)
    }

    /// What the API wants beyond the token, if it says so.
    pub(super) fn step_up(&self, response: &S::Response) -> Option<StepUp> {
        let granted = self.snapshot.token().and_then(|token| token.scope());
        let asked = StepUp::asked_by(response.status(), response.headers(), granted)?;
        self.has_seen_token(response).then_some(asked)
    }

    /// Redirects are followed below us. One that left the origin lost the token on the way, so what answered
    /// has not seen it, and says nothing of it. Where they ended at the origin, [`follow`](Self::follow) has
    /// asked there, if it could.
    pub(super) fn has_seen_token(&self, response: &S::Response) -> bool {
        self.asked.is_none() || response.url().is_none_or(|url| self.is_within(url))
    }

    /// Whether the URL is of the origin that was asked last.
    fn is_within(&self, url: &Url) -> bool {
        self.asked.as_ref().is_some_and(|asked| asked.origin() == url.origin())
    }

    /// What a session remembers of the path that answered.
    pub(super) fn path(&self, response: &S::Response) -> NonZeroU64 {
        response.url().map_or(self.path, path_of_url)
    }

    /// The URL of a 401 that may not have seen the token, or its proof, and that may.
    fn redirected_to(&self, response: &S::Response) -> Option<Url> {
        let (url, asked) = (self.placement.without_token(response.url()?), self.asked.as_ref()?);
        let is_within = self.is_within(&url);
        // Once within the origin: a layer below that edits the path would lead on and on.
        let is_redirected = !is_within
            || (url.path() != asked.path()
                && self.start.is_none()
                && self.snapshot.token().is_some());
        let may_have_lost_token = self.verdict.is_refusal(response)
            && is_redirected
            && self.redirects < MOST_REDIRECTS
            && self.replay.is_some();
        let is_listed = self.origins.map(|origins| origins.allow(&url)).unwrap_or(is_within);
        let may_see_token = is_listed
            && (url.scheme() == "https" || asked.scheme() != "https")
            && url.username().is_empty()
            && url.password().is_none();
        (may_have_lost_token && may_see_token).then_some(url)
    }

    /// Whether the request would have come to this URL as it is, but for the token.
    async fn is_sent_on(&mut self, url: &Url) -> bool {
        if self.only_reads() {
            return true;
        }
        let Some(asked) = self.asked.clone() else { return false };
        let response = self.probe(&asked).await;
        let from = response.as_ref().and_then(|response| response.url());
        from.is_some_and(|from| self.placement.without_token(from) == *url)
    }

    /// Whether the token is rejected at this URL, which is of the origin: asked for a request that could do harm
    /// there.
    async fn is_rejected_at(&mut self, url: &Url) -> bool {
        if self.only_reads() || !self.is_within(url) {
            return false;
        }
        let response = self.probe(url).await;
        response.is_some_and(|response| self.is_token_rejected(&response))
    }

    /// Whether the request can be sent anywhere without harm.
    fn only_reads(&self) -> bool {
        let method = self.replay.as_ref().map(|replay| replay.request.method());
        matches!(method, Some(&(Method::GET | Method::HEAD)))
    }

    /// The response to the request as a HEAD request to this URL.
    async fn probe(&mut self, url: &Url) -> Option<S::Response> {
        let probe = self.replay.as_ref()?.request.probe(url)?;
        self.send(probe).await.ok()
    }

    /// Sends the request again without a token, since there is none any more.
    pub(super) async fn replay_bare(
        &mut self,
        before: S::Response,
    ) -> Result<S::Response, RequestError<S::Error>> {
        let Some(mut request) = self.made_anew() else { return Ok(before) };
        drop(before);
        self.send.ready_again().await.map_err(RequestError::Send)?;
        request.set_timeout(self.deadline.left());
        send_bare(request, self.extensions, &mut self.send).await
    }

    async fn send(
        &mut self,
        mut request: S::Request,
    ) -> Result<S::Response, RequestError<S::Error>> {
        self.send.ready_again().await.map_err(RequestError::Send)?;
        self.placement.put(&mut request, &self.snapshot);
        request.set_timeout(self.deadline.left());
        #[cfg(feature = "keys")]
        if let Some(bound) = self.snapshot.bound() {
            let proved = match prove_here(bound, &self.send, &mut request) {
                Some(proved) => proved,
                None => {
                    let url = self.send.target(&request).map(Cow::into_owned);
                    prove(bound, url, &mut request, self.deadline).await
                }
            };
            self.proved = Some(proved.map_err(RequestError::Token)?);
        }
        match self.send.send(request, self.extensions).await {
            Ok(response) => {
                #[cfg(feature = "keys")]
                if let (Some(bound), Some(proved)) = (self.snapshot.bound(), &self.proved) {
                    proved.hear(bound, &response, || self.asked.clone());
                }
                Ok(self.placement.hide(response))
            }
            Err(error) => Err(RequestError::Send(self.placement.hide_in_error(error))),
        }
    }
}

/// Sends a request without a token, and has the response say so.
pub(super) async fn send_bare<S: Stack>(
    request: S::Request,
    extensions: &mut Extensions,
    send: &mut S,
) -> Result<S::Response, RequestError<S::Error>> {
    let mut response = send.send(request, extensions).await.map_err(RequestError::Send)?;
    response.extensions_mut().insert(SentWithoutToken);
    Ok(response)
}
