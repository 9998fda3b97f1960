//! Only the provider ends a login; other failures are tried again.

use std::time::Duration;

use reqwest_oauth2::testing::Fault;

use crate::support::{World, ours, pass};

#[tokio::test]
async fn a_dead_refresh_token_is_one_clear_error_until_a_new_token_is_set() {
    let world = World::new().await;
    let session = world.saving().token(world.expired_token()).build();
    let http = world.http(&session);
    world.provider.revoke_families();
    for _ in 0..20 {
        let error = ours(&world.get(&http).await.unwrap_err());
        assert!(error.is_reauthorization_required() && !error.is_transient());
        assert!(!error.is_response_lost());
        assert_eq!(error.error_code(), Some("invalid_grant"));
        assert_eq!(error.status().unwrap(), 400);
    }
    pass(86_400).await;
    assert!(session.refresh().await.unwrap_err().is_reauthorization_required());
    assert_eq!(world.provider.counts().token_requests, 1);
    assert_eq!(world.provider.counts().api_requests, 0);

    session.set_token(world.token()).await.unwrap();
    assert_eq!(world.get(&http).await.unwrap(), 200);
    world.clock.forward(3600.0);
    assert_eq!(world.get(&http).await.unwrap(), 200);
    assert_eq!(world.provider.counts().token_requests, 2);
    assert_eq!(world.saved.count(), 2);
}

#[tokio::test]
async fn nobody_notices_an_outage_while_the_old_token_is_valid() {
    let world = World::new().await;
    let session = world.saving().token(world.token()).build();
    let http = world.http(&session);
    world.provider.fail_always(Fault::Status(503));
    world.clock.forward(3500.0);
    for n in 1..=3 {
        for _ in 0..10 {
            assert_eq!(world.get(&http).await.unwrap(), 200);
        }
        // One attempt a step of the backoff.
        world.provider.wait_for_token_requests(n).await;
        session.shutdown().await.unwrap();
        assert_eq!(world.get(&http).await.unwrap(), 200);
        assert_eq!(world.provider.counts().token_requests, n);
        pass(30).await;
    }
    world.provider.clear_faults();
    assert_eq!(world.get(&http).await.unwrap(), 200);
    session.shutdown().await.unwrap();
    assert_eq!(world.provider.counts().tokens_issued, 1);
    assert_eq!(world.provider.counts().api_unauthorized, 0);
}

#[tokio::test]
async fn a_provider_down_for_minutes_is_asked_once_a_step_and_heals_when_it_returns() {
    let world = World::new().await;
    let session = world.saving().token(world.expired_token()).build();
    let http = world.http(&session);
    for (n, fault) in
        (1..).zip([Fault::Status(503), Fault::Status(500), Fault::HtmlPage, Fault::Status(502)])
    {
        world.provider.fail_always(fault);
        for _ in 0..5 {
            assert!(ours(&world.get(&http).await.unwrap_err()).is_transient());
        }
        assert_eq!(world.provider.counts().token_requests, n);
        pass(30).await;
    }
    world.provider.clear_faults();
    assert_eq!(world.get(&http).await.unwrap(), 200);
    let counts = world.provider.counts();
    assert_eq!((counts.token_requests, counts.reuse_detected), (5, 0));
}

#[tokio::test]
async fn a_provider_that_refuses_connections_for_minutes_heals_when_it_returns() {
    use std::net::{Ipv4Addr, SocketAddr};
    let world = World::new().await;
    // A port that nobody listens on: bound, never listening.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let dead: SocketAddr = socket.local_addr().unwrap();
    let proxied = reqwest::Client::builder()
        .no_proxy()
        .resolve_to_addrs("provider.test", &[dead])
        .build()
        .unwrap();
    let app = reqwest_oauth2::OAuthClient::new_over_plain_http("foo", "http://provider.test/token")
        .unwrap()
        .secret("potato")
        .http_client(proxied);
    let session = reqwest_oauth2::Session::builder(app)
        .clock(world.clock.reader())
        .token(world.expired_token())
        .build();
    for _ in 0..3 {
        for _ in 0..5 {
            let error = session.token().await.unwrap_err();
            assert!(error.is_transient() && !error.is_response_lost());
            assert_eq!(
                error.to_string(),
                "the token endpoint cannot be reached; the request was not sent and may be made again"
            );
        }
        pass(30).await;
    }
    // It returns: on the very port.
    let listener = socket.listen(16).unwrap();
    let answer = tokio::spawn(async move {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = vec![0; 4096];
        assert!(stream.read(&mut request).await.unwrap() > 0);
        let body = r#"{"access_token":"back","expires_in":60}"#;
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
        stream.write_all((head + body).as_bytes()).await.unwrap();
    });
    assert_eq!(session.token().await.unwrap().access_token(), "back");
    answer.await.unwrap();
}

