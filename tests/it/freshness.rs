//! G1 absolute deadline, G2 no waiting while the token is still good.

use std::time::Duration;

use crate::support::World;

#[tokio::test]
async fn a_valid_token_is_sent_and_nothing_is_asked_for() {
    let world = World::new().await;
    let token = world.token();
    let session = world.saving().token(token.clone()).build();
    let http = world.http(&session);
    assert_eq!(world.get(&http).await.unwrap(), 200);
    assert_eq!(world.shown(), [token.access_token()]);
    assert_eq!(world.provider.counts().token_requests, 0);
    assert_eq!(world.saved.count(), 0);
}

#[tokio::test]
async fn an_expired_token_is_renewed_once_and_saved_before_its_first_use() {
    let world = World::new().await;
    let session = world.saving().token(world.expired_token()).build();
    let http = world.http(&session);
    for _ in 0..3 {
        assert_eq!(world.get(&http).await.unwrap(), 200);
    }
    let saved = world.saved.access_tokens();
    assert_eq!(saved.len(), 1);
    assert_eq!(world.shown(), [&*saved[0]; 3]);
    assert_eq!(world.provider.counts().token_requests, 1);
}

#[tokio::test]
async fn the_deadline_counts_from_before_the_token_request() {
    let world = World::with(|p| p.lifetime(Duration::from_secs(600))).await;
    let session = world.saving().token(world.expired_token()).build();
    let asked_at = world.clock.now();
    let hold = world.provider.hold();
    let refresh = tokio::spawn({
        let session = session.clone();
        async move { session.refresh().await }
    });
    world.provider.token_requests_reach(1).await;
    world.clock.forward(45.0);
    drop(hold);
    let token = refresh.await.unwrap().unwrap();
    assert_eq!(token.expires_at().unwrap(), (asked_at + Duration::from_secs(600)).into());
    // It survives the way through storage to the microsecond.
    let loaded: reqwest_oauth2::Token =
        serde_json::from_str(&serde_json::to_string(&world.saved.last()).unwrap()).unwrap();
    assert_eq!(loaded.expires_at(), token.expires_at());
}
