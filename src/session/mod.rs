//! One login, kept fresh.
//!
//! From the top, each importing only from those below it: [`handle`] is what applications hold, and
//! [`targets`] how they get it for other resources;
//! [`operations`] is what they ask of a session; [`work`] is the task that does what the machine wants
//! done, by [`calls`] of store, saver and provider, and [`worker`] what the session knows of it;
//! [`driver`] holds the state. [`token_updates`] tells applications of new tokens. [`stored_record`] is a record as JSON, [`snapshot`] a token as requests
//! need it, [`freshness`] when it is due. [`machine`] decides.

#[cfg(feature = "keys")]
mod binder;
mod builder;
mod calls;
mod config;
mod driver;
mod freshness;
mod handle;
mod keep_fresh;
mod machine;
mod operations;
mod snapshot;
mod stored_record;
mod targets;
mod token_updates;
mod work;
mod worker;

pub use builder::SessionBuilder;
pub(crate) use config::Config;
pub(crate) use driver::Driver;
pub use handle::Session;
pub use keep_fresh::KeepFreshGuard;
pub(crate) use machine::Target;
pub(crate) use operations::runtime;
pub(crate) use snapshot::{Provenance, Snapshot};
pub(crate) use token_updates::offer_update;
pub use token_updates::{TokenUpdated, TokenUpdates};
