//! What is to go wrong, and how it does.

mod apply;
mod fault;
mod pause;
mod queue;

pub(crate) use apply::{apply, delay};
pub use fault::Fault;
pub(crate) use pause::Gate;
pub use pause::PauseGuard;
pub(crate) use queue::{FaultQueue, RevocationFault};
