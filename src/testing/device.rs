use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use serde_json::json;

use super::grant::SCOPE;
use super::payload::Payload;
use super::request::RecordedTokenRequest;
use super::route::Cut;
use super::shared::Shared;
use super::{form, response};

/// The device authorization endpoint (RFC 8628 §3.1).
pub(super) async fn endpoint(
    shared: &Shared,
    request: Request<Incoming>,
) -> Result<Response<Payload>, Cut> {
    let Some(request) = form::receive(request).await? else {
        return Ok(response::method_not_allowed("POST"));
    };
    Ok(match shared.config.client.admit(&request) {
        Ok(()) => begin(shared, &request),
        Err(refusal) => response::refused(refusal),
    })
}

/// The device authorization response (RFC 8628 §3.2).
fn begin(shared: &Shared, request: &RecordedTokenRequest) -> Response<Payload> {
    let flow = &shared.config.device;
    let now = shared.config.clock.now();
    let scope = request.given("scope").unwrap_or(SCOPE);
    let mut state = shared.lock();
    let device_code = state.store.new_token("dc");
    let user_code = state.devices.insert(device_code.clone(), scope, flow, now);
    drop(state);
    let page = shared.origin.clone() + "/device";
    let mut answer = json!({
        "device_code": device_code,
        "user_code": user_code,
        "verification_uri": page,
        "verification_uri_complete": format!("{page}?user_code={user_code}"),
        "expires_in": response::seconds(flow.lifetime),
    });
    if let Some(interval) = flow.interval {
        answer["interval"] = response::seconds(interval);
    }
    let mut response = response::json(StatusCode::OK, &answer);
    response::not_stored(&mut response);
    response
}
