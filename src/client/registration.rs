//! Dynamic client registration ([RFC 7591](https://www.rfc-editor.org/rfc/rfc7591)).

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderValue, Method};
use reqwest::Request;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value};
use url::Url;

use super::limit::Limit;
use super::send::send;
use super::settings::{MAX_RESPONSE_BYTES, TIMEOUT};
use super::{ClientAuthentication, ClientMetadata, OAuthClient, Provider};
use crate::error::Error;
use crate::redact::escape_and_truncate;
use crate::token::Deadline;
use crate::wire::{HttpResponse, ResponseRules, malformed, read_members};

const NAME: &str = "registration endpoint";

/// The longest client id and secret that are believed, in bytes.
const LONGEST: usize = 4096;

/// An application's registration with a provider: its client id, and its secret where it has one
/// ([RFC 7591 §3.2.1](https://www.rfc-editor.org/rfc/rfc7591#section-3.2.1)).
///
/// It serialises, secret included, so that it can be stored. It is only used with the issuer that made
/// it. `Debug` shows no secret.
#[derive(Clone, Serialize, Deserialize)]
pub struct Registration {
    issuer: String,
    client_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none", serialize_with = "exposed")]
    client_secret: Option<SecretString>,
    /// Seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    client_secret_expires_at: Option<u64>,
    token_endpoint_auth_method: String,
}

/// Keeping a registration means keeping its secret.
fn exposed<S: Serializer>(secret: &Option<SecretString>, serializer: S) -> Result<S::Ok, S::Error> {
    secret.as_ref().map(ExposeSecret::expose_secret).serialize(serializer)
}

impl Provider {
    /// Registers the application
    /// ([RFC 7591 §3.1](https://www.rfc-editor.org/rfc/rfc7591#section-3.1)). Each call registers
    /// again: keep the result, and use it until it [expires](Registration::secret_expires_at).
    ///
    /// # Errors
    ///
    /// [`Error::is_config`] if the provider has no registration endpoint, or no client authentication
    /// that this crate can do, or does not take signatures by the
    /// [key](ClientMetadata::signing_key) that was given; its refusal with its
    /// [`error_code`](Error::error_code), such as `invalid_redirect_uri`;
    /// [`Error::is_malformed_response`] if the answer is not a registration, has other redirect URIs than
    /// were asked for, or a secret in place of a key; [`Error::is_timeout`] after 30 seconds.
    ///
    /// # Cancellation
    ///
    /// Dropping the future drops the request. The provider may have made a registration that nobody uses.
    pub async fn register(&self, metadata: &ClientMetadata) -> Result<Registration, Error> {
        let Some(url) = self.endpoint("registration_endpoint") else {
            return Err(Error::config(
                "the provider has no registration endpoint; register the application by hand, and give its client id",
            ));
        };
        let asked = metadata.request(self)?;
        let body = Value::from(asked.clone()).to_string();
        let mut request = Request::new(Method::POST, url.clone());
        let headers = request.headers_mut();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        *request.body_mut() = Some(body.into());
        let limit = Limit::new(TIMEOUT, TIMEOUT);
        let response = send(self.http(), request, NAME, MAX_RESPONSE_BYTES, limit).await?;
        let members = read_members(&response, &ResponseRules::default())?;
        let method = asked.get("token_endpoint_auth_method").and_then(Value::as_str);
        read(&response, &members, self.issuer(), metadata, method.unwrap_or_default())
    }

    /// The client that this registration is of. One that was registered with a key needs that key:
    /// `.signing_key(key)`.
    ///
    /// # Errors
    ///
    /// [`Error::is_config`] if another issuer made the registration.
    pub fn registered_client(&self, registration: &Registration) -> Result<OAuthClient, Error> {
        if registration.issuer != self.issuer() {
            return Err(Error::config(
                "the registration is with another issuer; register with this one",
            ));
        }
        let client = self.client(&registration.client_id);
        let client = match &registration.client_secret {
            Some(secret) => client.secret(secret.expose_secret()),
            None => client,
        };
        match authentication(&registration.token_endpoint_auth_method) {
            Some(method) => Ok(client.authentication(method).of_registration(registration.clone())),
            None => Err(Error::config(
                "the registration is for a client authentication that this crate cannot do; register again",
            )),
        }
    }
}

