//! `RetryClass`: when to try again after which error code.

use super::ErrorResponse;

/// What a failed renewal means for the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RetryClass {
    /// Nothing will help but a new token.
    Permanent,
    /// The client's registration or configuration is at fault; asking again soon is pointless.
    Misconfigured,
    /// It may well work next time.
    Transient,
}

/// Codes that blame the client's registration or request rather than the grant it presented.
const CLIENT_AT_FAULT: [&str; 6] = [
    "invalid_client",
    "invalid_request",
    "invalid_scope",
    "invalid_target",
    "unauthorized_client",
    "unsupported_grant_type",
];

/// Codes that say "later".
const LATER: [&str; 4] =
    ["server_error", "slow_down", "temporarily_unavailable", "authorization_pending"];

impl ErrorResponse {
    pub(super) fn retry_class(&self) -> RetryClass {
        let code = self.code.as_deref().unwrap_or_default();
        let later = self.status.is_some_and(|status| {
            status.is_server_error() || matches!(status.as_u16(), 408 | 425 | 429)
        });
        if LATER.contains(&code) {
            RetryClass::Transient
        } else if CLIENT_AT_FAULT.contains(&code) {
            RetryClass::Misconfigured
        } else if code == "invalid_grant" || !later {
            RetryClass::Permanent
        } else {
            RetryClass::Transient
        }
    }
}
