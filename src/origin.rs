//! `Origins`: which servers may see the token.
//!
//! A request's URL is compared with the listed origins as text: `Url` has parsed it and writes it
//! canonically (scheme and host in lower case, IDNs as punycode, default ports left out, user info
//! before the host), so a URL of the origin begins with the origin and a slash, and no other does. A
//! wildcard and a path are compared part by part.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use percent_encoding::percent_decode_str;
use url::Url;

use crate::error::Error;
use crate::loopback::is_loopback;

/// The origins (scheme, host, port) that a token is sent to
/// ([RFC 6454 §4](https://www.rfc-editor.org/rfc/rfc6454#section-4)); `https`, or `http` to
/// loopback.
///
/// [`Session::middleware`](crate::Session::middleware) makes one from text or URLs: one or several,
/// in arrays, slices and vectors. A list must have at least one origin. Of a single [`Url`] only
/// the origin counts; in a list, as in text, a path counts too.
///
/// With a path (`https://api.example/tenant-a`) it means only that path and those below it, for a server
/// whose paths have different owners. `https://api.example/tenant-ab` is not below it, and neither is a
/// path that a server may resolve to one outside, such as `/tenant-a/..%2Ftenant-b`. reqwest follows
/// redirects within an origin with the token, so give the client
/// [`redirect_policy_within`](crate::redirect_policy_within).
///
/// `https://*.example.com` means every subdomain of `example.com`, at any depth (`a.example.com`,
/// `a.b.example.com`), on that port. It does not include `example.com` itself: list both if you
/// mean both. Use it only for a domain whose subdomains all have the same owner. `https://*.com` is
/// refused, but this crate does not know which other names have many owners (`*.co.uk`,
/// `*.github.io`). For other rules see [`matching`](Self::matching).
#[derive(Clone)]
pub struct Origins {
    /// Each with its closing slash: `https://api.example/`.
    listed: Vec<Box<str>>,
    /// Origins narrowed to a path, as `https://api.example/tenant-a`.
    narrowed: Vec<Url>,
    wildcards: Vec<Wildcard>,
    matching: Option<Predicate>,
    plain_http: bool,
}

type Predicate = Arc<dyn Fn(&Url) -> bool + Send + Sync>;

/// The subdomains of a domain.
#[derive(Debug, Clone)]
struct Wildcard {
    scheme: Box<str>,
    /// With its leading dot: `.example.com`.
    suffix: Box<str>,
    port: Option<u16>,
}

