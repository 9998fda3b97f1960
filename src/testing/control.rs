use http::HeaderValue;

use super::fault::Fault;
use super::hold::Hold;
use super::provider::Provider;
use super::shared::Challenge;

/// What a test can make the provider do while it runs.
impl Provider {
    /// Queues a fault: the next token request that arrives takes the first of
    /// the queue.
    ///
    /// A request takes its fault on arrival, so one that is already waiting at
    /// a [`Hold`] is not affected.
    pub fn fail_next(&self, fault: Fault) {
        self.shared.lock().faults.queue(fault);
    }

    /// Sets the fault of every token request that finds no queued fault.
    pub fn fail_always(&self, fault: Fault) {
        self.shared.lock().faults.set_always(fault);
    }

    /// Clears the faults, those queued and the one set for every request.
    pub fn recover(&self) {
        self.shared.lock().faults.clear();
    }

    /// Makes token requests wait while the [`Hold`] lives: after they are
    /// counted and captured, before they are processed.
    pub fn hold(&self) -> Hold {
        self.shared.token_gate.hold()
    }

    /// Makes API requests wait while the [`Hold`] lives: their token is judged
    /// on arrival and the answer is sent on release.
    pub fn hold_api(&self) -> Hold {
        self.shared.api_gate.hold()
    }

    /// Makes the API reject every access token issued so far.
    pub fn revoke_access_tokens(&self) {
        self.shared.lock().store.revoke_access_tokens();
    }

    /// Revokes every family so far: its refresh token is answered with
    /// `invalid_grant`, and its access tokens are rejected.
    pub fn revoke_families(&self) {
        self.shared.lock().store.revoke_families();
    }

    /// Whether the API answers 401 to everything.
    pub fn reject_all(&self, on: bool) {
        self.shared.lock().reject_all = on;
    }

    /// Sets the `WWW-Authenticate` header of the API's 401 responses.
    ///
    /// `None` is the default, `Bearer error="invalid_token"`. An empty value, or
    /// one that HTTP does not allow in a header, sends no header.
    pub fn challenge(&self, value: Option<&str>) {
        let challenge = match value.map(HeaderValue::from_str) {
            None => Challenge::InvalidToken,
            Some(Ok(value)) if !value.is_empty() => Challenge::Custom(value),
            Some(_) => Challenge::Absent,
        };
        self.shared.lock().challenge = challenge;
    }
}
