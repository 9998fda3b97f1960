//! What must hold for each input that comes from outside, whatever it is: one file an input, each
//! with `holds`, which panics where it does not.
//!
//! The fuzz targets call it with what the fuzzer makes up, the crate's own test `corpus` with the
//! files in `fuzz/corpus`. Everything goes through the public interface: the HTTP client ends in a
//! [`provider`] without a network, so what is checked is what an application would see.
#![allow(missing_docs, unreachable_pub, clippy::unwrap_used, clippy::expect_used)]

pub mod callback;
pub mod challenge;
pub mod metadata;
pub mod stored_token;
pub mod token_response;

mod error;
mod message;
mod provider;
mod token;
