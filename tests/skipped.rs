//! What `cargo test` does not run, and how to run it. It has no test harness, so that this is seen.
#![allow(missing_docs)]

use std::path::Path;

/// What needs more than Rust, or is built for long.
const IN_THE_REPOSITORY: &[(&str, &str)] = &[
    ("features that are off by default", "cargo test --all-features"),
    ("the crate without its default features", "cargo test -p plain"),
    ("events and secrets", "cargo test -p observe -p secrets"),
    ("the published crate, and guides with code for other crates", "tests/published"),
    ("PostgreSQL, Redis, SQLite", "tests/stores/run cargo test -p stores"),
    ("a keychain", "tests/keyring/run cargo test -p keyring"),
    ("a certified provider", "tests/interop/run cargo test --test interop"),
    ("everything, as CI does", ".ci/run"),
];

/// The published crate has neither its tests nor its dev-dependency on itself.
const IN_THE_PUBLISHED_CRATE: &[(&str, &str)] = &[
    ("the code in the guides", "cargo test --features testing"),
    ("the integration tests, which are in the repository alone", "cargo test, there"),
];

fn main() {
    let is_repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it").exists();
    let skipped = if is_repository { IN_THE_REPOSITORY } else { IN_THE_PUBLISHED_CRATE };
    println!("skipped here, and run by:");
    for (what, command) in skipped {
        println!("  {what}: {command}");
    }
}
