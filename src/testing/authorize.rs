use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;

use super::authorization::{Authorization, Unfit};
use super::callback::{Callback, Params};
use super::decision::Decision;
use super::denial::Denial;
use super::form::MAX_FORM;
use super::payload::{Payload, drain};
use super::route::Cut;
use super::shared::Shared;
use super::{page, response};

/// The authorization endpoint (RFC 6749 §3.1).
pub(super) async fn endpoint(
    shared: &Shared,
    request: Request<Incoming>,
) -> Result<Response<Payload>, Cut> {
    let (head, body) = request.into_parts();
    let form = drain(body, MAX_FORM).await.map_err(|_| Cut)?;
    let (status, decision) = match (head.method, shared.config.login.page) {
        (Method::GET, false) => (StatusCode::FOUND, Decision::Allow),
        (Method::GET, true) => (StatusCode::FOUND, Decision::Open("")),
        // RFC 9700 §4.12: the form must not go along.
        (Method::POST, true) => (StatusCode::SEE_OTHER, Decision::read(&form)),
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
    Page(Response<Payload>),
    Callback(Callback, Params),
}

fn decide(shared: &Shared, query: &str, decision: Decision) -> Outcome {
    let denied = |callback, denial: Denial| Outcome::Callback(callback, denial.into_params());
    let asked = match Authorization::read(query, &shared.config) {
        Ok(asked) => asked,
        Err(Unfit::Untrusted(why)) => return Outcome::Page(page::error(why)),
        Err(Unfit::Denied(callback, denial)) => return denied(callback, denial),
    };
    let queued = shared.lock().faults.denials.pop_front();
    match (queued, decision) {
        (Some(denial), _) => denied(asked.callback, denial),
        (None, Decision::Deny) => denied(asked.callback, Denial::new("access_denied", None)),
        (None, Decision::Open(message)) => {
            Outcome::Page(page::log_in(query, &shared.config.client.id, &asked, message))
        }
        (None, Decision::Allow) => {
            let (callback, params) = shared.authorize(asked);
            Outcome::Callback(callback, params)
        }
    }
}

/// Adds the state and the issuer (RFC 9207 §2), and whatever a test wants.
fn complete(shared: &Shared, callback: &Callback, mut params: Params) -> Params {
    if let Some(state) = &callback.state {
        params.push(("state".to_owned(), state.clone()));
    }
    if shared.config.login.send_iss {
        params.push(("iss".to_owned(), shared.issuer()));
    }
    let tamper = shared.lock().faults.tampers.pop_front();
    if let Some(tamper) = tamper {
        tamper(&mut params);
    }
    params
}
