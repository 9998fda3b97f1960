use std::future::pending;
use std::time::Duration;

use bytes::Bytes;
use http::{Response, StatusCode};
use tokio::time::sleep;

use super::fault::Fault;
use super::payload::Payload;
use super::response;
use super::route::Cut;

/// Answers as the fault has it; `serve` is what a request without one gets.
pub(super) async fn suffer(
    fault: Fault,
    serve: impl FnOnce() -> Response<Payload>,
) -> Result<Response<Payload>, Cut> {
    Ok(match fault {
        Fault::Delay(delay) => {
            pause(delay).await;
            serve()
        }
        Fault::CloseBeforeIssue => return Err(Cut),
        Fault::CloseAfterIssue => {
            drop(serve());
            return Err(Cut);
        }
        Fault::Status(status) => response::empty(response::status(status)),
        Fault::TooManyRequests { retry_after } => response::retry_after(&retry_after),
        Fault::OAuthError { status, code } => response::error(response::status(status), &code),
        Fault::HtmlPage => {
            let page = Bytes::from_static(b"<!DOCTYPE html><title>Oops</title><p>Not a token.");
            response::with_body(StatusCode::OK, "text/html", Payload::Whole(page))
        }
        Fault::EndlessBody => {
            response::with_body(StatusCode::OK, response::JSON, Payload::endless())
        }
        Fault::SlowBody => response::with_body(StatusCode::OK, response::JSON, Payload::slow()),
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
