//! `RequestKind` and `RequestKinds`: which requests to the provider something is about.

/// A kind of request to the provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RequestKind {
    /// The request for a person's consent. A browser sends it, so it has parameters, but no headers and
    /// no body ([RFC 6749 §4.1.1](https://www.rfc-editor.org/rfc/rfc6749#section-4.1.1)).
    Authorization,
    /// The same request, pushed to the provider before the browser goes there
    /// ([RFC 9126 §2.1](https://www.rfc-editor.org/rfc/rfc9126#section-2.1)).
    PushedAuthorization,
    /// A code in exchange for a token
    /// ([RFC 6749 §4.1.3](https://www.rfc-editor.org/rfc/rfc6749#section-4.1.3)).
    AuthorizationCode,
    /// The request for the codes of a login on another device
    /// ([RFC 8628 §3.1](https://www.rfc-editor.org/rfc/rfc8628#section-3.1)).
    DeviceAuthorization,
    /// A device code in exchange for a token
    /// ([RFC 8628 §3.4](https://www.rfc-editor.org/rfc/rfc8628#section-3.4)).
    DeviceToken,
    /// A refresh ([RFC 6749 §6](https://www.rfc-editor.org/rfc/rfc6749#section-6)).
    Refresh,
    /// Any other request to the token endpoint: client credentials, JWT bearer, token exchange, password,
    /// a grant of your own ([RFC 6749 §4](https://www.rfc-editor.org/rfc/rfc6749#section-4)).
    OtherGrant,
    /// A revocation ([RFC 7009 §2.1](https://www.rfc-editor.org/rfc/rfc7009#section-2.1)).
    Revocation,
    /// An introspection ([RFC 7662 §2.1](https://www.rfc-editor.org/rfc/rfc7662#section-2.1)).
    Introspection,
}

impl RequestKind {
    pub(super) fn of_grant_type(grant_type: &str) -> Self {
        match grant_type {
            "authorization_code" => Self::AuthorizationCode,
            "refresh_token" => Self::Refresh,
            DEVICE_GRANT_TYPE => Self::DeviceToken,
            _ => Self::OtherGrant,
        }
    }

    /// Whether a session sends it, and stores the token that it brings.
    pub(super) fn is_stored(self) -> bool {
        matches!(self, Self::Refresh | Self::OtherGrant)
    }

    /// What errors call the endpoint that it goes to.
    pub(crate) fn endpoint(self) -> &'static str {
        match self {
            Self::Authorization => "authorization endpoint",
            Self::PushedAuthorization => "pushed authorization request endpoint",
            Self::AuthorizationCode | Self::DeviceToken | Self::Refresh | Self::OtherGrant => {
                "token endpoint"
            }
            Self::DeviceAuthorization => "device authorization endpoint",
            Self::Revocation => "revocation endpoint",
            Self::Introspection => "introspection endpoint",
        }
    }

    /// The member of the metadata that names the endpoint
    /// ([RFC 8414 §2](https://www.rfc-editor.org/rfc/rfc8414#section-2)).
    pub(super) fn member(self) -> &'static str {
        match self {
            Self::Authorization => "authorization_endpoint",
            Self::PushedAuthorization => "pushed_authorization_request_endpoint",
            Self::AuthorizationCode | Self::DeviceToken | Self::Refresh | Self::OtherGrant => {
                "token_endpoint"
            }
            Self::DeviceAuthorization => "device_authorization_endpoint",
            Self::Revocation => "revocation_endpoint",
            Self::Introspection => "introspection_endpoint",
        }
    }

    const fn bit(self) -> u16 {
        1 << self as u16
    }
}

/// The `grant_type` of a device code
/// ([RFC 8628 §3.4](https://www.rfc-editor.org/rfc/rfc8628#section-3.4)).
pub(crate) const DEVICE_GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// Kinds of requests: one, several as an array, or one of the constants.
///
/// ```
/// use reqwest_oauth2::{RequestKind, RequestKinds};
///
/// let both = RequestKinds::from([RequestKind::Refresh, RequestKind::AuthorizationCode]);
/// assert!(both.contains(RequestKind::Refresh) && !both.contains(RequestKind::Revocation));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestKinds(u16);

impl RequestKinds {
    /// Every request.
    pub const ALL: Self = Self(u16::MAX);

    /// Every request to the token endpoint
    /// ([RFC 6749 §3.2](https://www.rfc-editor.org/rfc/rfc6749#section-3.2)).
    pub const TOKEN: Self = Self(
        RequestKind::AuthorizationCode.bit()
            | RequestKind::DeviceToken.bit()
            | RequestKind::Refresh.bit()
            | RequestKind::OtherGrant.bit(),
    );

    /// These and the others.
    pub(super) fn and(self, others: impl Into<Self>) -> Self {
        Self(self.0 | others.into().0)
    }

    /// Whether this kind is among them.
    pub fn contains(self, kind: RequestKind) -> bool {
        self.0 & kind.bit() != 0
    }
}

impl From<RequestKind> for RequestKinds {
    fn from(kind: RequestKind) -> Self {
        Self(kind.bit())
    }
}

impl<const N: usize> From<[RequestKind; N]> for RequestKinds {
    fn from(kinds: [RequestKind; N]) -> Self {
        Self(kinds.into_iter().fold(0, |bits, kind| bits | kind.bit()))
    }
}
