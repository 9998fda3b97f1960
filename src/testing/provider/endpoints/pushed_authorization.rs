use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use serde_json::json;
use url::form_urlencoded;

use super::oauth_response;
use crate::testing::provider::authorization::{AuthorizationRequest, RequestError};
use crate::testing::provider::faults::apply;
use crate::testing::provider::grants::{OAuthError, PUSHED_LIFE};
use crate::testing::provider::http::{CloseConnection, ResponseBody, receive_form, response};
use crate::testing::provider::recorded::RecordedTokenRequest;
use crate::testing::provider::state::Shared;

/// What authenticates the client, and is no part of the authorization request.
const OF_CLIENT: [&str; 3] = ["client_assertion", "client_assertion_type", "client_secret"];

/// The endpoint for pushed authorization requests (RFC 9126 §2).
pub(crate) async fn endpoint(
    shared: &Shared,
    request: Request<Incoming>,
) -> Result<Response<ResponseBody>, CloseConnection> {
    let Some(request) = receive_form(request).await? else {
        return Ok(response::method_not_allowed("POST"));
    };
    let fault = {
        let mut state = shared.lock();
        state.pushed_requests.push(request.clone());
        state.faults.pushed_requests.pop_front()
    };
    let serve = || {
        let outcome = push(shared, &request);
        let error = outcome.as_ref().err().copied();
        let mut response = match outcome {
            Ok(request_uri) => {
                let members =
                    json!({ "request_uri": request_uri, "expires_in": PUSHED_LIFE.as_secs() });
                let mut response = response::json(StatusCode::CREATED, &members);
                response::not_stored(&mut response);
                response
            }
            Err(error) => oauth_response::refused(error),
        };
        response.headers_mut().extend(shared.token_headers(&request, error));
        response
    };
    match fault {
        None => Ok(serve()),
        Some(fault) => apply(fault, serve).await,
    }
}

fn push(shared: &Shared, request: &RecordedTokenRequest) -> Result<String, OAuthError> {
    let jkt = shared.judge_pushed_request(request)?;
    let client = shared.admit(request)?;
    // RFC 9126 §2.1.
    if request.given("request_uri").is_some() {
        return Err(OAuthError::InvalidRequest);
    }
    let params = request.params.iter().filter(|(name, _)| !OF_CLIENT.contains(&name.as_str()));
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(params);
    // RFC 9449 §10.1: the code is bound to the proof's key, and no other may be named.
    match (request.given("dpop_jkt"), &jkt) {
        (Some(named), Some(jkt)) if named != jkt => return Err(OAuthError::InvalidRequest),
        (None, Some(jkt)) => {
            query.append_pair("dpop_jkt", jkt);
        }
        _ => {}
    }
    let query = query.finish();
    let known = shared.client(&client.id);
    let resource = shared.config.resource.required.then(|| shared.api_url());
    match AuthorizationRequest::read(&query, &known, resource.as_deref(), &shared.config) {
        Ok(_) => {}
        Err(RequestError::Untrusted(_)) => return Err(OAuthError::InvalidRequest),
        Err(RequestError::Denied(_, error)) => return Err(error.of_pushed_request()),
    }
    let mut state = shared.lock();
    let random = state.credentials.families.new_token("par");
    let request_uri = format!("urn:ietf:params:oauth:request_uri:{random}");
    let now = shared.config.clock.now();
    state.credentials.pushed.insert(request_uri.clone(), &client.id, query, now);
    Ok(request_uri)
}
