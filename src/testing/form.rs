use http::{Method, Request};
use hyper::body::Incoming;

use super::payload::drain;
use super::request::RecordedTokenRequest;
use super::route::Cut;

/// How much of a form is read into memory.
pub(super) const MAX_FORM: usize = 1024 * 1024;

/// Reads a request to an endpoint that takes forms; `None` if it is no `POST`.
pub(super) async fn receive(
    request: Request<Incoming>,
) -> Result<Option<RecordedTokenRequest>, Cut> {
    let (head, body) = request.into_parts();
    let body = drain(body, MAX_FORM).await.map_err(|_| Cut)?;
    Ok((head.method == Method::POST).then(|| RecordedTokenRequest::new(&head, &body)))
}
