//! Makes a [`Token`](crate::Token) or an error of what a token endpoint sent: pure, no I/O.
//!
//! Tolerant in what it reads. Every quirk of a provider lives here, with its row in `tests.rs`.

mod body;
mod error_response;
mod http_response;
mod response_members;
mod response_rules;
#[cfg(test)]
mod tests;
mod token_response;

use error_response::error_response;
pub(crate) use http_response::HttpResponse;
#[cfg(feature = "keys")]
pub(crate) use response_members::unusable_token;
pub(crate) use response_members::{malformed, read_members};
pub(crate) use response_rules::ResponseRules;
pub(crate) use token_response::{is_whole_object, issued_in_part, panicked, read_token, token};
