//! `BoundToken`: what the requests with a token that is bound to a key need beside it.

use std::sync::Arc;

use http::{HeaderMap, HeaderValue, Method};
use url::Url;

use super::proof::token_hash;
use super::{Known, Prover, Servers};
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
    /// ([RFC 9449 §7.1](https://www.rfc-editor.org/rfc/rfc9449#section-7.1)).
    ///
    /// # Errors
    ///
    /// [`Error::is_config`] if the key is not there; [`Error::is_signing`].
    pub(crate) async fn prove(
        &self,
        method: &Method,
        url: &Url,
        known: &Known,
    ) -> Result<HeaderValue, Error> {
        let prover = self.prover.as_ref().map_err(Error::clone)?;
        prover.prove(method, url, Some(&self.ath), known, self.clock.now()).await
    }

    /// What the next proof for this URL depends on.
    pub(crate) fn known(&self, url: &Url) -> Known {
        self.servers.known(url)
    }

    /// Takes what a response says: see [`Servers::hear`].
    pub(crate) fn hear(&self, url: &Url, headers: &HeaderMap, is_refusal: bool) {
        self.servers.hear(url, headers, is_refusal, self.clock.now());
    }
}
