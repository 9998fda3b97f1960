//! An application's own verdict: which responses reject the token, and a token that the application holds.

use std::sync::Arc;

use http::StatusCode;
use reqwest::{Method, Request, Response, ResponseBuilderExt};
use reqwest_oauth2::store::MemoryStore;
use reqwest_oauth2::{Api, OAuthClient, RequestError, RequestOptions, Session, Token};

use crate::support::{World, pass, plain_http};

/// The provider's API, but for this response in place of a 401.
async fn execute(
    world: &World,
    api: &Api,
    status: u16,
    options: RequestOptions,
) -> Result<StatusCode, RequestError> {
    let http = plain_http();
    let send = |request: Request| {
        let sent = http.execute(request);
        async move {
            let response = sent.await?;
            if response.status() != StatusCode::UNAUTHORIZED {
                return Ok(response);
            }
            let (url, builder) = (response.url().clone(), http::Response::builder());
            let builder = builder.status(status).header("x-error", "expired").url(url);
            Ok(Response::from(builder.body("").unwrap()))
        }
    };
    let request = Request::new(Method::GET, world.provider.api_url().parse().unwrap());
    Ok(api.execute_with(send, request, options).await?.status())
}

/// An API that says 403 to a token that is no longer good.
fn saying_403(world: &World, session: &reqwest_oauth2::Session) -> Api {
    session.api([world.provider.origin()]).unwrap().rejected_when(|status, headers| {
        status == 403 && headers.get("x-error").is_some_and(|error| error == "expired")
    })
}

#[tokio::test]
async fn a_response_that_the_rule_names_renews_and_is_sent_again() {
    let world = World::new().await;
    let session = world.saving().token(world.token()).build();
    let api = saying_403(&world, &session);
    world.provider.revoke_access_tokens();
    assert_eq!(execute(&world, &api, 403, RequestOptions::new()).await.unwrap(), 200);
    let counts = world.provider.counts();
    assert_eq!((counts.token_requests, counts.api_requests), (1, 2));
}

#[tokio::test]
async fn any_other_response_does_not() {
    let world = World::new().await;
    let session = world.saving().token(world.token()).build();
    let api = saying_403(&world, &session);
    world.provider.revoke_access_tokens();
    for status in [400, 404, 500] {
        assert_eq!(execute(&world, &api, status, RequestOptions::new()).await.unwrap(), status);
    }
    let without_rule = session.api([world.provider.origin()]).unwrap();
    assert_eq!(execute(&world, &without_rule, 403, RequestOptions::new()).await.unwrap(), 403);
    assert_eq!(world.provider.counts().token_requests, 0);
    // A 401 as ever.
    assert_eq!(execute(&world, &api, 401, RequestOptions::new()).await.unwrap(), 200);
    assert_eq!(world.provider.counts().token_requests, 1);
}

#[tokio::test]
async fn an_api_that_always_says_so_costs_one_renewal() {
    let world = World::new().await;
    let session = world.saving().token(world.token()).build();
    let api = saying_403(&world, &session);
    world.provider.reject_all(true);
    for _ in 0..20 {
        assert_eq!(execute(&world, &api, 403, RequestOptions::new()).await.unwrap(), 403);
    }
    assert_eq!(world.provider.counts().token_requests, 1);
}

#[tokio::test]
async fn what_is_sent_once_gets_its_403_and_the_next_request_renews() {
    let world = World::new().await;
    let session = world.saving().token(world.token()).build();
    let api = saying_403(&world, &session);
    world.provider.revoke_access_tokens();
    let once = RequestOptions::new().send_once();
    assert_eq!(execute(&world, &api, 403, once.clone()).await.unwrap(), 403);
    assert_eq!(execute(&world, &api, 403, once).await.unwrap(), 200);
    let counts = world.provider.counts();
    assert_eq!((counts.token_requests, counts.api_requests), (1, 2));
}

#[tokio::test]
async fn a_rule_that_panics_says_nothing() {
    let world = World::new().await;
    let session = world.saving().token(world.token()).build();
    let api = session.api([world.provider.origin()]).unwrap();
    let api = api.rejected_when(|_, _| panic!("the rule's own"));
    assert_eq!(execute(&world, &api, 403, RequestOptions::new()).await.unwrap(), 200);
    world.provider.revoke_access_tokens();
    assert_eq!(execute(&world, &api, 403, RequestOptions::new()).await.unwrap(), 403);
    assert_eq!(world.provider.counts().token_requests, 0);
    assert_eq!(execute(&world, &api, 401, RequestOptions::new()).await.unwrap(), 200);
    assert_eq!(world.provider.counts().token_requests, 1);
}

/// A gateway before the API answers to the second request in a row, and the path rejects every token.
#[tokio::test]
async fn a_replay_that_a_gateway_refuses_says_nothing_of_the_renewed_token() {
    for refusal in [408, 425, 429, 500, 503] {
        let world = World::new().await;
        let session = world.saving().token(world.token()).build();
        let api = session.api(["https://api.example"]).unwrap();
        for number in 0..10 {
            let mut is_replay = false;
            let send = |request: Request| {
                let status = if std::mem::replace(&mut is_replay, true) { refusal } else { 401 };
                let response = http::Response::builder().status(status).url(request.url().clone());
                let response = Response::from(response.body("").unwrap());
                std::future::ready(Ok::<_, std::convert::Infallible>(response))
            };
            let request = Request::new(Method::GET, "https://api.example/x".parse().unwrap());
            let status = api.execute(send, request).await.unwrap().status();
            assert_eq!(status.as_u16(), if number == 0 { refusal } else { 401 });
        }
        assert_eq!(world.provider.counts().token_requests, 1, "{refusal}");
    }
}