impl Origins {
    /// Lists origins such as `https://api.example`, `https://api.example/tenant-a`,
    /// `https://*.example.com` or `http://127.0.0.1:8080`.
    ///
    /// # Errors
    ///
    /// [`Error::is_config`] if the list is empty, and where one is not an absolute URL, has user
    /// info, a query, a fragment or a `*` that is not its whole first label, or is plain http and not
    /// loopback; a wildcard has no path either
    /// ([RFC 6750 §5.3](https://www.rfc-editor.org/rfc/rfc6750#section-5.3)).
    pub fn new<I>(origins: I) -> Result<Self, Error>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        Self::list(origins, false)
    }

    /// As [`new`](Self::new), but allows plain http, for a service mesh that encrypts the traffic
    /// itself. Anybody who can read the traffic reads the token
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

    /// The origins of the URLs that the predicate accepts. It is only asked about https URLs, and
    /// http URLs to loopback. It is called for each request, so it must be fast. Anybody who can
    /// choose a URL that it accepts can get the token
    /// ([RFC 6750 §5.2](https://www.rfc-editor.org/rfc/rfc6750#section-5.2)).
    ///
    /// ```
    /// use reqwest_oauth2::Origins;
    ///
    /// let shards = Origins::matching(|url| {
    ///     let shard = url.host_str().and_then(|host| host.strip_suffix(".example.com"));
    ///     shard.is_some_and(|shard| shard.starts_with("api-") && !shard.contains('.'))
    /// });
    /// ```
    pub fn matching(accepts: impl Fn(&Url) -> bool + Send + Sync + 'static) -> Self {
        Self {
            listed: Vec::new(),
            narrowed: Vec::new(),
            wildcards: Vec::new(),
            matching: Some(Arc::new(accepts)),
            plain_http: false,
        }
    }

    /// Every https origin (and http to loopback): each server that a request goes to gets the
    /// token. Only for clients that choose all URLs themselves
    /// ([RFC 6750 §5.2](https://www.rfc-editor.org/rfc/rfc6750#section-5.2)).
    pub fn any_origin() -> Self {
        Self::matching(|_| true)
    }

    fn list<I>(origins: I, plain_http: bool) -> Result<Self, Error>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        let (mut listed, mut narrowed, mut wildcards) = (Vec::new(), Vec::new(), Vec::new());
        for origin in origins {
            let url = parse(origin.as_ref(), plain_http)?;
            match wildcard(&url)? {
                Some(wildcard) => wildcards.push(wildcard),
                None if url.path() == "/" => listed.push(url.as_str().into()),
                None => narrowed.push(url),
            }
        }
        if listed.is_empty() && narrowed.is_empty() && wildcards.is_empty() {
            return Err(Error::config(
                "no origin is listed, so no request would carry the token; list the origins of your API, such as https://api.example",
            ));
        }
        Ok(Self { listed, narrowed, wildcards, matching: None, plain_http })
    }

    /// Whether a request to this URL carries the token.
    #[inline]
    pub(crate) fn allow(&self, url: &Url) -> bool {
        self.lists_origin_of(url) || self.allow_by_rule(url)
    }

    /// Whether a request to this URL's server carries the token, whatever the path.
    #[cfg(feature = "tower")]
    pub(crate) fn allow_every_path(&self, url: &Url) -> bool {
        self.lists_origin_of(url) || self.wildcards.iter().any(|wildcard| wildcard.allows(url))
    }

    /// Whether a request to this URL's server may carry the token: with some path, or as the predicate says.
    #[cfg(feature = "tower")]
    pub(crate) fn allow_some_path(&self, url: &Url) -> bool {
        self.allow_every_path(url)
            || self.narrowed.iter().any(|narrowed| narrowed.origin() == url.origin())
            || (self.matching.is_some() && is_secure(url, self.plain_http))
    }

    #[inline]
    fn lists_origin_of(&self, url: &Url) -> bool {
        let text = url.as_str();
        self.listed.iter().any(|origin| text.starts_with(&**origin))
    }

    /// Those that are listed one by one.
    #[cfg(feature = "tower")]
    pub(crate) fn listed(&self) -> impl Iterator<Item = &str> {
        self.listed.iter().map(|origin| &**origin)
    }

    fn allow_by_rule(&self, url: &Url) -> bool {
        self.wildcards.iter().any(|wildcard| wildcard.allows(url))
            || self.narrowed.iter().any(|narrowed| is_below(url, narrowed))
            || self
                .matching
                .as_ref()
                .is_some_and(|accepts| is_secure(url, self.plain_http) && accepts(url))
    }
}

impl fmt::Debug for Origins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Origins")
            .field("listed", &self.listed)
            .field("narrowed", &self.narrowed.iter().map(Url::as_str).collect::<Vec<_>>())
            .field("wildcards", &self.wildcards)
            .field("matching", &self.matching.is_some())
            .field("plain_http", &self.plain_http)
            .finish()
    }
}

impl Wildcard {
    fn allows(&self, url: &Url) -> bool {
        let subdomain = url.host_str().and_then(|host| host.strip_suffix(&*self.suffix));
        url.scheme() == &*self.scheme
            && url.port_or_known_default() == self.port
            && url.username().is_empty()
            && url.password().is_none()
            && subdomain.is_some_and(|name| !name.is_empty())
    }
}

/// Whether the URL has the same origin, no user info, and the same path or one below it. A slash at the end
/// of the upper one does not matter.
pub(crate) fn is_below(url: &Url, upper: &Url) -> bool {
    let path = upper.path().trim_end_matches('/');
    url.origin() == upper.origin()
        && url.username().is_empty()
        && url.password().is_none()
        && url
            .path()
            .strip_prefix(path)
            .is_some_and(|rest| (rest.is_empty() || rest.starts_with('/')) && !may_lead_out(rest))
}

/// How often a server may decode a path. What is encoded more often is taken to lead out.
const DECODINGS: usize = 4;

