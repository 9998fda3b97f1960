use http::{Request, Response};
use hyper::body::Incoming;

use super::oauth_response;
use crate::testing::provider::faults::{apply, delay};
use crate::testing::provider::grants::{Grant, Issued, OAuthError};
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
    let serve = || oauth_response::token(issue(shared, &request), &shared.config);
    match fault {
        None => Ok(serve()),
        Some(fault) => apply(fault, serve).await,
    }
}

/// Serves a token request and counts the outcome.
fn issue(shared: &Shared, request: &RecordedTokenRequest) -> Result<Issued, OAuthError> {
    let now = shared.config.clock.now();
    let client = shared.admit(request)?;
    shared.check_resource(request)?;
    let grant = Grant::read(request, &client, &shared.config)?;
    let is_refresh = matches!(grant, Grant::RefreshToken { .. });
    let mut state = shared.lock();
    let State { credentials, faults, log_ins, .. } = &mut *state;
    let outcome = grant.serve(credentials, &mut faults.slow_downs, &shared.config, now);
    if let (Ok(issued), Some(code)) = (&outcome, request.given("code")) {
        log_ins.redeemed(code, issued.family);
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
