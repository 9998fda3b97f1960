//! `TokenTarget`: what an access token is asked for beside what the login was granted for: another resource,
//! or another scope.
//!
//! It is the parameters of the token request as a form, in alphabetical order
//! (`resource=https%3A%2F%2Fapi.example&scope=read+write`), so that it can name the token in a record, and
//! two that ask for the same are the same.

use std::sync::Arc;

use url::{Url, form_urlencoded};

use super::is_scope;
use crate::error::Error;

/// Longer than any resources and scope that a provider takes.
const LONGEST: usize = 4096;

/// What an access token is asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct TokenTarget(Arc<str>);

impl TokenTarget {
    /// The target with these resources in place of those that it has
    /// ([RFC 8707 §2](https://www.rfc-editor.org/rfc/rfc8707#section-2)).
    pub(crate) fn with_resources<R: AsRef<str>>(
        before: Option<&str>,
        resources: impl IntoIterator<Item = R>,
    ) -> Result<Self, Error> {
        let mut all = Vec::new();
        for resource in resources {
            let resource = resource.as_ref();
            if !is_resource(resource) {
                return Err(Error::config(
                    "a resource is not an absolute URI, or has a fragment (#…); pass it as the provider's documentation has it, such as https://api.example",
                ));
            }
            all.push(resource.to_owned());
        }
        if all.is_empty() {
            return Err(Error::config(
                "no resource is named; name one, or use the login's session",
            ));
        }
        Self::with(before, "resource", all)
    }

    /// The target with this scope in place of the one that it has
    /// ([RFC 6749 §3.3](https://www.rfc-editor.org/rfc/rfc6749#section-3.3)).
    pub(crate) fn with_scope(before: Option<&str>, scope: &str) -> Result<Self, Error> {
        let mut names: Vec<&str> = scope.split(' ').filter(|name| !name.is_empty()).collect();
        if names.is_empty() || !is_scope(scope) {
            return Err(Error::config(
                "the scope is empty or has characters that are not allowed in a scope; separate its names by spaces",
            ));
        }
        // "The order … does not matter".
        names.sort_unstable();
        names.dedup();
        Self::with(before, "scope", vec![names.join(" ")])
    }

    fn with(before: Option<&str>, name: &str, values: Vec<String>) -> Result<Self, Error> {
        let named = values.into_iter().map(|value| (name.to_owned(), value)).collect();
        let target = Self::with_params(before, named);
        if target.0.len() > LONGEST {
            return Err(Error::config(format!(
                "the resources and the scope are longer than {LONGEST} bytes; ask for fewer at once"
            )));
        }
        Ok(target)
    }

    /// The target with what another one names in place of what it has.
    pub(crate) fn with_those_of(before: Option<&str>, other: &str) -> Self {
        Self::with_params(before, Self::params_of(other))
    }

    fn with_params(before: Option<&str>, named: Vec<(String, String)>) -> Self {
        let mut params = before.map(Self::params_of).unwrap_or_default();
        params.retain(|(own, _)| named.iter().all(|(name, _)| name != own));
        params.extend(named);
        params.sort_unstable();
        params.dedup();
        let key = form_urlencoded::Serializer::new(String::new()).extend_pairs(params).finish();
        Self(key.into())
    }

    pub(crate) fn into_key(self) -> Arc<str> {
        self.0
    }

    /// The parameters of the token request.
    pub(crate) fn params_of(key: &str) -> Vec<(String, String)> {
        form_urlencoded::parse(key.as_bytes()).into_owned().collect()
    }
}

/// "Its value MUST be an absolute URI […]. The URI MUST NOT include a fragment component." Azure AD
/// also takes the bare id of an application, and others take a name.
pub(crate) fn is_resource(text: &str) -> bool {
    let is_of_name = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    let bare_id = || !text.is_empty() && text.bytes().all(is_of_name);
    Url::parse(text).map_or_else(|_| bare_id(), |url| url.fragment().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(target: Result<TokenTarget, Error>) -> String {
        target.unwrap().into_key().to_string()
    }

    #[test]
    fn what_asks_for_the_same_is_the_same() {
        let both = ["https://b.example", "https://a.example/x?y=1"];
        let key_of_both = key(TokenTarget::with_resources(None, both));
        assert_eq!(
            key_of_both,
            "resource=https%3A%2F%2Fa.example%2Fx%3Fy%3D1&resource=https%3A%2F%2Fb.example"
        );
        let again = [both[1], both[0], both[1]];
        assert_eq!(key(TokenTarget::with_resources(None, again)), key_of_both);
        assert_eq!(key(TokenTarget::with_scope(None, "b  a b")), "scope=a+b");
        // One replaces what it is named for, and keeps the rest.
        let scoped = key(TokenTarget::with_scope(Some(&key_of_both), "read"));
        assert_eq!(scoped, key_of_both.clone() + "&scope=read");
        let other = key(TokenTarget::with_resources(Some(&scoped), ["urn:c"]));
        assert_eq!(other, "resource=urn%3Ac&scope=read");
        let params = [("resource", "urn:c"), ("scope", "read")];
        let read = TokenTarget::params_of(&other);
        assert!(read.iter().map(|(n, v)| (&**n, &**v)).eq(params), "{read:?}");
        // A trailing slash is another resource: the provider compares texts.
        let with_slash = key(TokenTarget::with_resources(None, ["urn:c/"]));
        assert_ne!(with_slash, key(TokenTarget::with_resources(None, ["urn:c"])));
    }

    #[test]
    fn what_no_provider_takes_is_refused_before_it_is_asked() {
        for resource in ["", "an api", "/api", "https://a.example/#x", "https://a.example#"] {
            assert!(TokenTarget::with_resources(None, [resource]).unwrap_err().is_config());
        }
        assert!(TokenTarget::with_resources::<&str>(None, []).unwrap_err().is_config());
        for scope in ["", "  ", "a\"b", "a\\b", "ä", "a\nb"] {
            assert!(TokenTarget::with_scope(None, scope).unwrap_err().is_config(), "{scope:?}");
        }
        let long = "a".repeat(LONGEST - "scope=".len());
        assert!(TokenTarget::with_scope(None, &long).is_ok());
        assert!(TokenTarget::with_scope(None, &(long + "a")).unwrap_err().is_config());
    }
}
