use reqwest_oauth2::store::SqliteStore;

use super::fleet::Fleet;
use super::scenes::{self, Ages, mended, on_one_thread};
use crate::sqlite::Scratch;

pub(crate) async fn a_full_disk() {
    let (scratch, fleet) = (Scratch::new(), Fleet::new().await);
    scratch.store().await;
    // The bound is a connection's.
    let pools = [scratch.hands().await, scratch.hands().await];
    // A document takes up new pages each time.
    sqlx::raw_sql(
        "CREATE TABLE ballast (ballast BLOB);
         CREATE TRIGGER grow BEFORE UPDATE OF document ON oauth_tokens BEGIN
           INSERT INTO ballast VALUES (zeroblob(100000));
         END",
    )
    .execute(&pools[0])
    .await
    .unwrap();
    let [one, other] = pools.each_ref().map(|pool| fleet.process(SqliteStore::new(pool.clone())));
    let bound = async |pages: i64| {
        for pool in &pools {
            let sql = format!("PRAGMA max_page_count = {pages}");
            sqlx::query(&sql).execute(pool).await.unwrap();
        }
    };
    let fill = async || {
        bound(sqlx::query_scalar("PRAGMA page_count").fetch_one(&pools[0]).await.unwrap()).await;
    };
    scenes::full(&fleet, [&one, &other], fill, async || bound(100_000).await).await;
}

pub(crate) async fn no_table() {
    on_one_thread(|| async {
        let (scratch, fleet) = (Scratch::new(), Fleet::new().await);
        let (one, other) =
            (fleet.process(scratch.store().await), fleet.process(scratch.store().await));
        let ages = Ages::new(&fleet, &[&one, &other]).await;
        let hands = scratch.hands().await;
        sqlx::query("DROP TABLE oauth_tokens").execute(&hands).await.unwrap();
        ages.in_trouble(&fleet, &[&one, &other], |error| !error.is_transient()).await;
        scratch.store().await;
        mended().await;
        ages.healed(&fleet, &[&one, &other]).await;
    })
    .await;
}

pub(crate) async fn clocks_a_minute_apart() {
    let scratch = Scratch::new();
    scenes::clocks([scratch.store().await, scratch.store().await]).await;
}

pub(crate) async fn a_lease_outlives_its_holder() {
    let scratch = Scratch::new();
    let heir = scratch.store().await;
    let file = scratch.file();
    scenes::dead_holder(async move { SqliteStore::open(file).await.unwrap() }, heir).await;
}
