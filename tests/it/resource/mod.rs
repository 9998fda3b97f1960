//! From an API to a login: metadata, registration, resource indicators, step-up. Tests that begin with the
//! number of a specification show one rule of it.

mod discovery;
mod indicators;
mod issuers;
mod registration;
