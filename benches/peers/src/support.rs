//! What the library's own benches count and check with.
#![allow(dead_code)]

#[path = "../../support/callgrind.rs"]
pub mod callgrind;
#[path = "../../support/targets.rs"]
mod targets;

pub use targets::{Targets, median};
