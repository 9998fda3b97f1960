//! `TokenKey`.

use std::fmt;
use std::sync::Arc;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// Everything that is not unreserved in a URI
/// ([RFC 3986 §2.3](https://www.rfc-editor.org/rfc/rfc3986#section-2.3)).
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Whose token: the provider, the client, and the user, kept apart. Two keys are the same only if
/// all three are.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TokenKey(Arc<str>);

impl TokenKey {
    /// The key of a user's token; `issuer` is the provider's issuer, or its token endpoint.
    pub fn new(issuer: &str, client_id: &str, user: &str) -> Self {
        let part = |text| utf8_percent_encode(text, RESERVED);
        Self(format!("{}/{}/{}", part(issuer), part(client_id), part(user)).into())
    }

    /// The key as text of letters, digits and `-._~%/`: three parts, each percent-encoded. Its
    /// length has no bound but that of the parts.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The query of a token endpoint may hold a secret.
        let issuer = self.0.split('/').next().unwrap_or_default();
        let shown = issuer.split("%3F").next().unwrap_or_default();
        f.debug_tuple("TokenKey").field(&format!("{shown}{}", &self.0[issuer.len()..])).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_stay_apart() {
        assert_eq!(
            TokenKey::new("https://a.example", "foo", "ål").as_str(),
            "https%3A%2F%2Fa.example/foo/%C3%A5l"
        );
        assert_ne!(TokenKey::new("a/b", "c", "d"), TokenKey::new("a", "b/c", "d"));
        assert_ne!(TokenKey::new("a", "b%2Fc", "d"), TokenKey::new("a", "b/c", "d"));
        assert_ne!(TokenKey::new("a", "", "b"), TokenKey::new("a", "b", ""));
    }
}
