//! The tower layer around hyper's client, tonic's channel, and a service that is strict about readiness; with
//! bearer tokens and with bound ones.
#![cfg(test)]
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod bound_tokens;
mod hyper_client;
mod readiness;
mod support;
mod tonic_channel;
