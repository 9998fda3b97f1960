//! Revocation and introspection.

use std::time::Duration;

use reqwest::header::{ALLOW, RETRY_AFTER, WWW_AUTHENTICATE};
use reqwest_oauth2::testing::Provider;
use serde_json::json;

use crate::support::provider_requests::{
    Answer, Time, access, answer, assert_error, http, post, refresh, refresh_of, request,
};

async fn revoke(provider: &Provider, token: &str, hint: &str) {
    let params = [("token", token), ("token_type_hint", hint)];
    let response = post(provider.revocation_url(), &params).send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.text().await.unwrap(), "");
}

async fn introspect(provider: &Provider, token: &str) -> Answer {
    answer(post(provider.introspection_url(), &[("token", token)])).await
}

#[tokio::test]
async fn a_refresh_token_with_its_family() {
    let provider = Provider::start().await.unwrap();
    let (first, other) = (provider.log_in(), provider.log_in());
    let (_, second) = refresh(&provider, &refresh_of(&first)).await;
    revoke(&provider, &refresh_of(&second), "access_token").await;
    for json in [&first, &second] {
        assert!(!provider.accepts_access_token(&access(json)));
        assert!(!provider.accepts_refresh_token(&refresh_of(json)));
    }
    assert_eq!(refresh(&provider, &refresh_of(&second)).await.0, 400);
    assert!(provider.accepts_refresh_token(&refresh_of(&other)));
    let counts = provider.counts();
    assert_eq!((counts.revocations, counts.token_requests, counts.reuse_detected), (1, 2, 0));
}

/// It is not good any more: its revocation is done already (RFC 7009 §2.2).
#[tokio::test]
async fn a_retired_refresh_token_ends_nothing() {
    let time = Time::new();
    let builder = Provider::builder().clock(time.clock()).grace_period(Duration::from_secs(5));
    let provider = builder.start().await.unwrap();
    let first = provider.log_in();
    let (_, second) = refresh(&provider, &refresh_of(&first)).await;
    time.pass(5);
    revoke(&provider, &refresh_of(&first), "refresh_token").await;
    assert!(provider.accepts_refresh_token(&refresh_of(&second)));
    assert!(provider.accepts_access_token(&access(&second)));
    // While it is still answered it is good.
    let (_, third) = refresh(&provider, &refresh_of(&second)).await;
    time.pass(4);
    revoke(&provider, &refresh_of(&second), "refresh_token").await;
    assert!(!provider.accepts_refresh_token(&refresh_of(&third)));
}

#[tokio::test]
async fn an_access_token_alone() {
    let provider = Provider::start().await.unwrap();
    let first = provider.log_in();
    let (_, second) = refresh(&provider, &refresh_of(&first)).await;
    revoke(&provider, &access(&first), "").await;
    assert!(!provider.accepts_access_token(&access(&first)));
    assert!(provider.accepts_access_token(&access(&second)));
    assert!(provider.accepts_refresh_token(&refresh_of(&second)));
    revoke(&provider, "unknown", "").await;
    revoke(&provider, &access(&first), "refresh_token").await;
    assert_eq!(provider.counts().revocations, 3);
}

#[tokio::test]
async fn malformed_requests() {
    let provider = Provider::start().await.unwrap();
    let token = refresh_of(&provider.log_in());
    for url in [provider.revocation_url(), provider.introspection_url()] {
        assert_error(&answer(post(url.clone(), &[])).await, "invalid_request");
        let stranger = post(url.clone(), &[("token", &token)]).basic_auth("foo", Some("x"));
        let response = stranger.send().await.unwrap();
        assert_eq!(response.status(), 401);
        assert!(response.headers().contains_key(WWW_AUTHENTICATE));
        let response = http().get(url).send().await.unwrap();
        assert_eq!(response.status(), 405);
        assert_eq!(response.headers()[ALLOW], "POST");
    }
    assert!(provider.accepts_refresh_token(&token));
    assert_eq!(provider.counts().revocations, 2);
}

#[tokio::test]
async fn failing_revocation() {
    let provider = Provider::start().await.unwrap();
    let token = refresh_of(&provider.log_in());
    provider.fail_next_revocation(503, Some("7"));
    provider.fail_next_revocation(500, None);
    let send = || post(provider.revocation_url(), &[("token", &*token)]).send();
    let response = send().await.unwrap();
    assert_eq!(response.status(), 503);
    assert_eq!(response.headers()[RETRY_AFTER], "7");
    let response = send().await.unwrap();
    assert_eq!(response.status(), 500);
    assert!(!response.headers().contains_key(RETRY_AFTER));
    assert!(provider.accepts_refresh_token(&token));
    provider.fail_next_revocation(500, None);
    provider.clear_faults();
    assert_eq!(send().await.unwrap().status(), 200);
    assert!(!provider.accepts_refresh_token(&token));
    assert_eq!(provider.counts().revocations, 3);
}

#[tokio::test]
async fn introspection_of_a_users_tokens() {
    let time = Time::new();
    let builder = Provider::builder().clock(time.clock()).lifetime(Duration::from_secs(5));
    let provider = builder.start().await.unwrap();
    let token = refresh_of(&provider.log_in());
    let params = [("grant_type", "refresh_token"), ("refresh_token", &token), ("scope", "read")];
    let (_, login) = answer(request(&provider, &params)).await;
    let user = |scope| {
        json!({
            "active": true,
            "scope": scope,
            "client_id": "foo",
            "username": "johndoe",
            "sub": "johndoe",
        })
    };
    let mut expected = user("read");
    expected["token_type"] = json!("Bearer");
    expected["exp"] = json!(5);
    assert_eq!(introspect(&provider, &access(&login)).await, (200, expected));
    let expected = user("read write");
    assert_eq!(introspect(&provider, &refresh_of(&login)).await, (200, expected));
    time.pass(5);
    let inactive = (200, json!({ "active": false }));
    for token in [&access(&login), &token, "unknown"] {
        assert_eq!(introspect(&provider, token).await, inactive);
    }
    assert_eq!(provider.counts().token_requests, 1);
}

#[tokio::test]
async fn introspection_of_the_clients_token() {
    let provider = Provider::start().await.unwrap();
    let (_, json) = answer(request(&provider, &[("grant_type", "client_credentials")])).await;
    let (_, answer) = introspect(&provider, &access(&json)).await;
    assert_eq!((&answer["active"], &answer["sub"]), (&true.into(), &"foo".into()));
    assert!(answer.get("username").is_none() && answer["exp"].is_u64());
    revoke(&provider, &access(&json), "").await;
    assert_eq!(introspect(&provider, &access(&json)).await.1, json!({ "active": false }));
}

#[tokio::test]
async fn another_answer() {
    let provider = Provider::start().await.unwrap();
    provider.answer_next_introspection(r#"{"active":"yes"}"#.to_owned());
    assert_eq!(introspect(&provider, "x").await, (200, json!({ "active": "yes" })));
    assert_eq!(introspect(&provider, "x").await, (200, json!({ "active": false })));
}
