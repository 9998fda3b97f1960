use http::header::RETRY_AFTER;
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;

use super::payload::Payload;
use super::refusal::Refusal;
use super::request::RecordedTokenRequest;
use super::route::Cut;
use super::shared::Shared;
use super::{form, response};

/// The revocation endpoint (RFC 7009).
pub(super) async fn endpoint(
    shared: &Shared,
    request: Request<Incoming>,
) -> Result<Response<Payload>, Cut> {
    let Some(request) = form::receive(request).await? else {
        return Ok(response::method_not_allowed("POST"));
    };
    if let Some(fault) = shared.revocation_arrived() {
        let mut response = response::empty(response::status(fault.status));
        if let Some(value) = fault.retry_after {
            response::set(&mut response, RETRY_AFTER, &value);
        }
        return Ok(response);
    }
    Ok(match revoke(shared, &request) {
        // Also for a token that is not known (RFC 7009 §2.2).
        Ok(()) => response::empty(StatusCode::OK),
        Err(refusal) => response::refused(refusal),
    })
}

fn revoke(shared: &Shared, request: &RecordedTokenRequest) -> Result<(), Refusal> {
    shared.config.client.admit(request)?;
    let token = request.required("token")?;
    shared.lock().store.revoke(token);
    Ok(())
}
