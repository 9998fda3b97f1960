//! No secret is in `Debug`, errors or tracing. Every flow runs while the test collects all that any
//! crate logs at TRACE, and shows every public type; then it looks for each secret that it planted or
//! the provider issued: whole, encoded, and in parts. A binary of its own: subscriber and logger are
//! global.
#![cfg(test)]
#![allow(missing_docs, dead_code, unreachable_pub, clippy::unwrap_used, clippy::expect_used)]

mod first_tokens;
mod grants;
mod header;
mod keys;
mod log;
mod malformed_answers;
mod renewals;
mod secrets;
mod sign_out;
mod stores;
#[path = "../../it/support/mod.rs"]
mod support;
mod types;

use log::Log;
use secrets::Secrets;

#[tokio::test]
async fn nothing_that_is_shown_or_logged_has_a_secret() {
    let log = Log::collecting();
    let mut secrets = Secrets::default();
    first_tokens::run(&log, &mut secrets).await;
    grants::run(&log, &mut secrets).await;
    renewals::run(&log, &mut secrets).await;
    malformed_answers::run(&log, &mut secrets).await;
    sign_out::run(&log, &mut secrets).await;
    keys::run(&log, &mut secrets).await;
    keys::bound(&log, &mut secrets).await;
    stores::run(&log, &mut secrets).await;
    types::all_were_shown(&log);

    let text = log.text();
    // Ours, and those of the crates underneath.
    for expected in ["reqwest_oauth2", "reqwest::connect", "sqlx::query"] {
        assert!(text.contains(expected), "nothing of {expected} was collected");
    }
    assert!(text.contains("reauthorization required"));
    if let Some(found) = secrets.first_in(&text) {
        panic!("{found}\n--- what was collected ---\n{text}");
    }
}
