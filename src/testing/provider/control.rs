use http::HeaderValue;

use super::authorization::AuthorizationError;
#[cfg(all(feature = "keys", feature = "testing"))]
use super::dpop::DpopRules;
use super::faults::{Fault, PauseGuard, RevocationFault};
use super::handle::Provider;
use super::state::Challenge;

/// What a test can make the provider do while it runs.
impl Provider {
    /// Queues a fault: the next token request that arrives takes the first of
    /// the queue.
    ///
    /// A request takes its fault on arrival, so one that is already waiting at
    /// a [`PauseGuard`] is not affected.
    pub fn fail_next(&self, fault: Fault) {
        self.shared.lock().faults.queue(fault);
    }

    /// Sets the fault of every token request that finds no queued fault.
    pub fn fail_always(&self, fault: Fault) {
        self.shared.lock().faults.set_always(fault);
    }

    /// Queues a fault for the next pushed authorization request.
    pub fn fail_next_pushed_request(&self, fault: Fault) {
        self.shared.lock().faults.pushed_requests.push_back(fault);
    }

    /// Makes every request for metadata suffer this, until [`clear_faults`](Self::clear_faults).
    pub fn fail_metadata(&self, fault: Fault) {
        self.shared.lock().faults.metadata = Some(fault);
    }

    /// Makes every request for metadata of the API suffer this, until
    /// [`clear_faults`](Self::clear_faults).
    pub fn fail_resource_metadata(&self, fault: Fault) {
        self.shared.lock().faults.resource_metadata = Some(fault);
    }

    /// Clears the faults, those queued and those set for every request, and
    /// everything else that is queued for a next request.
    pub fn clear_faults(&self) {
        self.shared.lock().faults.clear();
    }

    /// Makes token requests wait while the [`PauseGuard`] lives: after they are
    /// counted and captured, before they are processed.
    pub fn pause_token_requests(&self) -> PauseGuard {
        self.shared.token_gate.pause()
    }

    /// Makes API requests wait while the [`PauseGuard`] lives: their token is judged
    /// on arrival and the response is sent on release.
    pub fn pause_api(&self) -> PauseGuard {
        self.shared.api_gate.pause()
    }

    /// Makes revocation requests wait while the [`PauseGuard`] lives: after they are
    /// counted and captured, before they are processed.
    pub fn pause_revocations(&self) -> PauseGuard {
        self.shared.revocation_gate.pause()
    }

    /// Makes the API reject every access token issued so far.
    pub fn revoke_access_tokens(&self) {
        self.shared.lock().credentials.families.revoke_access_tokens();
    }

    /// Revokes every family so far: its refresh token is answered with
    /// `invalid_grant`, and its access tokens are rejected.
    pub fn revoke_families(&self) {
        self.shared.lock().credentials.families.revoke_families();
    }

    /// Whether the API answers 401 to everything.
    pub fn reject_all(&self, on: bool) {
        self.shared.lock().reject_all = on;
    }

    /// Sets the `WWW-Authenticate` header of the API's 401 responses.
    ///
    /// `None` is the default, `Bearer error="invalid_token"`. An empty value, or
    /// one that HTTP does not allow in a header, sends no header.
    pub fn set_challenge(&self, value: Option<&str>) {
        let challenge = match value.map(HeaderValue::from_str) {
            None => Challenge::InvalidToken,
            Some(Ok(value)) if !value.is_empty() => Challenge::Custom(value),
            Some(_) => Challenge::Absent,
        };
        self.shared.lock().challenge = challenge;
    }

    /// Changes how the provider handles proofs (RFC 9449).
    #[cfg(all(feature = "keys", feature = "testing"))]
    #[cfg_attr(docsrs, doc(cfg(feature = "keys")))]
    pub fn set_dpop(&self, rules: DpopRules) {
        self.shared.lock().judge.rules = rules;
    }

    /// Makes new nonces: proofs with those given so far are answered with `use_dpop_nonce`.
    #[cfg(all(feature = "keys", feature = "testing"))]
    #[cfg_attr(docsrs, doc(cfg(feature = "keys")))]
    pub fn renew_dpop_nonces(&self) {
        self.shared.lock().judge.renew_nonces();
    }

    /// Forgets every client that has registered itself: it is answered with `invalid_client`.
    pub fn forget_registered_clients(&self) {
        self.shared.lock().clients.clear();
    }

    /// Queues an error response: the next authorization request in order is answered with
    /// this error at once (RFC 6749 §4.1.2.1), log-in page or not.
    pub fn deny_next_authorization(&self, error: &str, description: Option<&str>) {
        let denial = AuthorizationError::new(error, description);
        self.shared.lock().faults.denials.push_back(denial);
    }

    /// Queues an edit of the parameters of the next callback, `state` and `iss`
    /// included, before they are encoded. Without any left, the redirect goes to
    /// the bare redirect URI.
    pub fn tamper_next_callback(
        &self,
        edit: impl FnOnce(&mut Vec<(String, String)>) + Send + 'static,
    ) {
        self.shared.lock().faults.tampers.push_back(Box::new(edit));
    }

    /// The user approves the device that shows this user code, in any case, with
    /// or without the dash. Whether there was one that waited for it.
    pub fn approve_device(&self, user_code: &str) -> bool {
        self.decide_device(user_code, true)
    }

    /// The same, but the user denies.
    pub fn deny_device(&self, user_code: &str) -> bool {
        self.decide_device(user_code, false)
    }

    fn decide_device(&self, user_code: &str, approved: bool) -> bool {
        let now = self.shared.config.clock.now();
        self.shared.lock().credentials.devices.decide(user_code, approved, now)
    }

    /// Answers one more poll of a device with `slow_down`, whatever the user has
    /// decided; it makes the interval five seconds longer (RFC 8628 §3.5).
    pub fn slow_down_next_poll(&self) {
        self.shared.lock().faults.slow_downs += 1;
    }

    /// Queues a failure: the next revocation request is answered with this
    /// status, an empty body and, if there is one, this `Retry-After`
    /// (RFC 7009 §2.2.1). Nothing is revoked.
    pub fn fail_next_revocation(&self, status: u16, retry_after: Option<&str>) {
        let retry_after = retry_after.map(str::to_owned);
        let fault = RevocationFault { status, retry_after, error: None };
        self.shared.lock().faults.revocations.push_back(fault);
    }

    /// Queues a refusal: the next revocation request is answered with status 400 and
    /// this error code, such as `unsupported_token_type` (RFC 7009 §2.2.1). Nothing is
    /// revoked.
    pub fn refuse_next_revocation(&self, error: &str) {
        let error = Some(error.to_owned());
        let fault = RevocationFault { status: 400, retry_after: None, error };
        self.shared.lock().faults.revocations.push_back(fault);
    }

    /// Queues a response: the next introspection request gets 200 with this body
    /// as JSON, whatever it asks.
    pub fn answer_next_introspection(&self, body: String) {
        self.shared.lock().faults.introspections.push_back(body);
    }
}
