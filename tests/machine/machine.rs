//! The machine of a session, apart from the crate. Its unit tests and the model need nothing but the standard library,
//! so here they build in seconds: for tests/mutation/run, and where the model is optimised.
#[path = "../../src/session/machine/mod.rs"]
#[allow(dead_code, unused_imports, reason = "the session uses it, and is not here")]
mod machine;
