//! `RetryClass`: what a failed renewal means for the next one.

use http::StatusCode;

use super::ErrorCode;
use super::error_code::says_later;

/// What a failed renewal means for the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RetryClass {
    /// Only a new token helps. If the refresh token was presented, the login has ended.
    Permanent,
    /// The client's registration or configuration is wrong; asking again soon is useless.
    Misconfigured,
    /// It may well work next time.
    Transient,
    /// Perhaps not from the provider: a page, an empty body, a redirect. A proxy, a firewall or a captive
    /// portal may have answered instead, or the URL is wrong. It may work once somebody has fixed that.
    Foreign,
}

impl RetryClass {
    /// What the response of a token endpoint means. `ends_login`: codes of this provider that say that the
    /// refresh token is dead.
    ///
    /// A code that says so comes from the provider, whatever the status: whoever judged the token has
    /// served the request, and a dead refresh token that is presented again looks like a stolen one. Every
    /// other code counts as one that does not blame the refresh token.
    pub(crate) fn of(
        status: Option<StatusCode>,
        code: Option<&ErrorCode>,
        description: Option<&str>,
        ends_login: &[String],
    ) -> Self {
        // "A client that receives a response with an invalid status code SHOULD process the response as if
        // it had a 5xx (Server Error) status code": 600 and above.
        // https://www.rfc-editor.org/rfc/rfc9110#section-15
        let later = status.is_some_and(|status| {
            status >= StatusCode::INTERNAL_SERVER_ERROR
                || matches!(status.as_u16(), 408 | 425 | 429)
        });
        match code {
            Some(code) if ends_login.iter().any(|other| code.is(other)) || code.ends_login() => {
                Self::Permanent
            }
            _ if says_later(code, description) => Self::Transient,
            Some(code) if later && code.is_unknown() => Self::Transient,
            Some(_) => Self::Misconfigured,
            None if later => Self::Transient,
            // The client's authentication, by RFC 9110 §15.5.2.
            None if status == Some(StatusCode::UNAUTHORIZED) => Self::Misconfigured,
            None => Self::Foreign,
        }
    }
}
