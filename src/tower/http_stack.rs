//! Requests and responses of the `http` crate, and the service that they go to, as a [`Stack`].
//!
//! A URI says less than a URL: its host may be in capitals, its default port written out, and it may be a
//! path alone. If scheme and authority are those of a listed origin, letter by letter, it is that origin;
//! this is all that the hot path looks at. Otherwise the URL decides that it becomes, as ever, unless that
//! has another host than the URI, or another path where paths count: the service below goes by the URI.

use std::borrow::Borrow;
#[cfg(feature = "keys")]
use std::borrow::Cow;
use std::future::{Future, poll_fn};
use std::marker::PhantomData;
use std::num::NonZeroU64;
use std::sync::Arc;

use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Extensions, HeaderMap, Method, StatusCode, Uri};
use percent_encoding::percent_decode_str;
use tower_service::Service;
use url::{Url, form_urlencoded};

use super::clone_request::CloneRequest;
use crate::error::Error;
use crate::origin::{Origins, may_carry_token};
use crate::request::{Api, Stack, StackRequest, StackResponse, path_of};

/// What the requests of a service have in common.
pub(super) struct Settings<C> {
    pub(super) api: Api,
    /// The origins that are listed one by one.
    listed: Vec<Server>,
    /// Where requests go whose URI is a path alone.
    server: Option<Server>,
    clone_request: C,
}

impl<C> Settings<C> {
    pub(super) fn new(api: Api, server: Option<Server>, clone_request: C) -> Self {
        let listed = api.origins().into_iter().flat_map(Origins::listed);
        let listed = listed.filter_map(Server::of).collect();
        Self { api, listed, server, clone_request }
    }

    /// Whether the URI is of a listed origin, and written as that is.
    #[inline(always)]
    fn has_listed(&self, uri: &Uri) -> bool {
        let (Some(scheme), Some(authority)) = (uri.scheme(), uri.authority()) else { return false };
        let is = |listed: &Server| {
            listed.authority.as_str() == authority.as_str() && listed.scheme == *scheme
        };
        self.listed.iter().any(is)
    }

    /// As [`Stack::is_for`], for a URI that is not written as a listed origin is. Cold, so that the hot path
    /// is laid out for those that are.
    #[cold]
    fn is_for_other(&self, uri: &Uri, origins: Option<&Origins>) -> Result<bool, Error> {
        let (scheme, authority) = match (uri.scheme(), uri.authority(), &self.server) {
            (Some(scheme), Some(authority), _) => (scheme, authority),
            (None, None, Some(Server { scheme, authority })) => (scheme, authority),
            (None, None, None) => {
                return Err(Error::config(
                    "the request's URI is only a path, so it is unknown which server would get the token; name that server with OAuthLayer::connected_to",
                ));
            }
            // That of a CONNECT request.
            _ => return Ok(false),
        };
        let path = uri.path_and_query().map_or("/", PathAndQuery::as_str);
        let path = url_path(path);
        let url = format!("{scheme}://{authority}{path}").parse::<Url>().ok();
        let url = url.filter(|url| {
            let has_host =
                url.host_str().is_some_and(|host| authority.host().eq_ignore_ascii_case(host));
            let port = authority.port().map(|port| port.as_u16());
            has_host && port.is_none_or(|port| url.port_or_known_default() == Some(port))
        });
        Ok(url.is_some_and(|url| match origins {
            Some(origins) if has_path(&url, url_path(uri.path())) => origins.allow(&url),
            // What the service below sends may lead elsewhere.
            Some(origins) => origins.allow_every_path(&url),
            None => may_carry_token(&url),
        }))
    }
}

/// An origin.
#[derive(Debug, Clone)]
pub(super) struct Server {
    scheme: Scheme,
    authority: Authority,
}

impl Server {
    pub(super) fn of(origin: &str) -> Option<Self> {
        let parts = origin.parse::<Uri>().ok()?.into_parts();
        Some(Self { scheme: parts.scheme?, authority: parts.authority? })
    }
}

impl<B: Send> StackRequest for http::Request<B> {
    type Address = Uri;

    fn method(&self) -> &Method {
        self.method()
    }

    #[inline]
    fn headers(&self) -> &HeaderMap {
        self.headers()
    }

    #[inline]
    fn headers_mut(&mut self) -> &mut HeaderMap {
        self.headers_mut()
    }

