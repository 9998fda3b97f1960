//! Everything over loopback HTTP, against the embedded provider.
#![allow(missing_docs, unreachable_pub, clippy::unwrap_used, clippy::expect_used)]

mod client;
mod doc_links;
mod file_processes;
mod file_store;
mod login;
mod provider;
mod sealed;
mod session;
mod shared_store;
mod sharing;
mod stores;
mod support;
mod troubled_store;
