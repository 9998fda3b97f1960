//! Proofs of token requests.

use std::time::{Duration, UNIX_EPOCH};

use reqwest_oauth2::testing::Fault;
use reqwest_oauth2::{
    ClientCredentials, JwtBearer, OAuthClient, Session, SigningAlgorithm, SigningKey,
    TokenExchange, TypedToken,
};
use serde_json::json;

use super::{Proof, assert_all_differ, client, rules, token_proofs};
use crate::support::{World, pass};

fn seconds(world: &World) -> u64 {
    world.clock.now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

#[tokio::test]
async fn r9449_4_2_a_and_4_2_b_a_proof_has_what_the_rfc_asks_for() {
    let world = World::new().await;
    let url = world.provider.token_url();
    for algorithm in [SigningAlgorithm::Es256, SigningAlgorithm::EdDsa, SigningAlgorithm::Ps256] {
        let key = SigningKey::generate_for(algorithm).unwrap().with_key_id("not for proofs");
        let app = OAuthClient::new("foo", format!("{url}?tenant=a")).unwrap().secret("potato");
        let app = app.dpop_key(key.clone()).clock(world.clock.reader());
        let token = app.token_request("client_credentials").send().await.unwrap();
        assert_eq!(token.token_type(), "DPoP");
        let proof = token_proofs(&world.provider).pop().unwrap();
        let mut public = key.public_jwk();
        for more in ["alg", "use", "kid"] {
            public.remove(more);
        }
        assert_eq!(
            proof.header,
            json!({"typ": "dpop+jwt", "alg": algorithm.name(), "jwk": public})
        );
        assert!(!public.contains_key("d"));
        // 128 bits.
        assert_eq!(proof.claim("jti").unwrap().len(), 22);
        let jti = proof.claims["jti"].clone();
        assert_eq!(
            proof.claims,
            json!({"jti": jti, "htm": "POST", "htu": url, "iat": seconds(&world)})
        );
    }
}

#[tokio::test]
async fn r9449_5_a_each_grant_has_a_proof_and_a_refresh_keeps_the_key() {
    let world = World::new().await;
    let app = client(&world).dpop();
    let context_free = |grant| Session::builder(app.clone()).grant(grant).build();
    let assertion = || async { Ok::<_, std::io::Error>("signed".to_owned()) };
    let subject = world.token().access_token().to_owned();
    let subject = move || {
        let subject = subject.clone();
        async move { Ok::<_, std::io::Error>(TypedToken::access_token(subject)) }
    };
    let mut tokens = vec![
        context_free(ClientCredentials::new()).token().await.unwrap(),
        Session::builder(app.clone())
            .grant(JwtBearer::new(assertion))
            .build()
            .token()
            .await
            .unwrap(),
        Session::builder(app.clone())
            .grant(TokenExchange::new(subject))
            .build()
            .token()
            .await
            .unwrap(),
    ];
    tokens.push(app.password("johndoe", "A3ddj3w").send().await.unwrap());
    let proofs = token_proofs(&world.provider);
    assert_eq!(proofs.len(), 4);
    let mut keys: Vec<String> = proofs.iter().map(Proof::key).collect();
    keys.dedup();
    assert_eq!(keys.len(), 4, "each login has a key of its own");

    let token = tokens.pop().unwrap();
    let session = Session::builder(app).token(token.clone()).clock(world.clock.reader()).build();
    for _ in 0..2 {
        let renewed = session.refresh().await.unwrap();
        assert_eq!(renewed.dpop_thumbprint(), token.dpop_thumbprint());
        assert_eq!(renewed.token_type(), "DPoP");
    }
    let proofs = token_proofs(&world.provider);
    assert_eq!(proofs.len(), 6);
    assert!(proofs[4..].iter().all(|proof| proof.key() == keys[3]));
    assert_all_differ(&proofs);
}

#[tokio::test]
async fn r9449_5_b_a_bearer_token_is_refused_and_its_refresh_token_kept() {
    let world = World::with(|p| p.dpop(rules(|rules| rules.issues_bearer = true))).await;
    let app = client(&world).dpop();
    let error = app.token_request("client_credentials").send().await.unwrap_err();
    assert!(error.is_malformed_response() && error.is_transient());
    assert_eq!(
        error.to_string(),
        "the token endpoint's response (status 200 OK) cannot be used: its token is a bearer token, not bound to the key (OAuthClient::or_bearer accepts that)"
    );

    // A login that was bound: the provider has replaced its refresh token all the same.
    world.provider.set_dpop(rules(|_| {}));
    let token = app.password("johndoe", "A3ddj3w").send().await.unwrap();
    world.provider.set_dpop(rules(|rules| rules.issues_bearer = true));
    let session = world
        .session()
        .token(token.clone())
        .backoff(Duration::from_secs(1), Duration::from_secs(1))
        .build();
    session.refresh().await.unwrap_err();
    world.provider.set_dpop(rules(|_| {}));
    pass(600).await;
    let renewed = session.refresh().await.unwrap();
    assert_eq!(renewed.dpop_thumbprint(), token.dpop_thumbprint());
    assert_eq!((world.provider.counts().reuse_detected, world.provider.counts().refreshes), (0, 2));
}

#[tokio::test]
async fn a_bearer_token_is_accepted_by_choice_and_the_login_keeps_its_key() {
    let world = World::with(|p| p.dpop(rules(|rules| rules.issues_bearer = true))).await;
    let app = client(&world).dpop().or_bearer();
    let token = app.password("johndoe", "A3ddj3w").send().await.unwrap();
    assert_eq!(token.token_type(), "Bearer");
    let session = Session::builder(app).token(token.clone()).build();
    let first = session.refresh().await.unwrap();
    assert_eq!(first.token_type(), "Bearer");
    world.provider.set_dpop(rules(|_| {}));
    let second = session.refresh().await.unwrap();
    assert_eq!(second.token_type(), "DPoP");
    let keys = token_proofs(&world.provider).iter().map(Proof::key).collect::<Vec<_>>();
    assert!(keys.iter().all(|key| *key == keys[0]), "{keys:?}");
    assert_eq!(second.dpop_thumbprint(), token.dpop_thumbprint());
}

#[tokio::test]
async fn a_token_for_another_key_is_refused() {
    let world = World::with(|p| p.dpop(rules(|rules| rules.wrong_key = true))).await;
    let error = client(&world).dpop().token_request("client_credentials").send().await.unwrap_err();
    assert!(error.is_malformed_response());
    assert!(error.to_string().ends_with("its token is bound to another key (cnf.jkt)"), "{error}");
}

#[tokio::test]
async fn without_the_choice_there_is_no_proof_and_no_bound_token() {
    let world = World::new().await;
    client(&world).token_request("client_credentials").send().await.unwrap();
    assert_eq!(world.provider.token_requests()[0].dpop, None);
    let body = r#"{"access_token": "at", "token_type": "DPoP"}"#.to_owned();
    let content_type = "application/json".to_owned();
    world.provider.fail_next(Fault::Reply { status: 200, content_type, body });
    let error = client(&world).token_request("client_credentials").send().await.unwrap_err();
    assert!(error.is_malformed_response() && error.to_string().contains("\"DPoP\""), "{error}");
}

#[tokio::test]
async fn a_login_with_bearer_tokens_gets_a_key_when_it_is_renewed() {
    let world = World::new().await;
    let app = client(&world).dpop();
    let session = Session::builder(app).token(world.token()).clock(world.clock.reader()).build();
    assert_eq!(session.token().await.unwrap().dpop_thumbprint(), None);
    let bound = session.refresh().await.unwrap();
    assert_eq!(bound.token_type(), "DPoP");
    let next = session.refresh().await.unwrap();
    assert_eq!(next.dpop_thumbprint(), bound.dpop_thumbprint());
}

#[tokio::test]
async fn a_clock_that_is_wrong_by_minutes_is_learned_from_date() {
    for ahead in [-420, 420] {
        let world = World::with(|p| p.dpop(rules(|rules| rules.clock_ahead = ahead))).await;
        let app = client(&world).dpop();
        app.token_request("client_credentials").send().await.unwrap();
        assert_eq!(world.provider.counts().token_requests, 2);
        app.token_request("client_credentials").send().await.unwrap();
        assert_eq!(world.provider.counts().token_requests, 3);
        let proofs = token_proofs(&world.provider);
        let times = proofs.iter().map(|proof| proof.claims["iat"].as_u64().unwrap());
        let now = seconds(&world);
        let right = now.saturating_add_signed(ahead);
        assert_eq!(times.collect::<Vec<_>>(), [now, right, right]);
    }
}

#[tokio::test]
async fn an_absurd_date_is_not_believed() {
    for date in ["Thu, 01 Jan 1970 00:00:00 GMT", "Fri, 31 Dec 9999 23:59:59 GMT", "soon", ""] {
        let world = World::with(|p| {
            p.dpop(rules(|rules| {
                rules.clock_ahead = 420;
                rules.date = Some(date.to_owned());
            }))
        })
        .await;
        let app = client(&world).dpop();
        let error = app.token_request("client_credentials").send().await.unwrap_err();
        assert_eq!(error.error_code(), Some("invalid_dpop_proof"));
        assert!(!error.is_reauthorization_required());
        assert_eq!(world.provider.counts().token_requests, 1, "{date}");
    }
}
