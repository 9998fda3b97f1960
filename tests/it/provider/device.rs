//! The device flow.

use std::time::Duration;

use reqwest::header::CACHE_CONTROL;
use reqwest_oauth2::testing::{Provider, ProviderBuilder};
use serde_json::Value;

use crate::support::provider_requests::{
    Answer, Time, access, answer, assert_error, http, post, refresh_of, request, text,
};

const GRANT: (&str, &str) = ("grant_type", "urn:ietf:params:oauth:grant-type:device_code");

async fn begin(provider: &Provider) -> Value {
    let (status, json) = answer(post(provider.device_authorization_url(), &[])).await;
    assert_eq!(status, 200);
    json
}

async fn poll(provider: &Provider, device: &Value) -> Answer {
    let code = text(device, "device_code");
    answer(request(provider, &[GRANT, ("device_code", &code)])).await
}

/// A provider, its clock, and a device that has just begun.
async fn with(builder: ProviderBuilder) -> (Provider, Time, Value) {
    let time = Time::new();
    let provider = builder.clock(time.clock()).start().await.unwrap();
    let device = begin(&provider).await;
    (provider, time, device)
}

#[tokio::test]
async fn what_a_device_is_told() {
    let provider = Provider::start().await.unwrap();
    let response = post(provider.device_authorization_url(), &[]).send().await.unwrap();
    assert_eq!(response.headers()[CACHE_CONTROL], "no-store");
    let json = begin(&provider).await;
    let code = text(&json, "user_code");
    assert_eq!((code.len(), code.find('-')), (9, Some(4)));
    let page = provider.origin() + "/device";
    assert_eq!(json["verification_uri"], *page);
    assert_eq!(json["verification_uri_complete"], format!("{page}?user_code={code}"));
    assert_eq!((&json["expires_in"], &json["interval"]), (&600.into(), &5.into()));
    assert_eq!(provider.counts().token_requests, 0);

    let builder = Provider::builder().device_lifetime(Duration::from_secs(9));
    let provider = builder.clone().device_interval(None).start().await.unwrap();
    let json = begin(&provider).await;
    assert_eq!(json["expires_in"], 9);
    assert!(json.get("interval").is_none());
    let half = Some(Duration::from_millis(500));
    let provider = builder.device_interval(half).start().await.unwrap();
    assert_eq!(begin(&provider).await["interval"], 0.5);
}

#[tokio::test]
async fn only_for_the_client() {
    let provider = Provider::start().await.unwrap();
    let url = provider.device_authorization_url();
    let (status, json) = answer(post(url.clone(), &[]).basic_auth("foo", Some("x"))).await;
    assert_eq!((status, &json["error"]), (401, &"invalid_client".into()));
    let twice = [("scope", "a"), ("scope", "a")];
    assert_error(&answer(post(url.clone(), &twice)).await, "invalid_request");
    assert_eq!(http().get(url).send().await.unwrap().status(), 405);
}

#[tokio::test]
async fn pending_until_approved_and_then_once() {
    let provider = Provider::start().await.unwrap();
    let other = begin(&provider).await;
    let url = provider.device_authorization_url();
    let (_, device) = answer(post(url, &[("scope", "read")])).await;
    for _ in 0..2 {
        assert_error(&poll(&provider, &device).await, "authorization_pending");
    }
    let typed = text(&device, "user_code").replace('-', " ").to_lowercase();
    assert!(!provider.approve_device("none"));
    assert!(provider.approve_device(&typed));
    assert!(!provider.approve_device(&typed), "decided already");
    let (status, json) = poll(&provider, &device).await;
    assert_eq!((status, &json["scope"]), (200, &"read".into()));
    assert!(provider.accepts_access_token(&access(&json)));
    assert!(provider.accepts_refresh_token(&refresh_of(&json)));
    assert_error(&poll(&provider, &device).await, "invalid_grant");
    assert!(provider.accepts_access_token(&access(&json)));
    assert_error(&poll(&provider, &other).await, "authorization_pending");
    assert_eq!(provider.counts().tokens_issued, 1);
}

#[tokio::test]
async fn denied_unknown_and_missing() {
    let provider = Provider::start().await.unwrap();
    let device = begin(&provider).await;
    assert!(provider.deny_device(&text(&device, "user_code")));
    for _ in 0..2 {
        assert_error(&poll(&provider, &device).await, "access_denied");
    }
    let unknown = request(&provider, &[GRANT, ("device_code", "no")]);
    assert_error(&answer(unknown).await, "invalid_grant");
    assert_error(&answer(request(&provider, &[GRANT])).await, "invalid_request");
}

#[tokio::test]
async fn expires_by_the_clock() {
    let (provider, time, device) =
        with(Provider::builder().device_lifetime(Duration::from_secs(9))).await;
    time.pass(8);
    assert_error(&poll(&provider, &device).await, "authorization_pending");
    time.pass(1);
    assert_error(&poll(&provider, &device).await, "expired_token");
    assert!(!provider.approve_device(&text(&device, "user_code")));
}

#[tokio::test]
async fn an_enforced_interval_grows() {
    let (provider, time, device) = with(Provider::builder().enforce_device_interval(true)).await;
    assert_error(&poll(&provider, &device).await, "authorization_pending");
    time.pass(4);
    assert_error(&poll(&provider, &device).await, "slow_down");
    time.pass(9);
    assert_error(&poll(&provider, &device).await, "slow_down");
    time.pass(15);
    assert_error(&poll(&provider, &device).await, "authorization_pending");
    provider.approve_device(&text(&device, "user_code"));
    time.pass(15);
    assert_eq!(poll(&provider, &device).await.0, 200);
}

#[tokio::test]
async fn slow_down_on_request() {
    let (provider, time, device) = with(Provider::builder().enforce_device_interval(true)).await;
    provider.approve_device(&text(&device, "user_code"));
    provider.slow_down_next_poll();
    assert_error(&poll(&provider, &device).await, "slow_down");
    time.pass(9);
    assert_error(&poll(&provider, &device).await, "slow_down");
    time.pass(15);
    assert_eq!(poll(&provider, &device).await.0, 200);

    let (provider, _, device) = with(Provider::builder()).await;
    provider.slow_down_next_poll();
    provider.slow_down_next_poll();
    for error in ["slow_down", "slow_down", "authorization_pending"] {
        assert_error(&poll(&provider, &device).await, error);
    }
}
