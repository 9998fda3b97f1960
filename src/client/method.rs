//! Which method of client authentication is used, where the application names none: the strongest that it
//! has given something for, and that the provider's metadata lists.
//!
//! Clones of a client share what `Detect` has found. Its lock is held for one look or one entry; of two requests
//! that detect at once, the last one to end is remembered.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::Value;

use super::ClientAuthentication;
use super::settings::Settings;
use crate::error::Error;
use crate::redact::escape_and_truncate;

/// The methods that `Detect` has found, by endpoint: a server may accept another one at each
/// (`introspection_endpoint_auth_methods_supported`,
/// [RFC 8414 §2](https://www.rfc-editor.org/rfc/rfc8414#section-2)).
#[derive(Default)]
pub(super) struct FoundMethods(Mutex<BTreeMap<&'static str, ClientAuthentication>>);

impl FoundMethods {
    pub(super) fn remember(&self, endpoint: &'static str, method: ClientAuthentication) {
        self.lock().insert(endpoint, method);
    }

    fn get(&self, endpoint: &str) -> Option<ClientAuthentication> {
        self.lock().get(endpoint).copied()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<&'static str, ClientAuthentication>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The methods to try at this endpoint, one after the other. The one that was found there is the first; the
/// others follow, since the server may accept it no longer.
pub(super) fn candidates(
    settings: &Settings,
    endpoint: &str,
) -> Result<Vec<ClientAuthentication>, Error> {
    let method = chosen(settings)?;
    if method != ClientAuthentication::Detect {
        return Ok(vec![method]);
    }
    let mut methods = Vec::new();
    // A server that does not know it might take the request for one of a public client.
    #[cfg(feature = "keys")]
    if listed(settings).is_some_and(|listed| listed.contains(&"client_secret_jwt"))
        && settings.secret.as_ref().is_some_and(super::client_assertion::can_sign)
    {
        methods.push(ClientAuthentication::ClientSecretJwt);
    }
    methods
        .extend([ClientAuthentication::ClientSecretBasic, ClientAuthentication::ClientSecretPost]);
    if let Some(found) = settings.found_methods.get(endpoint) {
        methods.sort_by_key(|method| *method != found);
    }
    Ok(methods)
}

/// The method that the application names, or that follows from what it has given.
pub(super) fn chosen(settings: &Settings) -> Result<ClientAuthentication, Error> {
    if let Some(method) = settings.authentication {
        return Ok(method);
    }
    let has_secret = settings.secret.is_some();
    #[cfg(feature = "keys")]
    let has_key = settings.assertions.key.is_some();
    #[cfg(not(feature = "keys"))]
    let has_key = false;
    if settings.assertions.closure.is_some() {
        if has_secret || has_key {
            return Err(Error::config(
                "the client has a closure for assertions, and a secret or a key; one way of client authentication is allowed: leave one of them out",
            ));
        }
        return Ok(ClientAuthentication::Assertion);
    }
    let listed = listed(settings);
    let permits =
        |method: ClientAuthentication| listed.as_ref().is_none_or(|l| l.contains(&method.name()));
    #[cfg(feature = "keys")]
    if let Some(key) = &settings.assertions.key
        && (permits(ClientAuthentication::PrivateKeyJwt) || !has_secret)
    {
        if !permits(ClientAuthentication::PrivateKeyJwt) {
            return Err(missing(&listed, "a key"));
        }
        check_algorithm(settings, key)?;
        return Ok(ClientAuthentication::PrivateKeyJwt);
    }
    if !has_secret {
        return Ok(ClientAuthentication::None);
    }
    if listed.is_none() {
        return Ok(settings.default_authentication);
    }
    // A secret is registered for one method. Nearly always it is one of the first two.
    [
        ClientAuthentication::ClientSecretBasic,
        ClientAuthentication::ClientSecretPost,
        #[cfg(feature = "keys")]
        ClientAuthentication::ClientSecretJwt,
    ]
    .into_iter()
    .find(|method| permits(*method))
    .ok_or_else(|| missing(&listed, "a secret"))
}

/// The methods that the metadata lists
/// ([RFC 8414 §2](https://www.rfc-editor.org/rfc/rfc8414#section-2)).
fn listed(settings: &Settings) -> Option<Vec<&str>> {
    texts(settings, "token_endpoint_auth_methods_supported")
}

fn texts<'a>(settings: &'a Settings, member: &str) -> Option<Vec<&'a str>> {
    let values = settings.provider.as_ref()?.list(member)?;
    Some(values.iter().filter_map(Value::as_str).collect())
}

fn missing(listed: &Option<Vec<&str>>, has: &str) -> Error {
    let listed = listed.as_deref().unwrap_or_default().join(", ");
    let listed = escape_and_truncate(&listed, 200);
    Error::config(format!(
        "by its metadata the provider authenticates clients with {listed}, and this client has {has} for none of them; give it what is missing (OAuthClient::signing_key, OAuthClient::secret, or an http_client with a certificate), or name the method with OAuthClient::authentication"
    ))
}

#[cfg(feature = "keys")]
fn check_algorithm(settings: &Settings, key: &crate::keys::SigningKey) -> Result<(), Error> {
    let known = texts(settings, "token_endpoint_auth_signing_alg_values_supported");
    let name = key.algorithm().name();
    match known {
        Some(known) if !known.contains(&name) => {
            let known = escape_and_truncate(&known.join(", "), 200);
            Err(Error::config(format!(
                "by its metadata the provider takes assertions that are signed with {known}, and the key is for {name}; give OAuthClient::signing_key another key"
            )))
        }
        _ => Ok(()),
    }
}
