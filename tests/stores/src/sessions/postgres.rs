use std::time::Duration;

use reqwest_oauth2::Error;
use reqwest_oauth2::store::PostgresStore;
use tokio::time::sleep;

use super::fleet::{Fleet, LEASE, Process};
use super::scenes::{self, Ages, mended, on_one_thread};
use crate::postgres::{Scratch, pool};
use crate::support::switch;

async fn fleet() -> (Scratch, Fleet, Process, Process) {
    let (scratch, fleet) = (Scratch::new().await, Fleet::new().await);
    let (one, other) = (fleet.process(scratch.store().await), fleet.process(scratch.store().await));
    (scratch, fleet, one, other)
}

pub(crate) async fn a_restart() {
    let (_scratch, fleet, one, other) = fleet().await;
    let ages = Ages::new(&fleet, &[&one, &other]).await;
    switch("stop", "postgres").await;
    ages.in_trouble(&fleet, &[&one, &other], Error::is_transient).await;
    switch("start", "postgres").await;
    ages.healed(&fleet, &[&one, &other]).await;
}

/// The answer comes while the server is away, for longer than the lease. When it is back the other session is
/// the first to ask.
pub(crate) async fn a_restart_amid_a_renewal() {
    let (scratch, fleet, _, other) = fleet().await;
    let slow = |session: reqwest_oauth2::SessionBuilder| {
        session.backoff(Duration::from_millis(800), Duration::from_millis(800))
    };
    let one = fleet.process_with(scratch.store().await, slow);
    let user = fleet.signed_in("user", &[&one, &other]).await;
    fleet.clock.forward(3600);
    let hold = fleet.provider.pause_token_requests();
    let renewal = one.getting(&user);
    fleet.provider.wait_for_token_requests(1).await;
    switch("stop", "postgres").await;
    drop(hold);
    renewal.await.unwrap().unwrap();
    let renewed = one.uses(&user);
    let error = other.get(&user).await.unwrap_err();
    assert!(error.is_store() && error.is_transient(), "{error:?}");
    sleep(LEASE).await;
    one.get(&user).await.unwrap();
    assert!(one.is_unsaved(&user));
    assert!(other.get(&user).await.unwrap_err().is_store());
    switch("start", "postgres").await;
    assert_eq!(other.served(&user).await, renewed);
    one.saved(&user).await;
    let new = fleet.process(scratch.store().await);
    fleet.all_is_well(&[&one, &other, &new], &[&user]).await;
    assert_eq!(fleet.counts().token_requests, 1);
}

pub(crate) async fn a_full_disk() {
    let (scratch, fleet, one, other) = fleet().await;
    let fill = async || {
        scratch
            .run(
                "CREATE FUNCTION f_@() RETURNS trigger LANGUAGE plpgsql AS $f$ BEGIN
                   RAISE EXCEPTION USING ERRCODE = '53100';
                 END $f$;
                 CREATE TRIGGER t_@ BEFORE UPDATE OF document ON @
                   FOR EACH ROW EXECUTE FUNCTION f_@();",
            )
            .await;
    };
    let make_room = async || scratch.run("DROP TRIGGER t_@ ON @").await;
    scenes::full(&fleet, [&one, &other], fill, make_room).await;
}

pub(crate) async fn no_table() {
    on_one_thread(|| async {
        let (scratch, fleet, one, other) = fleet().await;
        let ages = Ages::new(&fleet, &[&one, &other]).await;
        scratch.run("DROP TABLE @").await;
        ages.in_trouble(&fleet, &[&one, &other], |error| !error.is_transient()).await;
        scratch.store().await;
        mended().await;
        ages.healed(&fleet, &[&one, &other]).await;
        let new = fleet.process(scratch.store().await);
        fleet.all_is_well(&[&one, &other, &new], &ages.all()).await;
    })
    .await;
}

