//! The one error of this crate.
//!
//! Opaque and cheap to clone (callers of one renewal share its error). The message says what
//! happened and what to do. Programs decide by the predicates.

mod content;
mod error_code;
mod error_response;
mod issued;
mod kind;
#[cfg(test)]
mod page_test;
mod recorded_error;
mod retry_class;
mod store_error;

pub(crate) use content::Content;
pub(crate) use error_code::{ErrorCode, is_known as is_known_code, is_same as is_same_code};
pub(crate) use error_response::ErrorResponse;
use issued::Issued;
pub(crate) use kind::Kind;
pub(crate) use recorded_error::RecordedError;
pub(crate) use retry_class::RetryClass;
pub use store_error::StoreError;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use secrecy::{ExposeSecret, SecretString};

use crate::step_up::StepUp;

/// Any error, boxed.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What went wrong in getting, renewing, saving or using a token.
///
/// Cheap to clone. Through a `reqwest_middleware` client it arrives inside
/// [`reqwest_middleware::Error::Middleware`]; [`Error::find_in`] gets it back out.
#[derive(Clone)]
pub struct Error {
    kind: Arc<Kind>,
    issued: Issued,
}

impl Error {
    pub(crate) fn new(kind: Kind) -> Self {
        Self { kind: Arc::new(kind), issued: Issued::default() }
    }

    pub(crate) fn config(message: impl Into<String>) -> Self {
        Self::new(Kind::Config(message.into()))
    }

    #[cfg(feature = "keys")]
    pub(crate) fn signing(why: impl Into<std::borrow::Cow<'static, str>>) -> Self {
        Self::new(Kind::Signing { why: why.into(), is_timeout: false, source: None })
    }

    pub(crate) fn kind(&self) -> &Kind {
        &self.kind
    }

    /// A failure of your own [`Grant`](crate::Grant) that may pass: the renewal is tried again
    /// with backoff. The source's text must not hold secrets.
    pub fn transient(source: impl Into<BoxError>) -> Self {
        Self::new(Kind::Grant { permanent: false, source: source.into() })
    }

    /// A failure of your own [`Grant`](crate::Grant) that will not pass by itself: requests get an
    /// error that asks for reauthorization. The grant is asked again after 1 to 10 minutes, in case
    /// somebody has fixed the cause. The source's text must not hold secrets.
    pub fn permanent(source: impl Into<BoxError>) -> Self {
        Self::new(Kind::Grant { permanent: true, source: source.into() })
    }

    /// Finds this crate's error within another one: in the error of a `reqwest_middleware` client,
    /// even if another layer (such as reqwest-retry), a `Box`, an `Arc` or a [`std::io::Error`] has wrapped it.
    ///
    /// An error of your own that is `transparent` (thiserror) hides what is in it: pass the inner error.
    pub fn find_in<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a Self> {
        let mut next = Some(error);
        while let Some(error) = next {
            if let Some(ours) = error.downcast_ref() {
                return Some(ours);
            }
            // `reqwest_middleware::Error` is transparent: `source()` skips the inner error, so search
            // inside it.
            #[cfg(feature = "middleware")]
            if let Some(reqwest_middleware::Error::Middleware(inner)) = error.downcast_ref()
                && let Some(ours) = inner.chain().find_map(|cause| Self::find_in(cause))
            {
                return Some(ours);
            }
            next = within(error).or_else(|| error.source());
        }
        None
    }

    /// Only a new token helps: the provider refused the refresh token (`invalid_grant`, or a code that
    /// [`OAuthClient::ends_login`](crate::OAuthClient::ends_login) tells of), or there is nothing to renew
    /// with. No further token request is made until
    /// [`Session::set_token`](crate::Session::set_token)
    /// ([RFC 6749 §6](https://www.rfc-editor.org/rfc/rfc6749#section-6)).
    pub fn is_reauthorization_required(&self) -> bool {
        matches!(self.kind(), Kind::Reauthorization { .. })
    }

