use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use serde_json::json;

use super::oauth_response;
use crate::testing::provider::config::DEFAULT_SCOPE;
use crate::testing::provider::http::{CloseConnection, ResponseBody, receive_form, response};
use crate::testing::provider::recorded::RecordedTokenRequest;
use crate::testing::provider::state::Shared;

/// The device authorization endpoint (RFC 8628 §3.1).
pub(crate) async fn endpoint(
    shared: &Shared,
    request: Request<Incoming>,
) -> Result<Response<ResponseBody>, CloseConnection> {
    let Some(request) = receive_form(request).await? else {
        return Ok(response::method_not_allowed("POST"));
    };
    shared.lock().device_requests.push(request.clone());
    let admitted = shared.admit(&request);
    let admitted = admitted.and_then(|client| Ok((client, shared.check_resource(&request)?)));
    Ok(match admitted {
        Ok((client, ())) => begin(shared, &client.id, &request),
        Err(error) => oauth_response::refused(error),
    })
}

/// The device authorization response (RFC 8628 §3.2).
fn begin(
    shared: &Shared,
    client_id: &str,
    request: &RecordedTokenRequest,
) -> Response<ResponseBody> {
    let flow = &shared.config.device;
    let now = shared.config.clock.now();
    let scope = request.given("scope").unwrap_or(DEFAULT_SCOPE);
    let mut state = shared.lock();
    let device_code = state.credentials.families.new_token("dc");
    let devices = &mut state.credentials.devices;
    let user_code = devices.insert(device_code.clone(), client_id, scope, flow, now);
    drop(state);
    let page = shared.origin.clone() + "/device";
    let mut members = json!({
        "device_code": device_code,
        "user_code": user_code,
        "verification_uri": page,
        "verification_uri_complete": format!("{page}?user_code={user_code}"),
        "expires_in": response::seconds(flow.lifetime),
    });
    if let Some(interval) = flow.interval {
        members["interval"] = response::seconds(interval);
    }
    let mut response = response::json(StatusCode::OK, &members);
    response::not_stored(&mut response);
    response
}
