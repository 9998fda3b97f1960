//! `execute`: the request path without `reqwest_middleware`.

use std::sync::atomic::{AtomicU64, Ordering};

use reqwest::{Method, Request, Response};
use reqwest_oauth2::{Error, RequestError, UserSessions, store::MemoryStore};

use crate::support::{World, plain_http};

fn get(url: impl AsRef<str>) -> Request {
    Request::new(Method::GET, url.as_ref().parse().unwrap())
}

#[tokio::test]
async fn an_expired_token_is_renewed_before_and_a_rejected_one_after() {
    let world = World::new().await;
    let session = world.saving().token(world.expired_token()).build();
    let http = plain_http();
    let response = session.execute(&http, get(world.provider.api_url())).await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(world.provider.counts().token_requests, 1);

    world.provider.revoke_access_tokens();
    let request = http.post(world.provider.api_url() + "/x?y=1").body("the body").build().unwrap();
    assert_eq!(session.execute(&http, request).await.unwrap().status(), 200);
    assert_eq!(world.provider.counts().token_requests, 2);
    let seen = world.provider.api_requests();
    assert_eq!(seen.len(), 3);
    for request in &seen[1..] {
        assert_eq!((&*request.body, &*request.path_and_query), (&b"the body"[..], "/api/x?y=1"));
    }
    assert_eq!(world.shown()[2], world.saved.last().access_token());
}

#[tokio::test]
async fn fifty_at_expiry_make_one_token_request() {
    let world = World::new().await;
    let session = world.saving().token(world.expired_token()).build();
    let (http, api) = (plain_http(), session.api([world.provider.origin()]).unwrap());
    let requests: Vec<_> = (0..50)
        .map(|_| {
            let (http, api, request) = (http.clone(), api.clone(), get(world.provider.api_url()));
            tokio::spawn(async move { api.execute(&http, request).await.unwrap().status() })
        })
        .collect();
    for request in requests {
        assert_eq!(request.await.unwrap(), 200);
    }
    assert_eq!(world.provider.counts().token_requests, 1);
}

#[tokio::test]
async fn any_stack_is_a_closure() {
    let world = World::new().await;
    let session = world.saving().token(world.token()).build();
    world.provider.revoke_access_tokens();
    let (http, calls) = (plain_http(), AtomicU64::new(0));
    let send = |request: Request| {
        calls.fetch_add(1, Ordering::Relaxed);
        let sent = http.execute(request);
        async move { sent.await.map_err(|error| error.to_string()) }
    };
    let response: Result<Response, RequestError<String>> =
        session.execute(send, get(world.provider.api_url())).await;
    assert_eq!(response.unwrap().status(), 200);
    assert_eq!(calls.into_inner(), 2);
}

#[tokio::test]
async fn a_response_without_a_url_is_from_where_the_request_went() {
    let world = World::new().await;
    let session = world.saving().token(world.token()).build();
    let client = plain_http();
    // As a client makes it that is not reqwest.
    let send = |request: Request| {
        let sent = client.execute(request);
        async move {
            let status = sent.await?.status();
            let made = http::Response::builder().status(status).body("").unwrap();
            Ok::<_, reqwest::Error>(Response::from(made))
        }
    };
    for _ in 0..2 {
        world.provider.revoke_access_tokens();
        let response = session.execute(send, get(world.provider.api_url())).await.unwrap();
        assert_eq!(response.status(), 200);
    }
    let counts = world.provider.counts();
    assert_eq!((counts.token_requests, counts.api_requests), (2, 4));
}

#[tokio::test]
async fn a_users_session_sends_that_users_token() {
    let world = World::new().await;
    let sessions = UserSessions::builder(world.app()).store(MemoryStore::new()).build();
    let token = world.token();
    sessions.sign_in("alice", token.clone()).await.unwrap();
    let http = plain_http();
    let alice = sessions.for_user("alice");
    let response = alice.execute(&http, get(world.provider.api_url())).await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(world.shown(), [token.access_token()]);
}

#[tokio::test]
async fn an_api_of_one_session_leads_back_to_it() {
    let world = World::new().await;
    let session = world.saving().token(world.token()).build();
    let for_a = session.for_resource("https://a.example/").unwrap();
    for session in [&session, &for_a] {
        let api = session.api([world.provider.origin()]).unwrap();
        let token = api.session().unwrap().token().await.unwrap();
        assert_eq!(token.access_token(), session.current_token().unwrap().access_token());
    }
    assert_eq!(world.provider.counts().token_requests, 1);
    let sessions = UserSessions::builder(world.app()).store(MemoryStore::new()).build();
    assert!(sessions.api([world.provider.origin()]).unwrap().session().is_none());
}

#[tokio::test]
async fn only_listed_origins_get_the_token() {
    let (world, other) = (World::new().await, World::new().await);
    let session = world.saving().token(world.token()).build();
    let api = session.api([world.provider.origin()]).unwrap();
    let http = plain_http();
    assert_eq!(api.execute(&http, get(world.provider.api_url())).await.unwrap().status(), 200);
    assert_eq!(api.execute(&http, get(other.provider.api_url())).await.unwrap().status(), 401);
    assert_eq!((world.shown().len(), other.shown().len()), (1, 0));
    assert_eq!(world.provider.counts().token_requests, 0);
}

#[tokio::test]
async fn a_header_of_the_requests_own_stays() {
    let world = World::new().await;
    let session = world.saving().token(world.token()).build();
    let http = plain_http();
    let request = http.get(world.provider.api_url()).bearer_auth("own").build().unwrap();
    assert_eq!(session.execute(&http, request).await.unwrap().status(), 401);
    assert_eq!(world.shown(), ["own"]);
    assert_eq!(world.provider.counts().token_requests, 0);
}

#[tokio::test]
async fn a_url_that_must_not_carry_a_token_is_an_error_and_nothing_is_sent() {
    let world = World::new().await;
    let session = world.saving().token(world.expired_token()).build();
    let with_user = world.provider.api_url().replacen("http://", "http://user:pw@", 1);
    for url in
        ["http://api.example/x", "http://localhost.example/x", "ftp://127.0.0.1/x", &with_user]
    {
        let send = |_: Request| async { Err::<Response, _>("sent") };
        let error = session.execute(send, get(url)).await.unwrap_err();
        let RequestError::Token(error) = error else { panic!("{url}: {error:?}") };
        assert!(error.is_config(), "{url}: {error}");
    }
    assert_eq!(world.provider.counts().token_requests, 0);
}

#[tokio::test]
async fn the_error_says_which_side_failed() {
    let world = World::new().await;
    let session = world.session().build();
    let http = plain_http();
    let error = session.execute(&http, get(world.provider.api_url())).await.unwrap_err();
    assert_eq!(error.to_string(), "no access token for the request");
    assert!(Error::find_in(&error).unwrap().is_reauthorization_required());

    let session = world.session().token(world.token()).build();
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = session.execute(&http, get(format!("http://{nobody}/"))).await.unwrap_err();
    assert_eq!(error.to_string(), "the request failed");
    assert!(matches!(error, RequestError::Send(error) if error.is_connect()));
}
