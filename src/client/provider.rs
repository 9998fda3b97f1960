//! `Provider`: an authorization server, as its metadata describes it
//! ([RFC 8414](https://www.rfc-editor.org/rfc/rfc8414),
//! [OpenID Connect Discovery 1.0 §4](https://openid.net/specs/openid-connect-discovery-1_0.html#ProviderConfig)).
//!
//! Invariants: the issuer in the document is the issuer asked for, code point by code point; every
//! endpoint that this crate sends something to is https (loopback excepted), and on the Internet or in the
//! issuer's own network.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use url::Url;

use super::guarded_resolver::{Guard, GuardedResolver};
use super::http_client::HttpClient;
use super::metadata::{Miss, find, inserted, path_of, with_path};
use super::network::Network;
use super::own_clients::own_http;
use super::{Endpoints, Issuer, OAuthClient, endpoint_url};
use crate::error::{Error, Kind};
use crate::redact::escape_and_truncate;
use crate::wire::{HttpResponse, malformed};

/// The members that name endpoints which this crate may send something to.
const ENDPOINTS: [&str; 7] = [
    "authorization_endpoint",
    "device_authorization_endpoint",
    "introspection_endpoint",
    "pushed_authorization_request_endpoint",
    "registration_endpoint",
    "revocation_endpoint",
    "token_endpoint",
];

/// An authorization server, as its metadata describes it
/// ([RFC 8414 §2](https://www.rfc-editor.org/rfc/rfc8414#section-2)).
///
/// Cheap to clone.
///
/// ```no_run
/// # async fn f() -> Result<(), reqwest_oauth2::Error> {
/// use reqwest_oauth2::Provider;
///
/// let provider = Provider::discover("https://issuer.example").await?;
/// let client = provider.expect("it has metadata").client("my-client-id");
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Provider(Arc<Inner>);

struct Inner {
    issuer: String,
    members: Map<String, Value>,
    endpoints: BTreeMap<&'static str, Url>,
    /// The same for clients with a certificate.
    mtls_endpoints: BTreeMap<&'static str, Url>,
    token: Url,
    http: HttpClient,
    guard: Guard,
}

/// What is kept of a provider, so that another process need not look for it.
#[derive(Serialize, Deserialize)]
pub(crate) struct KeptProvider {
    issuer: String,
    metadata: Map<String, Value>,
    /// Where the issuer was found.
    network: Option<Network>,
}

impl Provider {
    /// The provider with this issuer identifier: its metadata is looked for first as
    /// [RFC 8414 §3](https://www.rfc-editor.org/rfc/rfc8414#section-3) says, then as OpenID Connect
    /// Discovery does. If one location has no document of that issuer, whatever it answers, the
    /// next one is asked. All of them together may take 30 seconds.
    ///
    /// `None` if there is nothing at any of the locations: each was answered with a 4xx.
    ///
    /// The document leads to the Internet, or to the network that the issuer itself is in, and nowhere
    /// else: an issuer on the Internet cannot send this client, and its secret, to loopback, to a
    /// private network or to a link-local address
    /// ([RFC 9728 §7.7](https://www.rfc-editor.org/rfc/rfc9728#section-7.7)). The addresses are
    /// checked each time a request of its clients connects. A proxy resolves names by itself: behind
    /// one, only endpoints that are given as addresses are checked. An endpoint that the application
    /// sets itself is not checked.
    ///
    /// # Errors
    ///
    /// [`Error::is_config`] if the issuer is no https URL (loopback excepted), or has a query or
    /// a fragment, and where no location has a document that can be used: that of another issuer, or
    /// with an endpoint that cannot be used. The text says what each location answered.
    /// [`Error::is_malformed_response`] if a document or a page was the answer;
    /// [`Error::is_transient`] if it may work later.
    ///
    /// # Cancellation
    ///
    /// Dropping the future drops the request; nothing is left to clean up.
    pub async fn discover(issuer: impl AsRef<str>) -> Result<Option<Self>, Error> {
        if_any(Self::found(issuer.as_ref(), None).await)
    }

