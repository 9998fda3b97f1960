//! Every file of the fuzzer's corpus holds, on any toolchain. How to fuzz: `fuzz/README.md`.
#![allow(missing_docs, unreachable_pub, clippy::unwrap_used, clippy::expect_used)]

#[path = "../fuzz/src/lib.rs"]
mod fuzz;

/// Calls it with each file of that part of the corpus, and says which one it was that failed.
fn every_file(of: &str, holds: fn(&[u8])) {
    let directory = format!("{}/fuzz/corpus/{of}", env!("CARGO_MANIFEST_DIR"));
    let mut files = 0;
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        println!("{}", path.display());
        holds(&std::fs::read(path).unwrap());
        files += 1;
    }
    assert_ne!(files, 0);
}

#[test]
fn token_responses() {
    every_file("token_response", fuzz::token_response::holds);
}

#[test]
fn challenges() {
    every_file("challenge", fuzz::challenge::holds);
}

#[test]
fn callbacks() {
    every_file("callback", fuzz::callback::holds);
}

#[test]
fn stored_tokens() {
    every_file("stored_token", fuzz::stored_token::holds);
}

#[test]
fn metadata() {
    every_file("metadata", fuzz::metadata::holds);
}
