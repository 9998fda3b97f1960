//! Proofs of pushed authorization requests
//! ([RFC 9449 §10.1](https://www.rfc-editor.org/rfc/rfc9449#section-10.1)).

use reqwest_oauth2::testing::{DpopNonces, DpopRules, Fault, RecordedTokenRequest};
use reqwest_oauth2::{Error, OAuthClient, PendingLogin, ProviderRequest, RequestKind};

use super::{Proof, assert_all_differ, client, each_answer, lasting, nonces, rules, token_proofs};
use crate::login::browse;
use crate::support::{World, plain_http};

const REDIRECT_URI: &str = "https://app.example/cb";

async fn world(rules: DpopRules) -> World {
    World::with(|p| p.redirect_uri(REDIRECT_URI).dpop(rules)).await
}

fn app(world: &World) -> OAuthClient {
    let app = client(world).authorization_endpoint(world.provider.authorize_url()).unwrap();
    let url = world.provider.pushed_authorization_request_url();
    app.pushed_authorization_request_endpoint(url).unwrap().dpop()
}

async fn push(app: &OAuthClient) -> Result<PendingLogin, Error> {
    app.authorization_code(REDIRECT_URI).unwrap().push().await
}

/// The proofs of the pushed requests, in order.
fn proofs(world: &World) -> Vec<Proof> {
    let requests = world.provider.pushed_authorization_requests();
    requests.iter().map(|request| Proof::read(request.dpop.as_deref())).collect()
}

#[tokio::test]
async fn r9449_10_a_a_nonce_that_is_asked_for_costs_one_request_and_serves_the_token_request_too() {
    for rules in [lasting(), each_answer()] {
        let is_lasting = rules == lasting();
        let world = world(rules).await;
        let app = app(&world);
        let login = push(&app).await.unwrap();
        let callback = browse(login.url()).await;
        let token = login.finish(&app, callback).await.unwrap();
        assert_eq!(token.token_type(), "DPoP");
        let (pushed, exchanged) = (proofs(&world), token_proofs(&world.provider));
        let (first, second) = if is_lasting { (0, 0) } else { (1, 2) };
        let nonce = |number| format!("nonce-of-the-token-endpoint-{number}");
        assert_eq!(nonces(&pushed), [None, Some(&*nonce(first))]);
        assert_eq!(nonces(&exchanged), [Some(&*nonce(second))]);
        assert_all_differ(&pushed);
        let url = world.provider.pushed_authorization_request_url();
        for proof in &pushed {
            assert_eq!((proof.claim("htu"), proof.claim("htm")), (Some(&*url), Some("POST")));
            assert_eq!(proof.key(), exchanged[0].key());
        }
        // From now on each costs one request.
        let _ = push(&app).await.unwrap();
        assert_eq!(proofs(&world).len(), 3);
    }
}

#[tokio::test]
async fn r9449_10_a_the_code_is_bound_to_the_key_of_the_proof() {
    let world = world(DpopRules::default()).await;
    let app = app(&world)
        .shape_requests(RequestKind::PushedAuthorization, |request: ProviderRequest| async move {
            Ok(request.rename("dpop_jkt", "own"))
        });
    let login = push(&app).await.unwrap();
    let pushed = world.provider.pushed_authorization_requests().pop().unwrap();
    assert_eq!(pushed.param("dpop_jkt"), None);
    let mut other = serde_json::to_value(&login).unwrap();
    let key = reqwest_oauth2::SigningKey::generate().unwrap();
    other["dpop_key"] = key.to_pem().unwrap().into();
    let other: PendingLogin = serde_json::from_value(other).unwrap();
    let callback = browse(login.url()).await;
    let error = other.finish(&app, &callback).await.unwrap_err();
    assert_eq!(error.error_code(), Some("invalid_grant"));
    let login = push(&app).await.unwrap();
    let callback = browse(login.url()).await;
    assert!(login.finish(&app, callback).await.is_ok());
}

