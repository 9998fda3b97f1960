//! A 401: one renewal and one replay, where the challenge permits it.

use reqwest::{Body, StatusCode};
use reqwest_oauth2::testing::Fault;

use crate::support::{World, ours, pass};

#[tokio::test]
async fn a_rejected_token_is_renewed_and_the_request_sent_again_with_its_body() {
    let world = World::new().await;
    let session = world.saving().token(world.token()).build();
    let http = world.http(&session);
    world.provider.revoke_access_tokens();
    let request =
        http.post(world.provider.api_url() + "/x?y=1").body("the body").header("x-own", "1");
    assert_eq!(request.send().await.unwrap().status(), 200);
    let seen = world.provider.api_requests();
    assert_eq!(seen.len(), 2);
    for request in &seen {
        assert_eq!(request.body, b"the body");
        assert_eq!(request.path_and_query, "/api/x?y=1");
    }
    assert_eq!(world.shown()[1], world.saved.last().access_token());
    assert_eq!(world.provider.counts().token_requests, 1);
}

#[tokio::test]
async fn only_where_the_challenge_permits() {
    for (challenge, permits) in [
        (None, true),
        (Some(""), true),
        (Some("Bearer"), true),
        (Some(r#"Basic realm="x""#), true),
        (Some(r#"Bearer realm="x", error="invalid_token""#), true),
        (Some(r#"Bearer error="expired_token""#), true),
        (Some(r#"Bearer error="token_expired""#), true),
        (Some(r#"Bearer error="Invalid_Token""#), true),
        (Some(r#"Bearer error="""#), true),
        (Some("Bearer error='invalid_token'"), true),
        (Some(r#"Bearer error="INSUFFICIENT_SCOPE""#), false),
        (Some(r#"Bearer error="invalid_request""#), false),
        (Some(r#"DPoP error="use_dpop_nonce""#), false),
        (Some(r#"Bearer error="insufficient_scope", scope="a""#), false),
        (Some(r#"Bearer error="insufficient_user_authentication", max_age=5"#), false),
        (Some(r#"Negotiate YWJj==, Bearer error="insufficient_scope""#), false),
    ] {
        let world = World::new().await;
        let session = world.saving().token(world.token()).build();
        let http = world.http(&session);
        world.provider.set_challenge(challenge);
        world.provider.revoke_access_tokens();
        let status = world.get(&http).await.unwrap();
        assert_eq!(status, if permits { 200 } else { 401 }, "{challenge:?}");
        assert_eq!(world.provider.counts().token_requests, u64::from(permits), "{challenge:?}");
    }
}

#[tokio::test]
async fn a_body_that_cannot_be_sent_again_gets_its_401_and_the_next_request_renews() {
    let world = World::new().await;
    let session = world.saving().token(world.token()).build();
    let http = world.http(&session);
    world.provider.revoke_access_tokens();
    let stream = || {
        let chunks = [Ok::<_, std::io::Error>("a stream")];
        Body::wrap_stream(futures_util::stream::iter(chunks))
    };
    let send =
        async || http.post(world.provider.api_url()).body(stream()).send().await.unwrap().status();
    assert_eq!(send().await, 401);
    assert_eq!(world.provider.counts().token_requests, 0);
    assert_eq!(send().await, 200);
    assert_eq!(world.provider.counts().token_requests, 1);
    assert_eq!(world.provider.counts().api_requests, 2);
}

#[tokio::test]
async fn five_late_401s_for_a_replaced_token_renew_nothing() {
    let world = World::new().await;
    let session = world.saving().token(world.token()).build();
    let http = world.http(&session);
    world.provider.revoke_access_tokens();
    let hold = world.provider.pause_api();
    let late: Vec<_> = (0..5)
        .map(|_| {
            let request = http.get(world.provider.api_url());
            tokio::spawn(async move { request.send().await.unwrap().status() })
        })
        .collect();
    // Judged on arrival, answered when the hold is gone; the token is replaced meanwhile.
    world.provider.wait_for_api_requests(5).await;
    session.refresh().await.unwrap();
    drop(hold);
    for request in late {
        assert_eq!(request.await.unwrap(), 200);
    }
    let counts = world.provider.counts();
    assert_eq!((counts.token_requests, counts.api_unauthorized, counts.api_ok), (1, 5, 5));
}

#[tokio::test]
async fn five_401s_at_once_cost_one_renewal() {
    let world = World::new().await;
    let session = world.saving().token(world.token()).build();
    let http = world.http(&session);
    world.provider.revoke_access_tokens();
    let hold = world.provider.pause_api();
    let requests: Vec<_> = (0..5)
        .map(|_| {
            let request = http.get(world.provider.api_url());
            tokio::spawn(async move { request.send().await.unwrap().status() })
        })
        .collect();
    world.provider.wait_for_api_requests(5).await;
    drop(hold);
    for request in requests {
        assert_eq!(request.await.unwrap(), 200);
    }
    assert_eq!(world.provider.counts().token_requests, 1);
}

#[tokio::test]
async fn a_server_that_always_says_401_costs_one_renewal() {
    let world = World::new().await;
    let session = world.saving().token(world.token()).build();
    let http = world.http(&session);
    world.provider.reject_all(true);
    for _ in 0..20 {
        assert_eq!(world.get(&http).await.unwrap(), StatusCode::UNAUTHORIZED);
    }
    let counts = world.provider.counts();
    assert_eq!((counts.token_requests, counts.api_requests), (1, 21));
    // Once a minute has passed it is given one more chance, then two minutes.
    for (seconds, token_requests) in [(59, 1), (2, 2), (119, 2), (2, 3)] {
        pass(seconds).await;
        for _ in 0..20 {
            assert_eq!(world.get(&http).await.unwrap(), StatusCode::UNAUTHORIZED);
        }
        assert_eq!(world.provider.counts().token_requests, token_requests);
    }
    world.provider.reject_all(false);
    assert_eq!(world.get(&http).await.unwrap(), 200);
}

#[tokio::test]
async fn one_endpoint_that_always_says_401_beside_good_ones_costs_one_renewal() {
    let world = World::new().await;
    let session = world.saving().token(world.token()).build();
    let http = world.http(&session);
    for _ in 0..10 {
        assert_eq!(world.get(&http).await.unwrap(), 200);
        world.provider.reject_all(true);
        assert_eq!(world.get(&http).await.unwrap(), 401);
        world.provider.reject_all(false);
    }
    assert_eq!(world.provider.counts().token_requests, 1);
    // And by its deadline the token is renewed as ever.
    world.clock.forward(3600.0);
    assert_eq!(world.get(&http).await.unwrap(), 200);
    assert_eq!(world.provider.counts().token_requests, 2);
}

#[tokio::test]
async fn streams_to_a_server_that_always_says_401_cost_one_renewal() {
    let world = World::new().await;
    let session = world.saving().token(world.token()).build();
    let http = world.http(&session);
    world.provider.reject_all(true);
    for _ in 0..10 {
        let chunks = [Ok::<_, std::io::Error>("a stream")];
        let body = Body::wrap_stream(futures_util::stream::iter(chunks));
        let status = http.post(world.provider.api_url()).body(body).send().await.unwrap().status();
        assert_eq!(status, 401);
    }
    assert_eq!(world.provider.counts().token_requests, 1);
}

#[tokio::test]
async fn tokens_revoked_one_after_the_other_are_each_renewed() {
    let world = World::new().await;
    let session = world.saving().token(world.token()).build();
    let http = world.http(&session);
    for renewals in 1..=5 {
        world.provider.revoke_access_tokens();
        assert_eq!(world.get(&http).await.unwrap(), 200);
        assert_eq!(world.provider.counts().token_requests, renewals);
    }
}

#[tokio::test]
async fn a_401_with_the_provider_down_is_the_renewals_error_and_no_storm() {
    let world = World::new().await;
    let session = world.saving().token(world.token()).build();
    let http = world.http(&session);
    world.provider.revoke_access_tokens();
    world.provider.fail_always(Fault::Status(503));
    for _ in 0..5 {
        let error = ours(&world.get(&http).await.unwrap_err());
        assert_eq!(error.status().unwrap(), 503);
        assert!(error.is_transient());
    }
    let counts = world.provider.counts();
    assert_eq!((counts.token_requests, counts.api_requests), (1, 1));
    world.provider.clear_faults();
    pass(30).await;
    assert_eq!(world.get(&http).await.unwrap(), 200);
}

#[tokio::test]
async fn a_late_401_to_a_renewed_token_does_not_keep_a_new_login_from_being_renewed() {
    let world = World::new().await;
    let session = world.saving().token(world.token()).build();
    let http = world.http(&session);
    world.provider.reject_all(true);
    let hold = world.provider.pause_token_requests();
    let request = tokio::spawn({
        let request = http.get(world.provider.api_url());
        async move { request.send().await.unwrap().status() }
    });
    world.provider.wait_for_token_requests(1).await;
    let replay = world.provider.pause_api();
    drop(hold);
    world.provider.wait_for_api_requests(2).await;
    // The renewed token is on its way, and is rejected too; meanwhile there is another login.
    session.set_token(world.token()).await.unwrap();
    drop(replay);
    assert_eq!(request.await.unwrap(), 401);
    world.provider.reject_all(false);
    world.provider.revoke_access_tokens();
    assert_eq!(world.get(&http).await.unwrap(), 200);
    assert_eq!(world.provider.counts().token_requests, 2);
}

#[tokio::test]
async fn a_replay_that_lacks_a_scope_says_nothing_of_the_renewed_token() {
    let world = World::new().await;
    let session = world.saving().token(world.token()).build();
    let http = world.http(&session);
    world.provider.revoke_access_tokens();
    let hold = world.provider.pause_token_requests();
    let request = tokio::spawn({
        let request = http.get(world.provider.api_url());
        async move { request.send().await.unwrap().status() }
    });
    world.provider.wait_for_token_requests(1).await;
    world.provider.reject_all(true);
    world.provider.set_challenge(Some(r#"Bearer error="insufficient_scope""#));
    drop(hold);
    assert_eq!(request.await.unwrap(), 401);
    world.provider.reject_all(false);
    world.provider.set_challenge(None);
    assert_eq!(world.get(&http).await.unwrap(), 200);
    world.provider.revoke_access_tokens();
    assert_eq!(world.get(&http).await.unwrap(), 200);
    assert_eq!(world.provider.counts().token_requests, 2);
}
