//! Discovery: the provider's metadata ([RFC 8414](https://www.rfc-editor.org/rfc/rfc8414),
//! [OpenID Connect Discovery 1.0 §4](https://openid.net/specs/openid-connect-discovery-1_0.html#ProviderConfig)).
//!
//! Invariants: the issuer in the document is the issuer asked for, code point by code point;
//! every endpoint is https (loopback excepted); the response is bounded in size and time; no redirect
//! is followed.

use http::header::ACCEPT;
use http::{HeaderValue, Method};
use reqwest::Request;
use reqwest_middleware::ClientWithMiddleware;
use serde_json::{Map, Value};
use url::Url;

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
    /// Discovery does.
    ///
    /// A login with this client checks the `iss` of the callback
    /// ([RFC 9207 §2.4](https://www.rfc-editor.org/rfc/rfc9207#section-2.4)).
    ///
    /// # Errors
    ///
    /// [`Error::is_config`] where the issuer is no https URL (loopback excepted), or has a query or
    /// a fragment; [`Error::is_malformed_response`] where the document is not that issuer's, or
    /// names an endpoint that cannot be used; [`Error::is_transient`] where it may work later.
    pub async fn discover(
        issuer: impl AsRef<str>,
        client_id: impl Into<String>,
    ) -> Result<Self, Error> {
        let http = own_http(&endpoint_url::parse(issuer.as_ref(), "issuer", false)?)?;
        Self::discover_with(issuer, client_id, http).await
    }

    /// As [`discover`](Self::discover), with an HTTP client of the application's, which is also
    /// that of the token requests; see [`http_client`](Self::http_client)
    /// ([RFC 8414 §3](https://www.rfc-editor.org/rfc/rfc8414#section-3)).
    ///
    /// # Errors
    ///
    /// As [`discover`](Self::discover).
    pub async fn discover_with(
        issuer: impl AsRef<str>,
        client_id: impl Into<String>,
        http: impl Into<ClientWithMiddleware>,
    ) -> Result<Self, Error> {
        let (issuer, http) = (issuer.as_ref(), http.into());
        let mut last = None;
        for url in locations(issuer)? {
            match tokio::time::timeout(TIMEOUT, fetch(&http, url, issuer)).await {
                Ok(Ok(endpoints)) => {
                    return Ok(Self::with_endpoints(client_id.into(), endpoints).http_client(http));
                }
                // Another location may have it.
                Ok(Err(error)) if error.status().is_some_and(|status| status.is_client_error()) => {
                    last = Some(error);
                }
                Ok(Err(error)) => return Err(error),
                Err(_) => return Err(Error::new(Kind::Timeout { endpoint: NAME, limit: TIMEOUT })),
            }
        }
        Err(last.unwrap_or_else(|| Error::config("the issuer has no metadata location")))
    }
}

/// Where the metadata of the issuer may be: the well-known part goes before the issuer's path
/// ([RFC 8414 §3.1](https://www.rfc-editor.org/rfc/rfc8414#section-3.1)); OpenID Connect appends it.
fn locations(issuer: &str) -> Result<Vec<Url>, Error> {
    let base = endpoint_url::parse(issuer, "issuer", false)?;
    if base.query().is_some() {
        return Err(Error::config(
            "the issuer cannot be used: it has a query; give the URL exactly as the provider names it",
        ));
    }
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
    Ok(locations)
}

async fn fetch(http: &ClientWithMiddleware, url: Url, issuer: &str) -> Result<Endpoints, Error> {
    let mut request = Request::new(Method::GET, url);
    request.headers_mut().insert(ACCEPT, HeaderValue::from_static("application/json"));
    let response = send(http, request, NAME, MAX_RESPONSE_BYTES, &Clock::default()).await?;
    let members = read_members(&response, &ResponseRules::default())?;
    read(&response, &members, issuer)
}

/// Reads the document ([RFC 8414 §2](https://www.rfc-editor.org/rfc/rfc8414#section-2)).
fn read(
    response: &HttpResponse<'_>,
    members: &Map<String, Value>,
    issuer: &str,
) -> Result<Endpoints, Error> {
    let text = |name: &str| members.get(name).and_then(Value::as_str);
    // "The "issuer" value returned MUST be identical to the authorization server's issuer
    // identifier value into which the well-known URI string was inserted […] If these values are
    // not identical, the data contained in the response MUST NOT be used."
    // https://www.rfc-editor.org/rfc/rfc8414#section-3.3
    if text("issuer") != Some(issuer) {
        let named = escape_and_truncate(text("issuer").unwrap_or_default(), 120);
        return Err(malformed(
            response,
            format!("its issuer is {named:?}, not the one that was asked for"),
        ));
    }
    let endpoint = |name: &'static str| match text(name) {
        None => Ok(None),
        Some(url) => endpoint_url::parse(url, name, false)
            .map(Some)
            .map_err(|error| malformed(response, error.to_string())),
    };
    let Some(token) = endpoint("token_endpoint")? else {
        return Err(malformed(response, "token_endpoint is missing".to_owned()));
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
            let urls = locations(issuer).unwrap();
            assert_eq!(urls.iter().map(Url::as_str).collect::<Vec<_>>(), expected);
        }
        for bad in
            ["http://example.com", "https://example.com?a", "https://example.com#a", "example.com"]
        {
            assert!(locations(bad).unwrap_err().is_config(), "{bad}");
        }
    }
}
