//! `Config`: what the application chose; see [`SessionBuilder`](super::SessionBuilder). Any number of
//! sessions may share one.

use std::sync::Arc;
use std::time::Duration;

use super::freshness::Policy;
use super::machine::Settings;
use super::snapshot::{FreshnessInputs, Provenance, Snapshot};
use crate::client::OAuthClient;
#[cfg(feature = "keys")]
use crate::client::key_missing;
use crate::clock::Clock;
#[cfg(feature = "keys")]
use crate::dpop::{BoundToken, Prover, Servers};
#[cfg(feature = "keys")]
use crate::error::Error;
use crate::grant::Grant;
use crate::observe::ClientFields;
use crate::saver::TokenSaver;
use crate::store::{TokenKey, TokenStore};
#[cfg(feature = "keys")]
use crate::token::KeyBinding;
use crate::token::Token;

pub(crate) struct Config {
    pub(super) client: Option<OAuthClient>,
    pub(super) grant: Option<Arc<dyn Grant>>,
    pub(super) saver: Option<Arc<dyn TokenSaver>>,
    pub(super) store: Option<Arc<dyn TokenStore>>,
    pub(super) settings: Settings,
    pub(super) policy: Policy,
    pub(super) store_timeout: Duration,
    pub(super) grant_timeout: Duration,
    pub(super) clock: Clock,
    /// What is known of servers, for proofs of a session without a client.
    #[cfg(feature = "keys")]
    pub(super) servers: Arc<Servers>,
}

impl Config {
    pub(crate) fn client(&self) -> Option<&OAuthClient> {
        self.client.as_ref()
    }

    /// Whether nothing may be left to the background.
    pub(crate) fn is_foreground(&self) -> bool {
        self.settings.foreground
    }

    /// What requests need of a token.
    pub(super) fn snapshot(&self, token: Token, provenance: Provenance) -> Snapshot {
        let inputs = FreshnessInputs {
            policy: self.policy,
            has_grant: self.settings.has_grant,
            now: self.clock.now(),
        };
        #[cfg(feature = "keys")]
        let bound = self.bound(&token);
        let snapshot = Snapshot::new(Arc::new(token), provenance, &inputs);
        #[cfg(feature = "keys")]
        let snapshot = snapshot.with_bound(bound);
        snapshot
    }

    /// What requests need beside a token that is bound to a key.
    #[cfg(feature = "keys")]
    fn bound(&self, token: &Token) -> Option<Arc<BoundToken>> {
        if !token.is_dpop() {
            return None;
        }
        let key = match (&self.client, token.binding()) {
            (Some(client), Some(binding)) => client.bound_key(binding),
            (None, Some(KeyBinding::Own(key))) => Ok(key.clone()),
            (None, Some(KeyBinding::Named(thumbprint))) => Err(key_missing(thumbprint)),
            (_, None) => Err(Error::config(
                "the token's type is DPoP, and its key is not known; set it with Token::with_dpop_key",
            )),
        };
        let servers = self.client.as_ref().map(OAuthClient::known_apis).unwrap_or(&self.servers);
        let token = token.access_token();
        Some(Arc::new(BoundToken::new(
            token,
            key.map(Prover::new),
            servers.clone(),
            self.clock.clone(),
        )))
    }

    /// The place of a user's token in the store: all that it is issued for.
    pub(super) fn key(&self, user: &str) -> TokenKey {
        let (issuer, client_id) = match &self.client {
            Some(client) => (client.identity(), client.client_id()),
            None => ("", ""),
        };
        let key = TokenKey::new(issuer, client_id, user);
        let of_grant = self.grant.iter().flat_map(|grant| grant.issued_for());
        let add = |key: TokenKey, name: &str, value: &str| match name {
            "scope" => key.scope(value),
            "resource" => key.resource(value),
            "audience" => key.audience(value),
            _ => key,
        };
        let key = of_grant.fold(key, |key, (name, value)| add(key, &name, &value));
        let of_client = self.client.iter().flat_map(OAuthClient::issued_for);
        of_client.fold(key, |key, (name, value)| add(key, name, value))
    }

    pub(super) fn span_fields(&self) -> Option<ClientFields<'_>> {
        self.client.as_ref().map(OAuthClient::span_fields)
    }
}
