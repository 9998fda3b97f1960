//! Discovery: the provider's metadata ([RFC 8414](https://www.rfc-editor.org/rfc/rfc8414),
//! [OpenID Connect Discovery 1.0 §4](https://openid.net/specs/openid-connect-discovery-1_0.html#ProviderConfig)).
//!
//! Invariants: the issuer in the document is the issuer asked for, code point by code point;
//! every endpoint is https (loopback excepted), and on the Internet or in the issuer's own network; the
//! response is bounded in size, and all of them in time; no redirect is followed.

use std::sync::Arc;

use http::header::ACCEPT;
use http::{HeaderValue, Method};
use reqwest::Request;
use serde_json::{Map, Value};
use url::Url;

use super::guarded_resolver::{Guard, GuardedResolver};
use super::http_client::HttpClient;
use super::send::send;
use super::settings::{MAX_RESPONSE_BYTES, TIMEOUT, own_http};
use super::{Endpoints, Issuer, OAuthClient, endpoint_url};
use crate::clock::Clock;
use crate::error::{Error, Kind};
use crate::redact::escape_and_truncate;
use crate::wire::{HttpResponse, ResponseRules, malformed, read_members};

const NAME: &str = "metadata document";

impl OAuthClient {
    /// A client whose endpoints the provider's metadata names, found by the issuer: first as
    /// [RFC 8414 §3](https://www.rfc-editor.org/rfc/rfc8414#section-3) says, then as OpenID Connect
    /// Discovery does. Where one location has no document of that issuer, whatever it answers, the
    /// next is asked; all of them may take 30 seconds.
    ///
    /// A login with this client checks the `iss` of the callback
    /// ([RFC 9207 §2.4](https://www.rfc-editor.org/rfc/rfc9207#section-2.4)).
    ///
    /// The document leads to the Internet, or to the network that the issuer itself is in, and nowhere
    /// else: an issuer on the Internet cannot send this client, and its secret, to loopback, to a
    /// private network or to a link-local address
    /// ([RFC 9728 §7.7](https://www.rfc-editor.org/rfc/rfc9728#section-7.7)). This is decided on the
    /// addresses that the requests of this client connect to, each time. A proxy resolves names by
    /// itself: behind one, only endpoints that are given as addresses are checked. An endpoint that
    /// the application sets by hand is its own decision.
    ///
    /// # Errors
    ///
    /// [`Error::is_config`] where the issuer is no https URL (loopback excepted), or has a query or
    /// a fragment, and where no location has a document that can be used: that of another issuer, or
    /// with an endpoint that cannot be used. The text says what each location answered.
    /// [`Error::is_malformed_response`] where a document or a page was the answer;
    /// [`Error::is_transient`] where it may work later.
    ///
    /// # Cancellation
    ///
    /// Dropping the future drops the request; nothing is left to clean up.
    pub async fn discover(
        issuer: impl AsRef<str>,
        client_id: impl Into<String>,
    ) -> Result<Self, Error> {
        let issuer = issuer.as_ref();
        let url = parse_issuer(issuer)?;
        let guard = Guard::new(&url);
        let resolver = Arc::new(GuardedResolver::new(guard.clone()));
        let http = own_http(&url, Some(resolver))?;
        discover(issuer, &url, client_id.into(), http, &guard).await
    }

    /// As [`discover`](Self::discover), with an HTTP client of the application's, which is also
    /// that of the token requests; see [`http_client`](Self::http_client)
    /// ([RFC 8414 §3](https://www.rfc-editor.org/rfc/rfc8414#section-3)).
    ///
    /// What that client connects to is not known here. So only endpoints that are given as addresses
    /// (or `localhost`) are checked, against an issuer that is given as one; any other issuer is taken
    /// to be on the Internet. To have names checked too, build the client with
    /// [`PublicResolver`](crate::PublicResolver).
    ///
    /// # Errors
    ///
    /// As [`discover`](Self::discover).
    pub async fn discover_with(
        issuer: impl AsRef<str>,
        client_id: impl Into<String>,
        http: impl Into<HttpClient>,
    ) -> Result<Self, Error> {
        let issuer = issuer.as_ref();
        let url = parse_issuer(issuer)?;
        discover(issuer, &url, client_id.into(), http.into(), &Guard::new(&url)).await
    }
}

async fn discover(
    issuer: &str,
    url: &Url,
    client_id: String,
    http: HttpClient,
    guard: &Guard,
) -> Result<OAuthClient, Error> {
    let endpoints = tokio::time::timeout(TIMEOUT, find(&http, url, issuer, guard));
    let endpoints = endpoints
        .await
        .unwrap_or_else(|_| Err(Error::new(Kind::Timeout { endpoint: NAME, limit: TIMEOUT })))?;
    Ok(OAuthClient::with_endpoints(client_id, endpoints).http_client(http))
}

