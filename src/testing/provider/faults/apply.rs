use std::future::pending;
use std::time::Duration;

use bytes::Bytes;
use http::{Response, StatusCode};
use tokio::time::sleep;

use super::Fault;
use crate::testing::provider::http::{CloseConnection, ResponseBody, response};

/// Answers as the fault has it; `serve` is what a request without one gets.
pub(crate) async fn apply(
    fault: Fault,
    serve: impl FnOnce() -> Response<ResponseBody>,
) -> Result<Response<ResponseBody>, CloseConnection> {
    Ok(match fault {
        Fault::Delay(time) => {
            delay(time).await;
            serve()
        }
        Fault::CloseBeforeIssue => return Err(CloseConnection),
        Fault::CloseAfterIssue => {
            drop(serve());
            return Err(CloseConnection);
        }
        Fault::CutBody => response::with_body(StatusCode::OK, response::JSON, ResponseBody::cut()),
        Fault::Status(status) => response::empty(response::status(status)),
        Fault::TooManyRequests { retry_after } => response::retry_after(&retry_after),
        Fault::OAuthError { status, code } => response::error(response::status(status), &code),
        Fault::HtmlPage => {
            let page = Bytes::from_static(b"<!DOCTYPE html><title>Oops</title><p>Not a token.");
            response::with_body(StatusCode::OK, "text/html", ResponseBody::Whole(page))
        }
        Fault::EndlessBody => {
            response::with_body(StatusCode::OK, response::JSON, ResponseBody::endless())
        }
        Fault::SlowBody => {
            response::with_body(StatusCode::OK, response::JSON, ResponseBody::slow())
        }
        Fault::Hang => pending().await,
        Fault::Reply { status, content_type, body } => {
            let status = response::status(status);
            response::with_body(status, &content_type, ResponseBody::Whole(body.into()))
        }
        Fault::Redirect { status, location } => {
            response::redirect(response::status(status), &location)
        }
    })
}

/// Sleeps, unless there is nothing to sleep for.
pub(crate) async fn delay(time: Duration) {
    if !time.is_zero() {
        sleep(time).await;
    }
}
