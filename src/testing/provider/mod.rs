//! The provider.
//!
//! Imports run one way: `config`, `counts` and `recorded` are values; above them `http`, `grants`,
//! `authorization` and `faults`, in this order; then `state`, `endpoints`, `router`, `server`, and
//! the handle with its builder.

mod authorization;
mod builder;
mod config;
mod control;
mod counts;
mod endpoints;
mod faults;
mod grants;
mod handle;
mod http;
mod recorded;
mod router;
mod server;
mod state;

pub use builder::ProviderBuilder;
pub use config::{AuthMethod, MetadataDocument, ResourceDocument};
pub use counts::Counts;
pub use faults::{Fault, PauseGuard};
pub use handle::Provider;
pub use recorded::{RecordedApiRequest, RecordedTokenRequest};
