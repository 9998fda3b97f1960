//! `OAuthClient`: what it sends, what it accepts, where it finds the endpoints.

#[cfg(feature = "keys")]
mod assertions;
mod authentication;
mod certificates;
mod client_assertion;
mod discovery;
mod limits;
mod lokalise;
mod mapped_responses;
mod parameters;
mod rfc_examples;
mod shaping;
mod shaping_trouble;
