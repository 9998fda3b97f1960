//! An API that wants more than the token gives (RFC 6750 section 3.1, RFC 9470).

use std::time::Duration;

use reqwest_oauth2::{Error, OAuthClient, RequestError, Session, UserId, UserSessions};

use reqwest::Request;

use super::answer;
use crate::login::browse;
use crate::support::{World, plain_http};

const CALLBACK: &str = "https://me.example/cb";

async fn world() -> World {
    World::with(|p| {
        p.redirect_uri(CALLBACK).require_scope("/api/admin", "admin").require_log_in(
            "/api/money",
            "strong",
            Some(Duration::from_secs(60)),
        )
    })
    .await
}

async fn app(world: &World) -> OAuthClient {
    let app = OAuthClient::discover(world.provider.issuer(), "foo").await.unwrap();
    app.secret("potato").clock(world.clock.reader())
}

async fn get(world: &World, session: &Session, path: &str) -> Result<u16, RequestError> {
    let http = plain_http();
    let request = http.get(world.provider.api_url() + path).build().unwrap();
    Ok(session.execute(&http, request).await?.status().as_u16())
}

#[track_caller]
fn asked(outcome: Result<u16, RequestError>) -> Error {
    let error = outcome.unwrap_err();
    let error = Error::find_in(&error).unwrap().clone();
    assert!(error.step_up().is_some() && !error.is_transient(), "{error}");
    assert!(!error.is_reauthorization_required());
    error
}

#[tokio::test]
async fn c6750_3_1_b_a_wider_scope_is_an_error_that_begins_a_login_and_renews_nothing() {
    let world = world().await;
    let app = app(&world).await;
    let session = Session::builder(app.clone()).clock(world.clock.reader()).token(world.token());
    let session = session.build();
    let error = asked(get(&world, &session, "/admin").await);
    assert_eq!(
        error.to_string(),
        "the API wants more than the token gives (insufficient_scope, scope \"admin\"); log in again with AuthorizationRequest::step_up"
    );
    let more = error.step_up().unwrap();
    assert_eq!(more.scope(), Some("read write admin"));
    assert_eq!(more.challenge().scope(), Some("admin"));
    // Other requests go on with the token, and nothing was renewed.
    assert_eq!(get(&world, &session, "").await.unwrap(), 200);
    assert_eq!(world.provider.counts().token_requests, 0);
    assert_eq!(world.provider.counts().api_insufficient, 1);
    let login = app.authorization_code(CALLBACK).unwrap().step_up(more).begin().unwrap();
    let callback = browse(login.url()).await;
    session.set_token(login.finish(&app, callback).await.unwrap()).await.unwrap();
    assert_eq!(get(&world, &session, "/admin").await.unwrap(), 200);
    assert_eq!(world.provider.counts().refreshes, 0);
}

#[tokio::test]
async fn c9470_4_a_a_stronger_login_is_asked_for_and_renews_nothing() {
    let world = world().await;
    let app = app(&world).await;
    let session = Session::builder(app.clone()).clock(world.clock.reader()).token(world.token());
    let session = session.build();
    let error = asked(get(&world, &session, "/money").await);
    assert_eq!(world.provider.counts().token_requests, 0);
    let more = error.step_up().unwrap();
    assert_eq!(more.challenge().acr_values(), Some("strong"));
    assert_eq!(more.challenge().max_age(), Some(Duration::from_secs(60)));
    // It replaces what was asked for before.
    let request = app.authorization_code(CALLBACK).unwrap().extra_param("max_age", "3600");
    let login = request.step_up(more).step_up(more).begin().unwrap();
    assert!(login.url().contains("acr_values=strong&max_age=60"), "{}", login.url());
    assert_eq!(login.url().matches("max_age=").count(), 1, "{}", login.url());
    let callback = browse(login.url()).await;
    session.set_token(login.finish(&app, callback).await.unwrap()).await.unwrap();
    assert_eq!(get(&world, &session, "/money").await.unwrap(), 200);
    // Later the login is too old.
    world.clock.forward(61.0);
    asked(get(&world, &session, "/money").await);
    assert_eq!(world.provider.counts().refreshes, 0);
}

#[tokio::test]
async fn a_user_of_many_is_asked_too() {
    let world = world().await;
    let sessions = UserSessions::builder(app(&world).await)
        .configure_sessions(|session| session.clock(world.clock.reader()))
        .build();
    sessions.sign_in("alice", world.token()).await.unwrap();
    let (http, api) = (plain_http(), sessions.api([world.provider.origin()]).unwrap());
    let request = http.get(world.provider.api_url() + "/admin").build().unwrap();
    let options = reqwest_oauth2::RequestOptions::new().user(UserId::from("alice"));
    let outcome = api.execute_with(&http, request, options).await;
    asked(outcome.map(|response| response.status().as_u16()));
}

#[tokio::test]
async fn a_403_that_asks_for_nothing_is_returned() {
    let world = world().await;
    let session = world.session().token(world.token()).build();
    for challenge in [None, Some("Bearer"), Some("Bearer error=\"invalid_token\""), Some("\"")] {
        let request = plain_http().get("https://api.example/").build().unwrap();
        let answer =
            |request: Request| async move { Ok::<_, ()>(answer(&request, 403, challenge)) };
        assert_eq!(session.execute(answer, request).await.unwrap().status(), 403);
    }
    assert_eq!(world.provider.counts().token_requests, 0);
}
