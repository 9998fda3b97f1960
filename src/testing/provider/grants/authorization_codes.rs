use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use super::{CodeChallenge, Issued, OAuthError, Owner, TokenFamilies};
use crate::testing::provider::config::Config;

/// How long an authorization code is accepted (RFC 6749 §4.1.2).
const LIFETIME: Duration = Duration::from_secs(60);

/// Every authorization code issued so far.
#[derive(Default)]
pub(crate) struct AuthorizationCodes(HashMap<String, Code>);

struct Code {
    terms: CodeBinding,
    expires: Option<SystemTime>,
    /// The tokens issued for it, once it was used.
    family: Option<usize>,
}

/// What an authorization code is bound to.
pub(crate) struct CodeBinding {
    pub(crate) client_id: String,
    pub(crate) scope: String,
    /// `None` if the authorization request had none.
    pub(crate) redirect_uri: Option<String>,
    pub(crate) challenge: Option<CodeChallenge>,
    /// The thumbprint of the key that proofs must be made with (RFC 9449 §10).
    pub(crate) jkt: Option<String>,
}

/// An authorization code as a token request presents it (RFC 6749 §4.1.3).
pub(crate) struct PresentedCode<'a> {
    /// Who presents it.
    pub(crate) client_id: &'a str,
    pub(crate) code: &'a str,
    pub(crate) redirect_uri: Option<&'a str>,
    pub(crate) verifier: Option<&'a str>,
}

impl AuthorizationCodes {
    /// The thumbprint of the key that a code is bound to.
    pub(crate) fn key_of(&self, code: &str) -> Option<&str> {
        self.0.get(code)?.terms.jkt.as_deref()
    }

    pub(crate) fn insert(&mut self, code: String, terms: CodeBinding, now: SystemTime) {
        let expires = now.checked_add(LIFETIME);
        self.0.insert(code, Code { terms, expires, family: None });
    }

    /// The authorization code grant. A code that comes again costs the tokens
    /// that were issued for it (RFC 6749 §4.1.2).
    pub(crate) fn redeem(
        &mut self,
        presented: &PresentedCode<'_>,
        families: &mut TokenFamilies,
        config: &Config,
        now: SystemTime,
    ) -> Result<Issued, OAuthError> {
        let code = self.0.get_mut(presented.code);
        let code = code.filter(|code| code.terms.client_id == presented.client_id);
        let code = code.ok_or(OAuthError::InvalidGrant)?;
        if let Some(family) = code.family {
            families.revoke_family(family);
            return Err(OAuthError::InvalidGrant);
        }
        let expired = code.expires.is_some_and(|expires| expires <= now);
        if expired || !code.terms.are_met_by(presented) {
            return Err(OAuthError::InvalidGrant);
        }
        let CodeBinding { client_id, scope, .. } = &code.terms;
        let issued = families.begin(client_id, scope, Owner::User, true, config, now);
        code.family = Some(issued.family);
        Ok(issued)
    }
}

impl CodeBinding {
    fn are_met_by(&self, presented: &PresentedCode<'_>) -> bool {
        let same_uri = match &self.redirect_uri {
            Some(uri) => presented.redirect_uri == Some(uri),
            None => true,
        };
        // A verifier without a challenge shows a downgrade (RFC 9700 §4.8.2).
        let proven = match (&self.challenge, presented.verifier) {
            (Some(challenge), Some(verifier)) => challenge.is_of(verifier),
            (None, None) => true,
            _ => false,
        };
        same_uri && proven
    }
}
