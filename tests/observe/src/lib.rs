//! What an operator sees. A binary of its own, since it watches what is logged.
#![cfg(test)]
#![allow(missing_docs, dead_code, unreachable_pub, clippy::unwrap_used, clippy::expect_used)]

mod application_code;
mod capture;
mod events;
#[path = "../../it/support/mod.rs"]
mod support;
