//! `OAuthClient`: what it sends, what it accepts, where it finds the endpoints.

mod authentication;
mod discovery;
mod limits;
mod lokalise;
mod parameters;
mod rfc_examples;