    /// As [`discover`](Self::discover), with an HTTP client of the application's, which is also
    /// that of the token requests; see [`OAuthClient::http_client`]
    /// ([RFC 8414 §3](https://www.rfc-editor.org/rfc/rfc8414#section-3)).
    ///
    /// This crate does not know what that client connects to. So only endpoints given as addresses (or
    /// `localhost`) are checked. An issuer that is not given as an address is assumed to be on the
    /// Internet. To have names checked too, build the client with
    /// [`PublicResolver`](crate::PublicResolver).
    ///
    /// # Errors
    ///
    /// As [`discover`](Self::discover).
    pub async fn discover_with(
        issuer: impl AsRef<str>,
        http: impl Into<HttpClient>,
    ) -> Result<Option<Self>, Error> {
        if_any(Self::found(issuer.as_ref(), Some(http.into())).await)
    }

    /// As `discover`, or `discover_with`; an error where there is no document.
    async fn found(issuer: &str, http: Option<HttpClient>) -> Result<Self, Error> {
        let url = parse_issuer(issuer)?;
        let guard = Guard::new(&url);
        Self::guarded(issuer, &url, http, &guard).await
    }

    /// As `found`, for an issuer that a resource names.
    pub(super) async fn found_within(
        issuer: &str,
        http: Option<HttpClient>,
        resource: &Guard,
    ) -> Result<Self, Error> {
        let url = parse_issuer(issuer)?;
        let guard = resource.of_named(&url);
        let guard = guard.map_err(|why| Error::config(format!("the issuer is not used: {why}")))?;
        Self::guarded(issuer, &url, http, &guard).await
    }

    async fn guarded(
        issuer: &str,
        url: &Url,
        http: Option<HttpClient>,
        guard: &Guard,
    ) -> Result<Self, Error> {
        Self::read_at(issuer, url, http_of(url, http, guard)?, guard).await
    }

    async fn read_at(
        issuer: &str,
        url: &Url,
        http: HttpClient,
        guard: &Guard,
    ) -> Result<Self, Error> {
        let read = |response: &HttpResponse<'_>, members| {
            read(response, members, issuer, guard, http.clone())
        };
        find(&http, "this issuer", &locations(url), read).await
    }

    /// A provider without metadata, as in the Model Context Protocol of 2025-03-26: it issues tokens for its
    /// own origin, and its endpoints are there, at `/authorize`, `/token` and `/register`.
    ///
    /// # Errors
    ///
    /// [`Error::is_config`] if the URL is not https (loopback excepted).
    pub fn with_default_endpoints(url: &Url) -> Result<Self, Error> {
        Self::without_metadata(url, None)
    }

    /// As `with_default_endpoints`. `http`: the application's own.
    pub(crate) fn without_metadata(url: &Url, http: Option<HttpClient>) -> Result<Self, Error> {
        let issuer = url.origin().ascii_serialization();
        let at = |path: &str| Value::from(format!("{issuer}{path}"));
        let metadata = Map::from_iter([
            ("issuer".to_owned(), Value::from(issuer.as_str())),
            ("authorization_endpoint".to_owned(), at("/authorize")),
            ("token_endpoint".to_owned(), at("/token")),
            ("registration_endpoint".to_owned(), at("/register")),
            ("code_challenge_methods_supported".to_owned(), serde_json::json!(["S256"])),
        ]);
        let guard = Guard::of_own_host(&parse_issuer(&issuer)?);
        Self::of_known_members(metadata, &issuer, &guard, http)
    }

    pub(crate) fn kept(&self) -> KeptProvider {
        KeptProvider {
            issuer: self.0.issuer.clone(),
            metadata: self.0.members.clone(),
            network: self.0.guard.network_of_issuer(),
        }
    }

    /// `http`: the application's own.
    pub(crate) fn of_kept(kept: KeptProvider, http: Option<HttpClient>) -> Result<Self, Error> {
        let url = parse_issuer(&kept.issuer)?;
        let guard = Guard::of_known(&url, kept.network.or_else(|| Network::of_host(&url)));
        Self::of_known_members(kept.metadata, &kept.issuer, &guard, http)
    }

    fn of_known_members(
        members: Map<String, Value>,
        issuer: &str,
        guard: &Guard,
        http: Option<HttpClient>,
    ) -> Result<Self, Error> {
        let http = http_of(&parse_issuer(issuer)?, http, guard)?;
        Self::of_members(members, issuer, guard, http).map_err(Error::config)
    }

    /// The issuer identifier ([RFC 8414 §2](https://www.rfc-editor.org/rfc/rfc8414#section-2)).
    pub fn issuer(&self) -> &str {
        &self.0.issuer
    }

    /// A member of the metadata, such as `scopes_supported`
    /// ([RFC 8414 §2](https://www.rfc-editor.org/rfc/rfc8414#section-2)). It is as the provider sent it:
    /// a URL in it may lead anywhere.
    pub fn member(&self, name: &str) -> Option<&Value> {
        self.0.members.get(name)
    }

    /// A list among the members. One without elements is none: "Claims with zero elements MUST be omitted from
    /// the response" ([RFC 8414 §3.2](https://www.rfc-editor.org/rfc/rfc8414#section-3.2)).
    pub(crate) fn list(&self, name: &str) -> Option<&[Value]> {
        let list = self.member(name)?.as_array()?;
        (!list.is_empty()).then_some(list)
    }

    /// Whether the member is `true`.
    pub(crate) fn says(&self, name: &str) -> bool {
        self.member(name) == Some(&Value::Bool(true))
    }

    /// An endpoint that this crate sends something to, by the name of its member, such as
    /// `registration_endpoint`: https (loopback excepted), and where this issuer may lead.
    pub fn endpoint(&self, name: &str) -> Option<&Url> {
        self.0.endpoints.get(name)
    }

    /// The endpoint for clients that show a certificate, where it is another one
    /// (`mtls_endpoint_aliases`, [RFC 8705 §5](https://www.rfc-editor.org/rfc/rfc8705#section-5)).
    pub fn mtls_endpoint(&self, name: &str) -> Option<&Url> {
        self.0.mtls_endpoints.get(name)
    }

    pub(super) fn http(&self) -> &HttpClient {
        &self.0.http
    }

    /// A client of this provider, with all endpoints that the metadata names. A login with it checks the
    /// `iss` of the callback
    /// ([RFC 9207 §2.4](https://www.rfc-editor.org/rfc/rfc9207#section-2.4)).
    pub fn client(&self, client_id: impl Into<String>) -> OAuthClient {
        let endpoint = |name| self.endpoint(name).cloned();
        let endpoints = Endpoints {
            token: self.0.token.clone(),
            authorization: endpoint("authorization_endpoint"),
            device_authorization: endpoint("device_authorization_endpoint"),
            pushed_authorization: endpoint("pushed_authorization_request_endpoint"),
            revocation: endpoint("revocation_endpoint"),
            introspection: endpoint("introspection_endpoint"),
            issuer: Some(Issuer {
                text: self.0.issuer.clone(),
                in_callback: self.says("authorization_response_iss_parameter_supported"),
            }),
        };
        let client = OAuthClient::with_endpoints(client_id.into(), endpoints);
        client.http_client(self.0.http.clone()).of_provider(self.clone())
    }
}

