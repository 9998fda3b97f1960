use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use super::code_challenge::CodeChallenge;
use super::config::Config;
use super::owner::Owner;
use super::refusal::Refusal;
use super::store::{Issued, Store};

/// How long an authorization code is accepted (RFC 6749 §4.1.2).
const LIFETIME: Duration = Duration::from_secs(60);

/// Every authorization code issued so far.
#[derive(Default)]
pub(super) struct Codes(HashMap<String, Code>);

struct Code {
    terms: Terms,
    expires: Option<SystemTime>,
    /// The tokens issued for it, once it was used.
    family: Option<usize>,
}

/// What an authorization code is bound to. There is only one client.
pub(super) struct Terms {
    pub(super) scope: String,
    /// `None` if the authorization request had none.
    pub(super) redirect_uri: Option<String>,
    pub(super) challenge: Option<CodeChallenge>,
}

/// An authorization code as a token request presents it (RFC 6749 §4.1.3).
pub(super) struct Presented<'a> {
    pub(super) code: &'a str,
    pub(super) redirect_uri: Option<&'a str>,
    pub(super) verifier: Option<&'a str>,
}

impl Codes {
    pub(super) fn insert(&mut self, code: String, terms: Terms, now: SystemTime) {
        let expires = now.checked_add(LIFETIME);
        self.0.insert(code, Code { terms, expires, family: None });
    }

    /// The authorization code grant. A code that comes again costs the tokens
    /// that were issued for it (RFC 6749 §4.1.2).
    pub(super) fn redeem(
        &mut self,
        presented: &Presented<'_>,
        store: &mut Store,
        config: &Config,
        now: SystemTime,
    ) -> Result<Issued, Refusal> {
        let code = self.0.get_mut(presented.code).ok_or(Refusal::InvalidGrant)?;
        if let Some(family) = code.family {
            store.revoke_family(family);
            return Err(Refusal::InvalidGrant);
        }
        let expired = code.expires.is_some_and(|expires| expires <= now);
        if expired || !code.terms.are_met_by(presented) {
            return Err(Refusal::InvalidGrant);
        }
        let issued = store.begin(&code.terms.scope, Owner::User, true, config, now);
        code.family = Some(issued.family);
        Ok(issued)
    }
}

impl Terms {
    fn are_met_by(&self, presented: &Presented<'_>) -> bool {
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
