use std::error::Error;
use std::fmt;

use http::{Request, Response, StatusCode};
use hyper::body::Incoming;

use super::payload::Payload;
use super::shared::Shared;
use super::{api, authorize, device, introspection, metadata, response, revocation, token};

/// Ends the connection without an answer.
#[derive(Debug)]
pub(super) struct Cut;

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("connection cut")
    }
}

impl Error for Cut {}

/// Hands a request to the endpoint its path names.
pub(super) async fn route(
    shared: &Shared,
    request: Request<Incoming>,
) -> Result<Response<Payload>, Cut> {
    let path = request.uri().path();
    if let Some(served) = shared.config.discovery.serves(path) {
        return metadata::endpoint(shared, served, request).await;
    }
    match path {
        "/authorize" => authorize::endpoint(shared, request).await,
        "/device_authorization" => device::endpoint(shared, request).await,
        "/introspect" => introspection::endpoint(shared, request).await,
        "/revoke" => revocation::endpoint(shared, request).await,
        "/token" => token::endpoint(shared, request).await,
        path if is_api(path) => api::endpoint(shared, request).await,
        _ => Ok(response::empty(StatusCode::NOT_FOUND)),
    }
}

fn is_api(path: &str) -> bool {
    let below = path.strip_prefix("/api");
    below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