impl OAuthClient {
    /// A client whose endpoints come from the metadata of this issuer: [`Provider::discover`] and
    /// [`Provider::client`] in one
    /// ([RFC 8414 §3](https://www.rfc-editor.org/rfc/rfc8414#section-3)).
    ///
    /// # Errors
    ///
    /// As [`Provider::discover`], and where there is no metadata.
    pub async fn discover(
        issuer: impl AsRef<str>,
        client_id: impl Into<String>,
    ) -> Result<Self, Error> {
        Ok(Provider::found(issuer.as_ref(), None).await?.client(client_id))
    }

    /// As [`discover`](Self::discover), with an HTTP client of the application's: see
    /// [`Provider::discover_with`]
    /// ([RFC 8414 §3](https://www.rfc-editor.org/rfc/rfc8414#section-3)).
    ///
    /// # Errors
    ///
    /// As [`discover`](Self::discover).
    pub async fn discover_with(
        issuer: impl AsRef<str>,
        client_id: impl Into<String>,
        http: impl Into<HttpClient>,
    ) -> Result<Self, Error> {
        Ok(Provider::found(issuer.as_ref(), Some(http.into())).await?.client(client_id))
    }
}

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Provider").field("issuer", &self.0.issuer).finish_non_exhaustive()
    }
}

/// The application's own client, or one that connects to where the guard permits.
pub(super) fn http_of(
    url: &Url,
    http: Option<HttpClient>,
    guard: &Guard,
) -> Result<HttpClient, Error> {
    match http {
        Some(http) => Ok(http),
        None => own_http(url, Some(Arc::new(GuardedResolver::new(guard.clone())))),
    }
}

