use super::Params;

/// An authorization error response (RFC 6749 §4.1.2.1 and §4.2.2.1).
pub(crate) struct AuthorizationError {
    error: String,
    description: Option<String>,
}

impl AuthorizationError {
    pub(crate) fn new(error: &str, description: Option<&str>) -> Self {
        Self { error: error.to_owned(), description: description.map(str::to_owned) }
    }

    pub(crate) fn into_params(self) -> Params {
        let description = self.description.map(|text| ("error_description".to_owned(), text));
        [("error".to_owned(), self.error)].into_iter().chain(description).collect()
    }
}
