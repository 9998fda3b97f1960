//! The provider.
//!
//! Imports run one way: `config`, `counts` and `recorded` are values; above them `dpop`, `http`, `grants`,
//! `authorization` and `faults`, in this order; then `state`, `proofs`, `endpoints`, `router`, `server`, and
//! the handle with its builder.

mod authorization;
mod builder;
mod config;
mod control;
mod counts;
#[cfg(all(feature = "keys", feature = "testing"))]
mod dpop;
mod endpoints;
mod faults;
mod grants;
mod handle;
mod http;
mod proofs;
mod recorded;
mod router;
mod server;
mod state;

pub use builder::ProviderBuilder;
pub use config::{AuthMethod, MetadataDocument, ResourceDocument};
pub use counts::Counts;
#[cfg(all(feature = "keys", feature = "testing"))]
pub use dpop::{DpopNonces, DpopRules};
pub use faults::{Fault, PauseGuard};
pub use handle::Provider;
pub use recorded::{RecordedApiRequest, RecordedTokenRequest};