/// Whether some server may read this path as one that leads out of where it begins. `Url` has resolved
/// plain dot segments. A server that decodes `%2F`, takes `\\` for a slash, drops control characters (`/..%00/`),
/// cuts parameters off (`/..;x/`), or looks for a query once more (`/..%3F`) before it resolves them finds others.
fn may_lead_out(path: &str) -> bool {
    let mut path = Cow::from(path);
    for _ in 0..DECODINGS {
        let is_seen = |c: &char| !c.is_whitespace() && !c.is_control();
        let dots = |segment: &str| {
            let name = segment.split([';', '?', '#']).next().unwrap_or_default();
            name.chars().filter(is_seen).eq("..".chars())
        };
        if path.split(['/', '\\']).any(dots) {
            return true;
        }
        let decoded = percent_decode_str(&path).decode_utf8_lossy().into_owned();
        if decoded == path {
            return false;
        }
        path = decoded.into();
    }
    true
}

fn is_secure(url: &Url, plain_http: bool) -> bool {
    url.scheme() == "https" || (url.scheme() == "http" && (plain_http || is_loopback(url)))
}

/// Whether a URL that the application has chosen for this one request may carry a token.
#[inline]
pub(crate) fn may_carry_token(url: &Url) -> bool {
    is_secure(url, false) && url.username().is_empty() && url.password().is_none()
}

