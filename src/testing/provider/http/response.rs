use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderName, LOCATION, PRAGMA, RETRY_AFTER};
use http::{HeaderValue, Response, StatusCode};
use serde_json::{Value, json};

use super::ResponseBody;

pub(crate) const JSON: &str = "application/json";

/// A response with an empty body.
pub(crate) fn empty(status: StatusCode) -> Response<ResponseBody> {
    with_body(status, "", ResponseBody::Whole(Bytes::new()))
}

/// A response with a body; an empty content type is not sent.
pub(crate) fn with_body(
    status: StatusCode,
    content_type: &str,
    body: ResponseBody,
) -> Response<ResponseBody> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    if !content_type.is_empty() {
        set(&mut response, CONTENT_TYPE, content_type);
    }
    response
}

/// A response of a JSON value.
pub(crate) fn json(status: StatusCode, value: &Value) -> Response<ResponseBody> {
    with_body(status, JSON, ResponseBody::Whole(value.to_string().into()))
}

/// A status from a number; one that HTTP does not have becomes 500.
pub(crate) fn status(code: u16) -> StatusCode {
    StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// Sets a header; a value that HTTP does not allow is left out.
pub(crate) fn set(response: &mut Response<ResponseBody>, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}

pub(crate) fn retry_after(value: &str) -> Response<ResponseBody> {
    let mut response = empty(StatusCode::TOO_MANY_REQUESTS);
    set(&mut response, RETRY_AFTER, value);
    response
}

pub(crate) fn redirect(status: StatusCode, location: &str) -> Response<ResponseBody> {
    let mut response = empty(status);
    set(&mut response, LOCATION, location);
    response
}

/// An error response of the token endpoint (RFC 6749 §5.2).
pub(crate) fn error(status: StatusCode, code: &str) -> Response<ResponseBody> {
    let mut response = json(status, &json!({ "error": code }));
    not_stored(&mut response);
    response
}

pub(crate) fn method_not_allowed(allow: &str) -> Response<ResponseBody> {
    let mut response = empty(StatusCode::METHOD_NOT_ALLOWED);
    set(&mut response, ALLOW, allow);
    response
}

/// An integer if these are whole seconds, and a fraction otherwise.
pub(crate) fn seconds(duration: Duration) -> Value {
    if duration.subsec_nanos() == 0 {
        json!(duration.as_secs())
    } else {
        json!(duration.as_secs_f64())
    }
}

/// The headers that keep a response out of caches (RFC 6749 §5.1).
pub(crate) fn not_stored(response: &mut Response<ResponseBody>) {
    set(response, CACHE_CONTROL, "no-store");
    set(response, PRAGMA, "no-cache");
}
