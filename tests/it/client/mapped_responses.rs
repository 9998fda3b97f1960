//! The whole response, as the application maps it.

use std::sync::{Arc, Mutex};

use reqwest_oauth2::testing::Fault;
use reqwest_oauth2::{OAuthClient, RequestKind, Session, TokenTypeHint};

use crate::support::{World, pass};

fn reply(status: u16, content_type: &str, body: &str) -> Fault {
    Fault::Reply { status, content_type: content_type.to_owned(), body: body.to_owned() }
}

fn session(world: &World, app: OAuthClient) -> Session {
    Session::builder(app).token(world.expired_token()).clock(world.clock.reader()).build()
}

#[tokio::test]
async fn a_403_that_means_later_is_transient_and_keeps_its_retry_after() {
    let world = World::new().await;
    let app = world.app().map_http_response(|_, mut response| {
        if response.status() == 403 {
            *response.status_mut() = http::StatusCode::SERVICE_UNAVAILABLE;
            response.headers_mut().insert("retry-after", "7".parse().unwrap());
        }
        response
    });
    world.provider.fail_next(reply(403, "text/html", "<h1>Slow down</h1>"));
    let error = app.token_request("client_credentials").send().await.unwrap_err();
    assert!(error.is_transient(), "{error}");
    assert_eq!(error.status().unwrap(), 503);
    assert_eq!(error.retry_after().unwrap().as_secs(), 7);
}

#[tokio::test]
async fn a_403_that_means_later_for_ever_ends_no_login() {
    let world = World::new().await;
    let app = world.app().map_http_response(|_, mut response| {
        if response.status() == 403 {
            *response.status_mut() = http::StatusCode::SERVICE_UNAVAILABLE;
        }
        response
    });
    let session = session(&world, app);
    world.provider.fail_always(reply(403, "text/html", "<h1>Slow down</h1>"));
    for _ in 0..50 {
        for _ in 0..3 {
            let error = session.token().await.unwrap_err();
            assert!(error.is_transient() && !error.is_reauthorization_required(), "{error}");
        }
        pass(60).await;
    }
    assert_eq!(world.provider.counts().token_requests, 50);
    world.provider.clear_faults();
    session.token().await.unwrap();
    assert_eq!(world.provider.counts().token_requests, 51);
}

#[tokio::test]
async fn a_page_that_means_invalid_grant_ends_the_login() {
    let world = World::new().await;
    let app = world.app().map_http_response(|kind, mut response| {
        if kind == RequestKind::Refresh && response.body().starts_with(b"<h1>Session over") {
            *response.body_mut() = br#"{"error":"invalid_grant"}"#.to_vec();
        }
        response
    });
    world.provider.fail_next(reply(403, "text/html", "<h1>Session over</h1>"));
    let error = session(&world, app).refresh().await.unwrap_err();
    assert!(error.is_reauthorization_required(), "{error}");
    assert_eq!(error.error_code(), Some("invalid_grant"));
}

#[tokio::test]
async fn it_sees_every_response_before_map_response_does() {
    let world = World::new().await;
    let seen: Arc<Mutex<Vec<(RequestKind, u16)>>> = Arc::default();
    let log = seen.clone();
    let app = world
        .app()
        .revocation_endpoint(world.provider.revocation_url())
        .unwrap()
        .introspection_endpoint(world.provider.introspection_url())
        .unwrap()
        .map_http_response(move |kind, mut response| {
            log.lock().unwrap().push((kind, response.status().as_u16()));
            if kind == RequestKind::OtherGrant {
                *response.body_mut() = br#"{"data":{"access_token":"mapped"}}"#.to_vec();
            }
            response
        })
        .map_response(|members| match members.get("data") {
            Some(serde_json::Value::Object(data)) => data.clone(),
            _ => members,
        });
    let token = app.token_request("client_credentials").send().await.unwrap();
    assert_eq!(token.access_token(), "mapped");
    app.introspect("x", TokenTypeHint::AccessToken).await.unwrap();
    app.revoke("x", TokenTypeHint::AccessToken).await.unwrap();
    assert_eq!(
        *seen.lock().unwrap(),
        [
            (RequestKind::OtherGrant, 200),
            (RequestKind::Introspection, 200),
            (RequestKind::Revocation, 200)
        ]
    );
}

#[tokio::test]
async fn a_closure_that_panics_over_a_response_loses_no_refresh_token() {
    for whole in [true, false] {
        let world = World::new().await;
        let first = Arc::new(Mutex::new(true));
        let take = move || std::mem::take(&mut *first.lock().unwrap());
        let app = world.app();
        let (app, name) = if whole {
            let map = move |_, response| if take() { panic!("no") } else { response };
            (app.map_http_response(map), "map_http_response")
        } else {
            let map = move |members| if take() { panic!("no") } else { members };
            (app.map_response(map), "map_response")
        };
        let session = session(&world, app);
        let error = session.refresh().await.unwrap_err();
        assert!(error.is_malformed_response() && error.is_transient(), "{error}");
        assert_eq!(
            error.to_string(),
            format!(
                "the token endpoint's response (status 200 OK) cannot be used: the closure of OAuthClient::{name} panicked; see the panic message on stderr; the new refresh token in it is kept"
            )
        );
        // The provider rotates, and would end the login if it saw the first one again.
        pass(300).await;
        world.clock.forward(300.0);
        session.refresh().await.unwrap();
        let counts = world.provider.counts();
        assert_eq!((counts.token_requests, counts.reuse_detected), (2, 0));
    }
}
