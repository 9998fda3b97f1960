use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use serde_json::{Value, json};

#[cfg(all(feature = "keys", feature = "testing"))]
use crate::testing::provider::config::AuthMethod;
use crate::testing::provider::config::Config;
use crate::testing::provider::faults::{Fault, apply};
use crate::testing::provider::grants::grant_type;
use crate::testing::provider::http::{CloseConnection, ResponseBody, drain, response};
use crate::testing::provider::state::Shared;

/// A document, at a place where one may be; `served` if it is there. `arrived` counts the request, and says
/// which fault it must suffer.
pub(crate) async fn endpoint(
    request: Request<Incoming>,
    served: bool,
    arrived: impl FnOnce() -> Option<Fault>,
    document: impl FnOnce() -> Value,
) -> Result<Response<ResponseBody>, CloseConnection> {
    let (head, body) = request.into_parts();
    drain(body, 0).await.map_err(|_| CloseConnection)?;
    if head.method != Method::GET {
        return Ok(response::method_not_allowed("GET"));
    }
    let fault = arrived();
    if !served {
        return Ok(response::empty(StatusCode::NOT_FOUND));
    }
    let serve = || response::json(StatusCode::OK, &document());
    match fault {
        None => Ok(serve()),
        Some(fault) => apply(fault, serve).await,
    }
}

/// The provider's document (RFC 8414 §2).
pub(crate) fn document(shared: &Shared) -> Value {
    let at = |path: &str| shared.origin.clone() + path;
    let mut document = json!({
        "issuer": shared.issuer(),
        "authorization_endpoint": at("/authorize"),
        "token_endpoint": at("/token"),
        "device_authorization_endpoint": at("/device_authorization"),
        "pushed_authorization_request_endpoint": at("/par"),
        "revocation_endpoint": at("/revoke"),
        "introspection_endpoint": at("/introspect"),
        "response_types_supported": ["code", "token"],
        "grant_types_supported": [
            grant_type::AUTHORIZATION_CODE,
            "implicit",
            grant_type::REFRESH_TOKEN,
            grant_type::CLIENT_CREDENTIALS,
            grant_type::PASSWORD,
            grant_type::DEVICE_CODE,
            grant_type::JWT_BEARER,
            grant_type::TOKEN_EXCHANGE,
        ],
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": methods(&shared.config),
        "authorization_response_iss_parameter_supported": shared.config.authorization.send_iss,
    });
    if shared.config.authorization.require_pushed {
        document["require_pushed_authorization_requests"] = json!(true);
    }
    if shared.config.registration.open {
        document["registration_endpoint"] = json!(at("/register"));
    }
    if !shared.config.registration.documents.is_empty() {
        document["client_id_metadata_document_supported"] = json!(true);
    }
    if let (Some(edit), Value::Object(members)) = (&shared.config.metadata.edit, &mut document) {
        edit(members);
    }
    document
}

/// Those of the configured client; `none`, and a key, where others may come.
fn methods(config: &Config) -> Vec<&'static str> {
    let (client, registration) = (&config.client, &config.registration);
    let methods = client.auth_methods.iter().map(|method| method.name());
    let methods: Vec<_> = methods.filter(|_| !client.is_public()).collect();
    #[cfg(all(feature = "keys", feature = "testing"))]
    let methods = {
        let signs = AuthMethod::PrivateKeyJwt.name();
        let is_new = registration.open && !methods.contains(&signs);
        methods.into_iter().chain(is_new.then_some(signs)).collect::<Vec<_>>()
    };
    let open = client.is_public() || registration.open || !registration.documents.is_empty();
    methods.into_iter().chain(open.then_some("none")).collect()
}