    fn address(&self) -> Uri {
        self.uri().clone()
    }

    fn query(&self) -> Option<&str> {
        self.uri().query()
    }

    fn append_query_pair(&mut self, name: &str, value: &str) {
        if let Some(uri) = with_query_pair(self.uri(), name, value) {
            *self.uri_mut() = uri;
        }
    }
}

/// The path, or path and query, that the URL has: that of an OPTIONS request may be a star.
fn url_path(path: &str) -> &str {
    if path.starts_with('/') { path } else { "/" }
}

/// Whether the URL has this path, however the characters are encoded. `Url` resolves dot segments, and takes
/// `\\` for a slash.
fn has_path(url: &Url, path: &str) -> bool {
    percent_decode_str(url.path()).eq(percent_decode_str(path))
}

fn with_query_pair(uri: &Uri, name: &str, value: &str) -> Option<Uri> {
    let mut path = uri.path_and_query().map_or("/", PathAndQuery::as_str).to_owned();
    match uri.query() {
        None => path.push('?'),
        Some("") => {}
        Some(_) => path.push('&'),
    }
    path += &form_urlencoded::Serializer::new(String::new()).append_pair(name, value).finish();
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(path.try_into().ok()?);
    Uri::from_parts(parts).ok()
}

/// The service below.
pub(super) struct Below<S, B, C> {
    service: S,
    settings: Arc<Settings<C>>,
    of: PhantomData<fn(B)>,
}

impl<S, B, C> Below<S, B, C> {
    /// A service that is ready for one request.
    pub(super) fn ready(service: S, settings: Arc<Settings<C>>) -> Self {
        Self { service, settings, of: PhantomData }
    }
}

impl<S, B, R, C> Stack for Below<S, B, C>
where
    S: Service<http::Request<B>, Response = http::Response<R>> + Send,
    S::Error: 'static,
    S::Future: Send,
    B: Send,
    R: Send,
    C: CloneRequest<B> + Send + Sync,
{
    type Request = http::Request<B>;
    type Response = http::Response<R>;
    type Error = S::Error;

    #[inline(always)]
    fn is_for(&self, request: &http::Request<B>, origins: Option<&Origins>) -> Result<bool, Error> {
        let is_listed = self.settings.has_listed(request.uri());
        if is_listed { Ok(true) } else { self.settings.is_for_other(request.uri(), origins) }
    }

    fn path(&self, uri: &Uri) -> NonZeroU64 {
        let server = self.settings.server.as_ref();
        let scheme = uri.scheme().or(server.map(|server| &server.scheme));
        let authority = uri.authority().or(server.map(|server| &server.authority));
        path_of((scheme, authority, uri.path()))
    }

    #[cfg(feature = "keys")]
    fn target<'r>(&self, request: &'r http::Request<B>) -> Option<Cow<'r, Url>> {
        let (uri, server) = (request.uri(), self.settings.server.as_ref());
        let scheme = uri.scheme().or(server.map(|server| &server.scheme))?;
        let authority = uri.authority().or(server.map(|server| &server.authority))?;
        let path = url_path(uri.path());
        format!("{scheme}://{authority}{path}").parse().ok().map(Cow::Owned)
    }

    #[inline(always)]
    fn try_clone(&self, request: &http::Request<B>) -> Option<http::Request<B>> {
        self.settings.clone_request.clone_request(request)
    }

    fn ready_again(&mut self) -> impl Future<Output = Result<(), S::Error>> + Send {
        poll_fn(|context| self.service.poll_ready(context))
    }

    #[inline(always)]
    fn clone_or_else<T>(
        &self,
        request: &mut http::Request<B>,
        cloned: impl FnOnce(http::Request<B>) -> T,
        otherwise: impl FnOnce(&mut http::Request<B>) -> T,
    ) -> T {
        self.settings.clone_request.clone_or_else(request, cloned, otherwise)
    }

    #[inline(always)]
    fn prepare(&self, request: &mut http::Request<B>, extensions: &Extensions) {
        // They stay for the next sending.
        request.extensions_mut().clone_from(extensions);
    }

    #[inline(always)]
    fn send_prepared<'s>(
        &'s mut self,
        request: http::Request<B>,
        _: &'s mut Extensions,
    ) -> impl Future<Output = Result<http::Response<R>, S::Error>> + Send {
        self.service.call(request)
    }
}

