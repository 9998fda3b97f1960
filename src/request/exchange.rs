//! `Exchange`: a request that was answered with a 401, and what is sent after that.
//!
//! # Redirects
//!
//! reqwest follows redirects below this layer, and takes the token off where one leads to another origin.
//! So a 401 from there says nothing of the token. If the origin is listed, the request is sent once more,
//! straight to where the redirects led, with the token.
//!
//! reqwest does not say how it was redirected. After a 301, 302 or 303 it sends a POST on as a GET, after a
//! 307 or 308 as it was. So a request with another method than GET or HEAD is sent on only where a HEAD
//! request to its own URL is redirected to the same place: then the server redirects whatever comes there,
//! and has not acted on the request. The body goes along only if it can be sent again.

use std::sync::Arc;

use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, EXPECT};
use http::{Extensions, Method};
use reqwest::{Request, Response};
use url::Url;

use super::deadline::Deadline;
use super::placement::Placement;
use super::request_error::RequestError;
use super::request_options::SentWithoutToken;
use super::send_request::SendRequest;
use super::sent::Replay;
use super::verdict::Verdict;
use crate::origin::Origins;
use crate::session::Snapshot;

/// How often a request is sent on. Each time reqwest may have followed ten redirects.
const MOST_REDIRECTS: u8 = 5;

pub(super) struct Exchange<'a, S> {
    /// `None`: where the request was sent first, and nowhere else.
    pub(super) origins: Option<&'a Origins>,
    pub(super) verdict: &'a Verdict,
    pub(super) placement: &'a Placement,
    /// Where the request was sent last.
    pub(super) asked: Url,
    pub(super) replay: Option<Replay>,
    /// The token that was sent last.
    pub(super) snapshot: Arc<Snapshot>,
    pub(super) deadline: Deadline,
    pub(super) extensions: &'a mut Extensions,
    pub(super) send: S,
    pub(super) redirects: u8,
}

impl<S: SendRequest> Exchange<'_, S> {
    /// Sends the request again, with the present token.
    pub(super) async fn replay(
        &mut self,
        before: Response,
    ) -> Result<Response, RequestError<S::Error>> {
        let Some(request) = self.replay.as_ref().and_then(Replay::make) else { return Ok(before) };
        // The connection is free for the replay once the 401 is gone.
        drop(before);
        let response = self.send(request).await?;
        self.follow(response).await
    }

    /// Sends the request on to the listed origin that it was redirected to without its token.
    pub(super) async fn follow(
        &mut self,
        mut response: Response,
    ) -> Result<Response, RequestError<S::Error>> {
        while let Some(url) = self.redirected_to(&response) {
            if !self.is_sent_on(&url).await {
                break;
            }
            let Some(replay) = &mut self.replay else { break };
            *replay.request.url_mut() = url.clone();
            let Some(request) = replay.make() else { break };
            drop(response);
            self.redirects += 1;
            self.asked = url;
            response = self.send(request).await?;
        }
        Ok(response)
    }

    /// Whether the response says that a new token may help.
    pub(super) fn is_token_rejected(&self, response: &Response) -> bool {
        // Redirects are followed below us. One that left the origin lost the token on the way, so what
        // answered has not seen it, and its 401 says nothing of it.
        self.asked.origin() == response.url().origin() && self.verdict.is_curable(response)
    }

    /// The URL of a 401 that has not seen the token, and that may.
    fn redirected_to(&self, response: &Response) -> Option<Url> {
        let url = response.url();
        let has_lost_token = self.verdict.is_refusal(response)
            && url.origin() != self.asked.origin()
            && self.redirects < MOST_REDIRECTS
            && self.replay.is_some();
        let may_see_token = self.origins.is_some_and(|origins| origins.allow(url))
            && (url.scheme() == "https" || self.asked.scheme() != "https")
            && url.username().is_empty()
            && url.password().is_none();
        (has_lost_token && may_see_token).then(|| url.clone())
    }

    /// Whether the request would have come to this URL as it is, but for the token.
    async fn is_sent_on(&mut self, url: &Url) -> bool {
        let Some(replay) = &self.replay else { return false };
        if matches!(*replay.request.method(), Method::GET | Method::HEAD) {
            return true;
        }
        let mut probe = Request::new(Method::HEAD, self.asked.clone());
        *probe.headers_mut() = replay.request.headers().clone();
        for of_body in [CONTENT_TYPE, CONTENT_LENGTH, CONTENT_ENCODING, EXPECT] {
            probe.headers_mut().remove(of_body);
        }
        self.send(probe).await.is_ok_and(|response| response.url() == url)
    }

    /// Sends the request again without a token, since there is none any more.
    pub(super) async fn replay_bare(
        &mut self,
        before: Response,
    ) -> Result<Response, RequestError<S::Error>> {
        let Some(mut request) = self.replay.as_ref().and_then(Replay::make) else {
            return Ok(before);
        };
        drop(before);
        *request.timeout_mut() = self.deadline.left();
        send_bare(request, self.extensions, &mut self.send).await
    }

    async fn send(&mut self, mut request: Request) -> Result<Response, RequestError<S::Error>> {
        self.placement.put(&mut request, &self.snapshot);
        *request.timeout_mut() = self.deadline.left();
        let sent = self.send.send(request, self.extensions).await;
        self.placement.hide(sent).map_err(RequestError::Send)
    }
}

/// Sends a request without a token, and has the response say so.
pub(super) async fn send_bare<S: SendRequest>(
    request: Request,
    extensions: &mut Extensions,
    send: &mut S,
) -> Result<Response, RequestError<S::Error>> {
    let mut response = send.send(request, extensions).await.map_err(RequestError::Send)?;
    response.extensions_mut().insert(SentWithoutToken);
    Ok(response)
}
