//! `ErrorResponse`.

use std::fmt;
use std::time::Duration;

use http::StatusCode;

use super::{Content, ErrorCode, RetryClass};

/// The error response of an endpoint
/// ([RFC 6749 §5.2](https://www.rfc-editor.org/rfc/rfc6749#section-5.2); from the authorization
/// endpoint [§4.1.2.1](https://www.rfc-editor.org/rfc/rfc6749#section-4.1.2.1)), or a response with the
/// status of an error that is none.
#[derive(Debug)]
pub(crate) struct ErrorResponse {
    /// Such as "token endpoint".
    pub(crate) endpoint: &'static str,
    /// `None` where the error came with a redirect.
    pub(crate) status: Option<StatusCode>,
    pub(crate) code: Option<ErrorCode>,
    pub(crate) description: Option<String>,
    pub(crate) uri: Option<String>,
    pub(crate) retry_after: Option<Duration>,
    /// What the body is, where there is one.
    pub(crate) content: Option<Content>,
    pub(crate) class: RetryClass,
    /// Whether the request presented a refresh token.
    pub(crate) of_refresh: bool,
}

impl ErrorResponse {
    /// Whether the server did not accept the client, and so has consumed nothing of the request.
    pub(crate) fn rejects_client(&self) -> bool {
        self.class == RetryClass::Misconfigured
            && match &self.code {
                Some(code) => code.rejects_client(),
                None => self.status == Some(StatusCode::UNAUTHORIZED),
            }
    }

    /// Whether it refuses what a token was asked for, and neither the client nor the refresh token.
    pub(crate) fn refuses_target(&self) -> bool {
        let Some(code) = &self.code else { return false };
        // Microsoft's `invalid_grant` for a resource that the person has not consented to.
        let lacks_consent = || {
            let description = self.description.as_deref().unwrap_or_default();
            code.is("invalid_grant") && description.contains("AADSTS65001")
        };
        let is_misconfigured = self.class == RetryClass::Misconfigured && !self.rejects_client();
        is_misconfigured || code.wants_consent() || lacks_consent()
    }

    /// The likely cause, and what to do.
    fn advice(&self) -> Option<&'static str> {
        let status = self.status.map(|status| status.as_u16());
        let is = |code: &str| self.code.as_ref().is_some_and(|sent| sent.is(code));
        let is_empty = self.content.as_ref().is_some_and(|content| content.length == 0);
        let is_page = self.content.as_ref().is_some_and(|content| content.is_page);
        Some(match (self.class, status) {
            _ if is("unauthorized_client") && self.rejects_client() => {
                "let the client use this grant, in the provider's settings; if it may already, servers differ in how they take id and secret (ClientAuthentication, BasicEncoding): check the client id, its secret and the client authentication method"
            }
            _ if self.rejects_client() => {
                "servers differ in how they take id and secret (ClientAuthentication, BasicEncoding): check the client id, its secret and the client authentication method"
            }
            _ if is("invalid_scope") => "ask for scopes that the provider knows",
            _ if is("invalid_target") => {
                "ask for a resource or audience that the provider knows, and that the client may have"
            }
            (RetryClass::Misconfigured, Some(_)) if self.of_refresh => {
                "if this code says that the refresh token is dead, name it with OAuthClient::ends_login"
            }
            (_, Some(407)) => "a proxy wants a login; check the settings of the proxy",
            (_, Some(511)) => "a captive portal wants a login to the network",
            (RetryClass::Foreign, Some(404 | 405 | 410)) => {
                "check the endpoint's URL; if it is right, a proxy or firewall has answered instead of the provider"
            }
            (RetryClass::Foreign, Some(400 | 403)) if is_empty && self.of_refresh => {
                "a proxy or firewall may have answered instead of the provider; some providers answer so if the refresh token is dead"
            }
            (RetryClass::Foreign, _) if self.code.is_none() && self.description.is_none() => {
                "a proxy, a firewall or a captive portal may have answered instead of the provider, or the endpoint's URL is wrong"
            }
            (RetryClass::Transient, _) if is_page => {
                "the provider is down, or a proxy in front of it"
            }
            _ => return None,
        })
    }
}

impl fmt::Display for ErrorResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_foreign = self.code.is_none() && self.description.is_none();
        let is_plain =
            |content: &Content| self.class == RetryClass::Transient && content.length == 0;
        match (&self.content, self.status) {
            (Some(content), Some(status)) if is_foreign && !is_plain(content) => write!(
                f,
                "the {} answered with status {} and no error code ({content})",
                self.endpoint,
                status.as_u16()
            )?,
            (_, Some(status)) => {
                write!(
                    f,
                    "the {} refused the request (status {})",
                    self.endpoint,
                    status.as_u16()
                )?;
            }
            (_, None) => write!(f, "the {} refused the request", self.endpoint)?,
        }
        if let Some(code) = &self.code {
            write!(f, ": {code}")?;
        }
        if let Some(description) = &self.description {
            write!(f, ": {description}")?;
        }
        match self.advice() {
            Some(advice) => write!(f, "; {advice}"),
            None => Ok(()),
        }
    }
}
