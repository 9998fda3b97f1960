//! `ProtectedResource`: an API, as its metadata describes it
//! ([RFC 9728](https://www.rfc-editor.org/rfc/rfc9728)).
//!
//! Invariants: the document is about the URL that was asked for; it, and the authorization servers that it
//! names, are https (loopback excepted), and on the Internet or in the resource's own network.

use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Value};
use url::Url;

use super::guarded_resolver::Guard;
use super::http_client::HttpClient;
use super::metadata::{Miss, find, path_of, with_path};
use super::provider::{http_of, if_any, parse_issuer};
use super::{Provider, endpoint_url};
use crate::challenge::Challenge;
use crate::error::Error;
use crate::origin::{is_below, may_carry_token};
use crate::redact::escape_and_truncate;
use crate::wire::{HttpResponse, malformed};

const NAME: &str = "oauth-protected-resource";

/// A resource with more authorization servers is an error.
const MOST_ISSUERS: usize = 20;

/// An API, as its metadata describes it: who may issue its tokens, and for which scopes
/// ([RFC 9728 §2](https://www.rfc-editor.org/rfc/rfc9728#section-2)).
///
/// Cheap to clone.
#[derive(Clone)]
pub struct ProtectedResource(Arc<Inner>);

struct Inner {
    id: String,
    issuers: Vec<String>,
    scopes: Option<String>,
    members: Map<String, Value>,
    guard: Guard,
    /// The application's own.
    http: Option<HttpClient>,
}

impl ProtectedResource {
    /// The resource that a request to this URL belongs to. Its metadata is read from where the challenge of
    /// the response says (`resource_metadata`). Without that, it is read from the well-known location of
    /// the URL's path, then of the origin
    /// ([RFC 9728 §3.1](https://www.rfc-editor.org/rfc/rfc9728#section-3.1),
    /// [§5](https://www.rfc-editor.org/rfc/rfc9728#section-5)). So there are at most two requests. Together
    /// they may take 30 seconds; they follow no redirect and read at most 1 MiB each.
    ///
    /// `None` if nothing is at the well-known locations: each was answered with a 4xx.
    ///
    /// # Which document is the resource's
    ///
    /// Its `resource` is the URL or a URL above it: the same origin, and a path that is equal or a prefix of
    /// whole segments. A `resource` with a query is compared as a whole.
    /// [§3.3](https://www.rfc-editor.org/rfc/rfc9728#section-3.3) asks for the URL itself if a challenge
    /// named the document; in practice one document describes all URLs of an API, as in the Model Context
    /// Protocol. A document of another resource is never used.
    ///
    /// # Where it leads
    ///
    /// To the Internet, or to the network that the resource itself is in: a resource on the Internet cannot
    /// send this client to loopback, to a private network or to a link-local address
    /// ([§7.7](https://www.rfc-editor.org/rfc/rfc9728#section-7.7)); see [`Provider::discover`].
    ///
    /// # Errors
    ///
    /// [`Error::is_config`] if the URL must not carry a token (plain http, user info), and where no
    /// location has a document that can be used: of another resource, with an authorization server that
    /// cannot be one (plain http, say), or with more than 20 of them. [`Error::is_malformed_response`] if
    /// a document or a page was the answer; [`Error::is_transient`] if it may work later.
    ///
    /// # Cancellation
    ///
    /// Dropping the future drops the request; nothing is left to clean up.
    pub async fn discover(url: &Url, challenge: Option<&Challenge>) -> Result<Option<Self>, Error> {
        let named = challenge.and_then(Challenge::resource_metadata);
        Self::found(url, named, None).await
    }

    /// As [`discover`](Self::discover), with an HTTP client of the application's; see
    /// [`Provider::discover_with`] ([RFC 9728 §3](https://www.rfc-editor.org/rfc/rfc9728#section-3)).
    ///
    /// # Errors
    ///
    /// As [`discover`](Self::discover).
    pub async fn discover_with(
        url: &Url,
        challenge: Option<&Challenge>,
        http: impl Into<HttpClient>,
    ) -> Result<Option<Self>, Error> {
        let named = challenge.and_then(Challenge::resource_metadata);
        Self::found(url, named, Some(http.into())).await
    }

