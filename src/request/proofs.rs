//! Proofs of requests whose token is bound to a key
//! ([RFC 9449 §7.1](https://www.rfc-editor.org/rfc/rfc9449#section-7.1)).
//!
//! Invariants: each sending has a proof of its own; a server that asks for another nonce costs a request one
//! second sending, whatever it answers to that.

use std::borrow::Cow;

use http::{HeaderMap, StatusCode};
use tokio::time::timeout;
use url::Url;

use super::deadline::Deadline;
use super::stack::{Stack, StackRequest, StackResponse};
use crate::challenge::rejects_proof;
use crate::dpop::{Basis, BoundToken, PROOF, gives_nonce};
use crate::error::{Error, Kind};
use crate::session::runtime;

/// What the last proof of a request was made of.
pub(super) struct Proved {
    basis: Basis,
    /// The URL, where it was made for the proof.
    url: Option<Box<Url>>,
}

/// Gives the request, which goes to this URL, a new proof. `None`: the key is elsewhere, so that takes a wait.
///
/// # Errors
///
/// As [`prove`].
// Not in line: it would take room on the stack of every request.
#[inline(never)]
pub(super) fn prove_here<S: Stack>(
    bound: &BoundToken,
    stack: &S,
    request: &mut S::Request,
) -> Option<Result<Proved, Error>> {
    let Some(url) = stack.target(request) else { return Some(Err(no_url())) };
    let proved = bound.prove_here(request.method(), &url)?;
    let url = match url {
        Cow::Borrowed(_) => None,
        Cow::Owned(url) => Some(Box::new(url)),
    };
    Some(proved.map(|(proof, basis)| {
        request.headers_mut().insert(PROOF, proof);
        Proved { basis, url }
    }))
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
) -> Result<Proved, Error> {
    let url = url.ok_or_else(no_url)?;
    let proof = bound.prove(request.method(), &url);
    let (proof, basis) = match deadline.left() {
        None => proof.await?,
        Some(left) => {
            runtime()?;
            let why = "the request's own timeout is over";
            let late =
                |_| Error::new(Kind::Signing { why: why.into(), is_timeout: true, source: None });
            let proved = timeout(left, proof).await.map_err(late)??;
            request.set_timeout(deadline.left());
            proved
        }
    };
    request.headers_mut().insert(PROOF, proof);
    Ok(Proved { basis, url: Some(Box::new(url)) })
}

fn no_url() -> Error {
    Error::config("a request whose token is bound to a key needs a URL with scheme and host")
}

impl Proved {
    /// Takes what the response says for the next proofs. `asked`: where the request was sent, if that is not in
    /// the proof: a response that reqwest did not make does not say where it is from.
    pub(super) fn hear(
        &self,
        bound: &BoundToken,
        response: &impl StackResponse,
        asked: impl FnOnce() -> Option<Url>,
    ) {
        let is_refusal = response.status() == StatusCode::UNAUTHORIZED;
        let hear = |url: &Url| bound.hear(url, response.headers(), is_refusal);
        match response.url().or(self.url.as_deref()) {
            Some(url) => hear(url),
            None => asked().iter().for_each(hear),
        }
    }

    /// Whether the proof was not accepted, and another one may be: the server has said what it lacked.
    /// `asked`: where the request was sent, if that is not in the proof.
    pub(super) fn may_another_help(
        &self,
        bound: &BoundToken,
        asked: Option<&Url>,
        response: &impl StackResponse,
    ) -> bool {
        let Some(asked) = asked.or(self.url.as_deref()) else { return false };
        let is_answer = response.url().is_none_or(|url| url.origin() == asked.origin());
        response.status() == StatusCode::UNAUTHORIZED
            && is_answer
            && may_another_proof_help(self.basis, bound.basis(asked), response.headers())
    }
}

/// Whether a server that has refused a request with these headers may accept another proof: it has said since
/// `before` what the last one lacked.
fn may_another_proof_help(before: Basis, now: Basis, headers: &HeaderMap) -> bool {
    now.has_other_skew(before) || (now.has_other_nonce(before) && rejects_proof(headers))
}

/// The same where nobody knows what the last proof was made of: others may have heard meanwhile what it
/// lacked.
pub(super) fn may_a_newer_proof_help(bound: &BoundToken, url: &Url, headers: &HeaderMap) -> bool {
    bound.was_corrected(url) || (gives_nonce(headers) && rejects_proof(headers))
}
