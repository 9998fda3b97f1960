use http::{Request, Response};
use hyper::body::Incoming;

use super::payload::Payload;
use super::route::Cut;
use super::shared::Shared;
use super::suffer::{pause, suffer};
use super::{form, response};

/// The token endpoint (RFC 6749 §3.2).
pub(super) async fn endpoint(
    shared: &Shared,
    request: Request<Incoming>,
) -> Result<Response<Payload>, Cut> {
    let Some(request) = form::receive(request).await? else {
        return Ok(response::method_not_allowed("POST"));
    };
    let fault = shared.token_arrived(&request);
    shared.token_gate.pass().await;
    pause(shared.config.token_delay).await;
    let serve = || response::token(shared.issue(&request), &shared.config);
    match fault {
        None => Ok(serve()),
        Some(fault) => suffer(fault, serve).await,
    }
}
