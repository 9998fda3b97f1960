//! Everything over loopback HTTP, against the embedded provider.
#![allow(missing_docs, unreachable_pub, clippy::unwrap_used, clippy::expect_used)]

#[cfg(feature = "blocking")]
mod blocking;
mod client;
mod doc_links;
#[cfg(feature = "keys")]
mod dpop;
mod faulty_store;
mod login;
mod provider;
mod refusals;
mod resource;
mod session;
mod shared_store;
mod stores;
mod support;
