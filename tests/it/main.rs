//! Everything over loopback HTTP, against the embedded provider.
#![allow(missing_docs, unreachable_pub, clippy::unwrap_used, clippy::expect_used)]

mod freshness;
mod provider;
mod support;
