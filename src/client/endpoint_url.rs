//! Which URLs may be an endpoint.

use url::Url;

use crate::error::Error;
use crate::loopback::is_loopback;

/// Parameters that requests send by themselves, to one endpoint or another: "Request and response
/// parameters MUST NOT be included more than once"
/// ([RFC 6749 §3.1](https://www.rfc-editor.org/rfc/rfc6749#section-3.1)).
const OF_THE_PROTOCOL: [&str; 25] = [
    "actor_token",
    "actor_token_type",
    "assertion",
    "client_assertion",
    "client_assertion_type",
    "client_id",
    "client_secret",
    "code",
    "code_challenge",
    "code_challenge_method",
    "code_verifier",
    "device_code",
    "grant_type",
    "password",
    "redirect_uri",
    "refresh_token",
    "request_uri",
    "response_type",
    "scope",
    "state",
    "subject_token",
    "subject_token_type",
    "token",
    "token_type_hint",
    "username",
];

/// Parses an endpoint: absolute, https (plain http to loopback only, unless asked for), without
/// fragment or user info; a query is kept, without the protocol's own parameters
/// ([RFC 6749 §3.1](https://www.rfc-editor.org/rfc/rfc6749#section-3.1),
/// [§3.2](https://www.rfc-editor.org/rfc/rfc6749#section-3.2)).
pub(super) fn parse(text: &str, name: &str, plain_http: bool) -> Result<Url, Error> {
    // The URL itself is not repeated in the error: its query may hold a secret.
    let url = Url::parse(text).map_err(|error| {
        Error::config(format!(
            "the {name} is not an absolute URL ({error}); give one such as https://provider.example/token"
        ))
    })?;
    let fault = match url.scheme() {
        "https" => None,
        "http" if plain_http || is_loopback(&url) => None,
        "http" => Some(
            "it is plain http, which would show the client's secrets to the network; use https",
        ),
        _ => Some("its scheme is not https"),
    };
    let fault = fault
        .or_else(|| {
            url.fragment().map(|_| "it has a fragment (#…), which is never sent; leave it out")
        })
        .or_else(|| {
            let user_info = !url.username().is_empty() || url.password().is_some();
            user_info.then_some(
                "it has user info before the host; pass credentials with OAuthClient::secret",
            )
        });
    if let Some(fault) = fault {
        return Err(Error::config(format!("the {name} cannot be used: {fault}")));
    }
    let repeated =
        OF_THE_PROTOCOL.iter().find(|own| url.query_pairs().any(|(name, _)| name == **own));
    match repeated {
        None => Ok(url),
        Some(own) => Err(Error::config(format!(
            "the {name} cannot be used: its query has {own}, which requests send by themselves; leave it out"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_an_endpoint() {
        for good in [
            "https://a.example/token",
            "https://a.example/token?t=1",
            "http://127.0.0.1:9/token",
            "http://127.8.8.8/token",
            "http://[::1]:9/token",
            "http://localhost:9/token",
        ] {
            assert_eq!(parse(good, "token endpoint", false).unwrap().as_str(), good);
        }
        assert!(parse("http://a.example/token", "token endpoint", true).is_ok());
    }

    #[test]
    fn what_may_not_and_why() {
        for (bad, why) in [
            ("", "relative URL without a base"),
            ("/token", "relative URL without a base"),
            ("https://", "empty host"),
            ("https://a b/", "invalid international domain name"),
            ("http://a.example/token", "plain http"),
            ("http://127.0.0.1.evil.example/", "plain http"),
            ("http://[::ffff:127.0.0.1]/", "plain http"),
            ("ftp://127.0.0.1/", "scheme is not https"),
            ("https://a.example/token#x", "fragment"),
            ("https://user:pw@a.example/token", "user info"),
            ("https://user@a.example/token", "user info"),
            ("https://a.example/token?t=1&client_id=pw", "its query has client_id"),
            ("https://a.example/token?grant%5Ftype=pw", "its query has grant_type"),
            ("https://a.example/auth?state", "its query has state"),
            ("https://a.example/auth?request_uri=pw", "its query has request_uri"),
        ] {
            let error = parse(bad, "token endpoint", false).unwrap_err();
            assert!(error.is_config(), "{bad}");
            assert!(error.to_string().contains(why), "{bad}: {error}");
            assert!(!error.to_string().contains("pw"), "{bad}: {error}");
        }
    }
}
