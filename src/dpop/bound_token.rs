//! `BoundToken`: what the requests with a token that is bound to a key need beside it.

use std::sync::Arc;

use http::{HeaderMap, HeaderValue, Method};
use url::Url;

use super::proof::{Subject, token_hash};
use super::{Basis, Prover, Servers};
use crate::clock::Clock;
use crate::error::Error;

pub(crate) struct BoundToken {
    prover: Result<Prover, Error>,
    ath: Box<str>,
    servers: Arc<Servers>,
    clock: Clock,
}

impl BoundToken {
    /// `prover`: an error where the key is not there.
    pub(crate) fn new(
        access_token: &str,
        prover: Result<Prover, Error>,
        servers: Arc<Servers>,
        clock: Clock,
    ) -> Self {
        Self { prover, ath: token_hash(access_token).into_boxed_str(), servers, clock }
    }

    /// A new proof, for one sending of a request with the token
    /// ([RFC 9449 §7.1](https://www.rfc-editor.org/rfc/rfc9449#section-7.1)), and what it was made of.
    ///
    /// # Errors
    ///
    /// [`Error::is_config`] if the key is not there; [`Error::is_signing`].
    pub(crate) async fn prove(
        &self,
        method: &Method,
        url: &Url,
    ) -> Result<(HeaderValue, Basis), Error> {
        let prover = self.prover.as_ref().map_err(Error::clone)?;
        let subject = Subject { method, url, ath: Some(&self.ath) };
        prover.prove(subject, (&self.servers, url), &self.clock).await
    }

    /// The same without a wait; `None` where the key is elsewhere.
    pub(crate) fn prove_here(
        &self,
        method: &Method,
        url: &Url,
    ) -> Option<Result<(HeaderValue, Basis), Error>> {
        let prover = match &self.prover {
            Ok(prover) => prover,
            Err(error) => return Some(Err(error.clone())),
        };
        let subject = Subject { method, url, ath: Some(&self.ath) };
        prover.prove_here(subject, (&self.servers, url), &self.clock)
    }

    /// What the next proof for this URL is made of.
    pub(crate) fn basis(&self, url: &Url) -> Basis {
        self.servers.basis(url)
    }

    /// See [`Servers::was_corrected`].
    pub(crate) fn was_corrected(&self, url: &Url) -> bool {
        self.servers.was_corrected(url)
    }

    /// Takes what a response says: see [`Servers::hear`].
    pub(crate) fn hear(&self, url: &Url, headers: &HeaderMap, is_refusal: bool) {
        self.servers.hear(url, headers, is_refusal, self.clock.now());
    }
}