pub(crate) async fn no_table_amid_a_renewal() {
    on_one_thread(|| async {
        let (scratch, fleet, one, other) = fleet().await;
        let user = fleet.signed_in("user", &[&one, &other]).await;
        fleet.clock.forward(3600);
        let hold = fleet.provider.pause_token_requests();
        let renewal = one.getting(&user);
        fleet.provider.wait_for_token_requests(1).await;
        scratch.run("DROP TABLE @").await;
        drop(hold);
        renewal.await.unwrap().unwrap();
        let renewed = one.uses(&user);
        assert!(one.is_unsaved(&user));
        let error = other.get(&user).await.unwrap_err();
        assert!(error.is_store() && !error.is_transient(), "{error:?}");
        scratch.store().await;
        one.saved(&user).await;
        mended().await;
        assert_eq!(other.served(&user).await, renewed);
        fleet.all_is_well(&[&one, &other], &[&user]).await;
        assert_eq!(fleet.counts().token_requests, 1);
    })
    .await;
}

pub(crate) async fn two_rows_of_a_key() {
    on_one_thread(|| async {
        let (scratch, fleet, one, other) = fleet().await;
        let ages = Ages::new(&fleet, &[&one, &other]).await;
        scratch.run("ALTER TABLE @ DROP CONSTRAINT @_pkey; INSERT INTO @ SELECT * FROM @").await;
        ages.in_trouble(&fleet, &[&one, &other], |error| !error.is_transient()).await;
        scratch
            .run(
                "DELETE FROM @ one USING @ other WHERE one.key = other.key AND one.ctid < other.ctid;
                 ALTER TABLE @ ADD PRIMARY KEY (key)",
            )
            .await;
        mended().await;
        ages.healed(&fleet, &[&one, &other]).await;
    })
    .await;
}

/// The stored record counts, no matter who wrote it.
pub(crate) async fn a_row_changed_by_hand() {
    let (scratch, fleet, one, other) = fleet().await;
    let user = fleet.signed_in("user", &[&one, &other]).await;
    fleet.clock.forward(3600);
    scratch.run("UPDATE @ SET version = version # 4711").await;
    // The token is the one that they have, so it is renewed, once.
    fleet.all_is_well(&[&one, &other], &[&user]).await;
    assert_eq!(fleet.counts().token_requests, 1);
    // The token of another login.
    fleet.clock.forward(3600);
    let put = put_by_hand(&scratch, &fleet).await;
    for process in [&one, &other] {
        assert_eq!(process.served(&user).await, put);
    }
    assert_eq!(fleet.counts().token_requests, 1);
    fleet.clock.forward(3600);
    fleet.all_is_well(&[&one, &other], &[&user]).await;
    assert_eq!(fleet.counts().token_requests, 2);
}

pub(crate) async fn a_row_changed_by_hand_amid_a_renewal() {
    let (scratch, fleet, one, other) = fleet().await;
    let user = fleet.signed_in("user", &[&one, &other]).await;
    fleet.clock.forward(3600);
    let hold = fleet.provider.pause_token_requests();
    let renewal = one.getting(&user);
    fleet.provider.wait_for_token_requests(1).await;
    let put = put_by_hand(&scratch, &fleet).await;
    assert_eq!(other.served(&user).await, put);
    drop(hold);
    renewal.await.unwrap().unwrap();
    assert_eq!(one.uses(&user), put);
    fleet.all_is_well(&[&one, &other], &[&user]).await;
    fleet.clock.forward(3600);
    fleet.all_is_well(&[&one, &other], &[&user]).await;
    assert_eq!(fleet.counts().token_requests, 2);
}

/// The access token of another login, put in the place of what is stored.
async fn put_by_hand(scratch: &Scratch, fleet: &Fleet) -> String {
    let token = fleet.token(3600);
    sqlx::query(&format!("UPDATE {} SET version = version # 4711, document = $1", scratch.table))
        .bind(serde_json::to_string(&token).unwrap())
        .execute(&scratch.hands)
        .await
        .unwrap();
    token.access_token().to_owned()
}

pub(crate) async fn clocks_a_minute_apart() {
    let scratch = Scratch::new().await;
    scenes::clocks([scratch.store().await, scratch.store().await]).await;
}

pub(crate) async fn a_lease_outlives_its_holder() {
    let scratch = Scratch::new().await;
    let heir = scratch.store().await;
    let table = scratch.table.clone();
    let opened = async move { PostgresStore::new(pool(2).await).table(&table).unwrap() };
    scenes::dead_holder(opened, heir).await;
}
