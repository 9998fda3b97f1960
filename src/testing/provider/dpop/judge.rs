use std::collections::HashSet;
use std::time::{Duration, SystemTime};

use http::header::{DATE, HeaderMap, HeaderName, HeaderValue};

use super::proof::Proof;
use super::{DpopNonces, DpopRules};

/// The header that has a nonce.
const NONCE: HeaderName = HeaderName::from_static("dpop-nonce");

/// The shortest `jti` that is taken, in characters: 96 bits in base64 (RFC 9449 §4.2).
const SHORTEST_ID: usize = 16;

/// Who asks for nonces.
#[derive(Clone, Copy)]
pub(crate) enum Endpoint {
    Token,
    Api,
}

/// A request, as far as a proof is about it.
pub(crate) struct Presented<'a> {
    pub(crate) method: &'a str,
    pub(crate) url: &'a str,
    pub(crate) proof: Option<&'a str>,
    pub(crate) access_token: Option<&'a str>,
}

/// Why a proof is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    Invalid,
    /// Invalid, since it was accepted before.
    Replayed,
    NonceWanted,
}

/// Judges proofs, and remembers what it needs for that.
#[derive(Debug, Default)]
pub(crate) struct Judge {
    pub(crate) rules: DpopRules,
    seen: HashSet<String>,
    /// How many nonces were given; each ends in its number.
    given: [u64; 2],
}

impl Judge {
    pub(crate) fn new(rules: DpopRules) -> Self {
        Self { rules, ..Self::default() }
    }

    /// The thumbprint of the proof's key; `None` without a proof.
    pub(crate) fn judge(
        &mut self,
        endpoint: Endpoint,
        presented: &Presented<'_>,
        now: SystemTime,
    ) -> Result<Option<String>, Refusal> {
        let Some(text) = presented.proof else {
            return if self.rules.required { Err(Refusal::Invalid) } else { Ok(None) };
        };
        let proof = Proof::read(text).ok_or(Refusal::Invalid)?;
        if !proof.is_for(presented.method, presented.url, presented.access_token) {
            return Err(Refusal::Invalid);
        }
        let id = proof.claim("jti").filter(|id| id.len() >= SHORTEST_ID);
        let id = id.ok_or(Refusal::Invalid)?;
        if self.seen.contains(id) {
            return Err(Refusal::Replayed);
        }
        self.seen.insert(id.to_owned());
        if self.rules.always_asks || !self.has_nonce(endpoint, proof.claim("nonce")) {
            return Err(Refusal::NonceWanted);
        }
        if !proof.is_fresh(self.time(now)) {
            return Err(Refusal::Invalid);
        }
        Ok(Some(proof.jkt))
    }

    /// What a response says beside its body.
    pub(crate) fn headers(&mut self, endpoint: Endpoint, asks: bool, now: SystemTime) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let date = self.rules.date.clone().unwrap_or_else(|| {
            let date = chrono::DateTime::<chrono::Utc>::from(self.time(now));
            date.format("%a, %d %b %Y %H:%M:%S GMT").to_string()
        });
        headers.extend(HeaderValue::try_from(date).map(|date| (DATE, date)));
        let is_shown = match self.rules.nonces {
            DpopNonces::EachAnswer { .. } => true,
            DpopNonces::None | DpopNonces::Lasting => asks,
        };
        if is_shown && !(asks && self.rules.asks_without_nonce) {
            if matches!(self.rules.nonces, DpopNonces::EachAnswer { .. }) {
                self.given[endpoint as usize] += 1;
            }
            let nonce = match &self.rules.nonce {
                Some(nonce) => HeaderValue::from_bytes(nonce),
                None => HeaderValue::try_from(self.nonce(endpoint)),
            };
            headers.extend(nonce.map(|nonce| (NONCE, nonce)));
        }
        headers
    }

    /// The nonces given so far are not accepted any more.
    pub(crate) fn renew_nonces(&mut self) {
        self.given.iter_mut().for_each(|given| *given += 1_000_000);
    }

    fn has_nonce(&self, endpoint: Endpoint, nonce: Option<&str>) -> bool {
        if let Some(only) = &self.rules.nonce {
            return nonce.map(str::as_bytes) == Some(only);
        }
        let last = self.given[endpoint as usize];
        let window = match self.rules.nonces {
            DpopNonces::None => return true,
            DpopNonces::Lasting => 1,
            DpopNonces::EachAnswer { window } => window.max(1),
        };
        let number = nonce.and_then(|nonce| nonce.strip_prefix(prefix(endpoint))?.parse().ok());
        number.is_some_and(|number: u64| number <= last && number + window > last)
    }

    fn nonce(&self, endpoint: Endpoint) -> String {
        format!("{}{}", prefix(endpoint), self.given[endpoint as usize])
    }

    fn time(&self, now: SystemTime) -> SystemTime {
        let ahead = Duration::from_secs(self.rules.clock_ahead.unsigned_abs());
        let time = if self.rules.clock_ahead < 0 {
            now.checked_sub(ahead)
        } else {
            now.checked_add(ahead)
        };
        time.unwrap_or(now)
    }
}

fn prefix(endpoint: Endpoint) -> &'static str {
    match endpoint {
        Endpoint::Token => "nonce-of-the-token-endpoint-",
        Endpoint::Api => "nonce-of-the-api-",
    }
}