#[tokio::test]
async fn five_late_calls_for_one_token_renew_once() {
    let world = World::new().await;
    let rejected = world.token();
    let session = world.saving().token(rejected.clone()).build();
    let hold = world.provider.pause_token_requests();
    let calls: Vec<_> = (0..5)
        .map(|_| {
            let (session, rejected) = (session.clone(), rejected.clone());
            tokio::spawn(async move { session.renew_rejected(&rejected).await })
        })
        .collect();
    world.provider.wait_for_token_requests(1).await;
    drop(hold);
    let mut new = Vec::new();
    for call in calls {
        new.push(call.await.unwrap().unwrap().unwrap().access_token().to_owned());
    }
    for _ in 0..5 {
        let late = session.renew_rejected(&rejected).await.unwrap().unwrap();
        new.push(late.access_token().to_owned());
    }
    assert_eq!(new, vec![world.saved.last().access_token(); 10]);
    assert_eq!(world.provider.counts().token_requests, 1);
}

#[tokio::test]
async fn a_renewed_token_that_is_rejected_too_renews_after_a_minute() {
    let world = World::new().await;
    let session = world.saving().token(world.token()).build();
    let first = session.current_token().unwrap();
    let second = session.renew_rejected(&first).await.unwrap().unwrap();
    assert!(session.renew_rejected(&second).await.unwrap().is_none());
    pass(59).await;
    assert!(session.renew_rejected(&second).await.unwrap().is_none());
    pass(60).await;
    assert!(session.renew_rejected(&second).await.unwrap().is_some());
    assert_eq!(world.provider.counts().token_requests, 2);
}

#[tokio::test]
async fn nothing_renews_where_only_the_application_does() {
    let world = World::new().await;
    let session = world.saving().token(world.token()).manual_refresh().build();
    let token = session.current_token().unwrap();
    assert!(session.renew_rejected(&token).await.unwrap().is_none());
    assert!(!session.mark_rejected(&token));
    assert!(session.header().is_some());
    assert_eq!(world.provider.counts().token_requests, 0);
}

#[tokio::test]
async fn a_token_that_is_marked_is_out_of_use_and_renewed_when_one_is_needed() {
    let world = World::new().await;
    let session = world.saving().token(world.token()).build();
    let first = session.current_token().unwrap();
    for _ in 0..2 {
        assert!(session.mark_rejected(&first));
        world.round_trips().await;
        assert!(session.header().is_none());
        assert_eq!(world.provider.counts().token_requests, 0);
    }
    assert_eq!(world.get(&world.http(&session)).await.unwrap(), 200);
    let second = world.saved.last().access_token().to_owned();
    assert_eq!(world.shown(), [&*second]);
    // A late mark, and one for a token of nobody's, change nothing.
    for late in [&first, &Token::new("unknown").unwrap()] {
        assert!(session.mark_rejected(late));
        assert_eq!(session.header().unwrap(), format!("Bearer {second}"));
    }
    assert_eq!(session.token().await.unwrap().access_token(), second);
    assert_eq!(world.provider.counts().token_requests, 1);
}

#[tokio::test]
async fn an_api_that_rejects_every_token_costs_one_renewal_a_minute_by_marks_too() {
    let world = World::new().await;
    let session = world.saving().token(world.token()).build();
    let mut said = Vec::new();
    for _ in 0..20 {
        said.push(session.mark_rejected(&session.token().await.unwrap()));
    }
    assert_eq!(said, [&[true][..], &[false; 19]].concat());
    assert_eq!(world.provider.counts().token_requests, 1);
    pass(119).await;
    assert!(session.mark_rejected(&session.token().await.unwrap()));
    session.token().await.unwrap();
    assert_eq!(world.provider.counts().token_requests, 2);
}

#[tokio::test]
async fn a_mark_takes_what_another_process_has_stored_and_stores_nothing() {
    let world = World::new().await;
    let store = Arc::new(MemoryStore::new());
    let open = || world.session().store(store.clone(), "u").build();
    let (one, other) = (open(), open());
    one.set_token(world.token()).await.unwrap();
    let first = other.token().await.unwrap();
    assert!(one.mark_rejected(&first));
    assert_eq!(other.header().unwrap(), format!("Bearer {}", first.access_token()));
    let second = other.refresh().await.unwrap();
    assert_eq!(one.token().await.unwrap().access_token(), second.access_token());
    assert_eq!(world.provider.counts().token_requests, 1);
}

#[test]
fn a_mark_needs_no_runtime_and_leaves_a_token_in_use_that_nothing_renews() {
    let app = || OAuthClient::new("foo", "https://provider.example/token").unwrap();
    let token = Token::new("at").unwrap();
    let bare = Session::builder(app()).token(token.clone()).build();
    assert!(!bare.mark_rejected(&token));
    assert_eq!(bare.header().unwrap(), "Bearer at");
    let renewable = Session::builder(app()).token(token.clone().with_refresh_token("rt")).build();
    assert!(renewable.mark_rejected(&token));
    assert!(renewable.header().is_none());
    assert!(!Session::builder(app()).build().mark_rejected(&token));
}

#[tokio::test]
async fn a_login_that_has_ended_is_an_error() {
    let world = World::new().await;
    let session = world.saving().token(world.token()).build();
    world.provider.revoke_families();
    let token = session.current_token().unwrap();
    for _ in 0..2 {
        let error = session.renew_rejected(&token).await.unwrap_err();
        assert!(error.is_reauthorization_required());
    }
    assert_eq!(world.provider.counts().token_requests, 1);
}
