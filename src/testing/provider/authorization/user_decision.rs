use std::borrow::Cow;

use url::form_urlencoded;

use crate::testing::provider::grants::user;

/// What the user makes of an authorization request.
pub(crate) enum UserDecision {
    Allow,
    Deny,
    /// There is no decision yet; the text is for the user.
    Open(&'static str),
}

impl UserDecision {
    /// Reads the form of the log-in page.
    pub(crate) fn read(form: &[u8]) -> Self {
        let value = |name: &str| -> Cow<'_, str> {
            let found = form_urlencoded::parse(form).find(|(key, _)| key == name);
            found.map(|(_, value)| value).unwrap_or_default()
        };
        match &*value("decision") {
            "deny" => Self::Deny,
            "allow" if user::is_user(&value("username"), &value("password")) => Self::Allow,
            "allow" => Self::Open("Wrong name or password."),
            _ => Self::Open("Allow or deny?"),
        }
    }
}
