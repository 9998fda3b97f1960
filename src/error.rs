//! The one error of this crate.
//!
//! Opaque and cheap to clone (callers of one renewal share its error). The message says what
//! happened and what to do; the predicates say what a program may decide on. No variant holds a
//! token, a secret or a URL: what a server sent is capped, escaped and masked before it comes here.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;

/// Any error, boxed.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What went wrong in getting, renewing, saving or using a token.
///
/// Cheap to clone. Through a `reqwest_middleware` client it arrives inside
/// [`reqwest_middleware::Error::Middleware`]; [`Error::find_in`] gets it back out.
#[derive(Clone)]
pub struct Error(Arc<Kind>);

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

impl Error {
    pub(crate) fn new(kind: Kind) -> Self {
        Self(Arc::new(kind))
    }

    pub(crate) fn config(message: impl Into<String>) -> Self {
        Self::new(Kind::Config(message.into()))
    }

    pub(crate) fn kind(&self) -> &Kind {
        &self.0
    }

    /// A failure of your own [`Grant`](crate::Grant) that may pass: the renewal is tried again
    /// with backoff. The source's text must not hold secrets.
    pub fn transient(source: impl Into<BoxError>) -> Self {
        Self::new(Kind::Grant { permanent: false, source: source.into() })
    }

    /// A failure of your own [`Grant`](crate::Grant) that will not pass by itself: the session
    /// asks for reauthorization. The source's text must not hold secrets.
    pub fn permanent(source: impl Into<BoxError>) -> Self {
        Self::new(Kind::Grant { permanent: true, source: source.into() })
    }

    /// The error of this crate within another: that of a `reqwest_middleware` client, also where
    /// another layer (such as reqwest-retry) or a `Box<dyn Error>` has wrapped it.
    pub fn find_in<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a Self> {
        let mut next = Some(error);
        while let Some(error) = next {
            if let Some(ours) = error.downcast_ref() {
                return Some(ours);
            }
            // It passes its inner error's source on as its own, and the inner error by.
            if let Some(reqwest_middleware::Error::Middleware(inner)) = error.downcast_ref()
                && let Some(ours) = inner.chain().find_map(|cause| Self::find_in(cause))
            {
                return Some(ours);
            }
            next = error.source();
        }
        None
    }

    /// Only a new token helps: the provider refused the refresh token (`invalid_grant`), or
    /// there is nothing to renew with. No further token request is made until
    /// [`Session::set_token`](crate::Session::set_token)
    /// ([RFC 6749 §6](https://www.rfc-editor.org/rfc/rfc6749#section-6)).
    pub fn is_reauthorization_required(&self) -> bool {
        matches!(*self.0, Kind::Reauthorization { .. })
    }

    /// The same call may succeed later with nothing changed: timeouts, connection failures,
    /// 408, 425, 429 and 5xx, unusable answers, a failed save.
    pub fn is_transient(&self) -> bool {
        match &*self.0 {
            Kind::Config(_) | Kind::Reauthorization { .. } | Kind::Expired | Kind::Callback(_) => {
                false
            }
            _ => self.disposition() == Disposition::Transient,
        }
    }

    /// A time limit ran out.
    pub fn is_timeout(&self) -> bool {
        matches!(*self.0, Kind::Timeout { .. } | Kind::SaveTimeout(_) | Kind::GrantTimeout(_))
    }

    /// What the application passed in is wrong: a URL, an origin, a token with characters that
    /// cannot stand in a header.
    pub fn is_config(&self) -> bool {
        matches!(*self.0, Kind::Config(_))
    }

    /// What came back from the browser is not the answer to this login: wrong, missing or old
    /// state, another issuer, a parameter twice
    /// ([RFC 6749 §10.12](https://www.rfc-editor.org/rfc/rfc6749#section-10.12)). Nothing was
    /// sent; the login can be begun again.
    pub fn is_callback(&self) -> bool {
        matches!(*self.0, Kind::Callback(_))
    }

    /// The provider answered, but not with what can be used
    /// ([RFC 6749 §5.1](https://www.rfc-editor.org/rfc/rfc6749#section-5.1)).
    pub fn is_malformed_response(&self) -> bool {
        matches!(*self.0, Kind::Malformed { .. })
    }

    /// The token has expired in a session that renews only when told to
    /// ([`SessionBuilder::manual`](crate::SessionBuilder::manual))
    /// ([RFC 6749 §5.1](https://www.rfc-editor.org/rfc/rfc6749#section-5.1)).
    pub fn is_expired(&self) -> bool {
        matches!(*self.0, Kind::Expired)
    }

    /// The saver failed, panicked or took too long.
    pub fn is_save(&self) -> bool {
        matches!(*self.0, Kind::Save(_) | Kind::Delete(_) | Kind::SaveTimeout(_))
    }

    /// The `error` code of the provider's answer, such as `invalid_grant`
    /// ([RFC 6749 §5.2](https://www.rfc-editor.org/rfc/rfc6749#section-5.2)).
    pub fn code(&self) -> Option<&str> {
        self.rejection()?.code.as_deref()
    }

    /// The `error_description` of the provider's answer, escaped, capped and with what we sent
    /// masked ([RFC 6749 §5.2](https://www.rfc-editor.org/rfc/rfc6749#section-5.2)).
    pub fn description(&self) -> Option<&str> {
        self.rejection()?.description.as_deref()
    }

    /// The `error_uri` of the provider's answer, where it is not empty
    /// ([RFC 6749 §5.2](https://www.rfc-editor.org/rfc/rfc6749#section-5.2)).
    pub fn error_uri(&self) -> Option<&str> {
        self.rejection()?.uri.as_deref()
    }

