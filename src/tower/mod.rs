//! The request path as a [`tower`](https://docs.rs/tower) layer, over the requests and responses of the
//! `http` crate: for hyper's client, tonic's channel, and other services.
//!
//! From the top, each importing only from those below it:
//!
//! - [`service`]: the service that the layer makes;
//! - [`layer`]: [`OAuthLayer`], and what is set there;
//! - [`http_stack`]: requests and responses of the `http` crate, and the service below;
//! - [`clone_request`]: which requests can be sent again.

mod clone_request;
mod http_stack;
mod layer;
mod service;

pub use clone_request::{CloneBodies, CloneBodiesBy, CloneRequest, SendOnce};
pub use layer::OAuthLayer;
pub use service::OAuthService;