fn parse(text: &str, plain_http: bool) -> Result<Url, Error> {
    let fault = |why: &str| fault(text, why);
    let url = Url::parse(text).map_err(|error| fault(&error.to_string()))?;
    if !is_secure(&url, plain_http) {
        return Err(fault(match url.scheme() {
            "http" => "it is plain http, which would show the token to the network",
            _ => "its scheme is not https",
        }));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Error::config("an origin has user info before its host; leave it out"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(fault("it has a query or a fragment"));
    }
    if may_lead_out(url.path()) {
        return Err(fault("its path may resolve to another one"));
    }
    Ok(url)
}

/// The wildcard that the URL is, if it is one.
fn wildcard(url: &Url) -> Result<Option<Wildcard>, Error> {
    let host = url.host_str().unwrap_or_default();
    if !host.contains('*') {
        return Ok(None);
    }
    if url.path() != "/" {
        return Err(fault(url.as_str(), "it has a * and a path; a wildcard has no path"));
    }
    let suffix = host.strip_prefix('*').filter(|rest| rest.starts_with('.') && !rest.contains('*'));
    let labels = |suffix: &&str| suffix.split('.').filter(|label| !label.is_empty()).count() >= 2;
    match suffix.filter(labels) {
        Some(suffix) => Ok(Some(Wildcard {
            scheme: url.scheme().into(),
            suffix: suffix.into(),
            port: url.port_or_known_default(),
        })),
        None => Err(fault(
            url.as_str(),
            "a * may only be the first label of a host, before a domain of two labels or more, as in https://*.example.com (Origins::any_origin, Origins::matching)",
        )),
    }
}

fn fault(text: &str, why: &str) -> Error {
    let shown = crate::redact::redact(text, 80, &[]);
    Error::config(format!(
        "{shown:?} is not an origin: {why}; give scheme, host and port, and a path if only that is meant, such as https://api.example"
    ))
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
    [T: AsRef<str>, const N: usize] [T; N],
    [T: AsRef<str>, const N: usize] &[T; N],
    [T: AsRef<str>] &[T],
    [T: AsRef<str>] Vec<T>,
    [T: AsRef<str>] &Vec<T>,
}

/// The origin of the URL; its path, its query and its fragment do not matter.
impl TryFrom<&Url> for Origins {
    type Error = Error;

    fn try_from(url: &Url) -> Result<Self, Error> {
        Self::new([url.origin().ascii_serialization()])
    }
}

/// The origin of the URL; its path, its query and its fragment do not matter.
impl TryFrom<Url> for Origins {
    type Error = Error;

    fn try_from(url: Url) -> Result<Self, Error> {
        Self::try_from(&url)
    }
}

macro_rules! from_texts {
    ($($text:ty),*) => {$(
        impl TryFrom<$text> for Origins {
            type Error = Error;

            fn try_from(origin: $text) -> Result<Self, Error> {
                Self::new([origin])
            }
        }
    )*};
}

from_texts! { &str, String, &String, Box<str>, Cow<'_, str> }

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
    fn a_whole_origin_has_no_path_that_leads_out_of_it() {
        let origins = Origins::new(["https://api.example"]).unwrap();
        assert!(origins.allow(&url("https://api.example/a/..%2f..%2fb")));
    }

    #[test]
    fn origins_show_what_they_are() {
        let origins =
            Origins::new(["https://a.example", "https://b.example/x", "https://*.c.example"]);
        assert_eq!(
            format!("{:?}", origins.unwrap()),
            r#"Origins { listed: ["https://a.example/"], narrowed: ["https://b.example/x"], wildcards: [Wildcard { scheme: "https", suffix: ".c.example", port: Some(443) }], matching: false, plain_http: false }"#
        );
    }

    #[test]
    fn a_url_of_one_request_may_carry_a_token_over_tls_without_user_info() {
        assert!(may_carry_token(&url("https://api.example/a")));
        assert!(may_carry_token(&url("http://127.0.0.1/a")));
        for no in [
            "http://api.example/",
            "https://user@api.example/",
            "https://:password@api.example/",
            "https://user:password@api.example/",
        ] {
            assert!(!may_carry_token(&url(no)), "{no}");
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
            ("https://api.example/?a", "a query"),
            ("https://api.example/v1?a", "a query"),
            ("https://api.example/v1/..%2f", "its path may resolve to another one"),
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

    #[test]
    fn a_path_stands_for_itself_and_what_is_below_it() {
        for listed in
            ["https://api.example/a/b", "https://api.example/a/b/", "https://api.example/x/../a/b"]
        {
            let origins = Origins::new([listed, "https://other.example"]).unwrap();
            for yes in [
                "https://api.example/a/b",
                "https://API.example:443/a/b/",
                "https://api.example/a/b?c#d",
                "https://api.example/a/b#d",
                "https://api.example/a/b/c",
                "https://api.example/a/b/../b/c",
                "https://api.example/a/b/group%2Fproject",
                "https://api.example/a/b/c..d/...",
                "https://api.example/a/b/100%25",
                "https://other.example/c",
            ] {
                assert!(origins.allow(&url(yes)), "{listed} {yes}");
            }
            for no in [
                "https://api.example/",
                "https://api.example/a",
                "https://api.example/a/bc",
                "https://api.example/A/b",
                "https://api.example/a/c",
                "https://api.example//a/b",
                "https://api.example/c?/a/b",
                "https://api.example/a/b/..",
                "https://api.example/a/b/../c",
                "https://api.example/a/b/%2e%2E/c",
                "https://api.example/a/b/.%2e/c",
                "https://api.example/a/b\\..\\c",
                "https://api.example/a/b/..%2fc",
                "https://api.example/a/b/..%2Fc",
                "https://api.example/a/b%2f..%2f..%2fc",
                "https://api.example/a/b/%2e%2e%2fc",
                "https://api.example/a/b/..%5cc",
                "https://api.example/a/b/%252e%252e%252fc",
                "https://api.example/a/b/%25252e%25252e/c",
                "https://api.example/a/b/%2525252525252525",
                "https://api.example/a/b/..;/c",
                "https://api.example/a/b/..;x=y/c",
                "https://api.example/a/b/..%3bx/c",
                "https://api.example/a/b/..%09/c",
                "https://api.example/a/b/..%00/c",
                "https://api.example/a/b/.%00./c",
                "https://api.example/a/b/..%3fx",
                "https://api.example/a/b/..%2523x",
                "https://user@api.example/a/b",
                "https://api.example:444/a/b",
                "http://api.example/a/b",
                "https://evil.example/a/b",
                "https://api.example@evil.example/a/b",
            ] {
                assert!(!origins.allow(&url(no)), "{listed} {no}");
            }
        }
    }

    #[test]
    fn a_wildcard_stands_for_subdomains_of_any_depth_and_not_for_the_domain() {
        let origins = Origins::new([
            "https://*.Example.com",
            "https://*.b.example:8443",
            "https://*.b\u{fc}cher.example",
            "https://api.example",
        ])
        .unwrap();
        for yes in [
            "https://a.example.com/",
            "https://A.EXAMPLE.com:443/x?y#z",
            "https://a.b.c.example.com/",
            "https://x.b.example:8443/",
            "https://a.xn--bcher-kva.example/",
            "https://api.example/",
        ] {
            assert!(origins.allow(&url(yes)), "{yes}");
        }
        for no in [
            "https://example.com/",
            "https://.example.com/",
            "https://aexample.com/",
            "https://a.example.com.evil.example/",
            "https://a.example.com./",
            "https://evil.example/.example.com",
            "https://evil.example/?.example.com",
            "https://evil.example#.example.com",
            "https://a.example.com@evil.example/",
            "https://user@a.example.com/",
            "https://user:pw@a.example.com/",
            "http://a.example.com/",
            "https://a.example.com:8443/",
            "https://x.b.example/",
            "https://b.example:8443/",
            "https://sub.api.example/",
            "ftp://a.example.com/",
        ] {
            assert!(!origins.allow(&url(no)), "{no}");
        }
        let mesh = Origins::new_over_plain_http(["http://*.svc.cluster.local"]).unwrap();
        assert!(mesh.allow(&url("http://api.team.svc.cluster.local/")));
        assert!(!mesh.allow(&url("https://api.team.svc.cluster.local/")));
    }

    #[test]
    fn what_is_no_wildcard() {
        for text in [
            "https://*",
            "https://*.",
            "https://*.com",
            "https://*.com.",
            "https://*..com",
            "https://a*.example.com",
            "https://*a.example.com",
            "https://a.*.example.com",
            "https://*.*.example.com",
            "https://**.example.com",
            "https://example.*",
            "https://%2A.com",
        ] {
            let error = Origins::new([text]).unwrap_err();
            assert!(error.is_config(), "{text}");
            assert!(
                error.to_string().contains("a * may only be the first label"),
                "{text}: {error}"
            );
        }
        for (text, why) in [
            ("http://*.example.com", "plain http"),
            ("https://*.example.com/v1", "a path"),
            ("https://user@*.example.com", "user info"),
            ("*.example.com", "relative URL without a base"),
            ("https://*.0.0.1", "invalid IPv4 address"),
        ] {
            let error = Origins::new([text]).unwrap_err();
            assert!(error.is_config() && error.to_string().contains(why), "{text}: {error}");
        }
    }

    #[test]
    fn a_predicate_is_asked_of_secure_urls_only() {
        let origins = Origins::matching(|url| url.path().starts_with("/v1/"));
        assert!(origins.allow(&url("https://a.example/v1/x")));
        assert!(origins.allow(&url("http://127.0.0.1:9/v1/x")));
        assert!(!origins.allow(&url("https://a.example/v2/x")));
        assert!(!origins.allow(&url("http://a.example/v1/x")));
        assert!(!origins.allow(&url("ftp://127.0.0.1/v1/x")));
    }

    #[test]
    fn an_empty_list_is_refused() {
        for error in [
            Origins::new(Vec::<String>::new()).unwrap_err(),
            Origins::new_over_plain_http([""; 0]).unwrap_err(),
            Origins::try_from([""; 0]).unwrap_err(),
            Origins::try_from(&[] as &[&str]).unwrap_err(),
        ] {
            assert!(error.is_config());
            assert_eq!(
                error.to_string(),
                "no origin is listed, so no request would carry the token; list the origins of your API, such as https://api.example"
            );
        }
    }

    #[test]
    fn whatever_lists_origins_will_do() {
        fn check<O: TryInto<Origins>>(origins: O)
        where
            O::Error: fmt::Debug,
        {
            assert!(origins.try_into().unwrap().allow(&url("https://a.example/x")));
        }
        let (text, owned, parsed) =
            ("https://a.example", "https://a.example".to_owned(), url("https://a.example"));
        check(text);
        check(owned.clone());
        check(&owned);
        check(owned.clone().into_boxed_str());
        check(Cow::from(text));
        check(parsed.clone());
        check(&parsed);
        check([text]);
        check([&owned]);
        check([owned.clone()]);
        check([&parsed]);
        check([parsed.clone()]);
        check(&[text]);
        let (one, many) = ([owned.clone()], vec![owned.clone()]);
        check(&one);
        check(&many);
        check(&[text][..]);
        check(&[owned.clone()][..]);
        check(&[parsed.clone()][..]);
        check(vec![text]);
        check(vec![owned.clone()]);
        check(vec![&owned]);
        check(vec![parsed.clone()]);
        check(vec![&parsed]);
    }
}