    /// `named`: where the resource says that its metadata is.
    pub(crate) async fn found(
        url: &Url,
        named: Option<&str>,
        http: Option<HttpClient>,
    ) -> Result<Option<Self>, Error> {
        if !may_carry_token(url) {
            return Err(Error::config(
                "the resource's URL must not carry a token: it is not https (or http to loopback), or it has user info",
            ));
        }
        let guard = Guard::new(url);
        let named = named.map(|text| named_location(text, url, &guard)).transpose()?;
        let using = http_of(url, http.clone(), &guard)?;
        let read = |response: &HttpResponse<'_>, members| {
            read(response, members, url, &guard, http.clone())
        };
        match named {
            // What a challenge names has to be there.
            Some(named) => find(&using, "this resource", &[named], read).await.map(Some),
            None => if_any(find(&using, "this resource", &locations(url), read).await),
        }
    }

    /// `known`: where the resource has said earlier that its metadata is. It may be elsewhere by now.
    pub(crate) async fn found_again(
        url: &Url,
        known: &str,
        http: Option<HttpClient>,
    ) -> Result<Option<Self>, Error> {
        match Self::found(url, Some(known), http.clone()).await {
            Err(missed) => match Self::found(url, None, http).await? {
                // The known place may have it again later.
                None => if_any(Err(missed)),
                found => Ok(found),
            },
            found => found,
        }
    }

    /// The resource identifier: what [`OAuthClient::resource`](crate::OAuthClient::resource) takes
    /// ([RFC 9728 §2](https://www.rfc-editor.org/rfc/rfc9728#section-2)).
    pub fn id(&self) -> &str {
        &self.0.id
    }

    /// The authorization servers that may issue its tokens, by their issuer identifiers, at most 20. The
    /// application chooses one: "the client […] is responsible for selecting"
    /// ([RFC 9728 §7.6](https://www.rfc-editor.org/rfc/rfc9728#section-7.6)). Empty if the resource names
    /// none.
    pub fn issuers(&self) -> &[String] {
        &self.0.issuers
    }

    /// The scopes that requests to the resource may need, as names separated by spaces
    /// (`scopes_supported`); ask for those that you need
    /// ([RFC 9728 §7.2](https://www.rfc-editor.org/rfc/rfc9728#section-7.2)).
    pub fn scopes(&self) -> Option<&str> {
        self.0.scopes.as_deref()
    }

    /// A member of the metadata, such as `resource_name`
    /// ([RFC 9728 §2](https://www.rfc-editor.org/rfc/rfc9728#section-2)).
    pub fn member(&self, name: &str) -> Option<&Value> {
        self.0.members.get(name)
    }

    /// One of its [`issuers`](Self::issuers), as [`Provider::discover`] finds it, in a network where this
    /// resource may lead.
    ///
    /// # Errors
    ///
    /// As [`Provider::discover`]; [`Error::is_config`] if the resource does not name this issuer.
    pub async fn provider(&self, issuer: &str) -> Result<Option<Provider>, Error> {
        if !self.0.issuers.iter().any(|named| named == issuer) {
            return Err(Error::config(
                "the resource does not name this issuer; take one of ProtectedResource::issuers",
            ));
        }
        if_any(Provider::found_within(issuer, self.0.http.clone(), &self.0.guard).await)
    }
}

/// Where a challenge says that the metadata is.
fn named_location(text: &str, resource: &Url, guard: &Guard) -> Result<Url, Error> {
    let url = endpoint_url::parse(text, "resource_metadata of the challenge", false)?;
    // As with the well-known locations, the application itself has named that host, wherever it is.
    if url.host() == resource.host() {
        return Ok(url);
    }
    guard.check(&url).map_err(|why| {
        Error::config(format!("the resource_metadata of the challenge cannot be used: {why}"))
    })?;
    Ok(url)
}

/// The well-known part goes before path and query: "any terminating slash (/) following the host component
/// MUST be removed" ([RFC 9728 §3.1](https://www.rfc-editor.org/rfc/rfc9728#section-3.1)). Some servers
/// remove the one at the end of the path too, as RFC 8414 does.
fn locations(url: &Url) -> Vec<Url> {
    let mut base = url.clone();
    base.set_fragment(None);
    let path = Some(base.path()).filter(|path| *path != "/").unwrap_or_default();
    let at = |path: &str| with_path(&base, &format!("/.well-known/{NAME}{path}"));
    let mut root = at("");
    root.set_query(None);
    let mut locations = vec![at(path), at(path_of(&base)), root];
    locations.dedup();
    locations
}