#[tokio::test]
async fn retry_after_is_honoured() {
    let world = World::new().await;
    let session = world.session().token(world.expired_token()).build();
    world.provider.fail_next(Fault::TooManyRequests { retry_after: "300".to_owned() });
    let error = session.token().await.unwrap_err();
    assert_eq!(error.status().unwrap(), 429);
    assert_eq!(error.retry_after().unwrap().as_secs(), 300);
    pass(299).await;
    assert!(session.token().await.is_err());
    assert_eq!(world.provider.counts().token_requests, 1);
    pass(2).await;
    assert!(session.token().await.is_ok());
    assert_eq!(world.provider.counts().token_requests, 2);
}

#[tokio::test]
async fn retry_after_is_honoured_after_any_response() {
    for (fault, wait) in [
        (Fault::OAuthError { status: 400, code: "who_knows".to_owned() }, "3500"),
        (Fault::OAuthError { status: 401, code: "invalid_client".to_owned() }, "3500"),
        (Fault::HtmlPage, "3500"),
        (Fault::Status(202), "3500"),
        (Fault::Redirect { status: 302, location: "https://queue.example/".to_owned() }, "3500"),
        (Fault::Status(404), "3500"),
        // What the crate itself waits is longer.
        (Fault::OAuthError { status: 400, code: "who_knows".to_owned() }, "1"),
    ] {
        let world = World::new().await;
        let app = world.app().map_http_response(move |_, mut response| {
            response.headers_mut().insert("retry-after", wait.parse().unwrap());
            response
        });
        let session = reqwest_oauth2::Session::builder(app)
            .clock(world.clock.reader())
            .token(world.expired_token())
            .build();
        world.provider.fail_next(fault.clone());
        let error = session.token().await.unwrap_err();
        assert_eq!(error.retry_after().unwrap().as_secs().to_string(), wait, "{fault:?}");
        pass(if wait == "1" { 59 } else { 3499 }).await;
        let error = session.token().await.unwrap_err();
        assert_eq!(error.retry_after().unwrap().as_secs().to_string(), wait, "{fault:?}");
        assert_eq!(world.provider.counts().token_requests, 1, "{fault:?}");
        pass(3).await;
        session.token().await.unwrap();
        assert_eq!(world.provider.counts().token_requests, 2, "{fault:?}");
    }
}

#[tokio::test]
async fn wrong_credentials_name_themselves_and_are_not_hammered() {
    let world = World::new().await;
    let app = world.app().secret("wrong");
    let session = reqwest_oauth2::Session::builder(app)
        .clock(world.clock.reader())
        .token(world.expired_token())
        .build();
    for _ in 0..10 {
        let error = session.token().await.unwrap_err();
        assert_eq!(error.error_code(), Some("invalid_client"));
        assert!(!error.is_transient() && !error.is_reauthorization_required());
        assert!(
            error
                .to_string()
                .ends_with("check the client id, its secret and the client authentication method"),
            "{error}"
        );
        assert!(!format!("{error:?}").contains("wrong"));
    }
    assert_eq!(world.provider.counts().token_requests, 1);
    // Not remembered for ever: a minute later it is asked again.
    pass(61).await;
    assert!(session.token().await.is_err());
    assert_eq!(world.provider.counts().token_requests, 2);
}

#[tokio::test]
async fn a_session_with_nothing_to_renew_with_says_so_and_asks_nobody() {
    let world = World::new().await;
    let only_access = reqwest_oauth2::Token::new("abc").unwrap();
    let expired = only_access.clone().with_expires_at(world.clock.now().into());
    for (session, why) in [
        (world.session().build(), "the session has neither a token nor a grant to get one with"),
        (
            world.session().token(expired).build(),
            "the access token has expired and there is neither a refresh token nor a grant to renew it with",
        ),
    ] {
        let error = session.token().await.unwrap_err();
        assert!(error.is_reauthorization_required());
        assert!(error.to_string().contains(why), "{error}");
    }
    // Without a deadline it is used, and its 401 is the caller's.
    let session = world.session().token(only_access).build();
    let http = world.http(&session);
    for _ in 0..2 {
        assert_eq!(world.get(&http).await.unwrap(), 401);
    }
    assert_eq!(world.provider.counts().token_requests, 0);
}

