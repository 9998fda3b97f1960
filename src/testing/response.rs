use std::time::Duration;

use bytes::Bytes;
use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderName, LOCATION, PRAGMA, RETRY_AFTER, WWW_AUTHENTICATE,
};
use http::{HeaderValue, Response, StatusCode};
use serde_json::{Value, json};

use super::config::Config;
use super::payload::Payload;
use super::refusal::Refusal;
use super::store::Issued;

pub(super) const JSON: &str = "application/json";

/// A response with an empty body.
pub(super) fn empty(status: StatusCode) -> Response<Payload> {
    with_body(status, "", Payload::Whole(Bytes::new()))
}

/// A response with a body; an empty content type is not sent.
pub(super) fn with_body(
    status: StatusCode,
    content_type: &str,
    body: Payload,
) -> Response<Payload> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    if !content_type.is_empty() {
        set(&mut response, CONTENT_TYPE, content_type);
    }
    response
}

/// A response of a JSON value.
pub(super) fn json(status: StatusCode, value: &Value) -> Response<Payload> {
    with_body(status, JSON, Payload::Whole(value.to_string().into()))
}

/// A status from a number; one that HTTP does not have becomes 500.
pub(super) fn status(code: u16) -> StatusCode {
    StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// Sets a header; a value that HTTP does not allow is left out.
pub(super) fn set(response: &mut Response<Payload>, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}

pub(super) fn retry_after(value: &str) -> Response<Payload> {
    let mut response = empty(StatusCode::TOO_MANY_REQUESTS);
    set(&mut response, RETRY_AFTER, value);
    response
}

pub(super) fn redirect(status: StatusCode, location: &str) -> Response<Payload> {
    let mut response = empty(status);
    set(&mut response, LOCATION, location);
    response
}

/// An error response of the token endpoint (RFC 6749 §5.2).
pub(super) fn error(status: StatusCode, code: &str) -> Response<Payload> {
    let mut response = json(status, &json!({ "error": code }));
    not_stored(&mut response);
    response
}

/// The answer to a token request (RFC 6749 §5).
pub(super) fn token(outcome: Result<Issued, Refusal>, config: &Config) -> Response<Payload> {
    match outcome {
        Ok(issued) => {
            let mut response = json(StatusCode::OK, &token_json(issued, config));
            not_stored(&mut response);
            response
        }
        Err(refusal) => refused(refusal),
    }
}

/// The answer to a form that was refused.
pub(super) fn refused(refusal: Refusal) -> Response<Payload> {
    let mut response = error(refusal.status(), refusal.code());
    if refusal == Refusal::InvalidClient {
        set(&mut response, WWW_AUTHENTICATE, r#"Basic realm="provider""#);
    }
    response
}

pub(super) fn method_not_allowed(allow: &str) -> Response<Payload> {
    let mut response = empty(StatusCode::METHOD_NOT_ALLOWED);
    set(&mut response, ALLOW, allow);
    response
}

/// The members of a successful token response (RFC 6749 §5.1).
pub(super) fn token_json(issued: Issued, config: &Config) -> Value {
    let mut answer = json!({
        "access_token": issued.access_token,
        "token_type": "Bearer",
        "scope": issued.scope,
    });
    if config.send_expires_in {
        answer["expires_in"] = seconds(config.lifetime);
    }
    if issued.exchanged {
        answer["issued_token_type"] = json!("urn:ietf:params:oauth:token-type:access_token");
    }
    if let Some(refresh_token) = issued.refresh_token {
        answer["refresh_token"] = json!(refresh_token);
    }
    answer
}

/// An integer if these are whole seconds, and a fraction otherwise.
pub(super) fn seconds(duration: Duration) -> Value {
    if duration.subsec_nanos() == 0 {
        json!(duration.as_secs())
    } else {
        json!(duration.as_secs_f64())
    }
}

/// The headers that keep an answer out of caches (RFC 6749 §5.1).
pub(super) fn not_stored(response: &mut Response<Payload>) {
    set(response, CACHE_CONTROL, "no-store");
    set(response, PRAGMA, "no-cache");
}
