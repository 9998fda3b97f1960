//! A 401: one renewal and one replay, where the challenge permits it.

use reqwest::{Body, StatusCode};
use reqwest_oauth2::ReplayBody;
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
async fn a_path_that_says_401_now_and_then_costs_one_renewal() {
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
async fn with_the_provider_down_a_bad_path_takes_no_token_from_good_ones() {
    let world = World::new().await;
    let session = world.saving().token(world.token()).build();
    let http = world.http(&session);
    let get = async |path: &str| {
        world.provider.reject_all(path == "/bad");
        http.get(world.provider.api_url() + path).send().await
    };
    world.provider.fail_always(Fault::Status(503));
    assert_eq!(get("/good").await.unwrap().status(), 200);
    for renewals in 1..=3 {
        for _ in 0..2 {
            let error = ours(&get("/bad").await.unwrap_err());
            assert_eq!(error.status().unwrap(), 503);
        }
        for path in ["/good", "/other"] {
            assert_eq!(get(path).await.unwrap().status(), 200);
        }
        assert_eq!(world.provider.counts().token_requests, renewals);
        pass(60).await;
    }
    world.provider.clear_faults();
    // Now the token is at fault.
    world.provider.revoke_access_tokens();
    assert_eq!(get("/good").await.unwrap().status(), 200);
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

/// A client, and what asks it for a path; a path that begins with `bad` says 401 whatever the token.
struct Api {
    world: World,
    http: reqwest_middleware::ClientWithMiddleware,
}

impl Api {
    async fn new() -> Self {
        let world = World::new().await;
        let session = world.saving().token(world.token()).build();
        let http = world.http(&session);
        Self { world, http }
    }

    async fn get(&self, path: &str) -> StatusCode {
        self.world.provider.reject_all(path.starts_with("bad"));
        let url = format!("{}/{path}", self.world.provider.api_url());
        self.http.get(url).send().await.unwrap().status()
    }

    fn renewals(&self) -> u64 {
        self.world.provider.counts().token_requests
    }
}

#[tokio::test]
async fn a_path_that_always_says_401_keeps_no_other_path_from_renewing() {
    let api = Api::new().await;
    for query in ["", "?a", "?b"] {
        assert_eq!(api.get(&format!("bad{query}")).await, 401);
        assert_eq!(api.renewals(), 1);
    }
    // Of the token that it has got nobody has said anything yet.
    for renewals in 2..=10 {
        api.world.provider.revoke_access_tokens();
        assert_eq!(api.get(&format!("good/{renewals}")).await, 200);
        assert_eq!(api.renewals(), renewals);
        assert_eq!(api.get("bad").await, 401);
    }
    assert_eq!(api.renewals(), 10);
}

#[tokio::test]
async fn an_api_that_says_401_to_all_of_its_paths_costs_a_few_renewals() {
    let api = Api::new().await;
    for n in 0..200 {
        assert_eq!(api.get(&format!("bad/{n}")).await, 401);
    }
    assert_eq!(api.renewals(), 4);
    // It is over as soon as a path accepts the token.
    assert_eq!(api.get("good").await, 200);
    for renewals in 5..=10 {
        api.world.provider.revoke_access_tokens();
        assert_eq!(api.get(&format!("other/{renewals}")).await, 200);
        assert_eq!(api.renewals(), renewals);
    }
}

#[tokio::test]
async fn many_paths_that_say_401_beside_a_good_one_keep_that_from_nothing() {
    let api = Api::new().await;
    for n in 0..200 {
        assert_eq!(api.get("good").await, 200);
        assert_eq!(api.get(&format!("bad/{n}")).await, 401);
    }
    assert_eq!(api.renewals(), 17);
    for renewals in 18..=20 {
        api.world.provider.revoke_access_tokens();
        assert_eq!(api.get("good").await, 200);
        assert_eq!(api.renewals(), renewals);
    }
}

#[tokio::test]
async fn one_api_that_always_says_401_keeps_no_other_api_from_renewing() {
    let (world, other) = (World::new().await, World::new().await);
    let session = world.saving().token(world.token()).build();
    let origins = [world.provider.origin(), other.provider.origin()];
    let http = reqwest_middleware::ClientBuilder::new(crate::support::plain_http())
        .with(session.middleware(origins).unwrap())
        .build();
    // The other provider knows none of these tokens.
    assert_eq!(other.get(&http).await.unwrap(), 401);
    for renewals in 2..=5 {
        world.provider.revoke_access_tokens();
        assert_eq!(world.get(&http).await.unwrap(), 200);
        assert_eq!(other.get(&http).await.unwrap(), 401);
        assert_eq!(world.provider.counts().token_requests, renewals);
    }
}

#[tokio::test]
async fn a_stream_that_can_be_made_again_is_sent_again() {
    let world = World::new().await;
    let session = world.saving().token(world.token()).build();
    let http = world.http(&session);
    world.provider.revoke_access_tokens();
    let body = ReplayBody::new(|| {
        let chunks = ["a ", "stream"].map(Ok::<_, std::io::Error>);
        Body::wrap_stream(futures_util::stream::iter(chunks))
    });
    let request = http.post(world.provider.api_url()).header("x-own", "1").body(body.make());
    assert_eq!(request.with_extension(body).send().await.unwrap().status(), 200);
    let seen = world.provider.api_requests();
    assert_eq!(seen.len(), 2);
    for request in &seen {
        assert_eq!((request.method.as_str(), request.body.as_slice()), ("POST", &b"a stream"[..]));
    }
    assert_eq!(world.provider.counts().token_requests, 1);
}

#[tokio::test]
async fn a_stream_under_way_while_its_token_is_replaced_is_sent_again_if_it_can_be_made_again() {
    let world = World::new().await;
    let session = world.saving().token(world.token()).build();
    let http = world.http(&session);
    let stream = || {
        let chunks = [Ok::<_, std::io::Error>("a stream")];
        Body::wrap_stream(futures_util::stream::iter(chunks))
    };
    let body = ReplayBody::new(stream);
    let post = |body| http.post(world.provider.api_url()).body(body);
    let requests = [post(stream()), post(stream()).with_extension(body)];
    // The provider ends the old access token when it issues the next one.
    world.provider.revoke_access_tokens();
    let hold = world.provider.pause_api();
    let requests = requests.map(|request| tokio::spawn(request.send()));
    world.provider.wait_for_api_requests(2).await;
    session.refresh().await.unwrap();
    drop(hold);
    let mut statuses = Vec::new();
    for request in requests {
        statuses.push(request.await.unwrap().unwrap().status().as_u16());
    }
    assert_eq!(statuses, [401, 200]);
    assert_eq!(world.provider.counts().token_requests, 1);
}