/// Reads the document ([RFC 9728 §3.2](https://www.rfc-editor.org/rfc/rfc9728#section-3.2)).
fn read(
    response: &HttpResponse<'_>,
    members: Map<String, Value>,
    url: &Url,
    guard: &Guard,
    http: Option<HttpClient>,
) -> Result<ProtectedResource, (Miss, Error)> {
    let id = members.get("resource").and_then(Value::as_str).unwrap_or_default();
    if !Url::parse(id).is_ok_and(|id| is_resource_of(&id, url)) {
        let shown = escape_and_truncate(id, 120);
        let reason = format!(
            "it is the metadata of {shown:?}, which is neither the URL that was asked for nor one above it"
        );
        return Err((Miss::Other, malformed(response, reason)));
    }
    let unfit = |reason: String| (Miss::Unfit, malformed(response, reason));
    let issuers = issuers(&members, guard).map_err(unfit)?;
    let scopes = members.get("scopes_supported").and_then(Value::as_array);
    let scopes = scopes.map(|names| names.iter().filter_map(Value::as_str).collect::<Vec<_>>());
    let (id, scopes) = (id.to_owned(), scopes.map(|names| names.join(" ")));
    let guard = guard.clone();
    Ok(ProtectedResource(Arc::new(Inner { id, issuers, scopes, members, guard, http })))
}

/// Whether a request to the URL belongs to this resource.
fn is_resource_of(id: &Url, url: &Url) -> bool {
    let may_be_one = may_carry_token(id) && id.fragment().is_none();
    may_be_one
        && match id.query() {
            Some(query) => {
                url.query() == Some(query) && id.path() == url.path() && id.origin() == url.origin()
            }
            None => is_below(url, id),
        }
}

/// The authorization servers; why they cannot be used.
fn issuers(members: &Map<String, Value>, guard: &Guard) -> Result<Vec<String>, String> {
    let named = match members.get("authorization_servers") {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Array(named)) => named,
        Some(_) => return Err("its authorization_servers is not a list".to_owned()),
    };
    if named.len() > MOST_ISSUERS {
        let count = named.len();
        return Err(format!("it names {count} authorization servers, more than {MOST_ISSUERS}"));
    }
    let issuer = |named: &Value| {
        let text = named.as_str().ok_or("one of its authorization servers is not a string")?;
        let shown = || escape_and_truncate(text, 120);
        let url = parse_issuer(text).map_err(|error| format!("{:?}: {error}", shown()))?;
        guard.check(&url).map_err(|why| format!("its issuer {:?}: {why}", shown()))?;
        Ok(text.to_owned())
    };
    named.iter().map(issuer).collect()
}

