//! What went wrong, as the crate tells it apart.
//!
//! No variant holds a token, a secret or a URL: what a server sent is capped, escaped and masked
//! before it comes here.

use std::fmt;
use std::time::Duration;

use http::StatusCode;

use super::{BoxError, Error, StoreError};

/// What an endpoint answered when it refused
/// ([RFC 6749 §5.2](https://www.rfc-editor.org/rfc/rfc6749#section-5.2); from the authorization
/// endpoint [§4.1.2.1](https://www.rfc-editor.org/rfc/rfc6749#section-4.1.2.1)).
#[derive(Debug)]
pub(crate) struct Rejection {
    /// Such as "token endpoint".
    pub(crate) endpoint: &'static str,
    /// `None` where the refusal came with a redirect.
    pub(crate) status: Option<StatusCode>,
    pub(crate) code: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) uri: Option<String>,
    pub(crate) retry_after: Option<Duration>,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum Kind {
    #[error("{0}")]
    Config(String),
    #[error("{0}")]
    Rejected(Rejection),
    #[error("the {endpoint}'s answer (status {status}) cannot be used: {reason}")]
    Malformed { endpoint: &'static str, status: StatusCode, reason: String },
    #[error("the {endpoint} cannot be reached; the request was not sent and may be made again")]
    Unreachable { endpoint: &'static str, source: BoxError },
    #[error("the connection to the {endpoint} failed before its answer was complete")]
    Lost { endpoint: &'static str, source: BoxError },
    #[error("no complete answer from the {endpoint} within {limit:?}")]
    Timeout { endpoint: &'static str, limit: Duration },
    #[error("the callback is not the answer to this login: {0}; begin the login again")]
    Callback(&'static str),
    #[error(
        "reauthorization required: {why}; obtain a new token (for a person: send them through the login again) and pass it to Session::set_token, or correct the grant{}",
        if *.lost { ". The answer to an earlier renewal had been lost on the way, so the provider may already have replaced this refresh token" } else { "" }
    )]
    Reauthorization {
        why: &'static str,
        lost: bool,
        #[source]
        cause: Option<Error>,
    },
    #[error(
        "the access token has expired and this session renews only when told to; call Session::refresh"
    )]
    Expired,
    #[error("the new token could not be saved; it is kept in memory and saving is tried again")]
    Save(#[source] BoxError),
    #[error("what was saved could not be deleted; it is tried again")]
    Delete(#[source] BoxError),
    #[error("the new token was not saved within {0:?}; saving goes on")]
    SaveTimeout(Duration),
    #[error(transparent)]
    Store(StoreError),
    #[error(
        "another process has been renewing this token for {0:?} and has not finished; try again"
    )]
    Busy(Duration),
    #[error("the grant failed")]
    Grant {
        permanent: bool,
        #[source]
        source: BoxError,
    },
    #[error("the grant did not return a token within {0:?}")]
    GrantTimeout(Duration),
    #[error("{0} panicked; see the panic message on stderr")]
    Panicked(&'static str),
    #[error(
        "no Tokio runtime carries the renewal (none is running, or it is shutting down); call from within a running runtime"
    )]
    Runtime,
}

/// What a failed renewal means for the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Disposition {
    /// Nothing will help but a new token.
    Final,
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

impl Rejection {
    pub(super) fn disposition(&self) -> Disposition {
        let code = self.code.as_deref().unwrap_or_default();
        let later = self.status.is_some_and(|status| {
            status.is_server_error() || matches!(status.as_u16(), 408 | 425 | 429)
        });
        if LATER.contains(&code) {
            Disposition::Transient
        } else if CLIENT_AT_FAULT.contains(&code) {
            Disposition::Misconfigured
        } else if code == "invalid_grant" || !later {
            Disposition::Final
        } else {
            Disposition::Transient
        }
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the {} refused the request", self.endpoint)?;
        if let Some(status) = self.status {
            write!(f, " (status {})", status.as_u16())?;
        }
        if let Some(code) = &self.code {
            write!(f, ": {code}")?;
        }
        if let Some(description) = &self.description {
            write!(f, ": {description}")?;
        }
        match self.code.as_deref() {
            Some("invalid_client" | "unauthorized_client") => f.write_str(
                "; check the client id, its secret and the client authentication method",
            ),
            Some("invalid_scope") => f.write_str("; ask for scopes that the provider knows"),
            _ => Ok(()),
        }
    }
}