    /// What the API wants beyond the token, if a request failed for that reason: the API answered 403
    /// `insufficient_scope` ([RFC 6750 §3.1](https://www.rfc-editor.org/rfc/rfc6750#section-3.1)) or 401
    /// `insufficient_user_authentication`
    /// ([RFC 9470 §3](https://www.rfc-editor.org/rfc/rfc9470#section-3)). Nothing was renewed. Other
    /// requests go on with the token.
    pub fn step_up(&self) -> Option<&StepUp> {
        match self.kind() {
            Kind::StepUp(asked) => Some(asked),
            _ => None,
        }
    }

    /// The same call may succeed later with nothing changed: timeouts, connection failures, 408, 425,
    /// 429 and 5xx, error codes that say "later", unusable responses, responses without an error code
    /// (a page or an empty body, perhaps not from the provider), a failed save.
    pub fn is_transient(&self) -> bool {
        match self.kind() {
            Kind::Config(_)
            | Kind::Reauthorization { .. }
            | Kind::StepUp(_)
            | Kind::Expired
            | Kind::Callback(_) => false,
            _ => matches!(self.retry_class(), RetryClass::Transient | RetryClass::Foreign),
        }
    }

    /// A time limit ran out.
    pub fn is_timeout(&self) -> bool {
        matches!(
            self.kind(),
            Kind::Timeout { .. }
                | Kind::ClosureTimeout { .. }
                | Kind::Signing { is_timeout: true, .. }
                | Kind::SaveTimeout(_)
                | Kind::GrantTimeout(_)
                | Kind::WaitTimeout(_)
        )
    }

    /// What the application passed in is wrong: a URL, an origin, an issuer without metadata, a token
    /// with characters that are not allowed in a header.
    pub fn is_config(&self) -> bool {
        matches!(self.kind(), Kind::Config(_) | Kind::Discovery { transient: false, .. })
    }

    /// What came back from the browser does not belong to this login: wrong, missing or old
    /// state, another issuer, a parameter twice
    /// ([RFC 6749 §10.12](https://www.rfc-editor.org/rfc/rfc6749#section-10.12)). Nothing was
    /// sent; the login can be begun again.
    pub fn is_callback(&self) -> bool {
        matches!(self.kind(), Kind::Callback(_))
    }

    /// The provider responded, but with something that cannot be used
    /// ([RFC 6749 §5.1](https://www.rfc-editor.org/rfc/rfc6749#section-5.1)).
    pub fn is_malformed_response(&self) -> bool {
        match self.kind() {
            Kind::Discovery { decisive, .. } => decisive.is_malformed_response(),
            kind => matches!(kind, Kind::Malformed { .. }),
        }
    }

    /// The token has expired in a session that renews only when told to
    /// ([`SessionBuilder::manual_refresh`](crate::SessionBuilder::manual_refresh))
    /// ([RFC 6749 §5.1](https://www.rfc-editor.org/rfc/rfc6749#section-5.1)).
    pub fn is_expired(&self) -> bool {
        matches!(self.kind(), Kind::Expired)
    }

    /// The saver failed, panicked or took too long, or says that it cannot save now.
    pub fn is_save(&self) -> bool {
        matches!(
            self.kind(),
            Kind::Save(_) | Kind::CannotSave(_) | Kind::Delete(_) | Kind::SaveTimeout(_)
        )
    }

    /// The [store](crate::store) failed, or what is in it cannot be read. Nothing was sent to
    /// the provider.
    pub fn is_store(&self) -> bool {
        matches!(self.kind(), Kind::Store(_))
    }

    /// What is stored cannot be read, and a new login replaces it.
    pub(crate) fn is_replaceable(&self) -> bool {
        matches!(self.kind(), Kind::Store(error) if error.version.is_some())
    }

    /// A signature could not be made: a `Signer` failed, took too long or returned something
    /// else, or the operating system has no random bytes. Nothing was sent, and the login stays.
    pub fn is_signing(&self) -> bool {
        matches!(self.kind(), Kind::Signing { .. })
    }

