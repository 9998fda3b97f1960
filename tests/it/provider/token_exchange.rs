//! The JWT bearer and token exchange grants.

use reqwest_oauth2::testing::Provider;

use crate::support::provider_requests::{access, answer, assert_error, request};

const BEARER: (&str, &str) = ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer");
const EXCHANGE: (&str, &str) = ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange");
const ACCESS: &str = "urn:ietf:params:oauth:token-type:access_token";
const TYPE: (&str, &str) = ("subject_token_type", ACCESS);

#[tokio::test]
async fn an_assertion_for_a_token() {
    let provider = Provider::start().await.unwrap();
    let params = [BEARER, ("assertion", "a.b.c"), ("scope", "read")];
    let (status, json) = answer(request(&provider, &params)).await;
    assert_eq!((status, &json["scope"]), (200, &"read".into()));
    assert!(provider.accepts_access_token(&access(&json)));
    assert!(json.get("refresh_token").is_none() && json.get("issued_token_type").is_none());
    assert_eq!(provider.token_requests()[0].param("assertion"), Some("a.b.c"));
    assert_error(&answer(request(&provider, &params[..1])).await, "invalid_request");
    assert_eq!(provider.counts().tokens_issued, 1);
}

#[tokio::test]
async fn which_assertions_are_accepted() {
    let builder = Provider::builder().accept_assertions(|assertion| assertion == "good");
    let provider = builder.start().await.unwrap();
    assert_eq!(answer(request(&provider, &[BEARER, ("assertion", "good")])).await.0, 200);
    let bad = request(&provider, &[BEARER, ("assertion", "bad")]);
    assert_error(&answer(bad).await, "invalid_grant");
}

#[tokio::test]
async fn a_token_for_another() {
    let provider = Provider::start().await.unwrap();
    let subject = access(&provider.log_in());
    let params = [
        EXCHANGE,
        ("subject_token", &subject),
        TYPE,
        ("actor_token", "actor"),
        ("actor_token_type", ACCESS),
        ("audience", "a"),
        ("audience", "b"),
        ("resource", "https://a.test/"),
        ("resource", "https://b.test/"),
        ("scope", "read"),
    ];
    let (status, json) = answer(request(&provider, &params)).await;
    assert_eq!((status, &json["scope"]), (200, &"read".into()));
    assert_eq!(json["issued_token_type"], ACCESS);
    assert_eq!(json["token_type"], "Bearer");
    assert!(json.get("refresh_token").is_none());
    assert_ne!(access(&json), subject);
    assert!(provider.accepts_access_token(&access(&json)));
}

#[tokio::test]
async fn exchanges_that_are_refused() {
    let provider = Provider::start().await.unwrap();
    let token = access(&provider.log_in());
    let subject = ("subject_token", &*token);
    let cases: [(&[(&str, &str)], &str); 7] = [
        (&[subject], "invalid_request"),
        (&[TYPE], "invalid_request"),
        (&[subject, TYPE, ("actor_token", "a")], "invalid_request"),
        (&[subject, TYPE, ("actor_token_type", ACCESS)], "invalid_request"),
        (&[subject, TYPE, subject], "invalid_request"),
        (&[("subject_token", "no"), TYPE], "invalid_request"),
        (&[subject, TYPE, ("audience", "a"), ("audience", "nowhere")], "invalid_target"),
    ];
    for (params, error) in cases {
        let params = [&[EXCHANGE], params].concat();
        assert_error(&answer(request(&provider, &params)).await, error);
    }
    provider.revoke_access_tokens();
    assert_error(&answer(request(&provider, &[EXCHANGE, subject, TYPE])).await, "invalid_request");
}

#[tokio::test]
async fn a_foreign_subject_token() {
    let builder = Provider::builder().accept_assertions(|assertion| assertion == "good");
    let provider = builder.start().await.unwrap();
    let own = access(&provider.log_in());
    for (token, expected) in [("good", 200), ("bad", 400), (&*own, 200)] {
        let params = [EXCHANGE, ("subject_token", token), TYPE];
        assert_eq!(answer(request(&provider, &params)).await.0, expected);
    }
}

#[tokio::test]
async fn the_closure_may_ask_the_provider() {
    let (send, receive) = std::sync::mpsc::channel::<Provider>();
    let receive = std::sync::Mutex::new(receive);
    let builder = Provider::builder().accept_assertions(move |assertion| {
        receive.lock().unwrap().recv().unwrap().accepts_access_token(assertion)
    });
    let provider = builder.start().await.unwrap();
    send.send(provider.clone()).unwrap();
    let token = access(&provider.log_in());
    assert_eq!(answer(request(&provider, &[BEARER, ("assertion", &token)])).await.0, 200);
}
