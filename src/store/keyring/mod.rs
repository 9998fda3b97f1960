//! A store in the keychain of the operating system, for command-line tools.
//!
//! A keychain has no compare-and-swap. Invariants:
//!
//! - Each call holds the exclusive lock on a file, which serializes the processes of one host. The
//!   operating system releases it when the process ends.
//! - A record is complete, either the old one or the new one, whichever process is killed and whenever.
//! - A call of the keychain may wait for a person, and nothing can stop it. It runs on a thread of its
//!   own, one at a time for each store: neither a runtime that ends nor the process waits for it, and no
//!   lock is held across an `await`.

mod keychain;
mod keyring_store;
mod parts;
#[cfg(all(unix, not(any(target_vendor = "apple", target_os = "android"))))]
mod secret_service;

pub use keyring_store::KeyringStore;
