//! Tokens that are bound to a key (RFC 9449). Names that begin with `r9449` are rows of the RFC's
//! requirements.

mod api;
mod keys;
mod logins;
mod nonces;
mod pushed_requests;
mod token_endpoint;

use std::collections::BTreeSet;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use reqwest_oauth2::OAuthClient;
use reqwest_oauth2::testing::{DpopNonces, DpopRules, Provider, RecordedTokenRequest};
use serde_json::Value;

use crate::support::World;

/// The provider's client, with the test's clock: proofs say when they were made.
pub fn client(world: &World) -> OAuthClient {
    world.app().clock(world.clock.reader())
}

/// A proof, read.
pub struct Proof {
    pub header: Value,
    pub claims: Value,
}

impl Proof {
    #[track_caller]
    pub fn read(text: Option<&str>) -> Self {
        let mut parts = text.expect("no proof").split('.').map(|part| {
            let json = BASE64_URL_SAFE_NO_PAD.decode(part).unwrap();
            serde_json::from_slice(&json).unwrap_or_default()
        });
        Self { header: parts.next().unwrap(), claims: parts.next().unwrap() }
    }

    pub fn claim(&self, name: &str) -> Option<&str> {
        self.claims.get(name).map(|value| value.as_str().unwrap())
    }

    /// The public key, as text.
    pub fn key(&self) -> String {
        self.header["jwk"].to_string()
    }
}

/// The proofs of the token requests, in order.
pub fn token_proofs(provider: &Provider) -> Vec<Proof> {
    provider.token_requests().iter().map(|request| Proof::read(request.dpop.as_deref())).collect()
}

/// What asks for a nonce in the place of a refresh token.
pub const QUESTION: &str = "asking-for-a-nonce";

/// What each token request presented as its refresh token; `None` also for a question for a nonce.
pub fn presented(provider: &Provider) -> Vec<Option<String>> {
    let refresh_token = |request: &RecordedTokenRequest| {
        let token = request.param("refresh_token").filter(|token| *token != QUESTION);
        token.map(str::to_owned)
    };
    provider.token_requests().iter().map(refresh_token).collect()
}

/// The nonce of each proof.
pub fn nonces(proofs: &[Proof]) -> Vec<Option<&str>> {
    proofs.iter().map(|proof| proof.claim("nonce")).collect()
}

#[track_caller]
pub fn assert_all_differ(proofs: &[Proof]) {
    let ids: BTreeSet<_> = proofs.iter().map(|proof| proof.claim("jti").unwrap()).collect();
    assert_eq!(ids.len(), proofs.len());
}

pub fn rules(edit: impl FnOnce(&mut DpopRules)) -> DpopRules {
    let mut rules = DpopRules::default();
    edit(&mut rules);
    rules
}

pub fn each_answer() -> DpopRules {
    rules(|rules| rules.nonces = DpopNonces::EachAnswer { window: 1 })
}

pub fn lasting() -> DpopRules {
    rules(|rules| rules.nonces = DpopNonces::Lasting)
}
