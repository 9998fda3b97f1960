//! The machine of a session, apart from the crate, so that a mutant of it builds in seconds: its unit tests need
//! nothing but the standard library. See tests/mutation/run.
#[path = "../../src/session/machine/mod.rs"]
#[allow(dead_code, unused_imports, reason = "the session uses it, and is not here")]
mod machine;
