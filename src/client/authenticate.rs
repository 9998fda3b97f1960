//! Client authentication of one request
//! ([RFC 6749 §2.3](https://www.rfc-editor.org/rfc/rfc6749#section-2.3)).

use http::header::AUTHORIZATION;
use secrecy::ExposeSecret;

use super::client_assertion::assertion;
use super::http_client::HttpClient;
use super::limit::Limit;
use super::settings::Settings;
use super::{ClientAuthentication, ProviderRequest};
use crate::error::Error;

/// Authenticates the request as this client.
pub(super) async fn authenticate(
    request: &mut ProviderRequest,
    settings: &Settings,
    method: ClientAuthentication,
    limit: Limit,
) -> Result<(), Error> {
    use ClientAuthentication::{
        ClientSecretBasic, ClientSecretPost, Detect, None, SelfSignedTlsClientAuth, TlsClientAuth,
    };
    let secret = || settings.secret.as_ref().ok_or_else(needs_secret);
    if matches!(method, ClientSecretBasic | Detect) {
        request.basic = settings.basic_encoding.header(&settings.id, secret()?);
        return Ok(());
    }
    // Also beside an assertion, and a certificate: "the client MUST include the "client_id" parameter"
    // (RFC 8705 §2).
    if !settings.id.is_empty() {
        request.form.own_once("client_id", &settings.id);
    }
    match method {
        None => {}
        TlsClientAuth | SelfSignedTlsClientAuth
            if settings.http.as_ref().is_none_or(HttpClient::is_ours) =>
        {
            return Err(Error::config(
                "authentication with a certificate needs an HTTP client that has one; give it to OAuthClient::http_client",
            ));
        }
        TlsClientAuth | SelfSignedTlsClientAuth => {}
        ClientSecretPost => request.form.own("client_secret", secret()?.expose_secret()),
        _ => {
            let (assertion, kind) = assertion(settings, method, limit).await?;
            request.form.own("client_assertion_type", kind);
            request.form.own("client_assertion", assertion.expose_secret());
        }
    }
    Ok(())
}

pub(super) fn needs_secret() -> Error {
    Error::config(
        "the client authentication method needs a secret; set one with OAuthClient::secret",
    )
}

/// "The client MUST NOT use more than one authentication method in each request."
/// ([RFC 6749 §2.3](https://www.rfc-editor.org/rfc/rfc6749#section-2.3)). An assertion is one
/// ([RFC 7521 §4.2](https://www.rfc-editor.org/rfc/rfc7521#section-4.2)), and so is a header of the
/// application's.
pub(super) fn check_one_method(
    request: &ProviderRequest,
    method: ClientAuthentication,
) -> Result<(), Error> {
    use ClientAuthentication::{ClientSecretBasic, ClientSecretPost, Detect, None};
    let form = &request.form;
    let has_secret = form.count("client_secret") > 0 && method != ClientSecretPost;
    let has_assertion = form.count("client_assertion") > usize::from(method.is_assertion());
    let has_header = request.headers.contains_key(AUTHORIZATION);
    let given: Vec<&str> = [
        (has_secret, "client_secret"),
        (has_assertion, "client_assertion"),
        (has_header, "the header authorization"),
    ]
    .into_iter()
    .filter_map(|(is_given, name)| is_given.then_some(name))
    .collect();
    match (method, &*given) {
        (None, [_, _, ..]) => Err(Error::config(format!(
            "{} are given; one way of client authentication is allowed: leave one of them out",
            given.join(" and ")
        ))),
        // "The client credentials grant type MUST only be used by confidential clients."
        // https://www.rfc-editor.org/rfc/rfc6749#section-4.4
        (None, []) if form.needs_authentication && request.headers.is_empty() => {
            Err(Error::config(
                "this grant needs a client that authenticates itself; set OAuthClient::secret",
            ))
        }
        (None, _) | (_, []) => Ok(()),
        (ClientSecretBasic | Detect, ["client_secret", ..]) => Err(Error::config(
            "client_secret is given as an extra parameter and with HTTP Basic; one way of client authentication is allowed: OAuthClient::secret, with ClientAuthentication::ClientSecretPost if the provider wants it in the body",
        )),
        (ClientSecretBasic | ClientSecretPost | Detect, [given, ..]) => {
            Err(Error::config(format!(
                "{given} is given, and the client has a secret; one way of client authentication is allowed: leave OAuthClient::secret out"
            )))
        }
        (_, [given, ..]) => Err(Error::config(format!(
            "{given} is given, and the client authenticates by itself; one way of client authentication is allowed: leave one of them out"
        ))),
    }
}
