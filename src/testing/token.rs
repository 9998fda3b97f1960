use std::future::pending;
use std::time::Duration;

use bytes::Bytes;
use http::header::ALLOW;
use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use tokio::time::sleep;

use super::fault::Fault;
use super::payload::{Payload, drain};
use super::request::TokenRequest;
use super::response;
use super::route::Cut;
use super::shared::Shared;

/// How much of a token request's body is read into memory.
const MAX_FORM: usize = 1024 * 1024;

/// The token endpoint (RFC 6749 §3.2).
pub(super) async fn endpoint(
    shared: &Shared,
    request: Request<Incoming>,
) -> Result<Response<Payload>, Cut> {
    let (head, body) = request.into_parts();
    let body = drain(body, MAX_FORM).await.map_err(|_| Cut)?;
    if head.method != Method::POST {
        let mut response = response::empty(StatusCode::METHOD_NOT_ALLOWED);
        response::set(&mut response, ALLOW, "POST");
        return Ok(response);
    }
    let request = TokenRequest::new(&head, &body);
    let fault = shared.token_arrived(&request);
    shared.token_gate.pass().await;
    pause(shared.config.token_delay).await;
    let Some(fault) = fault else {
        return Ok(serve(shared, &request));
    };
    suffer(fault, shared, &request).await
}

fn serve(shared: &Shared, request: &TokenRequest) -> Response<Payload> {
    response::token(shared.issue(request), &shared.config)
}

async fn suffer(
    fault: Fault,
    shared: &Shared,
    request: &TokenRequest,
) -> Result<Response<Payload>, Cut> {
    Ok(match fault {
        Fault::Delay(delay) => {
            pause(delay).await;
            serve(shared, request)
        }
        Fault::CutBefore => return Err(Cut),
        Fault::CutAfter => {
            drop(serve(shared, request));
            return Err(Cut);
        }
        Fault::Status(status) => response::empty(response::status(status)),
        Fault::TooManyRequests { retry_after } => response::retry_after(&retry_after),
        Fault::OAuthError { status, code } => response::error(response::status(status), &code),
        Fault::Garbage => {
            let page = Bytes::from_static(b"<!DOCTYPE html><title>Oops</title><p>Not a token.");
            response::with_body(StatusCode::OK, "text/html", Payload::Whole(page))
        }
        Fault::EndlessBody => {
            response::with_body(StatusCode::OK, response::JSON, Payload::endless())
        }
        Fault::Drip => response::with_body(StatusCode::OK, response::JSON, Payload::drip()),
        Fault::Hang => pending().await,
        Fault::Reply { status, content_type, body } => {
            let status = response::status(status);
            response::with_body(status, &content_type, Payload::Whole(body.into()))
        }
        Fault::Redirect { status, location } => {
            response::redirect(response::status(status), &location)
        }
    })
}

/// Sleeps, unless there is nothing to sleep for.
pub(super) async fn pause(delay: Duration) {
    if !delay.is_zero() {
        sleep(delay).await;
    }
}
