//! Proofs of requests whose token is bound to a key
//! ([RFC 9449 §7.1](https://www.rfc-editor.org/rfc/rfc9449#section-7.1)).
//!
//! Invariants: each sending has a proof of its own; a server that asks for another nonce costs a request one
//! second sending, whatever it answers to that.

use http::StatusCode;
use tokio::time::timeout;
use url::Url;

use super::deadline::Deadline;
use super::stack::{StackRequest, StackResponse};
use crate::challenge::rejects_proof;
use crate::dpop::{BoundToken, Known, PROOF};
use crate::error::Error;

/// What the last proof of a request was made of.
pub(super) struct Proved {
    url: Url,
    known: Known,
}

/// Gives the request, which goes to this URL, a new proof.
///
/// # Errors
///
/// [`Error::is_signing`]; [`Error::is_config`] if the key is not there.
pub(super) async fn prove(
    bound: &BoundToken,
    url: Option<Url>,
    request: &mut impl StackRequest,
    deadline: Deadline,
) -> Result<Box<Proved>, Error> {
    let url = url.ok_or_else(|| {
        Error::config("a request whose token is bound to a key needs a URL with scheme and host")
    })?;
    let known = bound.known(&url);
    let proof = bound.prove(request.method(), &url, &known);
    let proof = match deadline.left() {
        None => proof.await?,
        Some(left) => {
            let late = |_| Error::signing("the request's own timeout is over");
            let proof = timeout(left, proof).await.map_err(late)??;
            request.set_timeout(deadline.left());
            proof
        }
    };
    request.headers_mut().insert(PROOF, proof);
    Ok(Box::new(Proved { url, known }))
}

impl Proved {
    /// Takes what the response says for the next proofs.
    pub(super) fn hear(&self, bound: &BoundToken, response: &impl StackResponse) {
        let url = response.url().unwrap_or(&self.url);
        bound.hear(url, response.headers(), response.status() == StatusCode::UNAUTHORIZED);
    }

    /// Whether the proof was not accepted, and another one may be: the server has said what it lacked.
    pub(super) fn may_another_help(
        &self,
        bound: &BoundToken,
        response: &impl StackResponse,
    ) -> bool {
        let is_answer = response.url().is_none_or(|url| url.origin() == self.url.origin());
        if response.status() != StatusCode::UNAUTHORIZED || !is_answer {
            return false;
        }
        let known = bound.known(&self.url);
        let has_new_nonce = known.nonce.is_some() && known.nonce != self.known.nonce;
        known.skew != self.known.skew || (has_new_nonce && rejects_proof(response.headers()))
    }

    /// Whether the response is from the same origin, to which redirects were followed with a proof for
    /// another URL.
    pub(super) fn is_for_another_url(&self, response: &impl StackResponse) -> bool {
        let bare = |url: &Url| url[..url::Position::AfterPath].to_owned();
        response
            .url()
            .is_some_and(|url| url.origin() == self.url.origin() && bare(url) != bare(&self.url))
    }
}
