//! The API, and all other servers, as the end of a chain of middleware.

use async_trait::async_trait;
use http::header::{AUTHORIZATION, HeaderValue, WWW_AUTHENTICATE};
use http::{Extensions, StatusCode};
use reqwest::{Request, Response, ResponseBuilderExt};
use reqwest_middleware::{Error, Middleware, Next, Result};

use crate::endpoints::reply;
use crate::fault_state::ApiTrouble;
use crate::model::ApiAnswer;
use crate::token_serial::TokenSerial;
use crate::world::{World, pause};

/// The one origin that may see the token.
pub const ORIGIN: &str = "https://api.example";
/// Others that look like it, or that it may lead to.
pub const ELSEWHERE: [&str; 6] = [
    "http://api.example/",
    "https://api.example:8443/",
    "https://api.example.evil.example/",
    "https://api.example@evil.example/",
    "https://evil.example/https://api.example/",
    "https://sub.api.example/",
];
/// What a caller may send of its own.
pub const OWN: &str = "Basic Zm9v";

pub struct Api(pub World);

#[async_trait]
impl Middleware for Api {
    async fn handle(&self, request: Request, _: &mut Extensions, _: Next<'_>) -> Result<Response> {
        let authorization = request.headers().get(AUTHORIZATION).map(HeaderValue::as_bytes);
        let own = authorization == Some(OWN.as_bytes());
        if request.url().origin().ascii_serialization() != ORIGIN || own {
            // Of user info in a URL reqwest makes a header of its own, with Basic.
            if authorization.is_some_and(|header| header.starts_with(b"Bearer")) {
                let url = request.url();
                self.0.with(|state| state.model.violation(format!("a token is sent to {url}")));
            }
            return Ok(reply(&request, 200, ""));
        }
        // One path: what a 401 says of a path, it says of all requests.
        let id: u32 = request.url().query().unwrap().parse().unwrap();
        let bearer = authorization.and_then(|header| std::str::from_utf8(header).ok());
        let Some(serial) =
            bearer.and_then(|header| TokenSerial::read(header.strip_prefix("Bearer ")?))
        else {
            self.0.with(|state| state.model.violation(format!("request {id} has no token")));
            return Ok(reply(&request, 401, ""));
        };
        let wait = self.0.with(|state| {
            state.model.arrived(id, serial);
            state.wait(&[0, 0, 0, 0, 1, 1, 50, 50, 500, 5_000])
        });
        pause(wait).await;
        let (answer, trouble) = self.0.with(|state| {
            let trouble = state.api.take();
            if let Some(trouble) = trouble {
                state.model.coverage.count(trouble.name());
            }
            let accepts = state.provider.accepts(serial, self.0.clock().now());
            let answer = match trouble {
                Some(ApiTrouble::Lost) => ApiAnswer::Lost,
                Some(ApiTrouble::Status(status)) => ApiAnswer::Status(status),
                Some(ApiTrouble::Scope | ApiTrouble::Elsewhere) => ApiAnswer::Status(401),
                None if accepts => ApiAnswer::Status(200),
                None | Some(ApiTrouble::Unauthorized) => ApiAnswer::Rejected,
            };
            state.model.answered(id, serial, answer);
            (answer, trouble)
        });
        let mut response = match answer {
            ApiAnswer::Lost => {
                return Err(Error::middleware(std::io::Error::other("the connection is closed")));
            }
            ApiAnswer::Status(status) => reply(&request, status, ""),
            ApiAnswer::Rejected => reply(&request, 401, ""),
        };
        let challenge = match trouble {
            Some(ApiTrouble::Scope) => r#"Bearer error="insufficient_scope""#,
            Some(ApiTrouble::Elsewhere) => {
                let builder = http::Response::builder().status(StatusCode::UNAUTHORIZED);
                let builder = builder.url("https://evil.example/".parse().unwrap());
                return Ok(builder.body("").unwrap().into());
            }
            _ => r#"Bearer error="invalid_token""#,
        };
        if response.status() == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        Ok(response)
    }
}
