use http::StatusCode;

use crate::testing::provider::recorded::RecordedTokenRequest;

/// Why an endpoint that takes forms refused a request (RFC 6749 §5.2, RFC 8628 §3.5,
/// RFC 8693 §2.2.2, RFC 9126 §2.3 and RFC 9449 §5 and §8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OAuthError {
    InvalidRequest,
    InvalidClient,
    InvalidGrant,
    /// `invalid_grant` as well, but a family was revoked for it.
    ReuseDetected,
    InvalidScope,
    UnauthorizedClient,
    UnsupportedGrantType,
    /// Of a pushed authorization request.
    UnsupportedResponseType,
    InvalidTarget,
    AuthorizationPending,
    SlowDown,
    AccessDenied,
    ExpiredToken,
    #[cfg_attr(not(all(feature = "keys", feature = "testing")), allow(dead_code))]
    InvalidDpopProof,
    #[cfg_attr(not(all(feature = "keys", feature = "testing")), allow(dead_code))]
    UseDpopNonce,
}

impl OAuthError {
    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::InvalidClient => "invalid_client",
            Self::InvalidGrant | Self::ReuseDetected => "invalid_grant",
            Self::InvalidScope => "invalid_scope",
            Self::UnauthorizedClient => "unauthorized_client",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::UnsupportedResponseType => "unsupported_response_type",
            Self::InvalidTarget => "invalid_target",
            Self::AuthorizationPending => "authorization_pending",
            Self::SlowDown => "slow_down",
            Self::AccessDenied => "access_denied",
            Self::ExpiredToken => "expired_token",
            Self::InvalidDpopProof => "invalid_dpop_proof",
            Self::UseDpopNonce => "use_dpop_nonce",
        }
    }

    pub(crate) fn status(self) -> StatusCode {
        match self {
            Self::InvalidClient => StatusCode::UNAUTHORIZED,
            _ => StatusCode::BAD_REQUEST,
        }
    }
}

impl RecordedTokenRequest {
    /// The parameter that must be there.
    pub(crate) fn required(&self, name: &str) -> Result<&str, OAuthError> {
        self.given(name).ok_or(OAuthError::InvalidRequest)
    }
}
