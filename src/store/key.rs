//! `TokenKey`.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use percent_encoding::{
    AsciiSet, NON_ALPHANUMERIC, PercentEncode, percent_decode_str, utf8_percent_encode,
};

use super::StoreError;

/// Everything that is not unreserved in a URI
/// ([RFC 3986 §2.3](https://www.rfc-editor.org/rfc/rfc3986#section-2.3)).
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// What a token was issued for: the provider, the client, the user, and the scope, resources and
/// audiences that were asked for. Two keys are equal only if all of these are.
///
/// ```
/// # use reqwest_oauth2::store::TokenKey;
/// let key = TokenKey::new("https://issuer.example", "my-client", "alice")
///     .scope("mail.read calendar")
///     .resource("https://api.example/");
/// assert_ne!(key, TokenKey::new("https://issuer.example", "my-client", "alice"));
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TokenKey(Arc<str>);

impl TokenKey {
    /// The key of a user's token. `issuer` is the provider's issuer identifier, or its token
    /// endpoint.
    pub fn new(issuer: &str, client_id: &str, user: &str) -> Self {
        Self(format!("{}/{}/{}", encode(issuer), encode(client_id), encode(user)).into())
    }

    /// Adds scope names, separated by spaces
    /// ([RFC 6749 §3.3](https://www.rfc-editor.org/rfc/rfc6749#section-3.3)). Their order and
    /// repetitions do not matter; no name at all adds nothing.
    #[must_use]
    pub fn scope(self, scope: &str) -> Self {
        scope
            .split(' ')
            .filter(|name| !name.is_empty())
            .fold(self, |key, name| key.with("scope", name))
    }

    /// Adds a resource ([RFC 8707 §2](https://www.rfc-editor.org/rfc/rfc8707#section-2)). Call it
    /// once for each; the order does not matter.
    #[must_use]
    pub fn resource(self, resource: &str) -> Self {
        self.with("resource", resource)
    }

    /// Adds an audience ([RFC 8693 §2.1](https://www.rfc-editor.org/rfc/rfc8693#section-2.1)). Call
    /// it once for each; the order does not matter.
    #[must_use]
    pub fn audience(self, audience: &str) -> Self {
        self.with("audience", audience)
    }

    /// The place of what is kept beside the tokens, by its kind and a value.
    pub(crate) fn kept(self, kind: &str, value: &str) -> Self {
        self.with(kind, value)
    }

    /// The key as text: `issuer/client/user`, each percent-encoded; then, if there are any, `?` and
    /// the other parts as `name=value` in alphabetical order, separated by `&`.
    ///
    /// It consists of letters, digits and `-._~%/?=&`. Only its parts limit its length.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The key of this text, which [`as_str`](Self::as_str) has returned: to go through the keys that a
    /// database holds.
    ///
    /// # Errors
    ///
    /// [`StoreError::is_corrupt`] if the text is not that of a key.
    pub fn from_text(text: &str) -> Result<Self, StoreError> {
        let key = Self(text.into()).made_again().filter(|key| key.as_str() == text);
        key.ok_or_else(|| StoreError::corrupt("the text is not that of a TokenKey"))
    }

    /// The key of the same parts; `None` if these are not the parts of a key.
    fn made_again(&self) -> Option<Self> {
        let mut parts = self.login().split('/').map(decode);
        let (issuer, client_id, user) = (parts.next()??, parts.next()??, parts.next()??);
        self.params().try_fold(Self::new(&issuer, &client_id, &user), |key, param| {
            let (name, value) = param.split_once('=')?;
            let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase());
            is_name.then_some(key.with(name, &decode(value)?))
        })
    }

    /// The user, percent-encoded.
    #[cfg(feature = "file-store")]
    pub(super) fn user(&self) -> &str {
        self.login().rsplit('/').next().unwrap_or_default()
    }

    /// Issuer, client and user. No encoded part contains a separator.
    fn login(&self) -> &str {
        self.0.split('?').next().unwrap_or_default()
    }

    fn params(&self) -> impl Iterator<Item = &str> {
        self.0.split('?').skip(1).flat_map(|params| params.split('&'))
    }

    /// The text is the same for the same set of parameters, so comparing texts compares keys.
    fn with(self, name: &str, value: &str) -> Self {
        let param = format!("{name}={}", encode(value));
        let params: BTreeSet<&str> = self.params().chain([&*param]).collect();
        let params: Vec<&str> = params.into_iter().collect();
        Self(format!("{}?{}", self.login(), params.join("&")).into())
    }
}

