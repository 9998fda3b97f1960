use http::header::{LOCATION, WWW_AUTHENTICATE};
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use serde_json::json;

use crate::testing::provider::faults::delay;
use crate::testing::provider::http::{CloseConnection, ResponseBody, drain, response};
use crate::testing::provider::recorded::RecordedApiRequest;
use crate::testing::provider::state::{ApiDecision, Shared};

/// How much of an API request's body is recorded.
const KEPT_BODY: usize = 64 * 1024;

/// The protected API (RFC 6750).
pub(crate) async fn endpoint(
    shared: &Shared,
    request: Request<Incoming>,
) -> Result<Response<ResponseBody>, CloseConnection> {
    let (mut head, body) = request.into_parts();
    let body = drain(body, KEPT_BODY).await.map_err(|_| CloseConnection)?;
    let request = RecordedApiRequest::new(&head, body);
    let members = json!({ "ok": true, "path": request.path() });
    let (decision, headers) = shared.api_arrived(request);
    delay(shared.config.api_delay).await;
    shared.api_gate.pass().await;
    let mut response = match decision {
        ApiDecision::Rejected(status, challenge) => {
            let mut response = response::empty(status);
            response.headers_mut().extend(challenge.map(|value| (WWW_AUTHENTICATE, value)));
            response
        }
        ApiDecision::Accepted => match head.headers.remove("x-redirect-to") {
            Some(location) => {
                let mut response = response::empty(StatusCode::TEMPORARY_REDIRECT);
                response.headers_mut().insert(LOCATION, location);
                response
            }
            None => response::json(StatusCode::OK, &members),
        },
    };
    response.headers_mut().extend(headers);
    Ok(response)
}
