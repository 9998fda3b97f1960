use std::fmt;
use std::time::Duration;

/// How the token endpoint, or the metadata, misbehaves for one request.
///
/// See [`Provider::fail_next`](crate::testing::Provider::fail_next),
/// [`Provider::fail_always`](crate::testing::Provider::fail_always) and
/// [`Provider::fail_metadata`](crate::testing::Provider::fail_metadata).
#[derive(Clone)]
#[non_exhaustive]
pub enum Fault {
    /// Waits this long, then serves the request normally.
    Delay(Duration),
    /// Closes the connection without a response; nothing is issued.
    CloseBeforeIssue,
    /// Issues the token, with all that follows from it (rotation), and then
    /// closes the connection without a response.
    CloseAfterIssue,
    /// Answers 200 and closes the connection in the middle of a JSON body;
    /// nothing is issued.
    CutBody,
    /// Answers with this status and an empty body.
    Status(u16),
    /// Answers 429 with this `Retry-After` header.
    TooManyRequests {
        /// The value of the header: seconds, a date, or anything else.
        retry_after: String,
    },
    /// Answers with an OAuth error response (RFC 6749 §5.2).
    OAuthError {
        /// The HTTP status, usually 400.
        status: u16,
        /// The `error` code, such as `invalid_grant`.
        code: String,
    },
    /// Answers 200 with an HTML page.
    HtmlPage,
    /// Answers 200 with a JSON body that never ends, as fast as it is read.
    EndlessBody,
    /// Answers 200 with a JSON body of one byte every second, for ever.
    SlowBody,
    /// Takes the request and never answers.
    Hang,
    /// Answers exactly this.
    Reply {
        /// The HTTP status.
        status: u16,
        /// The `Content-Type`; empty for none.
        content_type: String,
        /// The body.
        body: String,
    },
    /// Answers with a redirect.
    Redirect {
        /// The HTTP status, such as 307.
        status: u16,
        /// The `Location`.
        location: String,
    },
}

/// A [`Fault::Reply`] may carry tokens, so only the length of its body is shown.
impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Delay(delay) => f.debug_tuple("Delay").field(delay).finish(),
            Self::CloseBeforeIssue => f.write_str("CloseBeforeIssue"),
            Self::CloseAfterIssue => f.write_str("CloseAfterIssue"),
            Self::CutBody => f.write_str("CutBody"),
            Self::Status(status) => f.debug_tuple("Status").field(status).finish(),
            Self::TooManyRequests { retry_after } => {
                f.debug_struct("TooManyRequests").field("retry_after", retry_after).finish()
            }
            Self::OAuthError { status, code } => {
                f.debug_struct("OAuthError").field("status", status).field("code", code).finish()
            }
            Self::HtmlPage => f.write_str("HtmlPage"),
            Self::EndlessBody => f.write_str("EndlessBody"),
            Self::SlowBody => f.write_str("SlowBody"),
            Self::Hang => f.write_str("Hang"),
            Self::Reply { status, content_type, body } => f
                .debug_struct("Reply")
                .field("status", status)
                .field("content_type", content_type)
                .field("body_len", &body.len())
                .finish(),
            Self::Redirect { status, location } => f
                .debug_struct("Redirect")
                .field("status", status)
                .field("location", location)
                .finish(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_has_no_reply_body() {
        let fault = Fault::Reply {
            status: 200,
            content_type: "application/json".to_owned(),
            body: r#"{"access_token":"s3cret"}"#.to_owned(),
        };
        let text = format!("{fault:?}");
        assert!(text.contains("Reply") && !text.contains("s3cret"), "{text}");
    }
}