    /// The `error` code of the provider's response, such as `invalid_grant`
    /// ([RFC 6749 §5.2](https://www.rfc-editor.org/rfc/rfc6749#section-5.2)); `None` if it sent none. A
    /// part that repeats what the request sent is `[redacted]`, unless the code is a well-known one.
    pub fn error_code(&self) -> Option<&str> {
        self.error_response()?.code.as_ref().map(ErrorCode::shown)
    }

    /// Whether the provider sent this error code. It compares what was received, before anything was
    /// redacted.
    pub(crate) fn has_code(&self, code: &str) -> bool {
        self.error_response()
            .and_then(|response| response.code.as_ref())
            .is_some_and(|sent| sent.is(code))
    }

    /// Whether the provider did not accept the client, and so has consumed nothing of the request.
    pub(crate) fn rejects_client(&self) -> bool {
        matches!(self.kind(), Kind::Refused(response) if response.rejects_client())
            && matches!(self.issued, Issued::Nothing)
    }

    /// Whether the provider says, by a code, that it does not accept the client: it may have forgotten it. It may
    /// also be recorded.
    pub(crate) fn names_client(&self) -> bool {
        let code = self.error_response().and_then(|response| response.code.as_ref());
        code.is_some_and(ErrorCode::rejects_client)
    }

    /// The `error_description` of the provider's response, escaped and truncated. Parts that repeat
    /// what the request sent are redacted
    /// ([RFC 6749 §5.2](https://www.rfc-editor.org/rfc/rfc6749#section-5.2)).
    pub fn error_description(&self) -> Option<&str> {
        self.error_response()?.description.as_deref()
    }

    /// The `error_uri` of the provider's response, where it is not empty
    /// ([RFC 6749 §5.2](https://www.rfc-editor.org/rfc/rfc6749#section-5.2)).
    pub fn error_uri(&self) -> Option<&str> {
        self.error_response()?.uri.as_deref()
    }

    /// The HTTP status of the provider's response
    /// ([RFC 6749 §5.2](https://www.rfc-editor.org/rfc/rfc6749#section-5.2)).
    pub fn status(&self) -> Option<StatusCode> {
        match self.kind() {
            Kind::Malformed { status, .. } => Some(*status),
            Kind::Discovery { decisive, .. } => decisive.status(),
            _ => self.error_response()?.status,
        }
    }

    /// How long the provider wants clients to wait (`Retry-After`)
    /// ([RFC 9110 §10.2.3](https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3)).
    pub fn retry_after(&self) -> Option<Duration> {
        match self.kind() {
            Kind::Malformed { retry_after, .. } => *retry_after,
            Kind::Discovery { decisive, .. } => decisive.retry_after(),
            _ => self.error_response()?.retry_after,
        }
    }

    /// A response of the token endpoint was lost before this error: the provider may have replaced
    /// the refresh token, and the session does not have the new one.
    pub fn is_response_lost(&self) -> bool {
        match self.kind() {
            Kind::Reauthorization { lost, .. } => *lost,
            _ => self.leaves_doubt(),
        }
    }

    /// The provider has issued a token, and it cannot be used.
    pub(crate) fn is_unusable_token(&self) -> bool {
        matches!(self.kind(), Kind::Malformed { of_token: true, .. })
    }

    /// The request may have reached the provider, and its response is unknown.
    pub(crate) fn leaves_doubt(&self) -> bool {
        matches!(self.kind(), Kind::ResponseLost { .. } | Kind::Timeout { .. })
            || matches!(self.kind(), Kind::Malformed { status, .. } if status.is_success())
    }

    /// The same error of a response that has this refresh token.
    pub(crate) fn with_refresh_token(mut self, refresh_token: Option<SecretString>) -> Self {
        if let Some(refresh_token) = refresh_token {
            self.issued = Issued::RefreshToken(Arc::new(refresh_token));
        }
        self
    }

    /// Takes out the refresh token of the response, where it is another than the `old` one.
    pub(crate) fn split_refresh_token(mut self, old: Option<&str>) -> (Self, Option<SecretString>) {
        let Issued::RefreshToken(issued) = &self.issued else { return (self, None) };
        let new = Some(&**issued).filter(|new| Some(new.expose_secret()) != old).cloned();
        self.issued = if new.is_some() { Issued::Kept } else { Issued::Nothing };
        (self, new)
    }

