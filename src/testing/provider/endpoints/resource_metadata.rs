use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use serde_json::{Value, json};

use crate::testing::provider::faults::apply;
use crate::testing::provider::http::{CloseConnection, ResponseBody, drain, response};
use crate::testing::provider::state::Shared;

/// The metadata of the API (RFC 9728 §3), where it may be; `served` if it is there.
pub(crate) async fn endpoint(
    shared: &Shared,
    served: bool,
    request: Request<Incoming>,
) -> Result<Response<ResponseBody>, CloseConnection> {
    let (head, body) = request.into_parts();
    drain(body, 0).await.map_err(|_| CloseConnection)?;
    if head.method != Method::GET {
        return Ok(response::method_not_allowed("GET"));
    }
    let fault = shared.resource_metadata_arrived();
    if !served {
        return Ok(response::empty(StatusCode::NOT_FOUND));
    }
    let serve = || response::json(StatusCode::OK, &document(shared));
    match fault {
        None => Ok(serve()),
        Some(fault) => apply(fault, serve).await,
    }
}

/// The document (RFC 9728 §2).
fn document(shared: &Shared) -> Value {
    let mut document = json!({
        "resource": shared.api_url(),
        "authorization_servers": [shared.issuer()],
        "bearer_methods_supported": ["header"],
    });
    if let (Some(edit), Value::Object(members)) = (&shared.config.resource.edit, &mut document) {
        edit(members);
    }
    document
}
