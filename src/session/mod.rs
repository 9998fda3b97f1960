//! One user's token, kept fresh.
//!
//! `freshness` is pure; `flight` is the single-flight cell and knows nothing of OAuth; `core` holds
//! the state; `renewal` is the task that replaces it; `outbox` is the saver's. `shelf` is the session's
//! place in a store that it shares, `turn` decides which of its siblings renews.

mod builder;
mod core;
mod flight;
mod freshness;
mod handle;
mod keep_fresh;
mod ledger;
mod outbox;
mod rejection;
mod renewal;
mod shelf;
mod sign_out;
mod snapshot;
mod turn;
mod updates;

pub use builder::SessionBuilder;
pub(crate) use core::{Config, Core};
pub use handle::Session;
pub use keep_fresh::KeepFreshGuard;
pub(crate) use snapshot::Snapshot;
pub use updates::{TokenUpdated, TokenUpdates};
