//! The parameters that come back from the browser, before they are checked.
//!
//! They are untrusted until the state has been compared: their size is bounded, and a repeated
//! parameter makes the callback invalid ("Request and response parameters MUST NOT be included more
//! than once",
//! [RFC 6749 §3.1](https://www.rfc-editor.org/rfc/rfc6749#section-3.1)).

use std::collections::BTreeMap;

use secrecy::zeroize::Zeroizing;
use url::Url;

use crate::error::{Error, Kind};

/// Longer than any provider's, tokens in the fragment included.
const LONGEST: usize = 64 * 1024;

/// Where the parameters are.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// The query: the code flow.
    Query,
    /// The fragment: the implicit flow.
    Fragment,
}

/// The parameters of a callback, each there once.
pub(super) struct Callback(BTreeMap<String, Zeroizing<String>>);

impl Callback {
    /// Reads a whole callback URL, or a part of it from the path (`/cb?code=…`) or the query
    /// (`?code=…`, `code=…`) on; without the white space around it, for people paste it. A path must be that of
    /// the redirect URI.
    pub(super) fn parse(text: &str, part: Part, redirect_uri: &str) -> Result<Self, Error> {
        let invalid = |why: &'static str| Err(Error::new(Kind::Callback(why.into())));
        if text.len() > LONGEST {
            return invalid("it is too long");
        }
        let text = text.trim();
        let (before, fragment) = text.split_once('#').unwrap_or((text, ""));
        let begins_as_parameters =
            |path: &str| path.contains('=') && !path.starts_with('/') && Url::parse(path).is_err();
        let (path, query) = match before.split_once('?') {
            Some((path, query)) if !begins_as_parameters(path) => (path, query),
            // Parameters by themselves, or a URL without any.
            _ if before.contains('=') => ("", before),
            _ => (before, ""),
        };
        if !path.is_empty() && path_of(path) != path_of(redirect_uri) {
            return invalid("its path is not that of the redirect URI");
        }
        let parameters = match part {
            Part::Query => query,
            // Facebook adds `#_=_` to what it puts into the query.
            Part::Fragment if matches!(fragment, "" | "_=_") => query,
            Part::Fragment => fragment,
        };
        // What the redirect URI has in its query comes back as it is.
        let redirect_uri = Url::parse(redirect_uri).ok();
        let is_own = |name: &str| {
            redirect_uri.iter().any(|uri| uri.query_pairs().any(|(own, _)| own == name))
        };
        let mut once = BTreeMap::new();
        for (name, value) in url::form_urlencoded::parse(parameters.as_bytes()) {
            // "Parameters sent without a value MUST be treated as if they were omitted".
            if value.is_empty() {
                continue;
            }
            if once.contains_key(&*name) && !is_own(&name) {
                return invalid("it has a parameter twice");
            }
            once.insert(name.into_owned(), Zeroizing::new(value.into_owned()));
        }
        Ok(Self(once))
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|value| value.as_str())
    }

    /// Every parameter, as a response in form encoding would have it.
    pub(super) fn members(&self) -> serde_json::Map<String, serde_json::Value> {
        self.0.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect()
    }
}

/// The path of a URL, or of the part of one that begins with the path.
fn path_of(text: &str) -> String {
    match Url::parse(text) {
        Ok(url) => url.path().trim_end_matches('/').to_owned(),
        Err(_) => {
            text.split(['?', '#']).next().unwrap_or_default().trim_end_matches('/').to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REDIRECT_URI: &str = "https://me.example/cb?tenant=1";

    fn code(text: &str) -> Result<Option<String>, String> {
        Callback::parse(text, Part::Query, REDIRECT_URI)
            .map(|callback| callback.get("code").map(str::to_owned))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn whole_urls_and_parts_of_them() {
        for text in [
            "https://me.example/cb?code=a%2Bb&state=s",
            "https://me.example/cb?tenant=1&code=a%2Bb#_=_",
            "http://internal:8080/cb?code=a%2Bb",
            "/cb?code=a%2Bb",
            "?code=a%2Bb",
            "code=a%2Bb",
            "state=s&code=a%2Bb&next=https://x.example/?y=1",
            // As somebody has pasted them.
            "https://me.example/cb?state=s&code=a%2Bb\n",
            " https://me.example/cb?code=a%2Bb&state=s\r\n",
            "\tcode=a%2Bb ",
        ] {
            assert_eq!(code(text), Ok(Some("a+b".to_owned())), "{text}");
        }
        for text in ["https://me.example/cb", "/cb", "", "?", "?code=", "#code=x", "?other=1"] {
            assert_eq!(code(text), Ok(None), "{text}");
        }
    }

    #[test]
    fn what_the_redirect_uri_itself_has_twice_is_no_parameter_of_the_provider() {
        let redirect_uri = "https://me.example/cb?tag=a&tag=b";
        let parse = |text: &str| Callback::parse(text, Part::Query, redirect_uri);
        for text in ["https://me.example/cb?tag=a&tag=b&code=a", "/cb?tag=a&tag=b&code=a"] {
            assert_eq!(parse(text).unwrap().get("code"), Some("a"), "{text}");
        }
        for text in ["/cb?tag=a&tag=b&code=a&code=b", "/cb?tag=a&x=1&x=2&code=a"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn hostile_ones() {
        for (text, why) in [
            ("?code=a&code=b", "twice"),
            ("?code=a&state=s&state=s", "twice"),
            ("?x=1&x=2&code=a", "twice"),
            ("https://me.example/elsewhere?code=a", "path"),
            ("/cb/../x?code=a", "path"),
        ] {
            assert!(code(text).unwrap_err().contains(why), "{text}");
        }
        assert!(code(&format!("?code={}", "a".repeat(LONGEST))).unwrap_err().contains("too long"));
        for text in ["?%", "?%ff=%fe&\0", "://", "?=&=", "\u{0}", "?&&&"] {
            assert!(matches!(code(text), Ok(None) | Err(_)), "{text:?}");
        }
    }

    #[test]
    fn a_fragment_is_read_where_it_is_asked_for() {
        let text = "https://me.example/cb#access_token=2YotnFZFEjr1zCsicMWpAA&state=xyz&token_type=example&expires_in=3600";
        let callback = Callback::parse(text, Part::Fragment, REDIRECT_URI).unwrap();
        assert_eq!(callback.get("access_token"), Some("2YotnFZFEjr1zCsicMWpAA"));
        assert_eq!(callback.members().len(), 4);
        // Facebook adds that to every callback, and puts its errors into the query.
        let text = "https://me.example/cb?error=access_denied&state=xyz#_=_";
        let callback = Callback::parse(text, Part::Fragment, REDIRECT_URI).unwrap();
        assert_eq!(callback.get("error"), Some("access_denied"));
        assert_eq!(
            Callback::parse(text, Part::Query, REDIRECT_URI).unwrap().get("access_token"),
            None
        );
    }
}
