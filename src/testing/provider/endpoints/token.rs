use http::{Request, Response};
use hyper::body::Incoming;

use super::oauth_response;
use crate::testing::provider::faults::{apply, delay};
use crate::testing::provider::grants::{Grant, Issued, LogIn, OAuthError, grant_type};
use crate::testing::provider::http::{CloseConnection, ResponseBody, receive_form, response};
use crate::testing::provider::recorded::RecordedTokenRequest;
use crate::testing::provider::state::{Shared, State};

/// The token endpoint (RFC 6749 §3.2).
pub(crate) async fn endpoint(
    shared: &Shared,
    request: Request<Incoming>,
) -> Result<Response<ResponseBody>, CloseConnection> {
    let Some(request) = receive_form(request).await? else {
        return Ok(response::method_not_allowed("POST"));
    };
    let fault = shared.token_arrived(&request);
    shared.token_gate.pass().await;
    delay(shared.config.token_delay).await;
    let serve = || {
        let outcome = issue(shared, &request);
        let error = outcome.as_ref().err().copied();
        let mut response = oauth_response::token(outcome, &shared.config);
        response.headers_mut().extend(shared.token_headers(&request, error));
        response
    };
    match fault {
        None => Ok(serve()),
        Some(fault) => apply(fault, serve).await,
    }
}

/// Serves a token request and counts the outcome.
fn issue(shared: &Shared, request: &RecordedTokenRequest) -> Result<Issued, OAuthError> {
    let now = shared.config.clock.now();
    let is_judged_last = request.given("refresh_token").is_some() && shared.consumes_first();
    let is_judged_first = !shared.parameters_first();
    let mut jkt = None;
    if !is_judged_last && is_judged_first {
        jkt = shared.judge_token_request(&mut shared.lock(), request)?;
    }
    let client = shared.admit(request)?;
    shared.check_resource(request)?;
    let grant = Grant::read(request, &client, &shared.config)?;
    if !is_judged_last && !is_judged_first {
        jkt = shared.judge_token_request(&mut shared.lock(), request)?;
    }
    let is_refresh = matches!(grant, Grant::RefreshToken { .. });
    let mut state = shared.lock();
    if grant.key(&state.credentials, &client).is_some_and(|key| Some(key) != jkt.as_deref()) {
        return Err(OAuthError::InvalidGrant);
    }
    let State { credentials, faults, .. } = &mut *state;
    let slow_downs = &mut faults.slow_downs;
    let mut outcome = grant.serve(&client.id, credentials, slow_downs, &shared.config, now);
    if is_judged_last {
        jkt = shared.judge_token_request(&mut state, request)?;
    }
    if let Ok(issued) = &mut outcome {
        if let Some(code) = request.given("code") {
            state.log_ins.redeemed(code, issued.family);
        }
        if request.given("grant_type") == Some(grant_type::PASSWORD) {
            state.log_ins.began_family(issued.family, LogIn::plain(now));
        }
        let jkt = shared.bound_to(&state, jkt);
        issued.shows_key = shared.shows_key(&state);
        state.credentials.families.bind(issued, jkt);
    }
    shared.count(&state, |counts| match outcome {
        Ok(_) => {
            counts.tokens_issued += 1;
            counts.refreshes += u64::from(is_refresh);
        }
        Err(OAuthError::ReuseDetected) => counts.reuse_detected += 1,
        Err(_) => {}
    });
    outcome
}
