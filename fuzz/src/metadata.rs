//! The metadata of a provider: status, headers and body of the answer to discovery.

use http::Method;
use reqwest_oauth2::{Error, OAuthClient, TokenTypeHint};
use serde_json::Value;
use url::{Host, Url};

use super::error;
use super::message::Message;
use super::provider::{Provider, outcome};

const ISSUER: &str = "https://accounts.example/tenant";

/// A secret in an endpoint, where it does not belong.
const SECRET: &str = "s3cr3t-in-a-url";

pub fn holds(input: &[u8]) {
    let answer = Message::read(input);
    let is_in_header = answer.has_in_header(SECRET);
    let Message { status, body, .. } = answer;
    let document = serde_json::from_slice::<Value>(&body).ok();
    match discover(input, ISSUER) {
        Ok((app, provider)) => {
            assert!(status.is_success(), "{status}");
            if let Some(document) = &document {
                assert_eq!(document["issuer"], ISSUER);
            }
            for (name, url) in endpoints(&app, &provider) {
                is_safe(&url);
                if let Some(document) = &document {
                    let named = Url::parse(document[name].as_str().unwrap()).unwrap();
                    assert_eq!(
                        (url.origin(), url.path()),
                        (named.origin(), named.path()),
                        "{name}"
                    );
                }
            }
            // It is nobody else's.
            for another in ["https://accounts.example", "https://accounts.example/tenant/"] {
                assert!(discover(input, another).is_err_and(|error| error.is_malformed_response()));
            }
        }
        Err(error) => {
            error::holds(&error, if is_in_header { &[] } else { secrets(document) });
            assert_eq!(error.status(), Some(status));
        }
    }
}

fn discover(input: &[u8], issuer: &str) -> Result<(OAuthClient, Provider), Error> {
    let provider = Provider::new(Message::read(input));
    let result = outcome(OAuthClient::discover_with(issuer, "foo", provider.http(|http| http)));
    let asked = provider.asked();
    assert!((1..=3).contains(&asked.len()), "{}", asked.len());
    for request in asked {
        assert_eq!(request.method(), Method::GET);
        assert!(request.url().as_str().starts_with("https://accounts.example/"));
        assert!(request.url().path().contains("/.well-known/"));
    }
    Ok((result?, provider))
}

/// The endpoints of the client, as its requests show them.
fn endpoints(app: &OAuthClient, provider: &Provider) -> Vec<(&'static str, Url)> {
    let mut endpoints = Vec::new();
    let mut seen = |name| {
        endpoints.extend(provider.asked().into_iter().map(|request| (name, request.url().clone())));
    };
    // How the requests end does not matter: the answer to each is the document.
    let _ = outcome(app.token_request("refresh_token").send());
    seen("token_endpoint");
    let _ = outcome(app.device_authorization().begin());
    seen("device_authorization_endpoint");
    let _ = outcome(app.revoke("at", TokenTypeHint::AccessToken));
    seen("revocation_endpoint");
    let _ = outcome(app.introspect("at", TokenTypeHint::AccessToken));
    seen("introspection_endpoint");
    if let Ok(request) = app.authorization_code("https://me.example/cb") {
        let url = Url::parse(request.begin().unwrap().url()).unwrap();
        endpoints.push(("authorization_endpoint", url));
    }
    endpoints
}

/// https, and to the Internet, as far as the URL says; nothing in it that is not for the wire.
fn is_safe(url: &Url) {
    let inside = match url.host() {
        Some(Host::Ipv4(address)) => {
            address.is_loopback()
                || address.is_private()
                || address.is_link_local()
                || address.is_unspecified()
        }
        Some(Host::Ipv6(address)) => {
            address.is_loopback()
                || address.is_unique_local()
                || address.is_unicast_link_local()
                || address.is_unspecified()
                || address.to_ipv4_mapped().is_some_and(|address| address.is_loopback())
        }
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    };
    assert!(url.scheme() == "https" && !inside, "{url}");
    assert!(url.has_host() && url.username().is_empty() && url.password().is_none(), "{url}");
    assert_eq!(url.fragment(), None, "{url}");
}

/// The secret, unless it also stands where it may be shown.
fn secrets(document: Option<Value>) -> &'static [&'static str] {
    let Some(Value::Object(mut members)) = document else { return &[] };
    members.retain(|name, _| !name.ends_with("_endpoint"));
    if Value::Object(members).to_string().contains(SECRET) { &[] } else { &[SECRET] }
}
