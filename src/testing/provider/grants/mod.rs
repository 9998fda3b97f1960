//! What is issued, and to whom: tokens, codes, and the grants that they are exchanged for.

mod authorization_codes;
#[cfg(all(feature = "keys", feature = "testing"))]
mod client_assertion;
mod client_authentication;
mod code_challenge;
mod credentials;
mod device_codes;
mod grant;
pub(crate) mod grant_type;
mod log_ins;
mod oauth_error;
mod pushed_requests;
mod token_exchange;
mod token_families;
mod token_response;
pub(crate) mod user;

pub(crate) use authorization_codes::{AuthorizationCodes, CodeBinding, PresentedCode};
pub(crate) use client_authentication::named_client;
pub(crate) use code_challenge::CodeChallenge;
pub(crate) use credentials::Credentials;
pub(crate) use device_codes::DeviceCodes;
pub(crate) use grant::Grant;
pub(crate) use log_ins::{LogIn, LogIns};
pub(crate) use oauth_error::OAuthError;
pub(crate) use pushed_requests::{LIFE as PUSHED_LIFE, PushedRequests};
pub(crate) use token_exchange::TokenExchange;
pub(crate) use token_families::{Asked, Issued, Live, Owner, TokenFamilies};
pub(crate) use token_response::token_json;
