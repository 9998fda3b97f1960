//! How long a request waits: no longer than its own timeout, and never longer than a renewal may take.

use std::time::Duration;

use reqwest_middleware::ClientWithMiddleware;
use reqwest_oauth2::ClientCredentials;
use tokio::task::JoinHandle;

use crate::support::{World, ours, pass};

type Sent = JoinHandle<reqwest_middleware::Result<reqwest::Response>>;

/// A request that may take 10 seconds.
fn send(world: &World, http: &ClientWithMiddleware) -> Sent {
    let request = http.get(world.provider.api_url()).timeout(Duration::from_secs(10));
    tokio::spawn(request.send())
}

/// The request waits for so many seconds more, then fails with our error.
async fn assert_gives_up_in(world: &World, sent: Sent, seconds: u64) {
    world.round_trips().await;
    pass(seconds - 1).await;
    world.round_trips().await;
    assert!(!sent.is_finished());
    pass(1).await;
    let error = ours(&ended(world, sent).await.unwrap_err());
    assert!(error.is_timeout() && error.is_transient(), "{error}");
}

/// What a task came to that is to be over by now. One that waits on would wait for ever: time stands still.
async fn ended<T>(world: &World, task: JoinHandle<T>) -> T {
    world.round_trips().await;
    assert!(task.is_finished(), "it goes on waiting");
    task.await.unwrap()
}

#[tokio::test]
async fn a_requests_timeout_bounds_its_wait_for_a_token() {
    for foreground in [false, true] {
        let world = World::new().await;
        let builder = world.saving().token(world.expired_token());
        let session = if foreground { builder.foreground() } else { builder }.build();
        let http = world.http(&session);
        let hold = world.provider.pause_token_requests();
        let sent = send(&world, &http);
        world.provider.wait_for_token_requests(1).await;
        assert_gives_up_in(&world, sent, 10).await;
        // The renewal has gone on.
        drop(hold);
        assert_eq!(world.get(&http).await.unwrap(), 200);
        assert_eq!(world.provider.counts().token_requests, 1);
    }
}

#[tokio::test]
async fn a_requests_timeout_bounds_its_wait_after_a_401() {
    let world = World::new().await;
    let session = world.saving().token(world.token()).build();
    let http = world.http(&session);
    world.provider.revoke_access_tokens();
    let _hold = world.provider.pause_token_requests();
    let sent = send(&world, &http);
    world.provider.wait_for_token_requests(1).await;
    assert_gives_up_in(&world, sent, 10).await;
}

#[tokio::test]
async fn the_time_that_the_401_took_counts() {
    let world = World::new().await;
    let session = world.saving().token(world.token()).build();
    let http = world.http(&session);
    world.provider.revoke_access_tokens();
    let _hold = world.provider.pause_token_requests();
    let api = world.provider.pause_api();
    let sent = send(&world, &http);
    world.provider.wait_for_api_requests(1).await;
    pass(7).await;
    drop(api);
    world.provider.wait_for_token_requests(1).await;
    assert_gives_up_in(&world, sent, 3).await;
}

#[tokio::test]
async fn the_time_that_a_wait_took_is_not_there_for_the_request() {
    for expired in [true, false] {
        let world = World::new().await;
        let token = if expired { world.expired_token() } else { world.token() };
        let session = world.saving().token(token).build();
        let http = world.http(&session);
        world.provider.revoke_access_tokens();
        let hold = world.provider.pause_token_requests();
        let sent = send(&world, &http);
        world.provider.wait_for_token_requests(1).await;
        let _api = world.provider.pause_api();
        pass(7).await;
        drop(hold);
        world.provider.wait_for_api_requests(if expired { 1 } else { 2 }).await;
        pass(2).await;
        world.round_trips().await;
        assert!(!sent.is_finished());
        pass(1).await;
        let error = ended(&world, sent).await.unwrap_err();
        assert!(error.is_timeout(), "the request's own timeout: {error}");
    }
}

#[tokio::test]
async fn a_second_try_is_within_the_total_limit() {
    for grant in [false, true] {
        let world = World::new().await;
        let builder = world.saving().token(world.expired_token());
        let builder = if grant { builder.grant(ClientCredentials::new()) } else { builder };
        let session = builder.build();
        let _hold = world.provider.pause_token_requests();
        let waiting = tokio::spawn(async move { session.token().await });
        world.provider.wait_for_token_requests(1).await;
        pass(29).await;
        world.round_trips().await;
        assert!(!waiting.is_finished());
        pass(1).await;
        let error = ended(&world, waiting).await.unwrap_err();
        assert!(error.is_timeout(), "{error}");
        assert_eq!(world.provider.counts().token_requests, 1);
    }
}
