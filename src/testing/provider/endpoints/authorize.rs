use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;

use crate::testing::provider::authorization::{
    AuthorizationError, AuthorizationRequest, Callback, Params, RequestError, UserDecision,
};
use crate::testing::provider::http::{
    CloseConnection, MAX_FORM, ResponseBody, drain, html, response,
};
use crate::testing::provider::state::{Shared, State};

/// The authorization endpoint (RFC 6749 §3.1).
pub(crate) async fn endpoint(
    shared: &Shared,
    request: Request<Incoming>,
) -> Result<Response<ResponseBody>, CloseConnection> {
    let (head, body) = request.into_parts();
    let form = drain(body, MAX_FORM).await.map_err(|_| CloseConnection)?;
    let (status, decision) = match (head.method, shared.config.authorization.page) {
        (Method::GET, false) => (StatusCode::FOUND, UserDecision::Allow),
        (Method::GET, true) => (StatusCode::FOUND, UserDecision::Open("")),
        // RFC 9700 §4.12: the form must not go along.
        (Method::POST, true) => (StatusCode::SEE_OTHER, UserDecision::read(&form)),
        (_, true) => return Ok(response::method_not_allowed("GET, POST")),
        (_, false) => return Ok(response::method_not_allowed("GET")),
    };
    let query = head.uri.query().unwrap_or_default();
    Ok(match decide(shared, query, decision) {
        Outcome::Page(page) => page,
        Outcome::Callback(callback, params) => {
            callback.redirect(status, &complete(shared, &callback, params))
        }
    })
}

enum Outcome {
    Page(Response<ResponseBody>),
    Callback(Callback, Params),
}

fn decide(shared: &Shared, query: &str, decision: UserDecision) -> Outcome {
    let form_query = query;
    let denied =
        |callback, error: AuthorizationError| Outcome::Callback(callback, error.into_params());
    {
        let mut state = shared.lock();
        state.authorization_requests.push(query.to_owned());
        shared.count(&state, |counts| counts.authorizations += 1);
    }
    let client_id = AuthorizationRequest::param(query, "client_id");
    let request_uri = AuthorizationRequest::param(query, "request_uri");
    let pushed;
    let query = if request_uri.is_empty() {
        if shared.config.authorization.require_pushed {
            return Outcome::Page(html::error("The request was not pushed."));
        }
        query
    } else {
        let stays = matches!(decision, UserDecision::Open(_));
        let now = shared.config.clock.now();
        let mut state = shared.lock();
        let Some(found) = state.credentials.pushed.take(&request_uri, &client_id, stays, now)
        else {
            return Outcome::Page(html::error("The pushed request is not known."));
        };
        pushed = found;
        &pushed
    };
    let client = shared.client(&client_id);
    let resource = shared.config.resource.required.then(|| shared.api_url());
    let request = AuthorizationRequest::read(query, &client, resource.as_deref(), &shared.config);
    let request = match request {
        Ok(request) => request,
        Err(RequestError::Untrusted(why)) => return Outcome::Page(html::error(why)),
        Err(RequestError::Denied(callback, error)) => return denied(callback, error),
    };
    let queued = shared.lock().faults.denials.pop_front();
    match (queued, decision) {
        (Some(error), _) => denied(request.callback, error),
        (None, UserDecision::Deny) => {
            denied(request.callback, AuthorizationError::new("access_denied", None))
        }
        (None, UserDecision::Open(message)) => {
            Outcome::Page(html::log_in(form_query, &client.client.id, &request.scope, message))
        }
        (None, UserDecision::Allow) => {
            let now = shared.config.clock.now();
            let mut state = shared.lock();
            let State { credentials, log_ins, .. } = &mut *state;
            let (callback, params) = request.grant(credentials, log_ins, &shared.config, now);
            Outcome::Callback(callback, params)
        }
    }
}

/// Adds the state and the issuer (RFC 9207 §2), and whatever a test wants.
fn complete(shared: &Shared, callback: &Callback, mut params: Params) -> Params {
    if let Some(state) = &callback.state {
        params.push(("state".to_owned(), state.clone()));
    }
    if shared.config.authorization.send_iss {
        params.push(("iss".to_owned(), shared.issuer()));
    }
    let tamper = shared.lock().faults.tampers.pop_front();
    if let Some(tamper) = tamper {
        tamper(&mut params);
    }
    params
}
