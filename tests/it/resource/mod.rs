//! From an API to a login: metadata, registration, resource indicators, step-up. Tests that begin with the
//! number of a specification show one rule of it.

mod bad_input;
mod discovery;
#[cfg(feature = "encryption")]
mod encryption_key;
mod indicators;
mod issuers;
mod registration;
mod sessions;
mod step_up;
mod trouble;

use reqwest::{Request, Response, ResponseBuilderExt as _};

/// What an API answers to this request.
fn answer(request: &Request, status: u16, challenge: Option<&str>) -> Response {
    let mut response = http::Response::builder().status(status).url(request.url().clone());
    if let Some(challenge) = challenge {
        response = response.header("www-authenticate", challenge);
    }
    response.body("").unwrap().into()
}
