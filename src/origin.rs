//! `Origins`: which servers may see the token.
//!
//! A request's URL is compared with the listed origins as text: `Url` has parsed it and writes it
//! canonically (scheme and host in lower case, IDNs as punycode, default ports left out, user info
//! before the host), so a URL of the origin begins with the origin and a slash, and no other does.

use url::Url;

use crate::error::Error;
use crate::loopback::is_loopback;

/// The origins (scheme, host, port) that a token is sent to
/// ([RFC 6454 §4](https://www.rfc-editor.org/rfc/rfc6454#section-4)); `https`, or `http` to
/// loopback.
///
/// [`Session::middleware`](crate::Session::middleware) makes one of whatever lists origins.
#[derive(Debug, Clone)]
pub struct Origins {
    /// Each with its closing slash: `https://api.example/`.
    listed: Vec<Box<str>>,
    any: bool,
    plain_http: bool,
}

impl Origins {
    /// Lists origins such as `https://api.example` or `http://127.0.0.1:8080`.
    ///
    /// # Errors
    ///
    /// [`Error::is_config`] where one is not an absolute URL, has user info, a path, a query or a
    /// fragment, or is plain http and not loopback
    /// ([RFC 6750 §5.3](https://www.rfc-editor.org/rfc/rfc6750#section-5.3)).
    pub fn new<I>(origins: I) -> Result<Self, Error>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        Self::list(origins, false)
    }

    /// As [`new`](Self::new), and plain http is allowed, for a mesh that encrypts by itself. Anyone
    /// between here and there who can read the traffic reads the token
    /// ([RFC 6750 §5.3](https://www.rfc-editor.org/rfc/rfc6750#section-5.3)).
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new), plain http excepted.
    pub fn new_over_plain_http<I>(origins: I) -> Result<Self, Error>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        Self::list(origins, true)
    }

    /// Every https origin (and http to loopback): each server that a request names gets the token.
    /// For clients that only ever call URLs of their own choosing
    /// ([RFC 6750 §5.2](https://www.rfc-editor.org/rfc/rfc6750#section-5.2)).
    pub fn any_origin() -> Self {
        Self { listed: Vec::new(), any: true, plain_http: false }
    }

    fn list<I>(origins: I, plain_http: bool) -> Result<Self, Error>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        let listed = origins
            .into_iter()
            .map(|origin| parse(origin.as_ref(), plain_http))
            .collect::<Result<_, _>>()?;
        Ok(Self { listed, any: false, plain_http })
    }

    /// Whether a request to this URL carries the token.
    #[inline]
    pub(crate) fn allow(&self, url: &Url) -> bool {
        let text = url.as_str();
        if self.any {
            return url.scheme() == "https"
                || (url.scheme() == "http" && (self.plain_http || is_loopback(url)));
        }
        self.listed.iter().any(|origin| text.starts_with(&**origin))
    }
}

fn parse(text: &str, plain_http: bool) -> Result<Box<str>, Error> {
    let fault = |why: &str| {
        let shown = crate::redact::redact(text, 80, &[]);
        Error::config(format!(
            "{shown:?} is not an origin: {why}; give scheme, host and port only, such as https://api.example"
        ))
    };
    let url = Url::parse(text).map_err(|error| fault(&error.to_string()))?;
    match url.scheme() {
        "https" => {}
        "http" if plain_http || is_loopback(&url) => {}
        "http" => return Err(fault("it is plain http, which would show the token to the network")),
        _ => return Err(fault("its scheme is not https")),
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Error::config(
            "an origin has user info before its host; give scheme, host and port only",
        ));
    }
    if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
        return Err(fault("it has a path, a query or a fragment"));
    }
    Ok(url.as_str().into())
}

macro_rules! from_lists {
    ($([$($generics:tt)*] $list:ty),* $(,)?) => {$(
        impl<$($generics)*> TryFrom<$list> for Origins {
            type Error = Error;

            fn try_from(origins: $list) -> Result<Self, Error> {
                Self::new(origins)
            }
        }
    )*};
}

from_lists! {
    [const N: usize] [&str; N],
    [const N: usize] [String; N],
    [] &[&str],
    [] &[String],
    [] Vec<&str>,
    [] Vec<String>,
}

/// The origin of the URL; its path, its query and its fragment do not matter.
impl TryFrom<&Url> for Origins {
    type Error = Error;

    fn try_from(url: &Url) -> Result<Self, Error> {
        Self::new([url.origin().ascii_serialization()])
    }
}

impl TryFrom<&str> for Origins {
    type Error = Error;

    fn try_from(origin: &str) -> Result<Self, Error> {
        Self::new([origin])
    }
}

impl TryFrom<String> for Origins {
    type Error = Error;

    fn try_from(origin: String) -> Result<Self, Error> {
        Self::new([origin])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn the_parsed_origin_decides() {
        let origins = Origins::new([
            "https://API.example",
            "https://b.example:8443/",
            "http://127.0.0.1:80",
            "https://bücher.example",
        ])
        .unwrap();
        for yes in [
            "https://api.example",
            "https://api.example/a?b#c",
            "HTTPS://Api.Example:443/",
            "https://api.example?x",
            "https:\\\\api.example\\a",
            "https://b.example:8443/x",
            "http://127.0.0.1/",
            "http://127.1/",
            "https://xn--bcher-kva.example/",
        ] {
            assert!(origins.allow(&url(yes)), "{yes}");
        }
        for no in [
            "https://api.example@evil.example/",
            "https://api.example:pw@evil.example/",
            "https://user:pw@api.example/",
            "https://api.example.evil.example/",
            "https://evil.example/https://api.example/",
            "https://evil.example/?https://api.example/",
            "https://sub.api.example/",
            "https://api.example:444/",
            "https://api.exampl/",
            "http://api.example/",
            "https://b.example/",
            "http://127.0.0.1:81/",
            "http://127.0.0.2/",
            "ftp://api.example/",
            "data:https://api.example/",
        ] {
            assert!(!origins.allow(&url(no)), "{no}");
        }
    }

    #[test]
    fn any_origin_still_means_tls() {
        let any = Origins::any_origin();
        assert!(any.allow(&url("https://anywhere.example/")));
        assert!(any.allow(&url("http://[::1]:9/")));
        assert!(!any.allow(&url("http://anywhere.example/")));
        assert!(!any.allow(&url("ftp://127.0.0.1/")));
    }

    #[test]
    fn what_is_no_origin_and_why() {
        for (text, why) in [
            ("api.example", "relative URL without a base"),
            ("", "relative URL without a base"),
            ("https://api.example/v1", "a path"),
            ("https://api.example/?a", "a query"),
            ("https://api.example/#a", "a fragment"),
            ("https://user:hunter2@api.example", "user info"),
            ("http://api.example", "plain http"),
            ("ws://api.example", "not https"),
        ] {
            let error = Origins::new([text]).unwrap_err();
            assert!(error.is_config() && error.to_string().contains(why), "{text}: {error}");
            assert!(!error.to_string().contains("hunter2"));
        }
        let base = url("https://api.example/v1?a#b");
        assert!(Origins::try_from(&base).unwrap().allow(&base));
        assert!(
            Origins::new_over_plain_http(["http://api.example"])
                .unwrap()
                .allow(&url("http://api.example/x"))
        );
    }
}
