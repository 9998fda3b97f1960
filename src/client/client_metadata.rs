//! `ClientMetadata`: what an application says about itself in a registration.

use serde_json::{Map, Value, json};
use url::Url;

use super::Provider;
use crate::error::Error;
use crate::loopback::is_loopback;

const DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";
const PRIVATE_KEY_JWT: &str = "private_key_jwt";

/// What an application says about itself, for a registration or a client id metadata document
/// ([RFC 7591 §2](https://www.rfc-editor.org/rfc/rfc7591#section-2)).
///
/// ```
/// use reqwest_oauth2::ClientMetadata;
///
/// let metadata = ClientMetadata::new("My tool").redirect_uri("http://127.0.0.1:8914/callback");
/// # drop(metadata);
/// ```
#[derive(Debug, Clone)]
pub struct ClientMetadata {
    redirect_uris: Vec<String>,
    /// As the application gave them; they replace what is made of the rest.
    members: Map<String, Value>,
}

impl ClientMetadata {
    /// An application with the name that people see when they are asked for consent
    /// (`client_name`).
    pub fn new(client_name: impl Into<String>) -> Self {
        let name = Value::from(client_name.into());
        Self { redirect_uris: Vec::new(), members: Map::from_iter([("client_name".into(), name)]) }
    }

    /// A redirect URI of its logins; may be called again. An application without any logs in on another
    /// device.
    pub fn redirect_uri(mut self, uri: impl Into<String>) -> Self {
        self.redirect_uris.push(uri.into());
        self
    }

    /// Another member, such as `client_uri`, `logo_uri`, `contacts` or `software_id`. It replaces this
    /// crate's value for that name, such as `grant_types`, `application_type` or
    /// `token_endpoint_auth_method`.
    pub fn member(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.members.insert(name.into(), value.into());
        self
    }

    /// A public key of the application, which signs its client assertions (`private_key_jwt`); may be called
    /// again. It is registered as `jwks`, and nothing else authenticates the application. The provider gets
    /// the public part alone: give the key itself to the [registered
    /// client](crate::Provider::registered_client) with
    /// [`OAuthClient::signing_key`](crate::OAuthClient::signing_key)
    /// ([RFC 7591 §2](https://www.rfc-editor.org/rfc/rfc7591#section-2),
    /// [RFC 7523 §2.2](https://www.rfc-editor.org/rfc/rfc7523#section-2.2)).
    #[cfg(feature = "keys")]
    #[cfg_attr(docsrs, doc(cfg(feature = "keys")))]
    pub fn signing_key(mut self, key: &crate::keys::SigningKey) -> Self {
        let algorithm = Value::from(key.algorithm().name());
        let jwks = self.members.entry("jwks").or_insert_with(|| json!({ "keys": [] }));
        if let Some(keys) = jwks.get_mut("keys").and_then(Value::as_array_mut) {
            keys.push(key.public_jwk().into());
        }
        self.member("token_endpoint_auth_method", PRIVATE_KEY_JWT)
            .member("token_endpoint_auth_signing_alg", algorithm)
    }

    /// The document to publish at the https URL that is the client's id, for providers that support client
    /// id metadata documents (`client_id_metadata_document_supported`). Such a client has no secret, but it
    /// may have keys
    /// ([draft-ietf-oauth-client-id-metadata-document](https://datatracker.ietf.org/doc/draft-ietf-oauth-client-id-metadata-document/)).
    pub fn document(&self, client_id: &str) -> Value {
        let mut members = self.with_defaults("none");
        members.insert("client_id".into(), client_id.into());
        members.into()
    }

    pub(super) fn redirect_uris(&self) -> &[String] {
        &self.redirect_uris
    }

    /// The body of a registration request
    /// ([RFC 7591 §3.1](https://www.rfc-editor.org/rfc/rfc7591#section-3.1)).
    pub(super) fn request(&self, provider: &Provider) -> Result<Map<String, Value>, Error> {
        let method = match self.members.get("token_endpoint_auth_method") {
            Some(_) if self.signs() => self.check_signing(provider).map(|()| "")?,
            Some(_) => "",
            None => self.authentication(provider)?,
        };
        Ok(self.with_defaults(method))
    }

    /// Whether it asks to be known by its signature.
    pub(super) fn signs(&self) -> bool {
        self.members.get("token_endpoint_auth_method").is_some_and(|name| name == PRIVATE_KEY_JWT)
    }

    /// Whether the provider says that it takes signatures of that algorithm.
    fn check_signing(&self, provider: &Provider) -> Result<(), Error> {
        let lists =
            |member: &str, value: &Value| provider.list(member).map(|list| list.contains(value));
        let method = Value::from(PRIVATE_KEY_JWT);
        if lists("token_endpoint_auth_methods_supported", &method) != Some(true) {
            return Err(Error::config(
                "by its metadata the provider does not authenticate clients with private_key_jwt; leave out ClientMetadata::signing_key",
            ));
        }
        let algorithm = self.members.get("token_endpoint_auth_signing_alg");
        let is_taken = algorithm.and_then(|algorithm| {
            lists("token_endpoint_auth_signing_alg_values_supported", algorithm)
        });
        if is_taken == Some(false) {
            return Err(Error::config(
                "by its metadata the provider does not take assertions that are signed with the algorithm of the key; give ClientMetadata::signing_key another key",
            ));
        }
        Ok(())
    }

    fn with_defaults(&self, method: &str) -> Map<String, Value> {
        let mut members = Map::new();
        let has_redirect = !self.redirect_uris.is_empty();
        let grant = if has_redirect { "authorization_code" } else { DEVICE_CODE };
        members.insert("redirect_uris".into(), json!(self.redirect_uris));
        members.insert("grant_types".into(), json!([grant, "refresh_token"]));
        let response_types = if has_redirect { json!(["code"]) } else { json!([]) };
        members.insert("response_types".into(), response_types);
        let application_type = if self.is_native() { "native" } else { "web" };
        members.insert("application_type".into(), application_type.into());
        members.insert("token_endpoint_auth_method".into(), method.into());
        members.extend(self.members.clone());
        members
    }

    /// Whether it runs on the person's own device, and so can keep no secret
    /// ([RFC 8252 §8.4](https://www.rfc-editor.org/rfc/rfc8252#section-8.4)).
    fn is_native(&self) -> bool {
        let is_of_device = |uri: &String| {
            Url::parse(uri).is_ok_and(|uri| is_loopback(&uri) || !uri.scheme().starts_with("http"))
        };
        self.redirect_uris.iter().all(is_of_device)
    }

    /// The first method that the provider supports: without a secret for a native application, with one
    /// for a service. A provider that names none supports `client_secret_basic`
    /// ([RFC 8414 §2](https://www.rfc-editor.org/rfc/rfc8414#section-2)).
    fn authentication(&self, provider: &Provider) -> Result<&'static str, Error> {
        let known = if self.is_native() {
            ["none", "client_secret_basic", "client_secret_post"]
        } else {
            ["client_secret_basic", "client_secret_post", "none"]
        };
        let Some(supported) = provider.list("token_endpoint_auth_methods_supported") else {
            return Ok("client_secret_basic");
        };
        let supports = |method: &str| supported.iter().any(|listed| listed == method);
        known.into_iter().find(|method| supports(method)).ok_or_else(|| {
            Error::config(
                "the provider supports no client authentication that a registration without keys can use (none, client_secret_basic, client_secret_post); register the application by hand, or with a key (ClientMetadata::signing_key)",
            )
        })
    }
}
