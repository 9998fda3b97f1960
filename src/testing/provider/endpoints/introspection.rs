use std::time::UNIX_EPOCH;

use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use serde_json::{Value, json};

use super::oauth_response;
use crate::testing::provider::grants::{Live, OAuthError, Owner, user};
use crate::testing::provider::http::{CloseConnection, ResponseBody, receive_form, response};
use crate::testing::provider::recorded::RecordedTokenRequest;
use crate::testing::provider::state::Shared;

/// The introspection endpoint (RFC 7662).
pub(crate) async fn endpoint(
    shared: &Shared,
    request: Request<Incoming>,
) -> Result<Response<ResponseBody>, CloseConnection> {
    let Some(request) = receive_form(request).await? else {
        return Ok(response::method_not_allowed("POST"));
    };
    let queued = shared.lock().faults.introspections.pop_front();
    if let Some(body) = queued {
        let body = ResponseBody::Whole(body.into());
        return Ok(response::with_body(StatusCode::OK, response::JSON, body));
    }
    Ok(match introspect(shared, &request) {
        Ok(members) => response::json(StatusCode::OK, &members),
        Err(error) => oauth_response::refused(error),
    })
}

fn introspect(shared: &Shared, request: &RecordedTokenRequest) -> Result<Value, OAuthError> {
    shared.admit(request)?;
    let token = request.required("token")?;
    let now = shared.config.clock.now();
    let state = shared.lock();
    let live = state.credentials.families.live(token, now);
    Ok(live.map_or(json!({ "active": false }), |live| describe(&live)))
}

/// What is said of a live token (RFC 7662 §2.2).
fn describe(live: &Live<'_>) -> Value {
    let client = live.client_id;
    let mut members = json!({ "active": true, "scope": live.scope, "client_id": client });
    match live.owner {
        Owner::User => {
            members["username"] = json!(user::NAME);
            members["sub"] = json!(user::NAME);
        }
        Owner::Client => members["sub"] = json!(client),
    }
    if live.is_access {
        members["token_type"] = json!(if live.jkt.is_some() { "DPoP" } else { "Bearer" });
    }
    if let Some(jkt) = live.jkt {
        members["cnf"] = json!({ "jkt": jkt });
    }
    if let Some(expires) = live.expires {
        let since = expires.duration_since(UNIX_EPOCH).unwrap_or_default();
        members["exp"] = json!(since.as_secs());
    }
    members
}
