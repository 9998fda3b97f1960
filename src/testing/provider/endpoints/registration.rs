use std::time::UNIX_EPOCH;

use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use serde_json::{Map, Value, json};

#[cfg(all(feature = "keys", feature = "testing"))]
use crate::testing::keys::PublicKey;
use crate::testing::provider::config::{AuthMethod, KnownClient, RedirectUris};
use crate::testing::provider::http::{CloseConnection, MAX_FORM, ResponseBody, drain, response};
use crate::testing::provider::state::Shared;

/// The registration endpoint (RFC 7591 §3).
pub(crate) async fn endpoint(
    shared: &Shared,
    request: Request<Incoming>,
) -> Result<Response<ResponseBody>, CloseConnection> {
    let (head, body) = request.into_parts();
    let body = drain(body, MAX_FORM).await.map_err(|_| CloseConnection)?;
    if !shared.config.registration.open {
        return Ok(response::empty(StatusCode::NOT_FOUND));
    }
    if head.method != Method::POST {
        return Ok(response::method_not_allowed("POST"));
    }
    let Ok(Value::Object(metadata)) = serde_json::from_slice(&body) else {
        return Ok(response::error(StatusCode::BAD_REQUEST, "invalid_client_metadata"));
    };
    Ok(match register(shared, metadata) {
        Ok(members) => {
            let mut response = response::json(StatusCode::CREATED, &members.into());
            response::not_stored(&mut response);
            response
        }
        Err(code) => response::error(StatusCode::BAD_REQUEST, code),
    })
}

/// The answer (RFC 7591 §3.2.1), or the code of a refusal (§3.2.2).
fn register(
    shared: &Shared,
    metadata: Map<String, Value>,
) -> Result<Map<String, Value>, &'static str> {
    let mut state = shared.lock();
    state.registrations.push(metadata.clone().into());
    let number = state.registrations.len();
    shared.count(&state, |counts| counts.registrations += 1);
    let method = match metadata.get("token_endpoint_auth_method").and_then(Value::as_str) {
        None | Some("client_secret_basic") => Some(AuthMethod::ClientSecretBasic),
        Some("client_secret_post") => Some(AuthMethod::ClientSecretPost),
        Some("none") => None,
        #[cfg(all(feature = "keys", feature = "testing"))]
        Some("private_key_jwt") => Some(AuthMethod::PrivateKeyJwt),
        Some(_) => return Err("invalid_client_metadata"),
    };
    let redirect_uris =
        RedirectUris::read(metadata.get("redirect_uris")).ok_or("invalid_redirect_uri")?;
    let id = format!("registered-{number}");
    let key = key(method, &metadata)?;
    let has_secret = method.is_some() && key.is_none();
    let secret = has_secret.then(|| state.credentials.families.new_token("cs"));
    let lifetime = shared.config.registration.secret_lifetime.filter(|_| has_secret);
    let secret_ends = lifetime.and_then(|lifetime| shared.config.clock.now().checked_add(lifetime));
    let mut members = metadata;
    members.insert("client_id".into(), json!(id));
    if let Some(secret) = &secret {
        members.insert("client_secret".into(), json!(secret));
        let since = secret_ends.and_then(|ends| ends.duration_since(UNIX_EPOCH).ok());
        let seconds = since.map_or(0, |since| since.as_secs());
        members.insert("client_secret_expires_at".into(), json!(seconds));
    }
    let mut client = shared.config.client.clone();
    (client.id, client.secret, client.key) = (id, secret, key);
    client.auth_methods = method.into_iter().collect();
    state.clients.push(KnownClient { client, redirect_uris, secret_ends });
    drop(state);
    if let Some(edit) = &shared.config.registration.edit {
        edit(&mut members);
    }
    Ok(members)
}

/// The key of a client that signs: the first of its `jwks`.
#[cfg(all(feature = "keys", feature = "testing"))]
fn key(
    method: Option<AuthMethod>,
    metadata: &Map<String, Value>,
) -> Result<Option<Map<String, Value>>, &'static str> {
    if method != Some(AuthMethod::PrivateKeyJwt) {
        return Ok(None);
    }
    let key = metadata.get("jwks").and_then(|set| set.get("keys")?.get(0)?.as_object());
    match key {
        Some(key) if PublicKey::of_jwk(key).is_ok() => Ok(Some(key.clone())),
        _ => Err("invalid_client_metadata"),
    }
}

#[cfg(not(all(feature = "keys", feature = "testing")))]
fn key(
    _: Option<AuthMethod>,
    _: &Map<String, Value>,
) -> Result<Option<Map<String, Value>>, &'static str> {
    Ok(None)
}
