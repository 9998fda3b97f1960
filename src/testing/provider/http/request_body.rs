use http::{Method, Request};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;

use super::CloseConnection;
use crate::testing::provider::recorded::RecordedTokenRequest;

/// How much of a form is read into memory.
pub(crate) const MAX_FORM: usize = 1024 * 1024;

/// Reads a request to an endpoint that takes forms; `None` if it is no `POST`.
pub(crate) async fn receive_form(
    request: Request<Incoming>,
) -> Result<Option<RecordedTokenRequest>, CloseConnection> {
    let (head, body) = request.into_parts();
    let body = drain(body, MAX_FORM).await.map_err(|_| CloseConnection)?;
    Ok((head.method == Method::POST).then(|| RecordedTokenRequest::new(&head, &body)))
}

/// Reads a request's body to its end and keeps the first `keep` bytes of it.
pub(crate) async fn drain(mut body: Incoming, keep: usize) -> Result<Vec<u8>, hyper::Error> {
    let mut kept = Vec::new();
    while let Some(frame) = body.frame().await {
        if let Ok(mut data) = frame?.into_data() {
            data.truncate(keep.saturating_sub(kept.len()));
            kept.extend_from_slice(&data);
        }
    }
    Ok(kept)
}