    /// Whether a request to the provider was not sent.
    pub(crate) fn is_unsent(&self) -> bool {
        use Kind::{Malformed, Refused, ResponseLost, Timeout};
        let kind = self.kind();
        !matches!(kind, Refused(_) | Malformed { .. } | ResponseLost { .. } | Timeout { .. })
    }

    /// How a request to the provider ended, in a word.
    pub(crate) fn outcome(&self) -> &'static str {
        match self.kind() {
            Kind::Refused(_) => "refused",
            Kind::Malformed { .. } => "malformed",
            Kind::Unreachable { .. } => "unreachable",
            Kind::ResponseLost { .. } => "lost",
            Kind::Timeout { .. } => "timeout",
            _ => "not_sent",
        }
    }

    pub(crate) fn retry_class(&self) -> RetryClass {
        match self.kind() {
            Kind::Refused(response) => response.class,
            Kind::Malformed { .. } => RetryClass::Foreign,
            Kind::Reauthorization { .. }
            | Kind::StepUp(_)
            | Kind::Callback(_)
            | Kind::Grant { permanent: true, .. } => RetryClass::Permanent,
            Kind::Config(_) | Kind::Discovery { transient: false, .. } => RetryClass::Misconfigured,
            Kind::Recorded(recorded) => recorded.response.class,
            Kind::Store(error) if !error.is_unavailable() => RetryClass::Misconfigured,
            _ => RetryClass::Transient,
        }
    }

    /// Whether the provider refuses the resource or the scope that a token was asked for, and neither the
    /// client nor the refresh token
    /// ([RFC 8707 §2](https://www.rfc-editor.org/rfc/rfc8707#section-2)).
    pub(crate) fn refuses_target(&self) -> bool {
        self.error_response().is_some_and(ErrorResponse::refuses_target)
    }

    fn error_response(&self) -> Option<&ErrorResponse> {
        match self.kind() {
            Kind::Refused(response) => Some(response),
            Kind::Recorded(recorded) => Some(&recorded.response),
            Kind::Reauthorization { cause: Some(cause), .. } => cause.error_response(),
            Kind::Discovery { decisive, .. } => decisive.error_response(),
            _ => None,
        }
    }
}

/// The error that this one is a box of: its `source()` is that of what is in it.
fn within<'a>(
    error: &'a (dyn std::error::Error + 'static),
) -> Option<&'a (dyn std::error::Error + 'static)> {
    fn boxed<'a, E: std::error::Error + 'static>(
        error: &'a (dyn std::error::Error + 'static),
    ) -> Option<&'a (dyn std::error::Error + 'static)> {
        let in_box = || error.downcast_ref::<Box<E>>().map(|inner| &**inner as _);
        error.downcast_ref::<Arc<E>>().map(|inner| &**inner as _).or_else(in_box)
    }
    if let Some(error) = error.downcast_ref::<std::io::Error>() {
        return error.get_ref().map(|inner| inner as _);
    }
    if let Some(shared) = error.downcast_ref::<Arc<dyn std::error::Error + Send + Sync>>() {
        return Some(&**shared);
    }
    let found = boxed::<Error>(error).or_else(|| boxed::<std::io::Error>(error));
    #[cfg(feature = "middleware")]
    let found = found.or_else(|| boxed::<reqwest_middleware::Error>(error));
    found
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Error").field(self.kind()).finish()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind.fmt(f)?;
        match self.issued {
            Issued::Kept => f.write_str("; the new refresh token in it is kept"),
            Issued::Nothing | Issued::RefreshToken(_) => Ok(()),
        }
    }
}

impl std::error::Error for Error {
    // The kind's own source: the kind prints through us, so it must not print again as a source.
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        std::error::Error::source(self.kind())
    }
}