impl fmt::Debug for ProtectedResource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProtectedResource")
            .field("id", &self.0.id)
            .field("issuers", &self.0.issuers)
            .field("scopes", &self.0.scopes)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use reqwest::dns::Resolve as _;

    use super::*;
    use crate::client::guarded_resolver::GuardedResolver;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn c9728_3_1_a_the_well_known_part_goes_before_path_and_query() {
        const ROOT: &str = "https://resource.example.com/.well-known/oauth-protected-resource";
        for (resource, expected) in [
            ("https://resource.example.com", &[""][..]),
            ("https://resource.example.com/", &[""]),
            ("https://resource.example.com/#x", &[""]),
            ("https://resource.example.com/resource1", &["/resource1", ""]),
            ("https://resource.example.com/a/b/", &["/a/b/", "/a/b", ""]),
            ("https://resource.example.com/a/?b=c", &["/a/?b=c", "/a?b=c", ""]),
            ("https://resource.example.com/a?b=c#d", &["/a?b=c", ""]),
            ("https://resource.example.com/?b=c", &["?b=c", ""]),
        ] {
            let found = locations(&url(resource));
            let found: Vec<_> = found.iter().map(|at| at.as_str().strip_prefix(ROOT)).collect();
            let expected: Vec<_> = expected.iter().map(|rest| Some(*rest)).collect();
            assert_eq!(found, expected, "{resource}");
        }
    }

    #[test]
    fn c9728_3_3_a_a_resource_is_the_url_or_one_above_it() {
        for (id, of) in [
            ("https://api.example", "https://api.example/x"),
            ("https://api.example/", "https://api.example"),
            ("https://API.example:443/x", "https://api.example/x"),
            ("https://api.example/x", "https://api.example/x/y?z"),
            ("https://api.example/x/", "https://api.example/x"),
            ("https://api.example/x?a=b", "https://api.example/x?a=b"),
            ("http://localhost:9/x", "http://localhost:9/x"),
        ] {
            assert!(is_resource_of(&url(id), &url(of)), "{id} {of}");
        }
        for (id, of) in [
            ("https://api.example/x", "https://api.example/"),
            ("https://api.example/x", "https://api.example/xy"),
            ("https://api.example/x", "https://api.example/X"),
            ("https://api.example/x", "https://api.example/x/..%2fy"),
            ("https://api.example/x?a=b", "https://api.example/x"),
            ("https://api.example/x?a=b", "https://api.example/x?a=c"),
            ("https://api.example/x?a=b", "https://other.example/x?a=b"),
            ("https://api.example/x#a", "https://api.example/x"),
            ("https://sub.api.example/", "https://api.example/"),
            ("https://api.example:444/", "https://api.example/"),
            ("http://api.example/", "https://api.example/"),
            ("https://api.example/", "https://user@api.example/"),
            ("urn:example:api", "https://api.example/"),
        ] {
            assert!(!is_resource_of(&url(id), &url(of)), "{id} {of}");
        }
    }

    #[tokio::test]
    async fn a_location_on_the_resources_own_host_is_where_that_host_is() {
        for (named, host, address, is_used) in [
            ("https://api.example/meta", "api.example", [10, 0, 0, 1], true),
            ("https://meta.example", "meta.example", [10, 0, 0, 1], false),
            ("https://meta.example", "meta.example", [9, 9, 9, 9], true),
        ] {
            let resource = url("https://api.example/x");
            let guard = Guard::new(&resource);
            named_location(named, &resource, &guard).unwrap();
            let lookup = move |_: &str| Ok(vec![SocketAddr::from((address, 0))]);
            let resolver = GuardedResolver::with_lookup(guard, lookup);
            let found = resolver.resolve(host.parse().unwrap()).await;
            assert_eq!(found.is_ok(), is_used, "{named}");
        }
    }

    fn read_issuers(servers: Value) -> Result<Vec<String>, String> {
        let members = Map::from_iter([("authorization_servers".to_owned(), servers)]);
        issuers(&members, &Guard::new(&url("https://api.example")))
    }

    #[test]
    fn c36_what_is_no_authorization_server() {
        let one = "https://issuer.example/a";
        assert_eq!(read_issuers(serde_json::json!([one])).unwrap(), [one]);
        assert_eq!(read_issuers(Value::Null).unwrap(), [""; 0]);
        assert_eq!(read_issuers(serde_json::json!(vec![one; MOST_ISSUERS])).unwrap().len(), 20);
        for (servers, why) in [
            (serde_json::json!(one), "its authorization_servers is not a list"),
            (serde_json::json!([7]), "one of its authorization servers is not a string"),
            (serde_json::json!(vec![one; 1000]), "it names 1000 authorization servers"),
            (serde_json::json!(["http://issuer.example"]), "it is plain http"),
            (serde_json::json!([one, "issuer.example"]), "not an absolute URL"),
            (serde_json::json!(["https://issuer.example?a"]), "it has a query"),
            (serde_json::json!(["https://issuer.example#a"]), "it has a fragment"),
            (serde_json::json!(["https://user:pw@issuer.example"]), "it has user info"),
            (serde_json::json!(["https://169.254.169.254"]), "its address leads to a link-local"),
            (serde_json::json!(["http://localhost:9"]), "its address leads to this machine"),
        ] {
            let error = read_issuers(servers).unwrap_err();
            assert!(error.contains(why), "{error}");
        }
    }
}
