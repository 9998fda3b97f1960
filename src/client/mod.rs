//! The OAuth client: its registration, the provider's endpoints, and the one request that is sent
//! there.

mod authenticate;
mod authentication;
mod client_assertion;
mod client_metadata;
#[cfg(feature = "keys")]
mod dpop;
mod endpoint_setters;
mod endpoint_url;
mod form;
mod guarded_resolver;
mod http_client;
mod introspection;
mod limit;
mod metadata;
mod method;
mod network;
mod oauth_client;
mod own_clients;
mod post;
mod protected_resource;
mod provider;
mod provider_request;
mod public_resolver;
mod registration;
mod renames;
mod request_kind;
mod revocation;
mod send;
mod settings;
mod shape;
mod shaping;
mod token_request;
mod token_type_hint;

pub use authentication::{BasicEncoding, ClientAuthentication};
pub use client_metadata::ClientMetadata;
#[cfg(feature = "keys")]
pub(crate) use dpop::key_missing;
pub(crate) use form::{Form, check_parameter};
pub use http_client::HttpClient;
pub use introspection::Introspection;
pub use oauth_client::OAuthClient;
pub(crate) use post::Endpoint;
pub use protected_resource::ProtectedResource;
pub(crate) use provider::KeptProvider;
pub use provider::Provider;
pub use provider_request::ProviderRequest;
pub use public_resolver::PublicResolver;
pub use registration::Registration;
pub(crate) use request_kind::DEVICE_GRANT_TYPE;
pub use request_kind::{RequestKind, RequestKinds};
pub(crate) use settings::{Endpoints, Issuer};
pub(crate) use shape::is_target;
pub use token_request::TokenRequest;
pub use token_type_hint::TokenTypeHint;
