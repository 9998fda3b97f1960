//! An OAuth 2 authorization server and a protected API for tests.
//!
//! [`Provider`] runs inside the test process and speaks real HTTP on a loopback
//! port that the system picks. It has a token endpoint (RFC 6749 §3.2) with
//! refresh token rotation and reuse detection (RFC 9700 §2.2.2 and §4.14.2), a
//! protected API that takes bearer tokens (RFC 6750), a record of every request
//! it saw, and [`Fault`]s that make the token endpoint misbehave on request.
//!
//! | Path | What answers |
//! |---|---|
//! | `/token` | the token endpoint: `refresh_token`, `client_credentials` and `password` grants |
//! | `/api` and everything below | the protected API, any method |
//!
//! The client is `foo` with the secret `potato`, and the user is `johndoe` with
//! the password `A3ddj3w`. [`ProviderBuilder`] changes the client and much else.
//! The server stops when the last [`Provider`] handle is dropped.
//!
//! It is for tests only: it has no TLS, and it keeps every token in memory for
//! as long as it runs.

mod api;
mod builder;
mod client;
mod clock;
mod config;
mod control;
mod counts;
mod fault;
mod faults;
mod grant;
mod hold;
mod log;
mod payload;
mod provider;
mod refusal;
mod request;
mod response;
mod route;
mod server;
mod shared;
mod store;
mod token;

pub use builder::ProviderBuilder;
pub use counts::Counts;
pub use fault::Fault;
pub use hold::Hold;
pub use provider::Provider;
pub use request::{ApiRequest, TokenRequest};
