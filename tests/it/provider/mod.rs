//! The embedded provider itself: what our other tests rely on.

mod api;
mod authorize;
mod common;
mod device;
mod exchange;
mod faults;
mod grants;
mod metadata;
mod revoke;
mod rotation;
