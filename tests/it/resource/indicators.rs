//! Resource indicators (RFC 8707).

use reqwest_oauth2::store::{MemoryStore, TokenKey, TokenStore as _};
use reqwest_oauth2::{Asked, Authorized, ClientCredentials, OAuthClient, RequestOptions, Session};
use std::sync::{Arc, Mutex};

use crate::login::browse;
use crate::support::{World, pass, plain_http};

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

/// What the API got, and what a session that logs in by itself sent: one request with these options, answered
/// with these challenges and then with 200.
async fn sent_by_challenge(
    world: &World,
    options: RequestOptions,
    challenges: &[(u16, &str)],
) -> (u16, Vec<Option<String>>) {
    let hook = |asked: Asked| async move {
        let found = asked.discover().await?;
        let client = found.for_resource(found.provider.client("foo").secret("potato"));
        let request = client.authorization_code(CALLBACK)?;
        let request =
            asked.scope().into_iter().fold(request, |request, scope| request.scope(scope));
        let pending = request.begin()?;
        let callback = browse(pending.url()).await;
        let token = pending.finish(&client, callback).await?;
        Ok(Authorized::new(client, token))
    };
    let builder = Session::on_challenge(world.provider.api_url(), hook).unwrap();
    let session = builder.clock(world.clock.reader()).build();
    let (seen, left) = (Mutex::new(Vec::new()), Mutex::new(challenges.iter()));
    let api = |request: reqwest::Request| {
        let bearer = request.headers().get("authorization").map(|value| value.to_str().unwrap());
        let token = bearer.and_then(|text| text.strip_prefix("Bearer ")).map(str::to_owned);
        seen.lock().unwrap().push(token);
        let next = left.lock().unwrap().next();
        let (status, challenge) = next.map_or((200, None), |(status, text)| (*status, Some(*text)));
        let response = super::answer(&request, status, challenge);
        async move { Ok::<_, std::convert::Infallible>(response) }
    };
    let request = plain_http().get(world.provider.api_url()).build().unwrap();
    let response = session.api().execute_with(api, request, options).await.unwrap();
    (response.status().as_u16(), seen.into_inner().unwrap())
}

#[tokio::test]
async fn c8707_2_2_a_request_of_its_own_resource_is_sent_again_with_a_token_for_that() {
    const OTHER: &str = "https://other.example/";
    let world = World::with(|p| p.redirect_uri(CALLBACK).registration(true)).await;
    let options = RequestOptions::new().resource(OTHER).unwrap();
    let challenges = [(401, "Bearer scope=\"read write\"")];
    let (status, seen) = sent_by_challenge(&world, options.clone(), &challenges).await;
    assert_eq!(status, 200);
    let [None, Some(token)] = &seen[..] else { panic!("{seen:?}") };
    assert_eq!(world.provider.resources_of(token), [OTHER]);
    // A wider login makes it wider too.
    let challenges = [
        (401, "Bearer scope=read"),
        (403, "Bearer error=insufficient_scope, scope=\"read write\""),
    ];
    let (status, seen) = sent_by_challenge(&world, options, &challenges).await;
    assert_eq!(status, 200);
    let [None, Some(narrow), Some(wide)] = &seen[..] else { panic!("{seen:?}") };
    assert_ne!(narrow, wide);
    assert_eq!(world.provider.resources_of(wide), [OTHER]);
    assert_eq!(world.provider.counts().authorizations, 1 + 2);
}

#[tokio::test]
async fn a_request_of_a_narrower_scope_is_never_sent_with_a_wider_one() {
    let world = World::with(|p| p.redirect_uri(CALLBACK).registration(true)).await;
    let options = RequestOptions::new().scope("read").unwrap();
    let challenges = [
        (401, "Bearer scope=\"read write\""),
        (403, "Bearer error=insufficient_scope, scope=\"read write\""),
    ];
    let (status, seen) = sent_by_challenge(&world, options, &challenges).await;
    // No login makes that token wider, so nobody is asked.
    assert_eq!(status, 403);
    let [None, Some(token)] = &seen[..] else { panic!("{seen:?}") };
    assert!(world.provider.accepts_access_token(token));
    let scopes = world.provider.token_requests();
    let scopes: Vec<_> = scopes.iter().map(|request| request.param("scope")).collect();
    assert_eq!(scopes, [None, Some("read")]);
    assert_eq!(world.provider.counts().authorizations, 1);
}
