//! Grants: ways to get a token without a person being asked.

mod client_credentials;
mod context;
mod refresh_token;

pub use client_credentials::ClientCredentials;
pub use context::{Grant, GrantContext};
pub(crate) use refresh_token::refresh;
