//! One login, kept fresh.
//!
//! From the top: [`handle`] is what applications hold; [`driver`] connects it with the machine; [`worker`]
//! does what the machine wants done, by [`calls`] of store, saver and provider. [`machine`] decides.
//! [`stored_record`] is a record as JSON, [`snapshot`] a token as requests need it, [`freshness`] when it
//! is due.

mod builder;
mod calls;
mod config;
mod driver;
mod freshness;
mod handle;
mod keep_fresh;
mod machine;
mod snapshot;
mod stored_record;
mod token_updates;
mod worker;

pub use builder::SessionBuilder;
pub(crate) use config::Config;
pub(crate) use driver::Driver;
pub use handle::Session;
pub use keep_fresh::KeepFreshGuard;
pub(crate) use snapshot::{Provenance, Snapshot};
pub use token_updates::{TokenUpdated, TokenUpdates};
