//! What the benches share: the baseline to compare with, an answer without a network, targets.
#![allow(missing_docs, missing_debug_implementations)]
#![allow(clippy::unwrap_used, clippy::expect_used)]

pub mod callgrind;
pub mod plot;
pub mod targets;
pub mod tower;

use async_trait::async_trait;
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, HeaderValue, USER_AGENT};
use http::{Extensions, HeaderName, Method};
use reqwest::{Request, Response, ResponseBuilderExt};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware, Middleware, Next, Result};
use reqwest_oauth2::{OAuthClient, Session, Token};

pub use targets::{Targets, median};

/// The baseline: what an application would write that has one token for ever. It keeps a clone of
/// the request for a replay, as any layer that answers a 401 must, and inserts a ready header.
pub struct Constant(HeaderValue);

impl Constant {
    pub fn new(access_token: &str) -> Self {
        Self(bearer(access_token))
    }
}

fn bearer(access_token: &str) -> HeaderValue {
    let text = Bytes::from(format!("Bearer {access_token}").into_bytes());
    let mut header = HeaderValue::from_maybe_shared(text).unwrap();
    header.set_sensitive(true);
    header
}

#[async_trait]
impl Middleware for Constant {
    async fn handle(
        &self,
        mut request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> Result<Response> {
        let replay = request.try_clone();
        request.headers_mut().insert(AUTHORIZATION, self.0.clone());
        let response = next.run(request, extensions).await?;
        drop(replay);
        Ok(response)
    }
}

/// The end of a chain without a network: 200, an empty body, and the URL that was asked for.
pub struct Answer;

#[async_trait]
impl Middleware for Answer {
    async fn handle(&self, request: Request, _: &mut Extensions, _: Next<'_>) -> Result<Response> {
        answer(request).await
    }
}

/// The same without a chain.
pub async fn answer(request: Request) -> Result<Response> {
    assert_eq!(request.headers().len(), HEADERS + 1, "the layer has added one header");
    let url = request.url().clone();
    Ok(http::Response::builder().url(url).body(Bytes::new()).unwrap().into())
}

/// How many headers a request has before the layer.
const HEADERS: usize = 3;

/// The access token of the chains without a network.
pub const ACCESS_TOKEN: &str = "ya29.A0ARrdaM-k9Vq7GzY2pL4mN8sT1uW5xZ0bC3dF6hJ";

/// The layer under test or the baseline, and nothing else before the answer.
pub fn chain(layer: impl Middleware) -> ClientWithMiddleware {
    ClientBuilder::new(plain_http()).with(layer).with(Answer).build()
}

/// The layer under test, with an hour left.
pub fn layer() -> impl Middleware {
    session().middleware(["https://api.example"]).unwrap()
}

/// The session under test, with an hour left.
pub fn session() -> Session {
    let app = OAuthClient::new("foo", "https://provider.example/token").unwrap().secret("potato");
    let token = Token::new(ACCESS_TOKEN)
        .unwrap()
        .with_refresh_token("1//0gLu8rT5yQ2wE9aS6dF3gH7jK1lZ4xC")
        .with_expires_at(
            (std::time::SystemTime::now() + std::time::Duration::from_secs(3600)).into(),
        );
    Session::builder(app).token(token).build()
}

/// What the chains without a network are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// No body, three headers.
    Get,
    /// A buffered body of 1 KiB, three headers.
    Post,
}

impl Shape {
    pub const ALL: [Self; 2] = [Self::Get, Self::Post];

    pub fn name(self) -> &'static str {
        match self {
            Self::Get => "GET, 3 headers",
            Self::Post => "POST, 3 headers, 1 KiB",
        }
    }

    /// The request that each round sends a clone of.
    pub fn request(self) -> Request {
        let method = if self == Self::Get { Method::GET } else { Method::POST };
        let url = "https://api.example/v1/users/me/messages?page=2".parse().unwrap();
        let mut request = Request::new(method, url);
        let headers = request.headers_mut();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(USER_AGENT, HeaderValue::from_static("bench/1.0"));
        let id = HeaderName::from_static("x-request-id");
        headers.insert(id, HeaderValue::from_static("7f3c0a52-9d1e-4b8a-b7de-0c6a"));
        if self == Self::Post {
            *request.body_mut() = Some(vec![b'x'; 1024].into());
        }
        request
    }

    /// The same of the `http` crate.
    pub fn http_request(self) -> http::Request<tower::Body> {
        let request = self.request();
        let body = request.body().and_then(reqwest::Body::as_bytes).unwrap_or_default();
        let mut of_http = http::Request::new(tower::Body::from(body.to_vec()));
        *of_http.method_mut() = request.method().clone();
        *of_http.uri_mut() = request.url().as_str().parse().unwrap();
        *of_http.headers_mut() = request.headers().clone();
        of_http
    }
}

/// A client for loopback: no proxy of the machine.
pub fn plain_http() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().unwrap()
}
