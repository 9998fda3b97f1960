use http::{Request, Response, StatusCode};
use hyper::body::Incoming;

use super::endpoints::{
    api, authorize, device_authorization, introspection, metadata, pushed_authorization,
    registration, resource_metadata, revocation, token,
};
use super::http::{CloseConnection, ResponseBody, response};
use super::state::Shared;

/// Hands a request to the endpoint its path names.
pub(crate) async fn route(
    shared: &Shared,
    request: Request<Incoming>,
) -> Result<Response<ResponseBody>, CloseConnection> {
    let path = request.uri().path();
    if let Some(served) = shared.config.metadata.serves(path) {
        let document = || metadata::document(shared);
        return metadata::endpoint(request, served, || shared.metadata_arrived(), document).await;
    }
    if let Some(served) = shared.config.resource.serves(path) {
        let (arrived, document) =
            (|| shared.resource_metadata_arrived(), || resource_metadata::document(shared));
        return metadata::endpoint(request, served, arrived, document).await;
    }
    match path {
        "/authorize" => authorize::endpoint(shared, request).await,
        "/device_authorization" => device_authorization::endpoint(shared, request).await,
        "/introspect" => introspection::endpoint(shared, request).await,
        "/par" => pushed_authorization::endpoint(shared, request).await,
        "/register" => registration::endpoint(shared, request).await,
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
