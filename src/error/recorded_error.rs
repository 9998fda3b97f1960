//! `RecordedError`: what a record in a store says of a failed renewal, for other sessions and for the
//! next process.

use std::fmt;
use std::time::Duration;

use http::StatusCode;
use serde::{Deserialize, Serialize};

use super::{Error, ErrorCode, ErrorResponse, Kind, RetryClass};

/// The longest text that is kept or believed, in bytes.
const LONGEST: usize = 1024;

/// An error without its type. Holds no secret, as an [`Error`] holds none.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct RecordedError {
    message: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    retry_after_s: Option<u64>,
    #[serde(default)]
    misconfigured: bool,
}

/// An error that another session recorded.
#[derive(Debug)]
pub(crate) struct Recorded {
    message: String,
    pub(super) response: ErrorResponse,
}

impl fmt::Display for Recorded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the last renewal, maybe of another process, failed: {}", self.message)
    }
}

impl Error {
    pub(crate) fn to_recorded(&self) -> RecordedError {
        if let Kind::Recorded(recorded) = self.kind() {
            // Passed on unchanged.
            return RecordedError { message: recorded.message.clone(), ..self.fields() };
        }
        RecordedError { message: cut(self.to_string()), ..self.fields() }
    }

    fn fields(&self) -> RecordedError {
        RecordedError {
            message: String::new(),
            status: self.status().map(|status| status.as_u16()),
            code: self.error_code().map(|code| cut(code.to_owned())),
            retry_after_s: self.retry_after().map(|wait| wait.as_secs()),
            // A grant's refusal stands here too: it is no end of a login.
            misconfigured: matches!(
                self.retry_class(),
                RetryClass::Misconfigured | RetryClass::Permanent
            ),
        }
    }

    pub(crate) fn recorded(recorded: RecordedError) -> Self {
        let class =
            if recorded.misconfigured { RetryClass::Misconfigured } else { RetryClass::Transient };
        // What is stored may have been changed by anybody who can write to the store.
        let shown = |text: String| cut(crate::redact::escape_and_truncate(&text, LONGEST));
        Self::new(Kind::Recorded(Recorded {
            message: shown(recorded.message),
            response: ErrorResponse {
                endpoint: "token endpoint",
                status: recorded.status.and_then(|status| StatusCode::from_u16(status).ok()),
                code: recorded.code.map(|code| ErrorCode::recorded(shown(code))),
                description: None,
                uri: None,
                retry_after: recorded.retry_after_s.map(Duration::from_secs),
                content: None,
                class,
                of_refresh: false,
            },
        }))
    }
}

fn cut(mut text: String) -> String {
    let end = (0..=text.len().min(LONGEST)).rev().find(|at| text.is_char_boundary(*at));
    text.truncate(end.unwrap_or_default());
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sibling_decides_as_the_session_that_was_answered() {
        for (status, code, is_transient) in [
            (400, Some("invalid_grant"), false),
            (401, Some("invalid_client"), false),
            (401, None, false),
            (400, Some("who_knows"), false),
            (404, None, true),
            (503, None, true),
            (200, Some("internal_error"), true),
        ] {
            let status = StatusCode::from_u16(status).ok();
            let code = code.map(|code| ErrorCode::new(code, &[], false));
            let class = RetryClass::of(status, code.as_ref(), None, &[]);
            let error = Error::new(Kind::Refused(ErrorResponse {
                endpoint: "token endpoint",
                status,
                code,
                description: None,
                uri: None,
                retry_after: Some(Duration::from_secs(7)),
                content: None,
                class,
                of_refresh: false,
            }));
            // Twice: a recorded error is passed on unchanged.
            let told = Error::recorded(Error::recorded(error.to_recorded()).to_recorded());
            for error in [error, told] {
                assert_eq!(error.is_transient(), is_transient, "{error}");
                assert!(!error.is_reauthorization_required());
                assert_eq!(error.status(), status);
                assert_eq!(error.retry_after(), Some(Duration::from_secs(7)));
            }
        }
    }
}