#[cfg(feature = "middleware")]
#[cfg_attr(docsrs, doc(cfg(feature = "middleware")))]
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

    fn refused(status: u16, code: Option<&str>) -> Error {
        let status = Some(StatusCode::from_u16(status).unwrap());
        let code = code.map(|code| ErrorCode::new(code, &[], false));
        let class = RetryClass::of(status, code.as_ref(), None, &[]);
        Error::new(Kind::Refused(ErrorResponse {
            endpoint: "token endpoint",
            status,
            code,
            description: None,
            uri: None,
            retry_after: None,
            content: None,
            class,
            of_refresh: false,
        }))
    }

    #[test]
    fn what_each_refusal_means_for_the_next_attempt() {
        use RetryClass::*;
        for (status, code, expected) in [
            (400, Some("invalid_grant"), Permanent),
            (503, Some("invalid_grant"), Permanent),
            (429, Some("invalid_grant"), Permanent),
            (200, Some("bad_refresh_token"), Permanent),
            (400, Some("BAD_REFRESH_TOKEN"), Permanent),
            (400, Some("invalid_code"), Permanent),
            (400, Some("oops"), Misconfigured),
            (200, Some("oops"), Misconfigured),
            (400, Some("access_denied"), Misconfigured),
            (401, Some("invalid_client"), Misconfigured),
            (401, None, Misconfigured),
            (400, Some("invalid_scope"), Misconfigured),
            (400, Some("invalid_request"), Misconfigured),
            (403, Some("unauthorized_client"), Misconfigured),
            (400, Some("temporarily_unavailable"), Transient),
            (200, Some("internal_error"), Transient),
            (200, Some("ratelimited"), Transient),
            (408, None, Transient),
            (425, None, Transient),
            (429, None, Transient),
            (429, Some("oops"), Transient),
            (500, None, Transient),
            (503, Some("oops"), Transient),
            (400, None, Foreign),
            (403, None, Foreign),
            (404, None, Foreign),
            (405, None, Foreign),
            (407, None, Foreign),
            (407, Some("invalid_grant"), Foreign),
            (511, Some("invalid_grant"), Foreign),
            (511, None, Foreign),
            (451, None, Foreign),
        ] {
            assert_eq!(refused(status, code).retry_class(), expected, "{status} {code:?}");
        }
    }

    #[test]
    fn reauthorization_keeps_the_cause_and_its_code_and_prints_neither_twice() {
        let error = Error::new(Kind::Reauthorization {
            why: "the provider refused the refresh token",
            lost: false,
            cause: Some(refused(400, Some("invalid_grant"))),
        });
        assert!(error.is_reauthorization_required() && !error.is_transient());
        assert_eq!(error.error_code(), Some("invalid_grant"));
        assert_eq!(error.status().unwrap(), 400);
        assert_eq!(
            error.to_string(),
            "reauthorization required: the provider refused the refresh token; log in again and pass the token to Session::set_token; for a custom grant, fix the grant"
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
        // As clippy wants large errors, and as errors are shared: these have the source of what is in them.
        let through = || reqwest_middleware::Error::from(Error::new(Kind::Expired));
        #[derive(Debug, thiserror::Error)]
        #[error("no list")]
        enum Boxed {
            Box(#[source] Box<reqwest_middleware::Error>),
            Arc(#[source] Arc<reqwest_middleware::Error>),
            Io(#[source] std::io::Error),
        }
        let all: [BoxError; 8] = [
            Box::new(Boxed::Box(Box::new(through()))),
            Box::new(Boxed::Arc(Arc::new(through()))),
            Box::new(Boxed::Io(std::io::Error::other(through()))),
            Box::new(Box::new(Error::new(Kind::Expired))),
            Box::new(Arc::new(Error::new(Kind::Expired))),
            Box::new(Arc::new(std::io::Error::other(Error::new(Kind::Expired)))),
            Box::new(Arc::<dyn std::error::Error + Send + Sync>::from(BoxError::from(through()))),
            Box::new(std::io::Error::other(Boxed::Box(Box::new(through())))),
        ];
        for error in all {
            assert!(Error::find_in(&*error).is_some_and(Error::is_expired), "{error:?}");
        }
        let through = through();
        assert_eq!(
            through.to_string(),
            "the access token has expired and this session renews only when told to; call Session::refresh"
        );
    }
}
