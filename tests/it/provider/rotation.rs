//! Refresh token rotation, reuse detection, grace and revocation.

use std::time::Duration;

use reqwest_oauth2::testing::{Counts, Provider};
use serde_json::Value;

use crate::support::provider_requests::{Time, access, call, refresh, refresh_of};

fn assert_invalid_grant((status, json): (u16, Value)) {
    assert_eq!((status, &json["error"]), (400, &"invalid_grant".into()));
}

#[tokio::test]
async fn log_in_counts_nothing() {
    let provider = Provider::start().await.unwrap();
    let json = provider.log_in();
    assert_eq!(json["scope"], "read write");
    assert!(access(&json).starts_with("at-"));
    assert!(refresh_of(&json).starts_with("rt-"));
    assert_eq!(provider.counts(), Counts::default());
    assert!(provider.token_requests().is_empty());
}

#[tokio::test]
async fn refresh_rotates() {
    let provider = Provider::start().await.unwrap();
    let first = provider.log_in();
    let (status, second) = refresh(&provider, &refresh_of(&first)).await;
    assert_eq!(status, 200);
    assert!(!provider.accepts_refresh_token(&refresh_of(&first)));
    assert!(provider.accepts_refresh_token(&refresh_of(&second)));
    assert!(provider.accepts_access_token(&access(&first)));
    assert!(provider.accepts_access_token(&access(&second)));
    let counts = provider.counts();
    assert_eq!((counts.token_requests, counts.tokens_issued, counts.refreshes), (1, 1, 1));
}

#[tokio::test]
async fn reuse_revokes_the_family_and_no_other() {
    let provider = Provider::start().await.unwrap();
    let other = provider.log_in();
    let first = provider.log_in();
    let (_, second) = refresh(&provider, &refresh_of(&first)).await;
    assert_invalid_grant(refresh(&provider, &refresh_of(&first)).await);
    for json in [&first, &second] {
        assert!(!provider.accepts_access_token(&access(json)));
        assert!(!provider.accepts_refresh_token(&refresh_of(json)));
        assert_invalid_grant(refresh(&provider, &refresh_of(json)).await);
    }
    assert_eq!(provider.counts().reuse_detected, 1);
    assert_eq!(provider.counts().refreshes, 1);
    assert!(provider.accepts_access_token(&access(&other)));
    assert_eq!(refresh(&provider, &refresh_of(&other)).await.0, 200);
}

#[tokio::test]
async fn without_reuse_detection_the_family_lives() {
    let provider = Provider::builder().reuse_detection(false).start().await.unwrap();
    let first = provider.log_in();
    let (_, second) = refresh(&provider, &refresh_of(&first)).await;
    assert_invalid_grant(refresh(&provider, &refresh_of(&first)).await);
    assert!(provider.accepts_refresh_token(&refresh_of(&second)));
    assert!(provider.accepts_access_token(&access(&second)));
    assert_eq!(provider.counts().reuse_detected, 0);
}

#[tokio::test]
async fn without_rotation_the_refresh_token_stays() {
    let provider = Provider::builder().rotation(false).start().await.unwrap();
    let token = refresh_of(&provider.log_in());
    for _ in 0..2 {
        let (status, json) = refresh(&provider, &token).await;
        assert_eq!(status, 200);
        assert!(json.get("refresh_token").is_none());
    }
    assert!(provider.accepts_refresh_token(&token));
}

#[tokio::test]
async fn grace_answers_a_retired_token_until_it_ends() {
    let time = Time::new();
    let builder = Provider::builder().clock(time.clock()).grace_period(Duration::from_secs(10));
    let provider = builder.start().await.unwrap();
    let first = refresh_of(&provider.log_in());
    let (_, second) = refresh(&provider, &first).await;
    time.pass(9);
    let (status, again) = refresh(&provider, &first).await;
    assert_eq!(status, 200);
    assert_eq!(refresh_of(&again), refresh_of(&second));
    assert_ne!(access(&again), access(&second));
    assert!(provider.accepts_access_token(&access(&again)));
    // The retired token leads to whatever is current.
    let (_, third) = refresh(&provider, &refresh_of(&second)).await;
    let (_, again) = refresh(&provider, &first).await;
    assert_eq!(refresh_of(&again), refresh_of(&third));
    assert_eq!(provider.counts().reuse_detected, 0);
    assert_eq!(provider.counts().refreshes, 4);
    time.pass(1);
    assert_invalid_grant(refresh(&provider, &first).await);
    assert_eq!(provider.counts().reuse_detected, 1);
    assert!(!provider.accepts_refresh_token(&refresh_of(&third)));
}

#[tokio::test]
async fn access_tokens_expire_by_the_clock() {
    let time = Time::new();
    let builder = Provider::builder().clock(time.clock()).lifetime(Duration::from_secs(5));
    let provider = builder.start().await.unwrap();
    let json = provider.log_in();
    time.pass(4);
    assert_eq!(call(&provider, &access(&json)).await.status(), 200);
    time.pass(1);
    assert_eq!(call(&provider, &access(&json)).await.status(), 401);
    assert!(!provider.accepts_access_token(&access(&json)));
    assert!(provider.accepts_refresh_token(&refresh_of(&json)));
}

#[tokio::test]
async fn revoked_access_tokens() {
    let provider = Provider::start().await.unwrap();
    let json = provider.log_in();
    provider.revoke_access_tokens();
    assert_eq!(call(&provider, &access(&json)).await.status(), 401);
    let (status, json) = refresh(&provider, &refresh_of(&json)).await;
    assert_eq!(status, 200);
    assert_eq!(call(&provider, &access(&json)).await.status(), 200);
}

#[tokio::test]
async fn revoked_families() {
    let provider = Provider::start().await.unwrap();
    let json = provider.log_in();
    provider.revoke_families();
    assert_eq!(call(&provider, &access(&json)).await.status(), 401);
    assert!(!provider.accepts_refresh_token(&refresh_of(&json)));
    assert_invalid_grant(refresh(&provider, &refresh_of(&json)).await);
    assert_eq!(provider.counts().reuse_detected, 0);
    let later = provider.log_in();
    assert_eq!(refresh(&provider, &refresh_of(&later)).await.0, 200);
}
