//! The machine.
#[path = "../../src/session/machine/mod.rs"]
#[allow(dead_code, unused_imports, reason = "each test needs a part of it")]
mod machine;
