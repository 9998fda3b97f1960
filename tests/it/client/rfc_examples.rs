//! Published examples of the RFCs, as the provider gets them; and what providers' refusals become.

use reqwest_oauth2::testing::Fault;
use reqwest_oauth2::{ClientCredentials, OAuthClient, Session, Token, TokenTypeHint};
use url::form_urlencoded;

use crate::support::World;

/// The examples' client.
fn app(world: &World) -> OAuthClient {
    OAuthClient::new("s6BhdRkqt3", world.provider.token_url()).unwrap().secret("gX1fBat3bV")
}

async fn world() -> World {
    World::with(|p| {
        p.client("s6BhdRkqt3", "gX1fBat3bV").redirect_uri("https://client.example.com/cb")
    })
    .await
}

/// The last token request's parameters, sorted, as the published ones.
#[track_caller]
fn assert_sent(world: &World, published: &str) {
    let sorted = |mut pairs: Vec<(String, String)>| {
        pairs.sort();
        pairs
    };
    let request = world.provider.token_requests().pop().unwrap();
    let published = form_urlencoded::parse(published.as_bytes()).into_owned().collect();
    assert_eq!(sorted(request.params), sorted(published));
    assert_eq!(request.authorization.as_deref(), Some("Basic czZCaGRSa3F0MzpnWDFmQmF0M2JW"));
}

#[tokio::test]
async fn token_requests_of_rfc_6749() {
    let world = world().await;
    let app = app(&world);
    // §4.1.3, §4.3.2, §4.4.2, §6; a dot may be written as %2E.
    let code = app.token_request("authorization_code").param("code", "SplxlOBeZQQYbYS6WxSbIA");
    let _ = code.param("redirect_uri", "https://client.example.com/cb").send().await;
    assert_sent(
        &world,
        "grant_type=authorization_code&code=SplxlOBeZQQYbYS6WxSbIA&redirect_uri=https%3A%2F%2Fclient%2Eexample%2Ecom%2Fcb",
    );
    app.password("johndoe", "A3ddj3w").send().await.unwrap();
    assert_sent(&world, "grant_type=password&username=johndoe&password=A3ddj3w");
    let session = Session::builder(app.clone()).grant(ClientCredentials::new()).build();
    session.token().await.unwrap();
    assert_sent(&world, "grant_type=client_credentials");
    let token =
        Token::new("2YotnFZFEjr1zCsicMWpAA").unwrap().with_refresh_token("tGzv3JOkF0XG5Qx2TlKWIA");
    let error = Session::builder(app).token(token).build().refresh().await.unwrap_err();
    assert_eq!(error.error_code(), Some("invalid_grant"));
    assert_sent(&world, "grant_type=refresh_token&refresh_token=tGzv3JOkF0XG5Qx2TlKWIA");
}

#[tokio::test]
async fn authorization_request_of_rfc_6749() {
    let world = world().await;
    let app = app(&world).authorization_endpoint(world.provider.authorize_url()).unwrap();
    let request = app.authorization_code("https://client.example.com/cb").unwrap();
    let login = request.pkce(reqwest_oauth2::Pkce::Off).begin().unwrap();
    let query = login.url().split_once('?').unwrap().1.replace(login.state(), "xyz");
    let pairs = |text: &str| -> std::collections::BTreeMap<String, String> {
        form_urlencoded::parse(text.as_bytes()).into_owned().collect()
    };
    assert_eq!(
        pairs(&query),
        pairs(
            "response_type=code&client_id=s6BhdRkqt3&state=xyz&redirect_uri=https%3A%2F%2Fclient%2Eexample%2Ecom%2Fcb"
        )
    );
}

#[tokio::test]
async fn revocation_and_introspection_requests_of_rfc_7009_and_7662() {
    let world = world().await;
    // The token endpoint stands in for the others, for it is the one that is captured.
    let app = app(&world)
        .revocation_endpoint(world.provider.token_url())
        .unwrap()
        .introspection_endpoint(world.provider.token_url())
        .unwrap();
    let _ = app.revoke("45ghiukldjahdnhzdauz", TokenTypeHint::RefreshToken).await;
    assert_sent(&world, "token=45ghiukldjahdnhzdauz&token_type_hint=refresh_token");
    let _ = app.introspect("mF_9.B5f-4.1JqM", TokenTypeHint::AccessToken).await;
    assert_sent(&world, "token=mF_9.B5f-4.1JqM&token_type_hint=access_token");
}

#[tokio::test]
async fn a_wider_scope_where_the_granted_one_is_unknown_is_the_providers_invalid_scope() {
    let world = World::new().await;
    let app = world.app().refresh_param("scope", "read write admin");
    let token = world.expired_token().with_scope("");
    let session = Session::builder(app).clock(world.clock.reader()).token(token).build();
    let error = session.refresh().await.unwrap_err();
    assert_eq!(error.error_code(), Some("invalid_scope"));
    assert!(!error.is_reauthorization_required());
}

#[tokio::test]
async fn a_method_of_proof_that_is_refused_is_not_given_up_for_another() {
    let world = world().await;
    world.provider.deny_next_authorization("invalid_request", Some("S256 is not supported"));
    let app = app(&world).authorization_endpoint(world.provider.authorize_url()).unwrap();
    let login = app.authorization_code("https://client.example.com/cb").unwrap().begin().unwrap();
    let callback = crate::login::browse(login.url()).await;
    assert_eq!(
        login.finish(&app, callback).await.unwrap_err().error_code(),
        Some("invalid_request")
    );
    assert_eq!(world.provider.counts().token_requests, 0);
}

#[tokio::test]
async fn every_other_refusal_ends_the_waiting_for_a_device() {
    for (status, code) in [
        (400, "access_denied"),
        (400, "expired_token"),
        (400, "invalid_grant"),
        (401, "invalid_client"),
        (400, "unsupported_grant_type"),
        (400, "something_else"),
    ] {
        let world = World::new().await;
        let app = world.app();
        let app =
            app.device_authorization_endpoint(world.provider.device_authorization_url()).unwrap();
        let mut login = app.device_authorization().begin().await.unwrap();
        world.provider.fail_always(Fault::OAuthError { status, code: code.to_owned() });
        let waiting = tokio::spawn(async move { login.wait().await });
        tokio::task::yield_now().await;
        crate::support::pass(5).await;
        assert_eq!(waiting.await.unwrap().unwrap_err().error_code(), Some(code));
        assert_eq!(world.provider.counts().token_requests, 1);
    }
}
