//! The Lokalise OAuth 2 flow, as its SDKs name it: `auth`, `token(code)`, `refresh`.
//!
//! A provider set up as Lokalise is: credentials in the body, an hour of life, a refresh that
//! brings no refresh token, errors with an empty `error_uri`.

use reqwest_oauth2::testing::{AuthMethod, Fault};
use reqwest_oauth2::{ClientAuthentication, Session};

use crate::login::browse;
use crate::support::World;

const REDIRECT_URI: &str = "https://me.example/callback";

#[tokio::test]
async fn authorization_url_token_from_code_refresh() {
    let world = World::with(|p| {
        p.redirect_uri(REDIRECT_URI).auth_methods([AuthMethod::ClientSecretPost]).rotation(false)
    })
    .await;
    let app = world
        .app()
        .authentication(ClientAuthentication::ClientSecretPost)
        .authorization_endpoint(world.provider.authorize_url())
        .unwrap()
        .clock(world.clock.reader());

    // auth(scope, redirect_uri, state)
    let login =
        app.authorization_code(REDIRECT_URI).unwrap().scopes(["read", "write"]).begin().unwrap();
    let callback = url::Url::parse(&browse(login.url()).await).unwrap();
    let value =
        |name: &str| callback.query_pairs().find(|(n, _)| n == name).unwrap().1.into_owned();
    assert_eq!(value("state"), login.state());

    // token(code)
    let token = login.finish_with_code(&app, value("code")).await.unwrap();
    let refresh_token = token.refresh_token().unwrap().to_owned();
    assert_eq!(token.scope(), Some("read write"));

    // refresh(refresh_token), by itself, an hour later
    let session = Session::builder(app.clone()).token(token).build();
    let http = world.http(&session);
    for renewals in 0..3 {
        assert_eq!(world.get(&http).await.unwrap(), 200);
        assert_eq!(session.current_token().unwrap().refresh_token(), Some(&*refresh_token));
        assert_eq!(world.provider.counts().token_requests, 1 + renewals);
        world.clock.forward(3600.0);
    }
    let request = world.provider.token_requests().pop().unwrap();
    assert_eq!(request.authorization, None);
    assert_eq!(request.param("client_secret"), Some("potato"));
    assert_eq!(request.param("refresh_token"), Some(&*refresh_token));

    // An error as it comes.
    world.provider.fail_always(Fault::Reply {
        status: 400,
        content_type: "application/json".to_owned(),
        body: r#"{"error":"invalid_grant","error_description":"The provided authorization grant is invalid","error_uri":""}"#.to_owned(),
    });
    let error = session.refresh().await.unwrap_err();
    assert!(error.is_reauthorization_required());
    assert_eq!((error.error_code(), error.error_uri()), (Some("invalid_grant"), None));
    assert_eq!(error.error_description(), Some("The provided authorization grant is invalid"));
}