/// `None` where there is no document.
pub(super) fn if_any<T>(found: Result<T, Error>) -> Result<Option<T>, Error> {
    match found {
        Err(error) if matches!(error.kind(), Kind::Discovery { absent: true, .. }) => Ok(None),
        found => found.map(Some),
    }
}

/// The issuer as a URL
/// ([RFC 8414 §2](https://www.rfc-editor.org/rfc/rfc8414#section-2)).
pub(super) fn parse_issuer(issuer: &str) -> Result<Url, Error> {
    let url = endpoint_url::parse(issuer, "issuer", false)?;
    if url.query().is_some() {
        return Err(Error::config(
            "the issuer cannot be used: it has a query; give the URL exactly as the provider names it",
        ));
    }
    Ok(url)
}

/// Where the metadata of the issuer may be: the well-known part goes before the issuer's path
/// ([RFC 8414 §3.1](https://www.rfc-editor.org/rfc/rfc8414#section-3.1)); OpenID Connect appends it.
fn locations(base: &Url) -> Vec<Url> {
    let path = path_of(base);
    let mut locations =
        vec![inserted(base, "oauth-authorization-server"), inserted(base, "openid-configuration")];
    if !path.is_empty() {
        locations.push(with_path(base, &format!("{path}/.well-known/openid-configuration")));
    }
    locations
}

/// Reads the document ([RFC 8414 §2](https://www.rfc-editor.org/rfc/rfc8414#section-2)).
fn read(
    response: &HttpResponse<'_>,
    members: Map<String, Value>,
    issuer: &str,
    guard: &Guard,
    http: HttpClient,
) -> Result<Provider, (Miss, Error)> {
    // "The "issuer" value returned MUST be identical to the authorization server's issuer
    // identifier value into which the well-known URI string was inserted […] If these values are
    // not identical, the data contained in the response MUST NOT be used."
    // https://www.rfc-editor.org/rfc/rfc8414#section-3.3
    let named = members.get("issuer").and_then(Value::as_str);
    if named != Some(issuer) {
        let named = escape_and_truncate(named.unwrap_or_default(), 120);
        let reason = format!(
            "its issuer is {named:?}, not the one that was asked for; give it exactly as the provider names it"
        );
        return Err((Miss::Other, malformed(response, reason)));
    }
    Provider::of_members(members, issuer, guard, http)
        .map_err(|reason| (Miss::Unfit, malformed(response, reason)))
}

impl Provider {
    /// The provider with this metadata, or why it cannot be used.
    fn of_members(
        members: Map<String, Value>,
        issuer: &str,
        guard: &Guard,
        http: HttpClient,
    ) -> Result<Self, String> {
        let endpoints = endpoints(&members, guard)?;
        let aliases = members.get("mtls_endpoint_aliases").and_then(Value::as_object);
        let mtls_endpoints = aliases.map(|aliases| self::endpoints(aliases, guard)).transpose()?;
        let token = endpoints.get("token_endpoint").cloned().ok_or("token_endpoint is missing")?;
        Ok(Self(Arc::new(Inner {
            issuer: issuer.to_owned(),
            members,
            endpoints,
            mtls_endpoints: mtls_endpoints.unwrap_or_default(),
            token,
            http,
            guard: guard.clone(),
        })))
    }
}

