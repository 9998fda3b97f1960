//! `Binder`: what requests with tokens that are bound to a key need beside them.

use std::sync::Arc;

use crate::client::{OAuthClient, key_missing};
use crate::clock::Clock;
use crate::dpop::{BoundToken, Prover, Servers};
use crate::error::Error;
use crate::token::{KeyBinding, Token};

pub(super) struct Binder {
    pub(super) client: Option<OAuthClient>,
    /// What is known of APIs in a session without a client.
    pub(super) apis: Arc<Servers>,
    pub(super) clock: Clock,
}

impl Binder {
    /// For a token of a login whose tokens are bound to that key. `None` for a bearer token.
    pub(super) fn bound(
        &self,
        token: &Token,
        binding: Option<&KeyBinding>,
    ) -> Option<Arc<BoundToken>> {
        if !token.is_dpop() {
            return None;
        }
        let key = match (&self.client, binding) {
            (Some(client), Some(binding)) => client.bound_key(binding),
            (None, Some(KeyBinding::Own(key))) => Ok(key.clone()),
            (None, Some(KeyBinding::Named(thumbprint))) => Err(key_missing(thumbprint)),
            (_, None) => Err(Error::config(
                "the token's type is DPoP, and its key is not known; set it with Token::with_dpop_key",
            )),
        };
        let apis = self.client.as_ref().map_or(&self.apis, OAuthClient::known_apis).clone();
        let (token, prover) = (token.access_token(), key.map(Prover::new));
        Some(Arc::new(BoundToken::new(token, prover, apis, self.clock.clone())))
    }
}
