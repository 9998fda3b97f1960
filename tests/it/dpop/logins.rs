//! The key of a login: from its beginning, through the store, to another process.

use reqwest_oauth2::{OAuthClient, PendingLogin, Session, Token};
use serde_json::{Value, json};
use url::Url;

use super::{Proof, client, token_proofs};
use crate::support::{World, pass, plain_http, token as stored};

fn app(world: &World) -> OAuthClient {
    let app = client(world).authorization_endpoint(world.provider.authorize_url()).unwrap();
    let app = app.device_authorization_endpoint(world.provider.device_authorization_url()).unwrap();
    app.dpop()
}

/// What the browser brings back.
pub async fn callback(login: &PendingLogin) -> String {
    let http = reqwest::Client::builder().no_proxy();
    let http = http.redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let response = http.get(login.url()).send().await.unwrap();
    response.headers()["location"].to_str().unwrap().to_owned()
}

pub fn param(url: &str, name: &str) -> Option<String> {
    let url: Url = url.parse().unwrap();
    url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

#[tokio::test]
async fn r9449_10_a_the_code_is_bound_to_the_key_of_the_login() {
    let world = World::with(|p| p.redirect_uri("https://app.example/cb")).await;
    let request = app(&world).authorization_code("https://app.example/cb").unwrap();
    let login = request.begin().unwrap();
    let jkt = param(login.url(), "dpop_jkt").unwrap();
    assert_ne!(param(request.begin().unwrap().url(), "dpop_jkt").unwrap(), jkt);
    // Another process takes the callback.
    let kept = serde_json::to_string(&login).unwrap();
    let login: PendingLogin = serde_json::from_str(&kept).unwrap();
    let callback = callback(&login).await;
    let token = login.finish(&app(&world), &callback).await.unwrap();
    assert_eq!((token.dpop_thumbprint(), token.token_type()), (Some(&*jkt), "DPoP"));

    // Somebody else's key is of no use.
    let mut login = serde_json::to_value(request.begin().unwrap()).unwrap();
    let other = reqwest_oauth2::SigningKey::generate().unwrap();
    login["dpop_key"] = other.to_pem().unwrap().into();
    let login: PendingLogin = serde_json::from_value(login).unwrap();
    let callback = self::callback(&login).await;
    let error = login.finish(&app(&world), &callback).await.unwrap_err();
    assert_eq!(error.error_code(), Some("invalid_grant"));

    let error = app(&world).authorization_code("https://app.example/cb").unwrap();
    let error = error.extra_param("dpop_jkt", "x").begin().unwrap_err();
    assert!(error.is_config());
    let bearer = client(&world).authorization_endpoint(world.provider.authorize_url()).unwrap();
    let login = bearer.authorization_code("https://app.example/cb").unwrap().begin().unwrap();
    assert_eq!(param(login.url(), "dpop_jkt"), None);
}

#[tokio::test]
async fn each_poll_of_a_device_login_has_the_same_key() {
    let world = World::with(|p| p.device_interval(None)).await;
    let mut login = app(&world).device_authorization().begin().await.unwrap();
    let user_code = login.user_code().to_owned();
    let waiting = tokio::spawn(async move { login.wait().await });
    tokio::task::yield_now().await;
    pass(5).await;
    world.provider.wait_for_token_requests(1).await;
    world.round_trips().await;
    world.provider.approve_device(&user_code);
    pass(5).await;
    let token = waiting.await.unwrap().unwrap();
    let proofs = token_proofs(&world.provider);
    assert_eq!(proofs.len(), 2);
    assert_eq!(proofs[0].key(), proofs[1].key());
    assert!(token.dpop_thumbprint().is_some());
}

#[tokio::test]
async fn the_key_is_saved_with_the_token_and_used_by_another_process() {
    let world = World::with(|p| p.public_client("foo")).await;
    let public = || {
        let app = OAuthClient::new("foo", world.provider.token_url()).unwrap();
        app.dpop().clock(world.clock.reader())
    };
    let token = public().password("johndoe", "A3ddj3w").send().await.unwrap();
    let json: Value = serde_json::to_value(&token).unwrap();
    assert_eq!(json["dpop_jkt"], token.dpop_thumbprint().unwrap());
    assert!(json["dpop_key"].as_str().unwrap().starts_with("-----BEGIN PRIVATE KEY-----"));
    assert_eq!(json["token_type"], "DPoP");
    let key = json["dpop_key"].as_str().unwrap().lines().nth(1).unwrap();
    assert!(!format!("{token:?}").contains(key));

    // The provider takes the refresh token of a public client with its key alone.
    let restored: Token = serde_json::from_value(json.clone()).unwrap();
    assert_eq!(serde_json::to_value(&restored).unwrap(), json);
    let session = Session::builder(public()).token(restored).build();
    let renewed = session.refresh().await.unwrap();
    assert_eq!(renewed.dpop_thumbprint(), token.dpop_thumbprint());
    let keys: Vec<String> = token_proofs(&world.provider).iter().map(Proof::key).collect();
    assert!(keys.iter().all(|key| *key == keys[0]));
    let mut stolen = serde_json::to_value(&renewed).unwrap();
    stolen.as_object_mut().unwrap().retain(|name, _| !name.starts_with("dpop"));
    let thief = Session::builder(public()).token(stored(&stolen)).build();
    assert_eq!(thief.refresh().await.unwrap_err().error_code(), Some("invalid_grant"));
}

#[test]
fn a_stored_token_of_type_dpop_loads() {
    let pem = include_str!("../../../src/keys/test_keys/ec.pem");
    let other = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I";
    let load = |members: Value| {
        let mut json = json!({"access_token": "at", "refresh_token": "rt", "token_type": "DPoP"});
        json.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        serde_json::from_value::<Token>(json)
    };
    let key = reqwest_oauth2::SigningKey::from_pem(pem).unwrap();
    let jkt = key.thumbprint();
    for (members, thumbprint) in [
        (json!({}), None),
        (json!({"dpop_key": pem}), Some(jkt)),
        (json!({"dpop_key": pem, "dpop_jkt": jkt}), Some(jkt)),
        (json!({"dpop_key": null, "dpop_jkt": other}), Some(other)),
    ] {
        let token = load(members).unwrap();
        assert_eq!((token.token_type(), token.access_token()), ("DPoP", "at"));
        assert_eq!(token.dpop_thumbprint(), thumbprint);
        assert!(token.extra().is_empty());
    }
    for (members, message) in [
        (
            json!({"dpop_key": pem, "dpop_jkt": other}),
            "the key of a stored token (dpop_key) is not the one that dpop_jkt names",
        ),
        (json!({"dpop_key": "s3cret"}), "the key of a stored token (dpop_key) cannot be read"),
        (json!({"dpop_key": {"d": "s3cret"}}), "a stored token's dpop_jkt and dpop_key are text"),
    ] {
        assert_eq!(load(members).unwrap_err().to_string(), message);
    }
    let given = Token::new("at").unwrap().with_dpop_key(key.clone());
    assert_eq!((given.token_type(), given.dpop_thumbprint()), ("DPoP", Some(jkt)));
    assert_eq!(given.access_token(), "at");
}

#[tokio::test]
async fn an_introspection_names_the_key() {
    let world = World::new().await;
    let app = app(&world).introspection_endpoint(world.provider.introspection_url()).unwrap();
    let token = app.token_request("client_credentials").send().await.unwrap();
    let hint = reqwest_oauth2::TokenTypeHint::AccessToken;
    let answer = app.introspect(token.access_token(), hint).await.unwrap();
    assert_eq!(answer.dpop_thumbprint(), token.dpop_thumbprint());
    assert!(answer.dpop_thumbprint().is_some());
    let bearer = world.token();
    let answer = app.introspect(bearer.access_token(), hint).await.unwrap();
    assert_eq!(answer.dpop_thumbprint(), None);
    drop(plain_http());
}