/// The endpoints among the members; why one cannot be used. Some servers write an endpoint that they do not
/// have as an empty text.
fn endpoints(
    members: &Map<String, Value>,
    guard: &Guard,
) -> Result<BTreeMap<&'static str, Url>, String> {
    let mut endpoints = BTreeMap::new();
    for name in ENDPOINTS {
        let text = members.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        let Some(text) = text else { continue };
        let url = endpoint_url::parse(text, name, false).map_err(|error| error.to_string())?;
        guard.check(&url).map_err(|why| format!("the {name} cannot be used: {why}"))?;
        endpoints.insert(name, url);
    }
    Ok(endpoints)
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::{SocketAddr, TcpListener};

    use reqwest::dns::Resolve as _;

    use super::*;

    #[test]
    fn well_known_locations() {
        for (issuer, expected) in [
            (
                "https://example.com/issuer1",
                &[
                    "https://example.com/.well-known/oauth-authorization-server/issuer1",
                    "https://example.com/.well-known/openid-configuration/issuer1",
                    "https://example.com/issuer1/.well-known/openid-configuration",
                ][..],
            ),
            (
                "https://example.com",
                &[
                    "https://example.com/.well-known/oauth-authorization-server",
                    "https://example.com/.well-known/openid-configuration",
                ],
            ),
            (
                "https://example.com/a/b/",
                &[
                    "https://example.com/.well-known/oauth-authorization-server/a/b",
                    "https://example.com/.well-known/openid-configuration/a/b",
                    "https://example.com/a/b/.well-known/openid-configuration",
                ],
            ),
        ] {
            let urls = locations(&parse_issuer(issuer).unwrap());
            assert_eq!(urls.iter().map(Url::as_str).collect::<Vec<_>>(), expected);
        }
        for bad in
            ["http://example.com", "https://example.com?a", "https://example.com#a", "example.com"]
        {
            assert!(parse_issuer(bad).unwrap_err().is_config(), "{bad}");
        }
    }

    /// Discovery by a name that resolves to loopback, with a document that leads to this endpoint.
    async fn led_to(endpoint: &str) -> Result<Provider, Error> {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let issuer = format!("http://issuer.example:{}", server.local_addr().unwrap().port());
        let url = Url::parse(&issuer).unwrap();
        let document =
            serde_json::json!({ "issuer": issuer, "token_endpoint": endpoint }).to_string();
        std::thread::spawn(move || {
            for stream in server.incoming() {
                let mut stream = stream.unwrap();
                let mut read = [0; 4096];
                let _ = stream.read(&mut read);
                let length = document.len();
                let head =
                    format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {length}");
                let _ = stream.write_all(format!("{head}\r\n\r\n{document}").as_bytes());
            }
        });
        let guard = Guard::new(&url);
        let lookup = |name: &str| {
            assert_eq!(name, "issuer.example");
            Ok(vec![SocketAddr::from(([127, 0, 0, 1], 0))])
        };
        let resolver = Arc::new(GuardedResolver::with_lookup(guard.clone(), lookup));
        let http = own_http(&Url::parse("http://127.0.0.1").unwrap(), Some(resolver)).unwrap();
        Provider::read_at(&issuer, &url, http, &guard).await
    }

    #[tokio::test]
    async fn an_issuers_name_is_in_the_network_that_it_was_found_in() {
        for own in ["http://127.0.0.2/token", "http://[::1]/token", "https://8.8.8.8/token"] {
            assert!(led_to(own).await.is_ok(), "{own}");
        }
        for other in ["https://10.0.0.1/token", "https://169.254.169.254/token"] {
            assert!(led_to(other).await.unwrap_err().is_config(), "{other}");
        }
    }

    /// Whether the provider's clients connect to this name where it is at this address.
    async fn leads_to(provider: &Provider, name: &str, address: [u8; 4]) -> bool {
        let lookup = move |_: &str| Ok(vec![SocketAddr::from((address, 0))]);
        let resolver = GuardedResolver::with_lookup(provider.0.guard.clone(), lookup);
        resolver.resolve(name.parse().unwrap()).await.is_ok()
    }

    #[tokio::test]
    async fn default_endpoints_are_where_the_applications_own_host_is() {
        const HOST: &str = "mcp.corp.example";
        let url = Url::parse("https://mcp.corp.example/x").unwrap();
        let provider = Provider::with_default_endpoints(&url).unwrap();
        assert!(leads_to(&provider, HOST, [10, 0, 0, 5]).await);
        // Another process knows where that is.
        let again = Provider::of_kept(provider.kept(), None).unwrap();
        assert!(leads_to(&again, HOST, [10, 0, 0, 6]).await);
        assert!(!leads_to(&again, HOST, [127, 0, 0, 1]).await);
    }

    #[test]
    fn a_kept_provider_is_in_the_network_that_it_was_found_in() {
        let read = |network: &str| {
            let kept = format!(
                r#"{{"issuer":"https://issuer.example","network":{network},"metadata":{{"token_endpoint":"https://10.0.0.1/token"}}}}"#
            );
            let again = Provider::of_kept(serde_json::from_str(&kept).unwrap(), None)?;
            Ok::<_, Error>(serde_json::to_value(again.kept()).unwrap()["network"].to_string())
        };
        assert_eq!(read(r#""Private""#).unwrap(), r#""Private""#);
        for other in ["null", r#""Public""#, r#""LinkLocal""#] {
            assert!(read(other).unwrap_err().is_config(), "{other}");
        }
    }
}
