//! The embedded provider itself: what our other tests rely on.

mod api;
mod authorize;
mod device;
mod faults;
mod grants;
mod metadata;
mod revocation;
mod rotation;
mod token_exchange;
