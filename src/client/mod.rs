//! The OAuth client: its registration, its token endpoint, and the one request that is sent there.

mod authentication;
mod endpoint;
mod registration;
mod token_request;

pub use authentication::{BasicEncoding, ClientAuthentication};
pub(crate) use endpoint::is_loopback;
pub use registration::OAuthClient;
pub use token_request::TokenRequest;
