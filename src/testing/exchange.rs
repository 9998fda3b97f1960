use std::time::SystemTime;

use super::config::Config;
use super::grant::SCOPE;
use super::owner::Owner;
use super::refusal::Refusal;
use super::request::RecordedTokenRequest;
use super::store::{Issued, Store};

/// The audience that is not known.
const NOWHERE: &str = "nowhere";

/// A token exchange request (RFC 8693 §2.1).
pub(super) struct Exchange<'a> {
    subject: &'a str,
    /// Whether the subject token is good though it may not be ours.
    accepted: bool,
    scope: &'a str,
}

impl<'a> Exchange<'a> {
    pub(super) fn read(
        request: &'a RecordedTokenRequest,
        config: &Config,
    ) -> Result<Self, Refusal> {
        let subject = request.required("subject_token")?;
        request.required("subject_token_type")?;
        let actor = request.given("actor_token");
        if actor.is_some() != request.given("actor_token_type").is_some() {
            return Err(Refusal::InvalidRequest);
        }
        let mut audiences = request.params.iter().filter(|(name, _)| name == "audience");
        if audiences.any(|(_, audience)| audience == NOWHERE) {
            return Err(Refusal::InvalidTarget);
        }
        let assertions = config.assertions.as_ref();
        let accepted = assertions.is_some_and(|assertions| assertions.accept(subject));
        Ok(Self { subject, accepted, scope: request.given("scope").unwrap_or(SCOPE) })
    }

    /// Issues an access token (RFC 8693 §2.2.1).
    pub(super) fn serve(
        self,
        store: &mut Store,
        config: &Config,
        now: SystemTime,
    ) -> Result<Issued, Refusal> {
        if !self.accepted && !store.accepts_access(self.subject, now) {
            // Not `invalid_grant` (RFC 8693 §2.2.2).
            return Err(Refusal::InvalidRequest);
        }
        let issued = store.begin(self.scope, Owner::Client, false, config, now);
        Ok(Issued { exchanged: true, ..issued })
    }
}