fn encode(part: &str) -> PercentEncode<'_> {
    utf8_percent_encode(part, RESERVED)
}

fn decode(part: &str) -> Option<Cow<'_, str>> {
    percent_decode_str(part).decode_utf8().ok()
}

/// Shows no query of a URL: it may hold a secret.
impl fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let without_query = |url: &str| url.split("%3F").next().unwrap_or_default().to_owned();
        let (issuer, rest) = self.login().split_once('/').unwrap_or_default();
        let mut shown = format!("{}/{rest}", without_query(issuer));
        for (i, param) in self.params().enumerate() {
            shown.push(if i == 0 { '?' } else { '&' });
            shown.push_str(&without_query(param));
        }
        f.debug_tuple("TokenKey").field(&shown).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> TokenKey {
        TokenKey::new("i", "c", "u")
    }

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

    #[test]
    fn the_text_has_all_parts_in_order() {
        let full = key().scope("write read").resource("https://r.example/?a=b").audience("x y");
        assert_eq!(
            full.as_str(),
            "i/c/u?audience=x%20y&resource=https%3A%2F%2Fr.example%2F%3Fa%3Db&scope=read&scope=write"
        );
    }

    #[test]
    fn order_and_repetition_do_not_matter() {
        let one = key().scope("a b").resource("r").resource("s").audience("x").audience("y");
        let other = key().audience("y").audience("x").resource("s").scope("b  a b").resource("r");
        assert_eq!(one, other.resource("s").audience("y").scope("a").scope(" "));
        assert_eq!(key().scope(""), key());
    }

    #[test]
    fn keys_that_differ_in_one_part_differ() {
        let keys = [
            key(),
            key().scope("a"),
            key().scope("b"),
            key().scope("a b"),
            key().scope("ab"),
            key().scope("A"),
            key().scope("a&scope=b"),
            key().resource("a"),
            key().resource("a b"),
            key().resource("a").resource("b"),
            key().resource(""),
            key().audience("a"),
            key().audience(""),
            key().resource("a").audience("a"),
            key().resource("a&audience=a"),
            TokenKey::new("i", "c", "u?scope=a"),
            TokenKey::new("i", "c?scope=a", "u"),
        ];
        let texts: BTreeSet<&str> = keys.iter().map(TokenKey::as_str).collect();
        assert_eq!(texts.len(), keys.len(), "{keys:?}");
    }

    #[test]
    fn a_text_is_that_of_a_key_or_of_none() {
        let full = key().scope("write read").resource("https://r.example/?a=b").audience("x y");
        for key in
            [full, key(), TokenKey::new("", "", ""), key().resource(""), key().kept("k", "v")]
        {
            assert_eq!(TokenKey::from_text(key.as_str()).unwrap(), key);
        }
        for text in [
            "",
            "i",
            "i/c",
            "i/c/u/x",
            "i/c/u?",
            "i/c/u?scope",
            "i/c/u?=a",
            "i/c/u?Scope=a",
            "i/c/u?scope=b&scope=a",
            "i/c/u?scope=a&scope=a",
            "i/c/u?scope=a&",
            "i/c/u?scope=a?resource=b",
            "i/c/ü",
            "i/c/%c3%bc",
            "i/c/%C3",
            "i/c/%41",
            "i/c/a b",
            "i/c/u?scope=a=b",
        ] {
            assert!(TokenKey::from_text(text).unwrap_err().is_corrupt(), "{text}");
        }
    }

    #[test]
    fn debug_shows_no_query_of_a_url() {
        let key = TokenKey::new("https://i/token?key=s3cret", "c", "who?")
            .resource("https://r/?key=s3cret")
            .scope("a");
        assert_eq!(
            format!("{key:?}"),
            r#"TokenKey("https%3A%2F%2Fi%2Ftoken/c/who%3F?resource=https%3A%2F%2Fr%2F&scope=a")"#
        );
        assert_eq!(format!("{:?}", self::key()), r#"TokenKey("i/c/u")"#);
    }
}
