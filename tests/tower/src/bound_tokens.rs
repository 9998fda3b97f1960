//! Tokens that are bound to a key ([RFC 9449](https://www.rfc-editor.org/rfc/rfc9449)), through the layer.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::Full;
use reqwest_oauth2::testing::{DpopNonces, DpopRules};
use reqwest_oauth2::{Error, Session};
use serde_json::Value;
use tower::{Layer, ServiceExt, service_fn};

use crate::support::{World, get, hyper, post, send};

fn nonces(nonces: DpopNonces) -> DpopRules {
    let mut rules = DpopRules::default();
    rules.nonces = nonces;
    rules
}

/// What a proof says.
fn claims(proof: &str) -> Value {
    let payload = proof.split('.').nth(1).unwrap();
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

/// What the proofs said that the API was sent, in order. No two are the same, none was accepted twice, and each
/// came with its token.
fn proofs(world: &World) -> Vec<Value> {
    let requests = world.provider.api_requests();
    let proofs: Vec<Value> =
        requests.iter().map(|request| claims(request.dpop.as_deref().unwrap())).collect();
    let ids: BTreeSet<&str> = proofs.iter().map(|proof| proof["jti"].as_str().unwrap()).collect();
    assert_eq!((ids.len(), world.provider.counts().replayed_proofs), (proofs.len(), 0));
    for request in &requests {
        assert!(request.authorization.as_deref().unwrap().starts_with("DPoP "));
    }
    proofs
}

fn nonces_of(proofs: &[Value]) -> Vec<Option<&str>> {
    proofs.iter().map(|proof| proof.get("nonce").map(|nonce| nonce.as_str().unwrap())).collect()
}

#[tokio::test]
async fn each_request_has_a_proof_for_it_alone() {
    let world = World::new().await;
    let session = world.bound_session().await;
    let service = world.hyper(&session);
    let url = world.provider.api_url();
    for (method, path) in [(Method::GET, "/a%20b?x=1&y"), (Method::POST, ""), (Method::GET, "")] {
        let request = Request::builder().method(method).uri(format!("{url}{path}"));
        let response = send(&service, request.body(Full::default()).unwrap()).await.unwrap();
        assert_eq!(response.status(), 200);
    }
    let proofs = proofs(&world);
    let about = |proof: &Value| [proof["htm"].clone(), proof["htu"].clone()];
    assert_eq!(
        proofs.iter().map(about).collect::<Vec<_>>(),
        [
            [Value::from("GET"), format!("{url}/a%20b").into()],
            [Value::from("POST"), url.clone().into()],
            [Value::from("GET"), url.into()],
        ]
    );
    assert!(proofs.iter().all(|proof| proof["ath"] == proofs[0]["ath"]));
    assert_eq!(world.token_requests(), 1);
}

#[tokio::test]
async fn a_nonce_that_is_asked_for_costs_one_request_and_no_renewal() {
    let world = World::new().await;
    let session = world.bound_session().await;
    let service = world.hyper(&session);
    world.provider.set_dpop(nonces(DpopNonces::Lasting));
    for _ in 0..2 {
        let request = post(world.provider.api_url(), "the body");
        assert_eq!(send(&service, request).await.unwrap().status(), 200);
    }
    world.provider.renew_dpop_nonces();
    let response = send(&service, get(world.provider.api_url())).await.unwrap();
    assert_eq!(response.status(), 200);
    let (first, second) = (Some("nonce-of-the-api-0"), Some("nonce-of-the-api-1000000"));
    assert_eq!(nonces_of(&proofs(&world)), [None, first, first, first, second]);
    assert!(world.provider.api_requests()[..3].iter().all(|one| one.body == b"the body"));
    assert_eq!(world.token_requests(), 1);
}

#[tokio::test]
async fn rotating_nonces_cost_no_request_and_a_replay_after_a_401_has_the_newest() {
    let world = World::new().await;
    let session = world.bound_session().await;
    let service = world.hyper(&session);
    world.provider.set_dpop(nonces(DpopNonces::EachAnswer { window: 1 }));
    let ask = async || send(&service, get(world.provider.api_url())).await.unwrap().status();
    for _ in 0..5 {
        assert_eq!(ask().await, 200);
    }
    // One too many, for the first nonce.
    assert_eq!(proofs(&world).len(), 6);
    world.provider.revoke_access_tokens();
    assert_eq!(ask().await, 200);
    assert_eq!(ask().await, 200);
    let proofs = proofs(&world);
    let expected: Vec<String> = (1..9).map(|number| format!("nonce-of-the-api-{number}")).collect();
    let expected: Vec<Option<&str>> = expected.iter().map(|nonce| Some(&**nonce)).collect();
    assert_eq!(nonces_of(&proofs)[1..], expected);
    // The request, its replay with another token, and the next one.
    assert_eq!(proofs[6]["ath"], proofs[0]["ath"]);
    assert_ne!(proofs[7]["ath"], proofs[6]["ath"]);
    assert_eq!(proofs[8]["ath"], proofs[7]["ath"]);
    assert_eq!(world.provider.counts().refreshes, 1);
}

#[tokio::test]
async fn a_server_that_asks_for_ever_costs_one_retry() {
    let world = World::new().await;
    let session = world.bound_session().await;
    let service = world.hyper(&session);
    let mut rules = nonces(DpopNonces::EachAnswer { window: 1 });
    rules.always_asks = true;
    world.provider.set_dpop(rules);
    for requests in [2, 4] {
        let response = send(&service, get(world.provider.api_url())).await.unwrap();
        assert_eq!(response.status(), 401);
        assert_eq!(proofs(&world).len(), requests);
    }
    assert_eq!(world.token_requests(), 1);
}

#[tokio::test]
async fn a_request_that_is_sent_once_leaves_its_nonce_to_the_next() {
    let world = World::new().await;
    let session = world.bound_session().await;
    let service = world.layer(&session).send_once().layer(hyper::<Full<Bytes>>());
    world.provider.set_dpop(nonces(DpopNonces::Lasting));
    for status in [401, 200] {
        let response = send(&service, get(world.provider.api_url())).await.unwrap();
        assert_eq!(response.status(), status);
    }
    assert_eq!(nonces_of(&proofs(&world)), [None, Some("nonce-of-the-api-0")]);
}

/// What the service below sees of a request.
async fn sent_to(session: &Session, origin: &str, server: Option<&str>, uri: &str) -> Value {
    let seen = Arc::new(Mutex::new(None));
    let keep = seen.clone();
    let below = service_fn(move |request: Request<String>| {
        *keep.lock().unwrap() = request.headers().get("dpop").cloned();
        std::future::ready(Ok::<_, Infallible>(Response::new(String::new())))
    });
    let layer = session.tower_layer([origin]).unwrap();
    let layer = match server {
        Some(server) => layer.connected_to(server).unwrap(),
        None => layer,
    };
    let request = Request::get(uri).body(String::new()).unwrap();
    layer.layer(below).oneshot(request).await.unwrap();
    let proof = seen.lock().unwrap().take().unwrap();
    assert!(proof.is_sensitive());
    claims(proof.to_str().unwrap())
}

#[tokio::test]
async fn a_proof_names_the_url_that_the_uri_becomes() {
    let world = World::new().await;
    let session = world.bound_session().await;
    let origin = "https://api.example";
    for (server, uri, url) in [
        (None, "https://api.example/x?y", "https://api.example/x"),
        (None, "https://API.example:443/x", "https://api.example/x"),
        (Some(origin), "/x?y", "https://api.example/x"),
        (Some(origin), "*", "https://api.example/"),
    ] {
        assert_eq!(sent_to(&session, origin, server, uri).await["htu"], url, "{uri}");
    }
}

#[tokio::test]
async fn a_token_whose_key_is_not_there_is_an_error() {
    let world = World::new().await;
    let token = world.bound_session().await.token().await.unwrap();
    let mut stored = serde_json::to_value(&token).unwrap();
    stored.as_object_mut().unwrap().remove("dpop_key");
    let session = world.session().token(serde_json::from_value(stored).unwrap()).build();
    let error = send(&world.hyper(&session), get(world.provider.api_url())).await.unwrap_err();
    assert!(error.downcast_ref::<Error>().unwrap().is_config(), "{error}");
    assert_eq!(world.provider.api_requests().len(), 0);
}
