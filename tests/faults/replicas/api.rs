//! The API, as the end of a chain of middleware. A path names the user and the call.

use async_trait::async_trait;
use http::header::{AUTHORIZATION, HeaderValue, WWW_AUTHENTICATE};
use http::{Extensions, StatusCode};
use reqwest::{Request, Response};
use reqwest_middleware::{Error, Middleware, Next, Result};

use super::world::{World, pause};
use crate::endpoints::reply;
use crate::fault_state::ApiTrouble;
use crate::token_serial::TokenSerial;

/// The one origin that may see the token.
pub const ORIGIN: &str = "https://api.example";

pub struct Api(pub World);

#[async_trait]
impl Middleware for Api {
    async fn handle(&self, request: Request, _: &mut Extensions, _: Next<'_>) -> Result<Response> {
        // One path: what a 401 says of a path, it says of all requests.
        let id: u32 = request.url().query().unwrap().parse().unwrap();
        let header = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let serial = header.and_then(|header| TokenSerial::read(header.strip_prefix("Bearer ")?));
        let Some(serial) = serial else {
            self.0.with(|state| state.model.violation(format!("request {id} has no token")));
            return Ok(reply(&request, 401, ""));
        };
        let wait = self.0.with(|state| {
            state.model.token_used(id, serial);
            state.wait(&[0, 0, 0, 1, 50, 500, 5_000])
        });
        pause(wait).await;
        let (trouble, accepts) = self.0.with(|state| {
            let trouble = state.api.take();
            if let Some(trouble) = trouble {
                state.model.coverage.count(trouble.name());
                state.model.provider_failed();
            }
            let accepts = state.provider.accepts(serial, state.clock.now());
            state.model.note(format_args!("request {id} with {serial}: {accepts}, {trouble:?}"));
            (trouble, accepts)
        });
        let status = match trouble {
            Some(ApiTrouble::Lost) => {
                return Err(Error::middleware(std::io::Error::other("the connection is closed")));
            }
            Some(ApiTrouble::Status(status)) => status,
            Some(_) => 401,
            None if accepts => 200,
            None => 401,
        };
        let mut response = reply(&request, status, "");
        if response.status() == StatusCode::UNAUTHORIZED {
            let challenge = HeaderValue::from_static(r#"Bearer error="invalid_token""#);
            response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
        }
        Ok(response)
    }
}