/// So that one owner serves the whole of a request.
impl<C> Borrow<Api> for Arc<Settings<C>> {
    #[inline]
    fn borrow(&self) -> &Api {
        &self.api
    }
}

impl<R: Send> StackResponse for http::Response<R> {
    #[inline]
    fn status(&self) -> StatusCode {
        self.status()
    }

    fn headers(&self) -> &HeaderMap {
        self.headers()
    }

    fn extensions_mut(&mut self) -> &mut Extensions {
        self.extensions_mut()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::OAuthClient;
    use crate::session::Session;
    use crate::tower::{CloneBodies, OAuthLayer};

    fn api(origins: Origins) -> Api {
        let app = OAuthClient::new("foo", "https://provider.example/token").unwrap();
        Session::builder(app).build().api(origins).unwrap()
    }

    /// Whether the URI's request gets a token; `None`: an error.
    fn gets_token(origins: Origins, server: Option<&str>, uri: &str) -> Option<bool> {
        let server = server.and_then(Server::of);
        let settings = Arc::new(Settings::new(api(origins.clone()), server, CloneBodies));
        let below = Below::<_, String, _>::ready(NoService, settings);
        let request = http::Request::builder().uri(uri).body(String::new()).unwrap();
        below.is_for(&request, Some(&origins)).ok()
    }

    struct NoService;

    impl Service<http::Request<String>> for NoService {
        type Response = http::Response<()>;
        type Error = std::convert::Infallible;
        type Future = std::future::Ready<Result<Self::Response, Self::Error>>;

        fn poll_ready(
            &mut self,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Result<(), Self::Error>> {
            std::task::Poll::Ready(Ok(()))
        }

        fn call(&mut self, _: http::Request<String>) -> Self::Future {
            std::future::ready(Ok(http::Response::new(())))
        }
    }

    #[test]
    fn uris_of_the_listed_origins_get_the_token_however_they_are_written() {
        for (uri, expected) in [
            ("https://api.example", true),
            ("https://api.example/x?y", true),
            ("HTTPS://API.example/x", true),
            ("https://api.example:443/x", true),
            ("https://api.example:8443/x", false),
            ("http://api.example/x", false),
            ("https://api.example.evil/x", false),
            ("https://evil.example/https://api.example/", false),
            ("https://api.example@evil.example/x", false),
            ("https://user:pw@api.example/x", false),
            ("https://user:pw@127.0.0.1:8080/x", false),
            ("http://127.0.0.1:8080/x", true),
            ("http://127.0.0.1/x", false),
            // Which the URL takes for 127.0.0.1, and the service below for another.
            ("http://2130706433:8080/x", false),
            ("http://0x7f.1:8080/x", false),
            // Of a CONNECT request.
            ("api.example:443", false),
        ] {
            let origins = Origins::new(["https://api.example", "http://127.0.0.1:8080"]).unwrap();
            assert_eq!(gets_token(origins, None, uri), Some(expected), "{uri}");
        }
    }

    #[test]
    fn rules_see_the_url_that_the_uri_becomes() {
        let wildcard = || Origins::new(["https://*.example.com"]).unwrap();
        assert_eq!(gets_token(wildcard(), None, "https://A.example.com/x"), Some(true));
        assert_eq!(gets_token(wildcard(), None, "https://example.com/x"), Some(false));
        let public = || Origins::matching(|url| url.path().starts_with("/public/"));
        assert_eq!(gets_token(public(), None, "https://a.example/public/x"), Some(true));
        assert_eq!(gets_token(public(), None, "https://a.example/public/../x"), Some(false));
        assert_eq!(gets_token(public(), None, "http://a.example/public/x"), Some(false));
        let queries = || Origins::matching(|url| url.query() == Some("y=/../z"));
        assert_eq!(gets_token(queries(), None, "https://a.example/x?y=/../z"), Some(true));
        assert_eq!(gets_token(queries(), None, "https://a.example/x"), Some(false));
    }

    #[test]
    fn a_path_that_servers_may_resolve_to_another_is_not_one_of_the_listed() {
        let tenant = || Origins::new(["https://api.example/tenant-a"]).unwrap();
        let public = || Origins::matching(|url| url.path().starts_with("/tenant-a/"));
        for path in [
            "/tenant-b/../tenant-a/x",
            "/tenant-b/%2e%2e/tenant-a/x",
            "/tenant-b/.%2E/tenant-a/x",
            "/./tenant-a/x",
            "/%2e/tenant-a/x",
            "/tenant-b\\..\\tenant-a\\x",
            "/tenant-a\\x",
            "/tenant-a/y/../x",
        ] {
            let uri = format!("https://api.example{path}");
            assert_eq!(gets_token(tenant(), None, &uri), Some(false), "{path}");
            assert_eq!(gets_token(public(), None, &uri), Some(false), "{path}");
            let server = Some("https://api.example/");
            assert_eq!(gets_token(tenant(), server, path), Some(false), "{path}");
            // Its owner has all paths.
            for whole in ["https://api.a.example", "https://*.a.example"] {
                let uri = format!("https://Api.a.example{path}");
                let origins = Origins::new([whole]).unwrap();
                assert_eq!(gets_token(origins, None, &uri), Some(true), "{path}");
            }
        }
        for path in
            ["/tenant-a/x?y=/../z", "/tenant-a/%7Bx%7D", "/tenant-a/{x}\"^", "/tenant-a//..x"]
        {
            let uri = format!("https://api.example{path}");
            assert_eq!(gets_token(tenant(), None, &uri), Some(true), "{path}");
            assert_eq!(gets_token(public(), None, &uri), Some(true), "{path}");
        }
    }

    #[test]
    fn a_path_alone_is_of_the_server_that_was_named() {
        let origins = || Origins::new(["https://api.example"]).unwrap();
        assert_eq!(gets_token(origins(), None, "/x"), None);
        assert_eq!(gets_token(origins(), Some("https://api.example/"), "/x"), Some(true));
        assert_eq!(gets_token(origins(), Some("https://api.example/"), "*"), Some(true));
        let absolute = "https://evil.example/x";
        assert_eq!(gets_token(origins(), Some("https://api.example/"), absolute), Some(false));
        let public = Origins::matching(|url| url.path().starts_with("/public/"));
        assert_eq!(gets_token(public, Some("https://api.example/"), "/x"), Some(false));
    }

    #[test]
    fn the_server_that_is_named_is_one_of_the_origins() {
        let origins = Origins::new(["https://api.example", "http://127.0.0.1:8080"]).unwrap();
        for (server, is_good) in [
            ("https://api.example", true),
            ("https://API.example/", true),
            ("http://127.0.0.1:8080", true),
            ("https://api.example/x", false),
            ("https://api.example?x", false),
            ("https://user@api.example", false),
            ("https://other.example", false),
            ("http://api.example", false),
            ("api.example", false),
            ("", false),
        ] {
            let layer = OAuthLayer::from(api(origins.clone())).connected_to(server);
            assert_eq!(layer.is_ok(), is_good, "{server}");
        }
    }

    #[test]
    fn the_server_of_a_listed_path_can_be_named() {
        let tenant = Origins::new(["https://api.example/tenant-a"]).unwrap();
        let public = Origins::matching(|url| url.path().starts_with("/public/"));
        for (origins, server, is_good) in [
            (&tenant, "https://api.example", true),
            (&tenant, "https://api.example/tenant-a", false),
            (&tenant, "https://user@api.example", false),
            (&tenant, "https://other.example", false),
            (&public, "https://api.example", true),
            (&public, "http://api.example", false),
            (&public, "https://:password@api.example", false),
        ] {
            let layer = OAuthLayer::from(api(origins.clone())).connected_to(server);
            assert_eq!(layer.is_ok(), is_good, "{server}");
        }
        let server = Some("https://api.example/");
        assert_eq!(gets_token(tenant.clone(), server, "/tenant-a/x"), Some(true));
        assert_eq!(gets_token(tenant, server, "/tenant-ab"), Some(false));
    }

    #[test]
    fn a_query_parameter_goes_behind_what_is_there() {
        for (before, after) in [
            ("https://a.example", "https://a.example/?t=a%2Bb"),
            ("https://a.example/x", "https://a.example/x?t=a%2Bb"),
            ("https://a.example/x?", "https://a.example/x?t=a%2Bb"),
            ("https://a.example/x?y=%20", "https://a.example/x?y=%20&t=a%2Bb"),
            ("/x?y", "/x?y&t=a%2Bb"),
        ] {
            let uri = with_query_pair(&before.parse().unwrap(), "t", "a+b").unwrap();
            assert_eq!(uri.to_string(), after);
        }
    }
}
