//! The layer around tonic's channel, against a tonic server that takes the provider's tokens.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::{Buf, BufMut, Bytes};
use http_body_util::{BodyExt, Full};
use reqwest_oauth2::testing::Provider;
use reqwest_oauth2::tower::{OAuthLayer, OAuthService, SendOnce};
use reqwest_oauth2::{Api, BoxError, Error, RequestOptions, Session};
use tonic::body::Body;
use tonic::client::{Grpc, GrpcService};
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::server::{NamedService, UnaryService};
use tonic::transport::Channel;
use tonic::transport::server::TcpIncoming;
use tonic::{Code, Request, Response, Status};
use tower::{Layer, Service, ServiceExt};

use crate::support::World;

const METHOD: &str = "/test.Echo/Say";

/// Messages that are bytes and nothing else.
#[derive(Default)]
struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}

/// What the server was shown: the token, if there was one, and the message.
type Seen = Arc<Mutex<Vec<(Option<String>, Bytes)>>>;

/// Says what it is told, to whoever has a token of the provider.
#[derive(Clone)]
struct Echo {
    provider: Provider,
    seen: Seen,
}

impl NamedService for Echo {
    const NAME: &'static str = "test.Echo";
}

type Answer<T, E> = Pin<Box<dyn Future<Output = Result<T, E>> + Send>>;

impl Service<http::Request<Body>> for Echo {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Answer<http::Response<Body>, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let method = self.clone();
        Box::pin(async move { Ok(tonic::server::Grpc::new(Raw).unary(method, request).await) })
    }
}

impl UnaryService<Bytes> for Echo {
    type Response = Bytes;
    type Future = Answer<Response<Bytes>, Status>;

    fn call(&mut self, request: Request<Bytes>) -> Self::Future {
        let header = request.metadata().get("authorization");
        let token = header.and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
        let token = token.map(str::to_owned);
        let is_good =
            token.as_deref().is_some_and(|token| self.provider.accepts_access_token(token));
        let message = request.into_inner();
        self.seen.lock().unwrap().push((token, message.clone()));
        Box::pin(async move {
            if is_good {
                Ok(Response::new(message))
            } else {
                Err(Status::unauthenticated("the token is not good"))
            }
        })
    }
}

/// A server, and a channel to it.
struct Server {
    origin: String,
    channel: Channel,
    seen: Seen,
}

impl Server {
    async fn start(world: &World) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let seen = Seen::default();
        let echo = Echo { provider: world.provider.clone(), seen: seen.clone() };
        let server = tonic::transport::Server::builder().add_service(echo);
        tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
        let channel = Channel::from_shared(origin.clone()).unwrap().connect_lazy();
        Self { origin, channel, seen }
    }

    /// That gRPC says so is the application's to know.
    fn api(&self, session: &Session) -> Api {
        let api = session.api([&self.origin]).unwrap();
        api.rejected_when(|_, headers| {
            headers.get("grpc-status").is_some_and(|status| status == "16")
        })
    }

    fn sent_once(&self, session: &Session) -> OAuthService<Channel, SendOnce> {
        let layer = OAuthLayer::from(self.api(session)).send_once();
        layer.connected_to(&self.origin).unwrap().layer(self.channel.clone())
    }

    fn tokens(&self) -> Vec<Option<String>> {
        self.seen.lock().unwrap().iter().map(|(token, _)| token.clone()).collect()
    }
}

async fn say<S>(service: S, message: Request<&'static str>) -> Result<Response<Bytes>, Status>
where
    S: GrpcService<Body>,
    S::ResponseBody: hyper::body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    let mut client = Grpc::new(service);
    client.ready().await.map_err(|error| Status::from_error(error.into()))?;
    client.unary(message.map(Bytes::from), METHOD.parse().unwrap(), Raw).await
}

#[tokio::test]
async fn an_expired_token_is_renewed_before_the_call() {
    let world = World::new().await;
    let session = world.session().token(world.expired_token()).build();
    let server = Server::start(&world).await;
    let said = say(server.sent_once(&session), Request::new("hello")).await.unwrap();
    assert_eq!(said.into_inner(), "hello");
    assert_eq!(world.token_requests(), 1);
    assert_eq!(server.tokens(), [world.saved().pop()]);
}

#[tokio::test]
async fn a_call_that_can_be_sent_only_once_gets_its_status_and_the_next_one_renews() {
    let world = World::new().await;
    let session = world.session().token(world.token()).build();
    let server = Server::start(&world).await;
    world.provider.revoke_access_tokens();
    let status = say(server.sent_once(&session), Request::new("hello")).await.unwrap_err();
    assert_eq!((status.code(), world.token_requests()), (Code::Unauthenticated, 0));
    say(server.sent_once(&session), Request::new("hello")).await.unwrap();
    assert_eq!(world.token_requests(), 1);
    assert_eq!(server.tokens().len(), 2);
}

#[tokio::test]
async fn a_path_alone_needs_the_server_that_the_channel_is_connected_to() {
    let world = World::new().await;
    let session = world.session().token(world.token()).build();
    let server = Server::start(&world).await;
    let service = OAuthLayer::from(server.api(&session)).send_once().layer(server.channel.clone());
    let status = say(service, Request::new("hello")).await.unwrap_err();
    assert!(Error::find_in(&status).unwrap().is_config(), "{status:?}");
    assert_eq!(server.tokens().len(), 0);

    for other in [&world.provider.origin(), "http://127.0.0.1:1/x", "127.0.0.1"] {
        let error = OAuthLayer::from(server.api(&session)).connected_to(other).unwrap_err();
        assert!(error.is_config(), "{other}: {error}");
    }
}

#[tokio::test]
async fn one_call_may_be_different() {
    let world = World::new().await;
    let session = world.session().build();
    let server = Server::start(&world).await;
    let mut request = Request::new("hello");
    request.extensions_mut().insert(RequestOptions::new().token_if_any());
    let status = say(server.sent_once(&session), request).await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
    let status = say(server.sent_once(&session), Request::new("hello")).await.unwrap_err();
    assert!(Error::find_in(&status).unwrap().is_reauthorization_required(), "{status:?}");
    assert_eq!(server.tokens(), [None]);
}

#[tokio::test]
async fn a_call_whose_body_is_in_memory_is_repeated_after_its_status() {
    let world = World::new().await;
    let session = world.session().token(world.token()).build();
    let server = Server::start(&world).await;
    world.provider.revoke_access_tokens();
    let below = server
        .channel
        .clone()
        .map_request(|request: http::Request<Full<Bytes>>| request.map(Body::new));
    let layer = OAuthLayer::from(server.api(&session)).connected_to(&server.origin).unwrap();
    // A message as gRPC frames it: not compressed, its length, itself.
    let message = Bytes::from_static(b"\0\0\0\0\x05hello");
    let request = http::Request::post(METHOD)
        .version(http::Version::HTTP_2)
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(Full::new(message.clone()))
        .unwrap();
    let response = layer.layer(below).oneshot(request).await.unwrap();
    assert_eq!(response.headers().get("grpc-status"), None);
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), message);
    assert_eq!(world.token_requests(), 1);
    let seen = server.seen.lock().unwrap().clone();
    assert!(seen.iter().all(|(_, message)| message == "hello"));
    assert_eq!((seen.len(), seen[1].0.clone()), (2, world.saved().pop()));
}
