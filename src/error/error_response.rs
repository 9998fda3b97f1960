//! `ErrorResponse`.

use std::fmt;
use std::time::Duration;

use http::StatusCode;

/// The error response of an endpoint
/// ([RFC 6749 §5.2](https://www.rfc-editor.org/rfc/rfc6749#section-5.2); from the authorization
/// endpoint [§4.1.2.1](https://www.rfc-editor.org/rfc/rfc6749#section-4.1.2.1)).
#[derive(Debug)]
pub(crate) struct ErrorResponse {
    /// Such as "token endpoint".
    pub(crate) endpoint: &'static str,
    /// `None` where the error came with a redirect.
    pub(crate) status: Option<StatusCode>,
    pub(crate) code: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) uri: Option<String>,
    pub(crate) retry_after: Option<Duration>,
}

impl fmt::Display for ErrorResponse {
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
