//! A response without `scope`: "OPTIONAL, if identical to the scope requested by the client; otherwise,
//! REQUIRED" (RFC 6749 section 5.1).

use reqwest_oauth2::{
    AuthorizationRequest, ClientCredentials, JwtBearer, OAuthClient, PendingImplicitLogin,
    PendingLogin, Session, TokenExchange, TypedToken,
};
use serde_json::Value;

use super::{REDIRECT_URI, app, browse, world};
use crate::support::{World, pass};

/// A client whose provider names this scope, or none.
fn naming(world: &World, scope: Option<&'static str>) -> OAuthClient {
    app(world)
        .device_authorization_endpoint(world.provider.device_authorization_url())
        .unwrap()
        .map_response(move |mut members| {
            if members.contains_key("access_token") {
                members.remove("scope");
                members.extend(scope.map(|scope| ("scope".to_owned(), scope.into())));
            }
            members
        })
}

/// What the provider names, what was asked for, and what the token says.
const CASES: [(Option<&str>, Option<&str>, Option<&str>); 4] = [
    (None, Some("write read"), Some("write read")),
    (Some("read"), Some("write read"), Some("read")),
    (Some("read"), None, Some("read")),
    (None, None, None),
];

fn request(app: &OAuthClient, scope: Option<&str>) -> AuthorizationRequest {
    let request = app.authorization_code(REDIRECT_URI).unwrap();
    match scope {
        Some(scope) => request.scope(scope),
        None => request,
    }
}

#[tokio::test]
async fn a_login_in_a_browser_has_the_scope_that_it_asked_for() {
    let world = world().await;
    for (named, asked, expected) in CASES {
        let app = naming(&world, named);
        let login = request(&app, asked).begin().unwrap();
        let callback = browse(login.url()).await;
        // Also where another process takes the callback.
        let login: PendingLogin =
            serde_json::from_str(&serde_json::to_string(&login).unwrap()).unwrap();
        let token = login.finish(&app, callback).await.unwrap();
        assert_eq!(token.scope(), expected, "{named:?} {asked:?}");
    }
}

#[tokio::test]
async fn a_login_that_an_earlier_version_has_stored_is_finished() {
    let world = world().await;
    let app = naming(&world, None);
    let login = request(&app, Some("read")).begin().unwrap();
    let mut stored: Value = serde_json::to_value(&login).unwrap();
    assert_eq!(stored.as_object_mut().unwrap().remove("scope"), Some("read".into()));
    let callback = browse(login.url()).await;
    let login: PendingLogin = serde_json::from_value(stored).unwrap();
    assert_eq!(login.finish(&app, callback).await.unwrap().scope(), None);
    // Without a scope the form is that of before.
    let login = request(&app, None).begin().unwrap();
    assert!(serde_json::to_value(&login).unwrap().get("scope").is_none());
}

#[tokio::test]
async fn a_pushed_request_has_it_too() {
    let world =
        World::with(|p| p.redirect_uri(REDIRECT_URI).require_pushed_authorization_requests(true))
            .await;
    let app = naming(&world, None)
        .pushed_authorization_request_endpoint(world.provider.pushed_authorization_request_url())
        .unwrap();
    let login = request(&app, Some("read")).push().await.unwrap();
    let callback = browse(login.url()).await;
    assert_eq!(login.finish(&app, callback).await.unwrap().scope(), Some("read"));
}

#[tokio::test]
async fn an_implicit_token_has_it_too() {
    let world = world().await;
    let app = app(&world);
    for (named, asked, expected) in CASES {
        let request = app.implicit(REDIRECT_URI).unwrap();
        let request = if let Some(scope) = asked { request.scope(scope) } else { request };
        let login: PendingImplicitLogin =
            serde_json::from_value(serde_json::to_value(request.begin().unwrap()).unwrap())
                .unwrap();
        let named = named.map(|scope| format!("&scope={scope}")).unwrap_or_default();
        let fragment = format!("access_token=at&token_type=Bearer&state={}{named}", login.state());
        let token = login.finish(&app, format!("{REDIRECT_URI}#{fragment}")).unwrap();
        assert_eq!(token.scope(), expected, "{named:?} {asked:?}");
    }
}

#[tokio::test]
async fn a_login_on_another_device_has_it_too() {
    let world = world().await;
    for (named, asked, expected) in CASES {
        let request = naming(&world, named).device_authorization();
        let request = if let Some(scope) = asked { request.scope(scope) } else { request };
        let mut login = request.begin().await.unwrap();
        assert!(world.provider.approve_device(login.user_code()));
        let waiting = tokio::spawn(async move { login.wait().await });
        world.plain_turns().await;
        pass(5).await;
        let token = waiting.await.unwrap().unwrap();
        assert_eq!(token.scope(), expected, "{named:?} {asked:?}");
    }
}

#[tokio::test]
async fn grants_have_it_too() {
    let world = World::with(|p| p.redirect_uri(REDIRECT_URI).accept_assertions(|_| true)).await;
    let app = naming(&world, None);
    let token = app.password("johndoe", "A3ddj3w").scope("read").send().await.unwrap();
    assert_eq!(token.scope(), Some("read"));
    let builder = || Session::builder(app.clone()).clock(world.clock.reader());
    let assertion = || async { Ok::<_, std::io::Error>("a.b.c".to_owned()) };
    let subject = || async { Ok::<_, std::io::Error>(TypedToken::access_token("subject")) };
    for session in [
        builder().grant(ClientCredentials::new().scope("read")).build(),
        builder().grant(JwtBearer::new(assertion).scope("read")).build(),
        builder().grant(TokenExchange::new(subject).scope("read")).build(),
    ] {
        let token = session.token().await.unwrap();
        assert_eq!(token.scope(), Some("read"));
        // And it stays, as a renewal does not change it.
        world.clock.forward(3600.0);
        assert_eq!(session.token().await.unwrap().scope(), Some("read"));
    }
}

#[tokio::test]
async fn an_empty_scope_is_none_and_is_not_sent() {
    let world = world().await;
    let app = naming(&world, None);
    for empty in ["", " "] {
        let request = app.authorization_code(REDIRECT_URI).unwrap().scope(empty);
        let login = request.begin().unwrap();
        assert!(!login.url().contains("scope="), "{}", login.url());
        let callback = browse(login.url()).await;
        assert_eq!(login.finish(&app, callback).await.unwrap().scope(), None);
        let login = app.implicit(REDIRECT_URI).unwrap().scope(empty).begin().unwrap();
        assert!(!login.url().contains("scope="), "{}", login.url());
        assert!(app.device_authorization().scope(empty).begin().await.is_ok());
        let token = app.password("johndoe", "A3ddj3w").scope(empty).send().await.unwrap();
        assert_eq!(token.scope(), None);
        let jwt = JwtBearer::new(|| async { Ok::<_, std::io::Error>("a.b.c".to_owned()) });
        let subject = || async { Ok::<_, std::io::Error>(TypedToken::jwt("a.b.c")) };
        for session in [
            world.session().grant(ClientCredentials::new().scope(empty)).build(),
            world.session().grant(jwt.scope(empty)).build(),
            world.session().grant(TokenExchange::new(subject).scope(empty)).build(),
        ] {
            let _ = session.token().await;
        }
    }
    let none: [&str; 0] = [];
    let login = app.authorization_code(REDIRECT_URI).unwrap().scopes(none).begin().unwrap();
    assert!(!login.url().contains("scope="), "{}", login.url());
    for request in world.provider.token_requests() {
        assert_eq!(request.param("scope"), None);
    }
}
