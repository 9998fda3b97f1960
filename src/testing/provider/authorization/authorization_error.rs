use super::Params;
use crate::testing::provider::grants::OAuthError;

/// An authorization error response (RFC 6749 §4.1.2.1 and §4.2.2.1).
pub(crate) struct AuthorizationError {
    error: String,
    description: Option<String>,
}

impl AuthorizationError {
    pub(crate) fn new(error: &str, description: Option<&str>) -> Self {
        Self { error: error.to_owned(), description: description.map(str::to_owned) }
    }

    /// The same as the answer to a pushed request (RFC 9126 §2.3).
    pub(crate) fn of_pushed_request(&self) -> OAuthError {
        match &*self.error {
            "invalid_target" => OAuthError::InvalidTarget,
            "unsupported_response_type" => OAuthError::UnsupportedResponseType,
            _ => OAuthError::InvalidRequest,
        }
    }

    pub(crate) fn into_params(self) -> Params {
        let description = self.description.map(|text| ("error_description".to_owned(), text));
        [("error".to_owned(), self.error)].into_iter().chain(description).collect()
    }
}
