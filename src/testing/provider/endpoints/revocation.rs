use http::header::RETRY_AFTER;
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;

use super::oauth_response;
use crate::testing::provider::grants::OAuthError;
use crate::testing::provider::http::{CloseConnection, ResponseBody, receive_form, response};
use crate::testing::provider::recorded::RecordedTokenRequest;
use crate::testing::provider::state::Shared;

/// The revocation endpoint (RFC 7009).
pub(crate) async fn endpoint(
    shared: &Shared,
    request: Request<Incoming>,
) -> Result<Response<ResponseBody>, CloseConnection> {
    let Some(request) = receive_form(request).await? else {
        return Ok(response::method_not_allowed("POST"));
    };
    let fault = shared.revocation_arrived(&request);
    shared.revocation_gate.pass().await;
    if let Some(fault) = fault {
        let status = response::status(fault.status);
        let mut response = match &fault.error {
            Some(code) => response::error(status, code),
            None => response::empty(status),
        };
        if let Some(value) = fault.retry_after {
            response::set(&mut response, RETRY_AFTER, &value);
        }
        return Ok(response);
    }
    Ok(match revoke(shared, &request) {
        // Also for a token that is not known (RFC 7009 §2.2).
        Ok(()) => response::empty(StatusCode::OK),
        Err(error) => oauth_response::refused(error),
    })
}

fn revoke(shared: &Shared, request: &RecordedTokenRequest) -> Result<(), OAuthError> {
    let client = shared.admit(request)?;
    let token = request.required("token")?;
    let now = shared.config.clock.now();
    shared.lock().credentials.families.revoke(&client.id, token, &shared.config, now)
}