    /// The HTTP status of the provider's answer
    /// ([RFC 6749 §5.2](https://www.rfc-editor.org/rfc/rfc6749#section-5.2)).
    pub fn status(&self) -> Option<StatusCode> {
        match &*self.0 {
            Kind::Malformed { status, .. } => Some(*status),
            _ => self.rejection()?.status,
        }
    }

    /// How long the provider asked us to wait (`Retry-After`)
    /// ([RFC 9110 §10.2.3](https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3)).
    pub fn retry_after(&self) -> Option<Duration> {
        self.rejection()?.retry_after
    }

    /// An answer of the token endpoint had been lost before this error: the provider may have
    /// rotated the refresh token without our hearing of it.
    pub fn answer_was_lost(&self) -> bool {
        match &*self.0 {
            Kind::Reauthorization { lost, .. } => *lost,
            _ => self.leaves_doubt(),
        }
    }

    /// The request may have reached the provider, and what it answered is not known.
    pub(crate) fn leaves_doubt(&self) -> bool {
        matches!(*self.0, Kind::Lost { .. } | Kind::Timeout { .. })
            || matches!(&*self.0, Kind::Malformed { status, .. } if status.is_success())
    }

    pub(crate) fn disposition(&self) -> Disposition {
        match &*self.0 {
            Kind::Rejected(rejection) => rejection.disposition(),
            Kind::Reauthorization { .. }
            | Kind::Callback(_)
            | Kind::Grant { permanent: true, .. } => Disposition::Final,
            Kind::Config(_) => Disposition::Misconfigured,
            _ => Disposition::Transient,
        }
    }

    fn rejection(&self) -> Option<&Rejection> {
        match &*self.0 {
            Kind::Rejected(rejection) => Some(rejection),
            Kind::Reauthorization { cause: Some(cause), .. } => cause.rejection(),
            _ => None,
        }
    }
}

impl Rejection {
    fn disposition(&self) -> Disposition {
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

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Error").field(&*self.0).finish()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Error {
    // The kind's own source: the kind prints through us, so it must not print again as a source.
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        std::error::Error::source(&*self.0)
    }
}

impl From<Error> for reqwest_middleware::Error {
    fn from(error: Error) -> Self {
        Self::middleware(error)
    }
}

impl From<std::convert::Infallible> for Error {
    fn from(never: std::convert::Infallible) -> Self {
        match never {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::error::Error as _;

    fn rejected(status: u16, code: Option<&str>) -> Error {
        Error::new(Kind::Rejected(Rejection {
            endpoint: "token endpoint",
            status: Some(StatusCode::from_u16(status).unwrap()),
            code: code.map(str::to_owned),
            description: None,
            uri: None,
            retry_after: None,
        }))
    }

    #[test]
    fn what_each_refusal_means_for_the_next_attempt() {
        use Disposition::*;
        for (status, code, expected) in [
            (400, Some("invalid_grant"), Final),
            (503, Some("invalid_grant"), Final),
            (200, Some("bad_refresh_token"), Final),
            (400, None, Final),
            (403, None, Final),
            (400, Some("invalid_code"), Final),
            (401, Some("invalid_client"), Misconfigured),
            (400, Some("invalid_scope"), Misconfigured),
            (400, Some("temporarily_unavailable"), Transient),
            (408, None, Transient),
            (425, None, Transient),
            (429, None, Transient),
            (429, Some("rate_limited"), Transient),
            (500, None, Transient),
            (503, Some("oops"), Transient),
        ] {
            assert_eq!(rejected(status, code).disposition(), expected, "{status} {code:?}");
        }
    }

    #[test]
    fn reauthorization_keeps_the_cause_and_its_code_and_prints_neither_twice() {
        let error = Error::new(Kind::Reauthorization {
            why: "the provider refused the refresh token",
            lost: false,
            cause: Some(rejected(400, Some("invalid_grant"))),
        });
        assert!(error.is_reauthorization_required() && !error.is_transient());
        assert_eq!(error.code(), Some("invalid_grant"));
        assert_eq!(error.status().unwrap(), 400);
        assert_eq!(
            error.to_string(),
            "reauthorization required: the provider refused the refresh token; obtain a new token (for a person: send them through the login again) and pass it to Session::set_token, or correct the grant"
        );
        let source = error.source().unwrap();
        assert_eq!(
            source.to_string(),
            "the token endpoint refused the request (status 400): invalid_grant"
        );
        assert!(source.source().is_none());
    }

    #[test]
    fn comes_back_out_of_a_middleware_error() {
        let through: reqwest_middleware::Error = Error::new(Kind::Expired).into();
        assert!(Error::find_in(&through).unwrap().is_expired());
        // As another layer wraps it, and as a service returns it.
        #[derive(Debug, thiserror::Error)]
        #[error("after 3 attempts")]
        struct Wrapped(#[source] reqwest_middleware::Error);
        let twice =
            reqwest_middleware::Error::middleware(Wrapped(Error::new(Kind::Expired).into()));
        assert!(Error::find_in(&twice).unwrap().is_expired());
        let boxed: BoxError = Box::new(twice);
        assert!(Error::find_in(&*boxed).unwrap().is_expired());
        assert!(Error::find_in(&std::io::Error::other("none")).is_none());
        assert_eq!(
            through.to_string(),
            "the access token has expired and this session renews only when told to; call Session::refresh"
        );
    }
}
