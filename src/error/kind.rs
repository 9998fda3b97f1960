//! What went wrong, as the crate tells it apart.
//!
//! No variant shows a token, a secret or a URL: what a server sent is capped, escaped and redacted
//! before it comes here.

use std::borrow::Cow;
use std::time::Duration;

use http::StatusCode;

use super::recorded_error::Recorded;
use super::{BoxError, Error, ErrorResponse, StoreError};
use crate::redact::redact;
use crate::step_up::StepUp;

#[derive(Debug, thiserror::Error)]
pub(crate) enum Kind {
    #[error("{0}")]
    Config(String),
    #[error("{0}")]
    Refused(ErrorResponse),
    #[error("the {endpoint}'s response (status {status}) cannot be used: {reason}")]
    Malformed {
        endpoint: &'static str,
        status: StatusCode,
        reason: String,
        retry_after: Option<Duration>,
        /// It is the answer to a request for a token: members, in a success without an error.
        of_token: bool,
    },
    #[error("no metadata of {of} can be used: {answers}")]
    Discovery {
        of: &'static str,
        answers: String,
        /// There is none at all.
        absent: bool,
        transient: bool,
        decisive: Error,
    },
    #[error("the {endpoint} cannot be reached; the request was not sent and may be made again")]
    Unreachable { endpoint: &'static str, source: BoxError },
    #[error("the connection to the {endpoint} failed before its response was complete")]
    ResponseLost { endpoint: &'static str, source: BoxError },
    #[error("no complete response from the {endpoint} within {limit:?}")]
    Timeout { endpoint: &'static str, limit: Duration },
    /// A closure that is asked before a request to the provider.
    #[error("{name} failed, so nothing was sent to the provider")]
    Closure { name: &'static str, source: BoxError },
    #[error("{name} did not finish within {limit:?}, so nothing was sent to the provider")]
    ClosureTimeout { name: &'static str, limit: Duration },
    #[error("the callback does not belong to this login: {0}; begin the login again")]
    Callback(Cow<'static, str>),
    #[error(
        "reauthorization required: {why}; log in again and pass the token to Session::set_token; for a custom grant, fix the grant{}",
        if *.lost { ". The response to an earlier renewal was lost, so the provider may already have replaced this refresh token" } else { "" }
    )]
    Reauthorization {
        why: &'static str,
        lost: bool,
        #[source]
        cause: Option<Error>,
    },
    #[error("{}", step_up_text(.0))]
    StepUp(StepUp),
    #[error(
        "the access token has expired and this session renews only when told to; call Session::refresh"
    )]
    Expired,
    #[error("the new token could not be saved; it is kept in memory and saving is tried again")]
    Save(#[source] BoxError),
    #[error("the saver cannot save now, so no refresh token was presented; it is tried again")]
    CannotSave(#[source] BoxError),
    #[error("what was saved could not be deleted; it is tried again")]
    Delete(#[source] BoxError),
    #[error("the new token was not saved within {0:?}; saving goes on")]
    SaveTimeout(Duration),
    #[error(transparent)]
    Store(StoreError),
    #[error("{0}")]
    Recorded(Recorded),
    #[error("no token within {0:?}; the renewal goes on without this caller, so try again later")]
    WaitTimeout(Duration),
    #[error("another process has held the renewal lease for {0:?}; try again later")]
    Busy(Duration),
    #[error("the grant failed")]
    Grant {
        permanent: bool,
        #[source]
        source: BoxError,
    },
    #[error("the grant did not return a token within {0:?}")]
    GrantTimeout(Duration),
    #[error("no signature could be made, and nothing was sent: {why}")]
    #[cfg_attr(not(feature = "keys"), allow(dead_code))]
    Signing {
        why: Cow<'static, str>,
        is_timeout: bool,
        #[source]
        source: Option<BoxError>,
    },
    #[error("{0} panicked; see the panic message on stderr")]
    Panicked(&'static str),
    #[error(
        "no Tokio runtime: none is running, or it is shutting down; call from within a running runtime"
    )]
    Runtime,
}

/// What the API wants, as it said it.
fn step_up_text(asked: &StepUp) -> String {
    let challenge = asked.challenge();
    let said = [("scope", challenge.scope()), ("acr_values", challenge.acr_values())];
    let said = said
        .into_iter()
        .filter_map(|(name, value)| Some(format!(", {name} {:?}", redact(value?, 120, &[]))));
    let said: String = said.collect();
    format!(
        "the API wants more than the token gives ({}{said}); log in again with AuthorizationRequest::step_up",
        redact(challenge.error().unwrap_or_default(), 60, &[])
    )
}
