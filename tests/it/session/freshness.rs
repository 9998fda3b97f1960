//! The deadline is absolute, and nobody waits while the token is still good.

use std::time::Duration;

use chrono::{DateTime, Utc};

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
    let hold = world.provider.pause_token_requests();
    let refresh = tokio::spawn({
        let session = session.clone();
        async move { session.refresh().await }
    });
    world.provider.wait_for_token_requests(1).await;
    world.clock.forward(45.0);
    drop(hold);
    let token = refresh.await.unwrap().unwrap();
    assert_eq!(
        token.expires_at().unwrap(),
        DateTime::<Utc>::from(asked_at + Duration::from_secs(600))
    );
    // It survives the way through storage to the microsecond.
    let loaded: reqwest_oauth2::Token =
        serde_json::from_str(&serde_json::to_string(&world.saved.last()).unwrap()).unwrap();
    assert_eq!(loaded.expires_at(), token.expires_at());
}

#[tokio::test]
async fn a_due_token_serves_while_one_renewal_runs_in_the_background() {
    let world = World::new().await;
    let old = world.token();
    let session = world.saving().token(old.clone()).build();
    let http = world.http(&session);
    world.clock.forward(3500.0);
    let hold = world.provider.pause_token_requests();
    for _ in 0..5 {
        assert_eq!(world.get(&http).await.unwrap(), 200);
    }
    world.provider.wait_for_token_requests(1).await;
    assert_eq!(world.get(&http).await.unwrap(), 200);
    assert_eq!(world.shown(), vec![old.access_token(); 6]);
    let mut updates = session.subscribe();
    drop(hold);
    let new = updates.next().await.unwrap();
    assert_eq!(world.get(&http).await.unwrap(), 200);
    assert_eq!(world.shown().last().unwrap(), new.access_token());
    assert_eq!(world.provider.counts().token_requests, 1);
}

#[tokio::test]
async fn a_request_waits_only_once_the_token_has_expired() {
    let world = World::new().await;
    let session = world.session().token(world.token()).build();
    let http = world.http(&session);
    let hold = world.provider.pause_token_requests();
    // A tenth of the lifetime at most ten seconds: 3590 s.
    world.clock.forward(3_589.999_999);
    assert_eq!(world.get(&http).await.unwrap(), 200);
    world.clock.forward(0.000_001);
    let waiting = world.get(&http);
    tokio::pin!(waiting);
    tokio::select! {
        biased;
        _ = &mut waiting => panic!("it did not wait"),
        () = world.provider.wait_for_token_requests(1) => {}
    }
    assert_eq!(world.provider.counts().api_requests, 1);
    drop(hold);
    assert_eq!(waiting.await.unwrap(), 200);
    assert_eq!(world.provider.counts().token_requests, 1);
}

#[tokio::test]
async fn a_token_of_unknown_lifetime_is_used_until_a_401() {
    let world = World::with(|p| p.no_expires_in()).await;
    let session = world.session().token(world.expired_token()).build();
    let http = world.http(&session);
    for _ in 0..3 {
        assert_eq!(world.get(&http).await.unwrap(), 200);
        // Longer than a token lives, were it known.
        world.clock.forward(1000.0);
    }
    assert_eq!(session.token().await.unwrap().expires_at(), None);
    assert_eq!(world.provider.counts().token_requests, 1);
    world.clock.forward(3600.0);
    assert_eq!(world.get(&http).await.unwrap(), 200);
    assert_eq!(world.provider.counts().token_requests, 2);
    assert_eq!(world.provider.counts().api_unauthorized, 1);
}

#[tokio::test]
async fn a_token_issued_as_already_expired_is_not_renewed_in_a_loop() {
    for expires_in in ["-1", "\"-30\"", "-9223372036854775808"] {
        let world = World::new().await;
        let access = world.token();
        world.provider.fail_next(reqwest_oauth2::testing::Fault::Reply {
            status: 200,
            content_type: "application/json".to_owned(),
            body: format!(
                r#"{{"access_token":"{}","expires_in":{expires_in}}}"#,
                access.access_token()
            ),
        });
        let session = world.session().token(world.expired_token()).build();
        let http = world.http(&session);
        for _ in 0..5 {
            assert_eq!(world.get(&http).await.unwrap(), 200);
        }
        assert_eq!(world.provider.counts().token_requests, 1, "{expires_in}");
    }
}

#[tokio::test]
async fn a_clock_that_jumps_forward_costs_one_renewal() {
    let world = World::new().await;
    let session = world.session().token(world.token()).build();
    let http = world.http(&session);
    world.clock.forward(86_400.0 * 400.0);
    for _ in 0..5 {
        assert_eq!(world.get(&http).await.unwrap(), 200);
    }
    assert_eq!(world.provider.counts().token_requests, 1);
    assert_eq!(world.provider.counts().reuse_detected, 0);
}

#[tokio::test]
async fn a_clock_that_jumps_back_heals_by_a_401() {
    let world = World::new().await;
    let session = world.session().token(world.token()).build();
    let http = world.http(&session);
    world.clock.back(86_400.0);
    assert_eq!(world.get(&http).await.unwrap(), 200);
    assert_eq!(world.provider.counts().token_requests, 0);
    // The hour is over by the provider's count; by ours a day and an hour are left.
    world.provider.revoke_access_tokens();
    for _ in 0..5 {
        assert_eq!(world.get(&http).await.unwrap(), 200);
    }
    assert_eq!(world.provider.counts().token_requests, 1);
    world.clock.forward(86_400.0);
    for _ in 0..5 {
        assert_eq!(world.get(&http).await.unwrap(), 200);
    }
    assert_eq!(world.provider.counts().token_requests, 2);
    // And right to the epoch, where no deadline can be negative.
    world.clock.back(1_800_000_000.0);
    assert_eq!(world.get(&http).await.unwrap(), 200);
}
