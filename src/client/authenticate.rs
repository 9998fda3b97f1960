//! Client authentication of one request
//! ([RFC 6749 §2.3](https://www.rfc-editor.org/rfc/rfc6749#section-2.3)).

use http::header::AUTHORIZATION;
use secrecy::ExposeSecret;

use super::settings::Settings;
use super::{ClientAuthentication, ProviderRequest};
use crate::error::Error;

/// Authenticates the request as this client.
pub(super) fn authenticate(
    request: &mut ProviderRequest,
    settings: &Settings,
    method: ClientAuthentication,
) -> Result<(), Error> {
    use ClientAuthentication::{ClientSecretBasic, ClientSecretPost, Detect, None};
    if matches!(method, ClientSecretPost | None) && !settings.id.is_empty() {
        request.form.own_once("client_id", &settings.id);
    }
    match (method, &settings.secret) {
        (ClientSecretBasic | Detect, Some(secret)) => {
            request.basic = settings.basic_encoding.header(&settings.id, secret);
        }
        (ClientSecretPost, Some(secret)) => {
            request.form.own("client_secret", secret.expose_secret());
        }
        (None, _) => {}
        (_, Option::None) => {
            return Err(Error::config(
                "the client authentication method needs a secret; set one with OAuthClient::secret",
            ));
        }
    }
    Ok(())
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
    let asserted = form.has("client_assertion");
    let has_header = request.headers.contains_key(AUTHORIZATION);
    match method {
        ClientSecretBasic | Detect if form.has("client_secret") => Err(Error::config(
            "client_secret is given as an extra parameter and with HTTP Basic; one way of client authentication is allowed: OAuthClient::secret, with ClientAuthentication::ClientSecretPost if the provider wants it in the body",
        )),
        ClientSecretBasic | ClientSecretPost | Detect if asserted => Err(Error::config(
            "client_assertion is given as a parameter, and the client has a secret; one way of client authentication is allowed: leave OAuthClient::secret out",
        )),
        ClientSecretBasic | ClientSecretPost | Detect if has_header => Err(Error::config(
            "the header authorization is given, and the client has a secret; one way of client authentication is allowed: leave OAuthClient::secret out",
        )),
        None if asserted && form.has("client_secret") => Err(Error::config(
            "client_assertion and client_secret are given as parameters; one way of client authentication is allowed: leave one of them out",
        )),
        None if has_header && (asserted || form.has("client_secret")) => Err(Error::config(
            "the header authorization is given, and so is client_assertion or client_secret; one way of client authentication is allowed: leave one of them out",
        )),
        None if form.needs_authentication
            && !asserted
            && !form.has("client_secret")
            && request.headers.is_empty() =>
        {
            Err(Error::config(
                "this grant needs a client that authenticates itself; set OAuthClient::secret",
            ))
        }
        _ => Ok(()),
    }
}
