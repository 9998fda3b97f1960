//! Everything over loopback HTTP, against the embedded provider.
#![allow(missing_docs, unreachable_pub, clippy::unwrap_used, clippy::expect_used)]

mod authentication;
mod bounds;
mod cancellation;
mod device;
mod discovery;
mod failure;
mod faulty_store;
mod freshness;
mod grants;
mod login;
mod lokalise;
mod loopback;
mod origins;
mod pages;
mod provider;
mod published;
mod rejection;
mod runtime;
mod saving;
mod sharing;
mod shutdown;
mod sign_out;
mod single_flight;
mod stores;
mod support;
mod users;
mod ways;
