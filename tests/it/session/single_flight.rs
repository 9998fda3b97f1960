//! Any number of requests at expiry share one token request, and its result or its error.

use std::sync::Arc;

use reqwest_oauth2::testing::Fault;
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use crate::support::{World, ours};

const HERD: usize = 1000;

/// Runs that many requests at once, with the token request held until all of them are on their way.
async fn herd(world: &World, session: &reqwest_oauth2::Session) -> Vec<Result<u16, String>> {
    let (hold, barrier) = (world.provider.pause_token_requests(), Arc::new(Barrier::new(HERD + 1)));
    let mut tasks = JoinSet::new();
    for _ in 0..HERD {
        let (session, barrier) = (session.clone(), barrier.clone());
        tasks.spawn(async move {
            barrier.wait().await;
            session.token().await
        });
    }
    barrier.wait().await;
    world.provider.wait_for_token_requests(1).await;
    // Each task has run up to its wait: a current-thread runtime polls them in turn.
    for _ in 0..HERD {
        tokio::task::yield_now().await;
    }
    drop(hold);
    let outcomes = tasks.join_all().await;
    outcomes
        .into_iter()
        .map(|outcome| match outcome {
            Ok(token) => Ok(u16::from(world.provider.accepts_access_token(token.access_token()))),
            Err(error) => Err(error.to_string()),
        })
        .collect()
}

#[tokio::test]
async fn a_thousand_callers_at_expiry_make_one_token_request() {
    let world = World::new().await;
    let session = world.saving().token(world.expired_token()).build();
    let outcomes = herd(&world, &session).await;
    assert_eq!(outcomes, vec![Ok(1); HERD]);
    assert_eq!(world.provider.counts().token_requests, 1);
    assert_eq!(world.saved.count(), 1);
}

#[tokio::test]
async fn a_thousand_callers_share_one_error() {
    let world = World::new().await;
    world.provider.fail_always(Fault::Status(503));
    let session = world.saving().token(world.expired_token()).build();
    let outcomes = herd(&world, &session).await;
    let error = "the token endpoint refused the request (status 503)".to_owned();
    assert_eq!(outcomes, vec![Err(error); HERD]);
    assert_eq!(world.provider.counts().token_requests, 1);
    assert_eq!(world.saved.count(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_requests_at_expiry_on_two_threads_make_one_token_request() {
    let world = Arc::new(World::new().await);
    let session = world.saving().token(world.expired_token()).build();
    let http = world.http(&session);
    let barrier = Arc::new(Barrier::new(100));
    let mut tasks = JoinSet::new();
    for _ in 0..100 {
        let (world, http, barrier) = (world.clone(), http.clone(), barrier.clone());
        tasks.spawn(async move {
            barrier.wait().await;
            world.get(&http).await.unwrap()
        });
    }
    assert!(tasks.join_all().await.iter().all(|status| *status == 200));
    assert_eq!(world.provider.counts().token_requests, 1);
}

#[tokio::test]
async fn callers_after_a_failure_share_it_until_the_next_attempt_is_permitted() {
    let world = World::new().await;
    world.provider.fail_always(Fault::Status(503));
    let session = world.saving().token(world.expired_token()).build();
    let http = world.http(&session);
    for _ in 0..20 {
        let error = ours(&world.get(&http).await.unwrap_err());
        assert!(error.is_transient());
        assert_eq!(error.status().unwrap(), 503);
    }
    assert_eq!(world.provider.counts().token_requests, 1);
    assert_eq!(world.provider.counts().api_requests, 0);
}
