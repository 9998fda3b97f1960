//! An OAuth 2 authorization server and a protected API for tests.
//!
//! [`Provider`] runs inside the test process and speaks real HTTP on a loopback
//! port that the system picks. It has a token endpoint (RFC 6749 §3.2) with
//! refresh token rotation and reuse detection (RFC 9700 §2.2.2 and §4.14.2), the
//! endpoints around it, a protected API that takes bearer tokens (RFC 6750), a
//! record of the requests that these two saw, and [`Fault`]s that make the
//! provider misbehave on request.
//!
//! | Path | What answers |
//! |---|---|
//! | `/authorize` | the authorization endpoint: codes, with or without PKCE (RFC 7636), and implicit |
//! | `/device_authorization` | the device authorization endpoint (RFC 8628) |
//! | `/par` | pushed authorization requests (RFC 9126) |
//! | `/token` | the token endpoint |
//! | `/revoke` | the revocation endpoint (RFC 7009) |
//! | `/introspect` | the introspection endpoint (RFC 7662) |
//! | `/register` | the registration endpoint (RFC 7591), if it is switched on |
//! | `/.well-known/…` | the metadata (RFC 8414), that of OpenID Connect Discovery included; that of the API (RFC 9728), if it is switched on |
//! | `/api` and everything below | the protected API, any method |
//!
//! The grants are `authorization_code`, `refresh_token`, `client_credentials`,
//! `password`, those of the device flow and of JWT bearer (RFC 7523), and token
//! exchange (RFC 8693).
//!
//! The client is `foo` with the secret `potato`, and the user is `johndoe` with
//! the password `A3ddj3w`. [`ProviderBuilder`] changes the client and much else.
//! The server stops when the last [`Provider`] handle is dropped.
//!
//! It is for tests only: it has no TLS, and it keeps every token in memory for
//! as long as it runs.

// Named once, so that `provider` imports nothing from outside `testing`: the examples of the published
// crate compile it without the feature.
use crate::clock;
#[cfg(feature = "keys")]
use crate::keys;

mod jitter;
mod provider;
mod store_suite;

pub use jitter::seed_jitter;
pub use provider::{
    AuthMethod, Counts, Fault, MetadataDocument, PauseGuard, Provider, ProviderBuilder,
    RecordedApiRequest, RecordedTokenRequest, ResourceDocument,
};
#[cfg(feature = "keys")]
#[cfg_attr(docsrs, doc(cfg(feature = "keys")))]
pub use provider::{DpopNonces, DpopRules};
pub use store_suite::check_store;
