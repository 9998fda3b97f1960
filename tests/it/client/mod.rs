//! `OAuthClient`: what it sends, what it accepts, where it finds the endpoints.

mod authentication;
mod discovery;
mod limits;
mod lokalise;
mod mapped_responses;
mod parameters;
mod rfc_examples;
mod shaping;
mod shaping_trouble;