/// Asks one location after the other. The error tells of all of them.
async fn find(
    http: &HttpClient,
    base: &Url,
    issuer: &str,
    guard: &Guard,
) -> Result<Endpoints, Error> {
    let mut answers = String::new();
    let mut decisive: Option<(Miss, Error)> = None;
    for location in locations(base) {
        let path = location.path().to_owned();
        let (miss, error) = match fetch(http, location, issuer, guard).await {
            Ok(endpoints) => return Ok(endpoints),
            Err(missed) => missed,
        };
        if miss == Miss::NoAnswer {
            return Err(error);
        }
        if !answers.is_empty() {
            answers.push_str("; ");
        }
        answers.push_str(&format!("at {}: {error}", escape_and_truncate(&path, 200)));
        if decisive.as_ref().is_none_or(|(worst, _)| miss > *worst) {
            decisive = Some((miss, error));
        }
    }
    Err(match decisive {
        Some((miss, decisive)) => {
            let transient = matches!(miss, Miss::Page | Miss::Later);
            Error::new(Kind::Discovery { answers, transient, decisive })
        }
        None => Error::config("the issuer has no metadata location"),
    })
}

/// Why a location did not have the document. The last of them says what the whole means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Miss {
    /// Nothing is there.
    Absent,
    /// Something that is no document: a page, a redirect, endless text.
    Page,
    /// A document of the issuer, with an endpoint that cannot be used.
    Endpoint,
    /// A document of another issuer.
    OtherIssuer,
    /// It may be there later.
    Later,
    /// The server cannot be reached, so the other locations are not asked.
    NoAnswer,
}

impl Miss {
    /// What an error of a request for the document, or of its text, means.
    fn of(error: &Error) -> Self {
        match (error.status(), error.kind()) {
            (None, Kind::ResponseLost { .. }) => Self::Later,
            (None, _) => Self::NoAnswer,
            (Some(status), _) if matches!(status.as_u16(), 408 | 425 | 429 | 500..) => Self::Later,
            (Some(status), _) if status.is_client_error() => Self::Absent,
            (Some(_), _) => Self::Page,
        }
    }
}

/// The issuer as a URL
/// ([RFC 8414 §2](https://www.rfc-editor.org/rfc/rfc8414#section-2)).
fn parse_issuer(issuer: &str) -> Result<Url, Error> {
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
    let path = base.path().trim_end_matches('/').to_owned();
    let at = |path: String| {
        let mut url = base.clone();
        url.set_path(&path);
        url
    };
    let mut locations = vec![
        at(format!("/.well-known/oauth-authorization-server{path}")),
        at(format!("/.well-known/openid-configuration{path}")),
    ];
    if !path.is_empty() {
        locations.push(at(format!("{path}/.well-known/openid-configuration")));
    }
    locations
}

async fn fetch(
    http: &HttpClient,
    url: Url,
    issuer: &str,
    guard: &Guard,
) -> Result<Endpoints, (Miss, Error)> {
    let judged = |error| (Miss::of(&error), error);
    let mut request = Request::new(Method::GET, url);
    request.headers_mut().insert(ACCEPT, HeaderValue::from_static("application/json"));
    let clock = Clock::default();
    let response = send(http, request, NAME, MAX_RESPONSE_BYTES, &clock).await.map_err(judged)?;
    let members = read_members(&response, &ResponseRules::default()).map_err(judged)?;
    read(&response, &members, issuer, guard)
}

/// Reads the document ([RFC 8414 §2](https://www.rfc-editor.org/rfc/rfc8414#section-2)).
fn read(
    response: &HttpResponse<'_>,
    members: &Map<String, Value>,
    issuer: &str,
    guard: &Guard,
) -> Result<Endpoints, (Miss, Error)> {
    let text = |name: &str| members.get(name).and_then(Value::as_str);
    // "The "issuer" value returned MUST be identical to the authorization server's issuer
    // identifier value into which the well-known URI string was inserted […] If these values are
    // not identical, the data contained in the response MUST NOT be used."
    // https://www.rfc-editor.org/rfc/rfc8414#section-3.3
    if text("issuer") != Some(issuer) {
        let named = escape_and_truncate(text("issuer").unwrap_or_default(), 120);
        let reason = format!(
            "its issuer is {named:?}, not the one that was asked for; give it exactly as the provider names it"
        );
        return Err((Miss::OtherIssuer, malformed(response, reason)));
    }
    let unfit = |reason: String| (Miss::Endpoint, malformed(response, reason));
    let endpoint = |name: &'static str| {
        let Some(text) = text(name) else { return Ok(None) };
        let url =
            endpoint_url::parse(text, name, false).map_err(|error| unfit(error.to_string()))?;
        guard.check(&url).map_err(|why| unfit(format!("the {name} cannot be used: {why}")))?;
        Ok(Some(url))
    };
    let Some(token) = endpoint("token_endpoint")? else {
        return Err(unfit("token_endpoint is missing".to_owned()));
    };
    let iss_in_callback =
        members.get("authorization_response_iss_parameter_supported") == Some(&Value::Bool(true));
    Ok(Endpoints {
        token,
        authorization: endpoint("authorization_endpoint")?,
        device_authorization: endpoint("device_authorization_endpoint")?,
        revocation: endpoint("revocation_endpoint")?,
        introspection: endpoint("introspection_endpoint")?,
        issuer: Some(Issuer { text: issuer.to_owned(), in_callback: iss_in_callback }),
    })
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::{SocketAddr, TcpListener};

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
    async fn led_to(endpoint: &str) -> Result<OAuthClient, Error> {
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
        discover(&issuer, &url, "foo".to_owned(), http, &guard).await
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
}
