//! The same as the chains of `reqwest_middleware`, as services over the `http` crate's requests.

use std::future::{Future, Ready, ready};
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderValue, Request, Response};
use http_body_util::Full;
use reqwest_oauth2::BoxError;
use tower_layer::Layer;
use tower_service::Service;

use super::{ACCESS_TOKEN, HEADERS, bearer, session};

pub type Body = Full<Bytes>;
type Answered = Pin<Box<dyn Future<Output = Result<Response<Body>, BoxError>> + Send>>;

/// The baseline: as [`Constant`](super::Constant), with the service kept for a replay.
#[derive(Clone)]
pub struct Constant {
    inner: Answer,
    header: HeaderValue,
}

impl Constant {
    pub fn chain() -> Self {
        Self { inner: Answer, header: bearer(ACCESS_TOKEN) }
    }
}

impl Service<Request<Body>> for Constant {
    type Response = Response<Body>;
    type Error = BoxError;
    type Future = Answered;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let next = self.inner.clone();
        let mut inner = mem::replace(&mut self.inner, next);
        let header = self.header.clone();
        Box::pin(async move {
            let replay = request.clone();
            request.headers_mut().insert(AUTHORIZATION, header);
            let response = inner.call(request).await?;
            drop(replay);
            Ok(response)
        })
    }
}

/// The layer under test.
pub fn ours()
-> impl Service<Request<Body>, Response = Response<Body>, Error: std::fmt::Debug, Future: Send> {
    session().tower_layer(["https://api.example"]).unwrap().layer(Answer)
}

/// The end without a network: 200, an empty body.
#[derive(Clone)]
pub struct Answer;

impl Service<Request<Body>> for Answer {
    type Response = Response<Body>;
    type Error = BoxError;
    type Future = Ready<Result<Response<Body>, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        assert_eq!(request.headers().len(), HEADERS + 1, "the layer has added one header");
        ready(Ok(Response::new(Body::default())))
    }
}
