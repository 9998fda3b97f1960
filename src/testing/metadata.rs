use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use serde_json::{Value, json};

use super::client::Client;
use super::grant;
use super::payload::{Payload, drain};
use super::response;
use super::route::Cut;
use super::shared::Shared;
use super::suffer::suffer;

/// The metadata (RFC 8414 §3), where it may be; `served` if it is there.
pub(super) async fn endpoint(
    shared: &Shared,
    served: bool,
    request: Request<Incoming>,
) -> Result<Response<Payload>, Cut> {
    let (head, body) = request.into_parts();
    drain(body, 0).await.map_err(|_| Cut)?;
    if head.method != Method::GET {
        return Ok(response::method_not_allowed("GET"));
    }
    let fault = shared.metadata_arrived();
    if !served {
        return Ok(response::empty(StatusCode::NOT_FOUND));
    }
    let serve = || response::json(StatusCode::OK, &document(shared));
    match fault {
        None => Ok(serve()),
        Some(fault) => suffer(fault, serve).await,
    }
}

/// The document (RFC 8414 §2).
fn document(shared: &Shared) -> Value {
    let at = |path: &str| shared.origin.clone() + path;
    let mut document = json!({
        "issuer": shared.issuer(),
        "authorization_endpoint": at("/authorize"),
        "token_endpoint": at("/token"),
        "device_authorization_endpoint": at("/device_authorization"),
        "revocation_endpoint": at("/revoke"),
        "introspection_endpoint": at("/introspect"),
        "response_types_supported": ["code", "token"],
        "grant_types_supported": [
            grant::AUTHORIZATION_CODE,
            "implicit",
            grant::REFRESH_TOKEN,
            grant::CLIENT_CREDENTIALS,
            grant::PASSWORD,
            grant::DEVICE_CODE,
            grant::JWT_BEARER,
            grant::TOKEN_EXCHANGE,
        ],
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": methods(&shared.config.client),
        "authorization_response_iss_parameter_supported": shared.config.login.send_iss,
    });
    if let (Some(edit), Value::Object(members)) = (&shared.config.discovery.edit, &mut document) {
        edit(members);
    }
    document
}

fn methods(client: &Client) -> Vec<&'static str> {
    if client.is_public() {
        return vec!["none"];
    }
    client.auth_methods.iter().map(|method| method.name()).collect()
}
