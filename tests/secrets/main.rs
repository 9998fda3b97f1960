//! G12: no secret in `Debug`, errors or tracing. A binary of its own, for the subscriber is global.
#![allow(missing_docs, dead_code, unreachable_pub, clippy::unwrap_used, clippy::expect_used)]

mod echo;
mod forms;
mod logins;
mod sensitive;
mod show;
mod stores;
#[path = "../it/support.rs"]
mod support;
mod types;
mod ways;

#[tokio::test]
async fn nothing_that_is_shown_or_logged_has_a_secret() {
    let show = show::Show::new();
    logins::all(&show).await;
    echo::all(&show).await;
    ways::all(&show).await;
    stores::all(&show).await;
    types::others(&show).await;
    show.check();
    assert_eq!(show.types(), types::public(), "each public type is shown somewhere in this test");
}
