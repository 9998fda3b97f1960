//! The stores that need no server.

#[cfg(feature = "encryption")]
mod encrypted;
mod file;
mod file_processes;
mod mounted_file;
mod suite;

use reqwest_oauth2::store::{StoreError, SwapOutcome, Version};

/// The version of what was stored.
#[track_caller]
fn stored(swapped: Result<SwapOutcome, StoreError>) -> Version {
    match swapped.unwrap() {
        SwapOutcome::Stored(version) => version,
        SwapOutcome::Conflict(met) => panic!("met {met:?}"),
    }
}

/// The document that was in the way.
#[track_caller]
fn met(swapped: Result<SwapOutcome, StoreError>) -> Option<String> {
    match swapped.unwrap() {
        SwapOutcome::Conflict(met) => met.map(|record| record.json().to_owned()),
        SwapOutcome::Stored(version) => panic!("stored as {version:?}"),
    }
}
