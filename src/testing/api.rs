use http::header::{LOCATION, WWW_AUTHENTICATE};
use http::{HeaderValue, Request, Response, StatusCode};
use hyper::body::Incoming;
use serde_json::json;

use super::payload::{Payload, drain};
use super::request::RecordedApiRequest;
use super::response;
use super::route::Cut;
use super::shared::{Challenge, Shared, Verdict};
use super::suffer::pause;

/// How much of an API request's body is recorded.
const KEPT_BODY: usize = 64 * 1024;

/// The protected API (RFC 6750).
pub(super) async fn endpoint(
    shared: &Shared,
    request: Request<Incoming>,
) -> Result<Response<Payload>, Cut> {
    let (mut head, body) = request.into_parts();
    let body = drain(body, KEPT_BODY).await.map_err(|_| Cut)?;
    let request = RecordedApiRequest::new(&head, body);
    let answer = json!({ "ok": true, "path": request.path() });
    let verdict = shared.api_arrived(request);
    pause(shared.config.api_delay).await;
    shared.api_gate.pass().await;
    Ok(match verdict {
        Verdict::Refused(challenge) => refuse(challenge),
        Verdict::Accepted => match head.headers.remove("x-redirect-to") {
            Some(location) => {
                let mut response = response::empty(StatusCode::TEMPORARY_REDIRECT);
                response.headers_mut().insert(LOCATION, location);
                response
            }
            None => response::json(StatusCode::OK, &answer),
        },
    })
}

fn refuse(challenge: Challenge) -> Response<Payload> {
    let mut response = response::empty(StatusCode::UNAUTHORIZED);
    let value = match challenge {
        Challenge::InvalidToken => HeaderValue::from_static(r#"Bearer error="invalid_token""#),
        Challenge::Custom(value) => value,
        Challenge::Absent => return response,
    };
    response.headers_mut().insert(WWW_AUTHENTICATE, value);
    response
}
