//! Grants: ways to get a token without a person being asked.

mod assertion;
mod client_credentials;
mod context;
mod jwt_bearer;
mod refresh_token;
mod token_exchange;
mod wishes;

pub use client_credentials::ClientCredentials;
pub use context::{Grant, GrantContext};
pub use jwt_bearer::JwtBearer;
pub(crate) use refresh_token::refresh;
pub use token_exchange::{TokenExchange, TypedToken};
