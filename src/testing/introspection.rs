use std::time::UNIX_EPOCH;

use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use serde_json::{Value, json};

use super::config::Config;
use super::owner::Owner;
use super::payload::Payload;
use super::refusal::Refusal;
use super::request::RecordedTokenRequest;
use super::route::Cut;
use super::shared::Shared;
use super::store::Live;
use super::{form, response, user};

/// The introspection endpoint (RFC 7662).
pub(super) async fn endpoint(
    shared: &Shared,
    request: Request<Incoming>,
) -> Result<Response<Payload>, Cut> {
    let Some(request) = form::receive(request).await? else {
        return Ok(response::method_not_allowed("POST"));
    };
    let answer = shared.lock().faults.introspections.pop_front();
    if let Some(body) = answer {
        let body = Payload::Whole(body.into());
        return Ok(response::with_body(StatusCode::OK, response::JSON, body));
    }
    Ok(match introspect(shared, &request) {
        Ok(answer) => response::json(StatusCode::OK, &answer),
        Err(refusal) => response::refused(refusal),
    })
}

fn introspect(shared: &Shared, request: &RecordedTokenRequest) -> Result<Value, Refusal> {
    shared.config.client.admit(request)?;
    let token = request.required("token")?;
    let now = shared.config.clock.now();
    let state = shared.lock();
    let live = state.store.live(token, now);
    Ok(live.map_or(json!({ "active": false }), |live| describe(&live, &shared.config)))
}

/// What is said of a live token (RFC 7662 §2.2).
fn describe(live: &Live<'_>, config: &Config) -> Value {
    let client = &config.client.id;
    let mut answer = json!({ "active": true, "scope": live.scope, "client_id": client });
    match live.owner {
        Owner::User => {
            answer["username"] = json!(user::NAME);
            answer["sub"] = json!(user::NAME);
        }
        Owner::Client => answer["sub"] = json!(client),
    }
    if live.is_access {
        answer["token_type"] = json!("Bearer");
    }
    if let Some(expires) = live.expires {
        let since = expires.duration_since(UNIX_EPOCH).unwrap_or_default();
        answer["exp"] = json!(since.as_secs());
    }
    answer
}
