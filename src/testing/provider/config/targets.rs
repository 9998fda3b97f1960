use crate::testing::provider::grants::{Asked, OAuthError};

/// For which resources and scopes a refresh token is good, beside what the login was granted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Targets {
    /// `None`: every resource.
    pub(crate) resources: Option<Vec<String>>,
    pub(crate) scopes: Vec<String>,
}

impl Targets {
    /// The scope that a refresh gets, or why it is refused (RFC 6749 §6, RFC 8707 §2).
    pub(crate) fn judge<'a>(
        &self,
        asked: &Asked<'a>,
        granted: &'a str,
    ) -> Result<&'a str, OAuthError> {
        let is_known = |resource: &&str| {
            self.resources.as_ref().is_none_or(|all| all.iter().any(|known| known == resource))
        };
        if !asked.resources.iter().all(is_known) {
            return Err(OAuthError::InvalidTarget);
        }
        let Some(scope) = asked.scope else { return Ok(granted) };
        let may = |name: &str| {
            granted.split(' ').any(|other| other == name) || self.scopes.iter().any(|s| s == name)
        };
        if scope.split(' ').all(may) { Ok(scope) } else { Err(OAuthError::InvalidScope) }
    }
}
