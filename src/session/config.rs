//! `Config`: what the application chose; see [`SessionBuilder`](super::SessionBuilder). Any number of
//! sessions may share one.

use std::sync::Arc;
use std::time::Duration;

#[cfg(feature = "keys")]
use super::binder::Binder;
use super::freshness::Policy;
use super::machine::{Settings, Target};
use super::snapshot::{FreshnessInputs, Provenance, Snapshot};
use crate::client::OAuthClient;
use crate::clock::Clock;
#[cfg(feature = "keys")]
use crate::dpop::Servers;
use crate::grant::Grant;
use crate::observe::ClientFields;
use crate::saver::TokenSaver;
use crate::store::{TokenKey, TokenStore};
use crate::token::Token;

pub(crate) struct Config {
    pub(super) client: Option<OAuthClient>,
    pub(super) grant: Option<Arc<dyn Grant>>,
    /// What the stored tokens are issued for, of a grant that is not there.
    pub(super) issued_for: Vec<(String, String)>,
    pub(super) saver: Option<Arc<dyn TokenSaver>>,
    pub(super) store: Option<Arc<dyn TokenStore>>,
    pub(super) settings: Settings,
    pub(super) policy: Policy,
    pub(super) store_timeout: Duration,
    pub(super) grant_timeout: Duration,
    pub(super) clock: Clock,
    /// What is known of APIs, for proofs of a session without a client.
    #[cfg(feature = "keys")]
    pub(super) apis: Arc<Servers>,
}

impl Config {
    pub(crate) fn client(&self) -> Option<&OAuthClient> {
        self.client.as_ref()
    }

    /// Whether all work is done within the call.
    pub(crate) fn is_foreground(&self) -> bool {
        self.settings.foreground
    }

    /// What requests need of a token.
    pub(super) fn snapshot(&self, token: Token, provenance: Provenance) -> Snapshot {
        Snapshot::new(Arc::new(token), provenance, &self.freshness_inputs())
    }

    /// What requests need of a token that a renewal brought.
    pub(super) fn renewed(
        &self,
        old: Option<&Snapshot>,
        token: Token,
        target: &Target,
    ) -> Snapshot {
        match old {
            Some(old) => old.renewed(token, target, &self.freshness_inputs()),
            None => self.snapshot(token, Provenance::Renewed),
        }
    }

    fn freshness_inputs(&self) -> FreshnessInputs {
        FreshnessInputs {
            policy: self.policy,
            has_grant: self.settings.has_grant,
            now: self.clock.now(),
            #[cfg(feature = "keys")]
            binder: self.binder(),
        }
    }

    #[cfg(feature = "keys")]
    fn binder(&self) -> Binder {
        let (client, apis) = (self.client.clone(), self.apis.clone());
        Binder { client, apis, clock: self.clock.clone() }
    }

    /// The key of a user's token in the store: everything that it is issued for.
    pub(super) fn key(&self, user: &str) -> TokenKey {
        let (issuer, client_id) = match &self.client {
            Some(client) => (client.identity(), client.client_id()),
            None => ("", ""),
        };
        let key = TokenKey::new(issuer, client_id, user);
        let of_grant = match &self.grant {
            Some(grant) => grant.issued_for(),
            None => self.issued_for.clone(),
        };
        let add = |key: TokenKey, name: &str, value: &str| match name {
            "scope" => key.scope(value),
            "resource" => key.resource(value),
            "audience" => key.audience(value),
            _ => key,
        };
        let key = of_grant.iter().fold(key, |key, (name, value)| add(key, name, value));
        let of_client = self.client.iter().flat_map(|client| client.issued_for(&of_grant));
        of_client.fold(key, |key, (name, value)| add(key, &name, &value))
    }

    pub(super) fn span_fields(&self) -> Option<ClientFields<'_>> {
        self.client.as_ref().map(OAuthClient::span_fields)
    }
}