#[tokio::test]
async fn a_renewal_that_a_new_login_has_voided_presents_no_refresh_token_again() {
    let world = World::new().await;
    let session = world.saving().token(world.expired_token()).build();
    world.provider.fail_next(Fault::CloseAfterIssue);
    let refresh = tokio::spawn({
        let session = session.clone();
        async move { session.refresh().await.unwrap() }
    });
    world.provider.wait_for_token_requests(1).await;
    world.round_trips().await;
    let new_login = world.token();
    session.set_token(new_login.clone()).await.unwrap();
    pass(1).await;
    assert_eq!(refresh.await.unwrap().access_token(), new_login.access_token());
    world.round_trips().await;
    assert_eq!(world.provider.counts().token_requests, 1);
}

/// The next request may come after the provider's grace period.
#[tokio::test]
async fn after_an_answer_that_never_came_the_session_asks_again_by_itself() {
    let world = World::with(|provider| provider.grace_period(Duration::from_secs(60))).await;
    let session = world.saving().token(world.expired_token()).build();
    // As is the second try's.
    world.provider.fail_next(Fault::CloseAfterIssue);
    world.provider.fail_next(Fault::CloseBeforeIssue);
    let refresh = tokio::spawn({
        let session = session.clone();
        async move { session.refresh().await }
    });
    world.provider.wait_for_token_requests(1).await;
    world.round_trips().await;
    pass(1).await;
    assert!(refresh.await.unwrap().unwrap_err().is_response_lost());
    assert_eq!(world.provider.counts().token_requests, 2);

    pass(2).await;
    world.provider.wait_for_token_requests(3).await;
    session.shutdown().await.unwrap();
    assert_eq!(world.saved.count(), 1);
    let counts = world.provider.counts();
    assert_eq!((counts.tokens_issued, counts.reuse_detected), (2, 0));
}

/// Salesforce, while the first request is under way.
#[tokio::test]
async fn a_second_try_that_finds_the_first_under_way_ends_no_login() {
    let world = World::new().await;
    let session = world.saving().token(world.expired_token()).build();
    world.provider.fail_next(Fault::CloseBeforeIssue);
    world.provider.fail_next(Fault::Reply {
        status: 400,
        content_type: "application/json".to_owned(),
        body: r#"{"error":"invalid_grant","error_description":"token request is already being processed"}"#
            .to_owned(),
    });
    let refresh = tokio::spawn({
        let session = session.clone();
        async move { session.refresh().await.unwrap_err() }
    });
    world.provider.wait_for_token_requests(1).await;
    world.round_trips().await;
    pass(1).await;
    let error = refresh.await.unwrap();
    assert!(error.is_transient() && !error.is_reauthorization_required(), "{error}");
    assert_eq!(error.error_code(), Some("invalid_grant"));
    pass(30).await;
    session.token().await.unwrap();
    let counts = world.provider.counts();
    assert_eq!((counts.token_requests, counts.reuse_detected), (3, 0));
}

/// Without a grace period the login has ended, and nobody is asked for ever.
#[tokio::test]
async fn a_provider_that_answers_nothing_is_asked_by_itself_three_times_more() {
    let world = World::new().await;
    let session = world.saving().token(world.expired_token()).build();
    world.provider.fail_always(Fault::CloseBeforeIssue);
    let refresh = tokio::spawn({
        let session = session.clone();
        async move { session.refresh().await }
    });
    for n in 1..=8 {
        world.provider.wait_for_token_requests(n).await;
        world.round_trips().await;
        pass(if n % 2 == 1 { 1 } else { 30 }).await;
    }
    assert!(refresh.await.unwrap().unwrap_err().is_response_lost());
    for _ in 0..5 {
        pass(60).await;
        world.round_trips().await;
    }
    assert_eq!(world.provider.counts().token_requests, 8);
}
