//! One file an endpoint.

pub(crate) mod api;
pub(crate) mod authorize;
pub(crate) mod device_authorization;
pub(crate) mod introspection;
pub(crate) mod metadata;
mod oauth_response;
pub(crate) mod pushed_authorization;
pub(crate) mod registration;
pub(crate) mod resource_metadata;
pub(crate) mod revocation;
pub(crate) mod token;
