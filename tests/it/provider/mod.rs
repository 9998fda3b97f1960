//! The embedded provider itself: what our other tests rely on.

mod api;
mod common;
mod faults;
mod grants;
mod rotation;