impl Registration {
    /// Who made it ([RFC 8414 §2](https://www.rfc-editor.org/rfc/rfc8414#section-2)).
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The client id ([RFC 6749 §2.2](https://www.rfc-editor.org/rfc/rfc6749#section-2.2)).
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// When its secret expires (`client_secret_expires_at`); `None` if it does not. Then the application must
    /// be registered again ([RFC 7591 §3.2.1](https://www.rfc-editor.org/rfc/rfc7591#section-3.2.1)).
    pub fn secret_expires_at(&self) -> Option<SystemTime> {
        UNIX_EPOCH.checked_add(Duration::from_secs(self.client_secret_expires_at?))
    }
}

/// Reads the answer ([RFC 7591 §3.2.1](https://www.rfc-editor.org/rfc/rfc7591#section-3.2.1)). `asked_method`: the
/// client authentication that was asked for.
fn read(
    response: &HttpResponse<'_>,
    members: &Map<String, Value>,
    issuer: &str,
    asked: &ClientMetadata,
    asked_method: &str,
) -> Result<Registration, Error> {
    let unfit = |reason: &str| malformed(response, reason.to_owned());
    let text = |name: &str| members.get(name).and_then(Value::as_str).filter(|t| !t.is_empty());
    let printable = |text: &str| {
        text.len() <= LONGEST && text.bytes().all(|b| b == b' ' || b.is_ascii_graphic())
    };
    let client_id = text("client_id").ok_or_else(|| unfit("client_id is missing"))?;
    let secret = text("client_secret");
    if !printable(client_id) || !secret.is_none_or(printable) {
        return Err(unfit(
            "its client_id or client_secret is too long, or has characters that are not allowed",
        ));
    }
    // "The client or developer can check the values in the response to determine if the registration is
    // sufficient for use". One with other redirect URIs is another client's.
    if let Some(Value::Array(registered)) = members.get("redirect_uris") {
        let is_there = |uri: &String| {
            // Some servers read a URI and write it anew (`http://127.0.0.1:8914/`).
            let parsed = Url::parse(uri).ok();
            registered.iter().filter_map(Value::as_str).any(|one| {
                one == uri || parsed.as_ref().is_some_and(|uri| Url::parse(one).as_ref() == Ok(uri))
            })
        };
        if !asked.redirect_uris().iter().all(is_there) {
            return Err(unfit("it is for other redirect URIs than were asked for"));
        }
    }
    let method = match (text("token_endpoint_auth_method"), secret) {
        (Some(method), _) => method,
        // "The authorization server MUST return all registered metadata about this client": what it leaves out
        // is as it was asked for.
        (None, Some(_)) if asked_method == "client_secret_post" => asked_method,
        // "If unspecified or omitted, the default is "client_secret_basic"".
        (None, Some(_)) => "client_secret_basic",
        (None, None) => "none",
    };
    let known = authentication(method);
    let signs = known.is_some_and(signs);
    match (known, secret) {
        // A secret in place of the key is less than was asked for, and nobody has a key that was not sent.
        (known, _) if known.is_none() || signs != asked.signs() => {
            let method = escape_and_truncate(method, 60);
            return Err(malformed(
                response,
                format!("its token_endpoint_auth_method {method:?} is not one that was asked for"),
            ));
        }
        (Some(ClientAuthentication::None), _) | (_, Some(_)) => {}
        (_, None) if signs => {}
        (_, None) => return Err(unfit("client_secret is missing")),
    }
    // "REQUIRED if "client_secret" is issued. […] 0 if it will not expire."
    let expires_at = members.get("client_secret_expires_at").and_then(|value| {
        let date = Deadline::of_date(value, response.sent_at).from(response.sent_at)?;
        u64::try_from(date.timestamp()).ok().filter(|seconds| *seconds > 0)
    });
    let needs_none = signs || known == Some(ClientAuthentication::None);
    let secret = secret.filter(|_| !needs_none);
    Ok(Registration {
        issuer: issuer.to_owned(),
        client_id: client_id.to_owned(),
        client_secret: secret.map(|secret| SecretString::from(secret.to_owned())),
        client_secret_expires_at: secret.and(expires_at),
        token_endpoint_auth_method: method.to_owned(),
    })
}

/// The methods that a registration can have.
fn authentication(name: &str) -> Option<ClientAuthentication> {
    match name {
        "client_secret_basic" => Some(ClientAuthentication::ClientSecretBasic),
        "client_secret_post" => Some(ClientAuthentication::ClientSecretPost),
        "none" => Some(ClientAuthentication::None),
        #[cfg(feature = "keys")]
        "private_key_jwt" => Some(ClientAuthentication::PrivateKeyJwt),
        _ => None,
    }
}

/// Whether a key authenticates the client.
fn signs(method: ClientAuthentication) -> bool {
    method.name() == "private_key_jwt"
}

impl fmt::Debug for Registration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registration")
            .field("issuer", &self.issuer)
            .field("client_id", &self.client_id)
            .field("client_secret", &self.client_secret.as_ref().map(|_| "[redacted]"))
            .field("token_endpoint_auth_method", &self.token_endpoint_auth_method)
            .finish_non_exhaustive()
    }
}
