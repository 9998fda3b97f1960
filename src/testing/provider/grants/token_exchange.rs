use std::time::SystemTime;

use super::{Issued, OAuthError, Owner, TokenFamilies};
use crate::testing::provider::config::{Config, DEFAULT_SCOPE};
use crate::testing::provider::recorded::RecordedTokenRequest;

/// The audience that is not known.
const NOWHERE: &str = "nowhere";

/// A token exchange request (RFC 8693 §2.1).
pub(crate) struct TokenExchange<'a> {
    subject: &'a str,
    /// Whether the subject token is good though it may not be ours.
    accepted: bool,
    scope: &'a str,
}

impl<'a> TokenExchange<'a> {
    pub(crate) fn read(
        request: &'a RecordedTokenRequest,
        config: &Config,
    ) -> Result<Self, OAuthError> {
        let subject = request.required("subject_token")?;
        request.required("subject_token_type")?;
        let actor = request.given("actor_token");
        if actor.is_some() != request.given("actor_token_type").is_some() {
            return Err(OAuthError::InvalidRequest);
        }
        let mut audiences = request.params.iter().filter(|(name, _)| name == "audience");
        if audiences.any(|(_, audience)| audience == NOWHERE) {
            return Err(OAuthError::InvalidTarget);
        }
        let assertions = config.assertions.as_ref();
        let accepted = assertions.is_some_and(|assertions| assertions.accept(subject));
        Ok(Self { subject, accepted, scope: request.given("scope").unwrap_or(DEFAULT_SCOPE) })
    }

    /// Issues an access token (RFC 8693 §2.2.1).
    pub(crate) fn serve(
        self,
        client_id: &str,
        families: &mut TokenFamilies,
        config: &Config,
        now: SystemTime,
    ) -> Result<Issued, OAuthError> {
        if !self.accepted && !families.accepts_access(self.subject, now) {
            // Not `invalid_grant` (RFC 8693 §2.2.2).
            return Err(OAuthError::InvalidRequest);
        }
        let issued = families.begin(client_id, self.scope, Owner::Client, false, config, now);
        Ok(Issued { exchanged: true, ..issued })
    }
}
