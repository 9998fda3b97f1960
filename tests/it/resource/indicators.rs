//! Resource indicators (RFC 8707).

use reqwest_oauth2::store::{MemoryStore, TokenKey, TokenStore as _};
use reqwest_oauth2::{ClientCredentials, OAuthClient, Session};
use std::sync::Arc;

use crate::login::browse;
use crate::support::{World, pass};

const CALLBACK: &str = "https://me.example/cb";

async fn world() -> World {
    World::with(|p| p.redirect_uri(CALLBACK).require_resource(true)).await
}

async fn app(world: &World) -> OAuthClient {
    let app = OAuthClient::discover(world.provider.issuer(), "foo").await.unwrap();
    app.secret("potato").clock(world.clock.reader())
}

/// The resources in each token request.
fn resources(world: &World) -> Vec<Vec<String>> {
    let of = |params: Vec<(String, String)>| {
        params.into_iter().filter(|(name, _)| name == "resource").map(|(_, value)| value).collect()
    };
    world.provider.token_requests().into_iter().map(|request| of(request.params)).collect()
}

#[tokio::test]
async fn c8707_2_1_and_mcp_res_a_every_request_of_a_login_names_the_resource() {
    let world = world().await;
    let api = world.provider.api_url();
    let app = app(&world).await.resource(&api);
    let login = app.authorization_code(CALLBACK).unwrap().begin().unwrap();
    assert_eq!(login.url().matches("resource=").count(), 1);
    let callback = browse(login.url()).await;
    let token = login.finish(&app, callback).await.unwrap();
    let session = Session::builder(app.clone()).token(token).clock(world.clock.reader()).build();
    session.refresh().await.unwrap();
    session.refresh().await.unwrap();
    let service = Session::builder(app.clone()).grant(ClientCredentials::new()).build();
    service.token().await.unwrap();
    let mut device = app.device_authorization().begin().await.unwrap();
    assert!(world.provider.approve_device(device.user_code()));
    let waiting = tokio::spawn(async move { device.wait().await });
    world.plain_turns().await;
    pass(5).await;
    waiting.await.unwrap().unwrap();
    assert_eq!(resources(&world), vec![vec![api.clone()]; 5]);
    assert_eq!(world.provider.device_requests()[0].param("resource"), Some(&*api));
    // Without it nothing is granted.
    let bare = self::app(&world).await;
    let login = bare.authorization_code(CALLBACK).unwrap().begin().unwrap();
    let callback = browse(login.url()).await;
    let error = login.finish(&bare, callback).await.unwrap_err();
    assert_eq!(error.error_code(), Some("invalid_target"));
}

#[tokio::test]
async fn c8707_2_2_a_several_resources_and_a_request_of_its_own() {
    let world = World::new().await;
    let app = world.app().resource("https://a.example/").resource("urn:example:b");
    let request = || app.token_request("client_credentials");
    request().send().await.unwrap();
    request().extra_param("resource", "https://c.example/").send().await.unwrap();
    request().param("resource", "https://d.example/").send().await.unwrap();
    assert_eq!(
        resources(&world),
        [
            vec!["https://a.example/", "urn:example:b"],
            vec!["https://c.example/"],
            vec!["https://d.example/"]
        ]
    );
}

#[tokio::test]
async fn c8707_2_a_a_resource_that_is_none_is_not_sent() {
    let world = world().await;
    for resource in ["https://api.example/#a", "/api", "", "a b"] {
        let app = app(&world).await.resource(resource);
        let error = app.token_request("client_credentials").send().await.unwrap_err();
        assert!(error.is_config(), "{resource:?}: {error}");
        assert!(app.authorization_code(CALLBACK).unwrap().begin().unwrap_err().is_config());
        assert!(app.device_authorization().begin().await.unwrap_err().is_config());
    }
    assert_eq!(world.provider.counts().token_requests, 0);
}

#[tokio::test]
async fn a_stored_login_is_that_of_its_resource() {
    let world = World::new().await;
    let store = Arc::new(MemoryStore::new());
    let session = |resource: &str| {
        let app = world.app().resource(resource).clock(world.clock.reader());
        Session::builder(app).store(store.clone(), "alice").build()
    };
    let (one, other) = (session("https://a.example/"), session("https://b.example/"));
    one.set_token(world.token()).await.unwrap();
    assert!(other.token().await.unwrap_err().is_reauthorization_required());
    let key = TokenKey::new(&world.provider.token_url(), "foo", "alice");
    assert!(store.load(&key).await.unwrap().is_none());
    assert!(store.load(&key.resource("https://a.example/")).await.unwrap().is_some());
    assert!(session("https://a.example/").token().await.is_ok());
}
