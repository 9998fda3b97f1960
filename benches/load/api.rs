//! The API: it knows which access tokens are good.

use std::sync::Arc;
use std::time::Duration;

use http::header::AUTHORIZATION;
use reqwest::{Request, Response};

use crate::chance::Chance;
use crate::provider::Provider;

#[derive(Clone, Copy)]
pub(crate) enum Fault {
    /// A 401 although the token is good.
    Unauthorized,
    Unavailable,
    Lost,
    Slow,
}

const FAULTS: [Fault; 4] = [Fault::Unauthorized, Fault::Unavailable, Fault::Lost, Fault::Slow];

impl Chance {
    /// What the API does to a request and to its replay.
    pub(crate) fn fault(&mut self) -> Option<Fault> {
        self.one_of(&FAULTS)
    }
}

pub(crate) async fn answer(
    provider: Arc<Provider>,
    request: Request,
    fault: Option<Fault>,
) -> std::io::Result<Response> {
    if matches!(fault, Some(Fault::Slow)) {
        tokio::time::sleep(Duration::from_secs(20)).await;
    }
    let token = request.headers().get(AUTHORIZATION).and_then(|header| header.to_str().ok());
    let is_good = token.is_some_and(|header| provider.accepts(header));
    let status = match fault {
        Some(Fault::Lost) => return Err(std::io::Error::other("the connection is closed")),
        Some(Fault::Unavailable) => 503,
        Some(Fault::Unauthorized) => 401,
        _ if is_good => 200,
        _ => 401,
    };
    let response = http::Response::builder().status(status);
    Ok(response.body(reqwest::Body::from("")).unwrap().into())
}