/// Sends what was recorded, with this body.
async fn again(world: &World, recorded: &RecordedTokenRequest, body: String) -> (u16, String) {
    let request = plain_http()
        .post(world.provider.pushed_authorization_request_url())
        .header("dpop", recorded.dpop.clone().unwrap())
        .header("authorization", recorded.authorization.clone().unwrap())
        .header("content-type", "application/x-www-form-urlencoded")
        .body(body);
    let response = request.send().await.unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

fn body(recorded: &RecordedTokenRequest) -> String {
    String::from_utf8(recorded.body.clone()).unwrap()
}

#[tokio::test]
async fn the_provider_takes_a_proof_by_the_key_that_is_named_and_once() {
    let world = world(DpopRules::default()).await;
    let app = app(&world);
    for (other_key, expected) in [(true, (400, "invalid_request")), (false, (201, "request_uri"))] {
        // It was not looked at.
        world.provider.fail_next_pushed_request(Fault::Status(503));
        push(&app).await.unwrap_err();
        let pushed = world.provider.pushed_authorization_requests().pop().unwrap();
        let jkt = pushed.param("dpop_jkt").unwrap();
        let other = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I";
        let body = if other_key { body(&pushed).replace(jkt, other) } else { body(&pushed) };
        let (status, text) = again(&world, &pushed, body).await;
        assert_eq!(status, expected.0);
        assert!(text.contains(expected.1), "{text}");
    }
    let pushed = world.provider.pushed_authorization_requests().pop().unwrap();
    let (status, text) = again(&world, &pushed, body(&pushed)).await;
    assert!(status == 400 && text.contains("invalid_dpop_proof"), "{text}");
    assert_eq!(world.provider.counts().replayed_proofs, 1);
    // Nor one for another endpoint.
    world.provider.fail_next(Fault::Status(503));
    app.token_request("client_credentials").send().await.unwrap_err();
    let of_token = world.provider.token_requests().pop().unwrap();
    let (status, text) = again(&world, &of_token, body(&pushed)).await;
    assert!(status == 400 && text.contains("invalid_dpop_proof"), "{text}");
    assert_eq!(world.provider.counts().replayed_proofs, 1);
}

#[tokio::test]
async fn a_server_that_asks_for_ever_costs_one_retry() {
    for (asks_without_nonce, requests) in [(false, 2), (true, 1)] {
        let world = world(rules(|rules| {
            rules.nonces = DpopNonces::EachAnswer { window: 1 };
            rules.always_asks = true;
            rules.asks_without_nonce = asks_without_nonce;
        }))
        .await;
        let app = app(&world);
        let error = push(&app).await.unwrap_err();
        assert_eq!(error.error_code(), Some("use_dpop_nonce"));
        assert!(error.is_transient() && !error.is_reauthorization_required());
        assert_eq!(proofs(&world).len(), requests);
        world.provider.set_dpop(each_answer());
        let _ = push(&app).await.unwrap();
    }
}

#[tokio::test]
async fn a_clock_that_is_wrong_by_minutes_is_learned_from_date() {
    let world = world(rules(|rules| rules.clock_ahead = 420)).await;
    let _ = push(&app(&world)).await.unwrap();
    let times: Vec<u64> =
        proofs(&world).iter().map(|proof| proof.claims["iat"].as_u64().unwrap()).collect();
    assert_eq!(times[1] - times[0], 420);
    assert_eq!(times.len(), 2);
}

#[tokio::test]
async fn a_request_without_a_proof_is_pushed_as_before() {
    let world = world(rules(|rules| rules.nonces = DpopNonces::EachAnswer { window: 1 })).await;
    let bearer = client(&world).authorization_endpoint(world.provider.authorize_url()).unwrap();
    let url = world.provider.pushed_authorization_request_url();
    let _ = push(&bearer.pushed_authorization_request_endpoint(url).unwrap()).await.unwrap();
    let pushed = world.provider.pushed_authorization_requests();
    assert_eq!((pushed.len(), &pushed[0].dpop), (1, &None));
}
