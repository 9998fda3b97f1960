//! What the library's own benches count and check with.
#![allow(dead_code)]

#[path = "../../src/callgrind.rs"]
pub mod callgrind;
#[path = "../../src/targets.rs"]
mod targets;

pub use targets::{Targets, median};
