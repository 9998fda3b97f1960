use reqwest_oauth2::Error;
use tokio::time::sleep;

use super::fleet::{Fleet, LEASE, Process, until};
use super::scenes::{self, Ages};
use crate::redis::{run, store};
use crate::support::switch;

async fn fleet() -> (Fleet, Process, Process) {
    let fleet = Fleet::new().await;
    let (one, other) = (fleet.process(store().await), fleet.process(store().await));
    (fleet, one, other)
}

async fn flush() {
    let _: String = run(&["FLUSHALL"]).await;
}

/// This server keeps nothing: it comes back empty.
pub(crate) async fn a_restart() {
    let (fleet, one, other) = fleet().await;
    let ages = Ages::new(&fleet, &[&one, &other]).await;
    switch("stop", "redis").await;
    ages.in_trouble(&fleet, &[&one, &other], Error::is_transient).await;
    switch("start", "redis").await;
    ages.healed(&fleet, &[&one, &other]).await;
    let new = fleet.process(store().await);
    fleet.all_is_well(&[&one, &other, &new], &ages.all()).await;
}

/// The answer comes while the server is away, and it comes back without token and lease.
pub(crate) async fn a_restart_amid_a_renewal() {
    let (fleet, one, other) = fleet().await;
    let user = fleet.signed_in("user", &[&one, &other]).await;
    fleet.clock.forward(3600);
    let hold = fleet.provider.pause_token_requests();
    let renewal = one.getting(&user);
    fleet.provider.wait_for_token_requests(1).await;
    switch("stop", "redis").await;
    drop(hold);
    renewal.await.unwrap().unwrap();
    let renewed = one.uses(&user);
    assert!(one.is_unsaved(&user));
    let error = other.get(&user).await.unwrap_err();
    assert!(error.is_store() && error.is_transient(), "{error:?}");
    switch("start", "redis").await;
    assert_eq!(other.served(&user).await, renewed);
    one.saved(&user).await;
    let new = fleet.process(store().await);
    fleet.all_is_well(&[&one, &other, &new], &[&user]).await;
    assert_eq!(fleet.counts().token_requests, 1);
}

pub(crate) async fn all_is_flushed() {
    let (fleet, one, other) = fleet().await;
    let (ann, bob) = (
        fleet.signed_in("ann", &[&one, &other]).await,
        fleet.signed_in("bob", &[&one, &other]).await,
    );
    flush().await;
    for process in [&one, &other] {
        process.get(&ann).await.unwrap();
    }
    // One user's is due and the other's has expired, for the one process and then for the other.
    fleet.clock.forward(3500);
    until(async || {
        one.served(&ann).await;
        fleet.counts().refreshes == 1
    })
    .await;
    fleet.all_is_well(&[&one, &other], &[&ann]).await;
    assert_eq!(fleet.counts().token_requests, 1);
    fleet.clock.forward(100);
    fleet.all_is_well(&[&other, &one], &[&bob]).await;
    assert_eq!(fleet.counts().token_requests, 2);
    let new = fleet.process(store().await);
    fleet.all_is_well(&[&one, &other, &new], &[&ann, &bob]).await;
    assert_eq!(fleet.counts().token_requests, 2);
}

/// Token and lease are gone while the one process waits for its answer, and the other asks at once.
pub(crate) async fn all_is_flushed_amid_a_renewal() {
    let (fleet, one, other) = fleet().await;
    let user = fleet.signed_in("user", &[&one, &other]).await;
    fleet.clock.forward(3600);
    let hold = fleet.provider.pause_token_requests();
    let renewal = one.getting(&user);
    fleet.provider.wait_for_token_requests(1).await;
    flush().await;
    let waiting = other.getting(&user);
    sleep(LEASE).await;
    assert_eq!(fleet.counts().token_requests, 1, "a refresh token is presented twice");
    drop(hold);
    renewal.await.unwrap().unwrap();
    waiting.await.unwrap().unwrap();
    let new = fleet.process(store().await);
    fleet.all_is_well(&[&one, &other, &new], &[&user]).await;
    assert_eq!(fleet.counts().token_requests, 1);
}

pub(crate) async fn a_lease_outlives_its_holder() {
    scenes::dead_holder(store(), store().await).await;
}
