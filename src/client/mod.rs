//! The OAuth client: its registration, the provider's endpoints, and the one request that is sent
//! there.

mod answer;
mod authentication;
mod endpoint;
mod introspection;
mod metadata;
mod password;
mod post;
mod registration;
mod revocation;
mod settings;
mod token_kind;
mod token_request;

pub use authentication::{BasicEncoding, ClientAuthentication};
pub(crate) use endpoint::is_loopback;
pub use introspection::Introspection;
pub(crate) use post::{Endpoint, Form};
pub use registration::OAuthClient;
pub(crate) use settings::{Endpoints, Issuer};
pub use token_kind::TokenTypeHint;
pub use token_request::TokenRequest;
