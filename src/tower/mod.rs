//! The request path as a [`tower`](https://docs.rs/tower) layer, over the requests and responses of the
//! `http` crate: for hyper's client, tonic's channel, and other services.
//!
//! ```no_run
//! use bytes::Bytes;
//! use http_body_util::Full;
//! use hyper_util::client::legacy::Client;
//! use hyper_util::rt::TokioExecutor;
//! use std::future::poll_fn;
//! use tower_layer::Layer;
//! use tower_service::Service;
//!
//! # async fn f(session: reqwest_oauth2::Session) -> Result<(), reqwest_oauth2::BoxError> {
//! let http = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>(); // with your TLS connector
//! let mut http = session.tower_layer(["https://api.example"])?.layer(http);
//! let request = http::Request::get("https://api.example/me").body(Full::default())?;
//! poll_fn(|context| http.poll_ready(context)).await?; // tower's `ServiceExt` has `oneshot` for this
//! let response = http.call(request).await?;
//! # drop(response);
//! # Ok(())
//! # }
//! ```
//!
//! # tonic
//!
//! ```text
//! let api = session.api(["https://api.example"])?
//!     .rejected_when(|_, headers| headers.get("grpc-status").is_some_and(|status| status == "16"));
//! let layer = OAuthLayer::from(api).connected_to("https://api.example")?.send_once();
//! let client = GreeterClient::new(layer.layer(channel));
//! ```
//!
//! - A client of tonic's makes requests without an origin, so say where the channel leads:
//!   [`OAuthLayer::connected_to`].
//! - gRPC says that a token is not good with a status of its own (UNAUTHENTICATED, 16) in an answer of HTTP
//!   200, so say so with [`Api::rejected_when`](crate::Api::rejected_when). It is seen where it is in the
//!   headers, as servers send it that have not begun to answer; not in the trailers.
//! - The bodies of tonic's clients are streams, so a call is sent once. After UNAUTHENTICATED the next call
//!   renews. A layer outside of this one that collects the body into a `Full<Bytes>`, and one inside that makes
//!   it a `tonic::body::Body` again, let the call be repeated.
//! - [`RequestOptions`](crate::RequestOptions) and [`UserId`](crate::UserId) are extensions of the
//!   `tonic::Request`. An error of the renewal is the source of the `Status`:
//!   [`Error::find_in`](crate::Error::find_in) finds it.

// From the top, each importing only from those below it: `service` is what the layer makes; `layer` is
// `OAuthLayer`, and what is set there; `http_stack` is requests and responses of the `http` crate, and the
// service below; `clone_request` says which requests can be sent again.

mod clone_request;
mod http_stack;
mod layer;
mod service;

pub use clone_request::{CloneBodies, CloneBodiesBy, CloneRequest, SendOnce};
pub use layer::OAuthLayer;
pub use service::OAuthService;
