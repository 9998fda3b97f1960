//! The protected API and the server around it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::header::{AUTHORIZATION, LOCATION, WWW_AUTHENTICATE};
use reqwest_oauth2::testing::{Fault, Provider};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use url::form_urlencoded;

use crate::support::provider_requests::{Time, access, answer, call, http, request};

#[tokio::test]
async fn any_path_and_method_with_a_live_token() {
    let provider = Provider::start().await.unwrap();
    let token = access(&provider.log_in());
    for (method, path) in [("GET", ""), ("POST", "/a/b"), ("DELETE", "/a?q=1"), ("X-ODD", "/")] {
        let url = provider.api_url() + path;
        let request = http().request(method.parse().unwrap(), url).bearer_auth(&token);
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        let path = path.split('?').next().unwrap();
        let expected = format!(r#"{{"ok":true,"path":"/api{path}"}}"#);
        assert_eq!(response.text().await.unwrap(), expected);
    }
    let counts = provider.counts();
    assert_eq!((counts.api_requests, counts.api_ok, counts.api_unauthorized), (4, 4, 0));
}

#[tokio::test]
async fn refuses_without_a_live_token() {
    let provider = Provider::start().await.unwrap();
    let token = access(&provider.log_in());
    let get = || http().get(provider.api_url());
    let refused = [
        get(),
        get().bearer_auth("no"),
        get().header(AUTHORIZATION, "Bearer"),
        get().header(AUTHORIZATION, format!("Basic {token}")),
        get().bearer_auth(&token).bearer_auth("twice"),
    ];
    for request in refused {
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 401);
        assert_eq!(response.headers()[WWW_AUTHENTICATE], r#"Bearer error="invalid_token""#);
    }
    let lower = get().header(AUTHORIZATION, format!("bearer {token}"));
    assert_eq!(lower.send().await.unwrap().status(), 200);
    let counts = provider.counts();
    assert_eq!((counts.api_ok, counts.api_unauthorized, counts.api_without_token), (1, 5, 1));
}

#[tokio::test]
async fn a_user_who_has_just_logged_in_is_asked_again_after_the_longest_age() {
    let time = Time::new();
    let longest = Some(Duration::from_secs(60));
    let builder = Provider::builder().clock(time.clock()).require_log_in("/api", "", longest);
    let uri = "https://me.test/cb";
    let provider = builder.redirect_uri(uri).start().await.unwrap();
    let password = [("grant_type", "password"), ("username", "johndoe"), ("password", "A3ddj3w")];
    let (_, of_password) = answer(request(&provider, &password)).await;
    let implicit = format!("{}?response_type=token&client_id=foo", provider.authorize_url());
    let response = http().get(implicit).send().await.unwrap();
    let location = response.headers()[LOCATION].to_str().unwrap();
    let params = form_urlencoded::parse(location.split_once('#').unwrap().1.as_bytes());
    let of_callback = params.into_iter().find(|(name, _)| name == "access_token").unwrap().1;
    let tokens = [access(&provider.log_in()), access(&of_password), of_callback.into_owned()];
    time.pass(60);
    for token in &tokens {
        assert_eq!(call(&provider, token).await.status(), 200);
    }
    time.pass(1);
    for token in &tokens {
        let response = call(&provider, token).await;
        let challenge = response.headers()[WWW_AUTHENTICATE].to_str().unwrap();
        assert!(challenge.contains("insufficient_user_authentication"), "{challenge}");
    }
}

#[tokio::test]
async fn challenge_and_reject_all() {
    let provider = Provider::start().await.unwrap();
    let token = access(&provider.log_in());
    provider.reject_all(true);
    let custom = r#"Bearer error="insufficient_scope""#;
    for (value, expected) in [
        (None, Some(r#"Bearer error="invalid_token""#)),
        (Some(custom), Some(custom)),
        (Some(""), None),
        (Some("bad\nvalue"), None),
        (None, Some(r#"Bearer error="invalid_token""#)),
    ] {
        provider.set_challenge(value);
        let response = call(&provider, &token).await;
        assert_eq!(response.status(), 401);
        let header = response.headers().get(WWW_AUTHENTICATE);
        assert_eq!(header.map(|value| value.to_str().unwrap()), expected);
    }
    assert!(provider.accepts_access_token(&token));
    provider.reject_all(false);
    assert_eq!(call(&provider, &token).await.status(), 200);
}

#[tokio::test]
async fn redirects_on_request() {
    let provider = Provider::start().await.unwrap();
    let token = access(&provider.log_in());
    let request = || http().get(provider.api_url()).header("x-redirect-to", "http://b.test/");
    let response = request().bearer_auth(&token).send().await.unwrap();
    assert_eq!(response.status(), 307);
    assert_eq!(response.headers()[LOCATION], "http://b.test/");
    assert_eq!(request().send().await.unwrap().status(), 401);
}

#[tokio::test]
async fn captures_api_requests() {
    let provider = Provider::start().await.unwrap();
    let token = access(&provider.log_in());
    let body: Vec<u8> = (0..200_000_u32).map(|n| n.to_le_bytes()[0]).collect();
    let put = http().put(provider.api_url() + "/x?secret=1").bearer_auth(&token);
    assert_eq!(put.body(body.clone()).send().await.unwrap().status(), 200);
    http().get(provider.api_url()).send().await.unwrap();
    let seen = provider.api_requests();
    assert_eq!(seen.len(), 2);
    assert_eq!((&*seen[0].method, &*seen[0].path_and_query), ("PUT", "/api/x?secret=1"));
    assert_eq!(seen[0].authorization, Some(format!("Bearer {token}")));
    assert_eq!(seen[0].body, body[..64 * 1024]);
    let shown = format!("{:?}", seen[0]);
    assert!(!shown.contains(&token) && !shown.contains("secret"), "{shown}");
    assert_eq!((&seen[1].authorization, seen[1].body.len()), (&None, 0));
}

#[tokio::test]
async fn hold_api_judges_on_arrival() {
    let provider = Provider::start().await.unwrap();
    let token = access(&provider.log_in());
    let hold = provider.pause_api();
    let calling = tokio::spawn({
        let (provider, token) = (provider.clone(), token.clone());
        async move { call(&provider, &token).await.status() }
    });
    provider.wait_for_api_requests(1).await;
    provider.revoke_access_tokens();
    assert!(!calling.is_finished());
    drop(hold);
    assert_eq!(calling.await.unwrap(), 200);
    assert_eq!(call(&provider, &token).await.status(), 401);
}

#[tokio::test]
async fn api_delay() {
    let delay = Duration::from_millis(100);
    let provider = Provider::builder().api_delay(delay).start().await.unwrap();
    let start = Instant::now();
    call(&provider, "no").await;
    assert!(start.elapsed() >= delay);
}

#[tokio::test]
async fn the_server_ends_with_the_last_handle() {
    let provider = Provider::start().await.unwrap();
    let address = provider.origin().replace("http://", "");
    let mut idle = TcpStream::connect(&address).await.unwrap();
    let mut hung = TcpStream::connect(&address).await.unwrap();
    provider.fail_next(Fault::Hang);
    let request = b"POST /token HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n";
    hung.write_all(request).await.unwrap();
    provider.wait_for_token_requests(1).await;
    let clone = provider.clone();
    drop(provider);
    assert_eq!(call(&clone, "no").await.status(), 401);
    let hold = clone.pause_token_requests();
    drop(clone);
    // A hold does not keep the server.
    assert_eq!(idle.read(&mut [0]).await.unwrap(), 0);
    assert_eq!(hung.read(&mut [0]).await.unwrap(), 0);
    assert!(TcpStream::connect(&address).await.is_err());
    drop(hold);
}

#[tokio::test]
async fn an_incomplete_request_is_not_counted() {
    let provider = Provider::start().await.unwrap();
    let mut stream = TcpStream::connect(provider.origin().replace("http://", "")).await.unwrap();
    stream
        .write_all(b"POST /token HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\nab")
        .await
        .unwrap();
    stream.shutdown().await.unwrap();
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.unwrap();
    assert!(!rest.starts_with(b"HTTP/1.1 200"));
    assert_eq!(provider.counts().token_requests, 0);
}

#[tokio::test]
async fn debug_has_no_secrets() {
    let builder = Provider::builder().client("id", "s3cret");
    assert!(!format!("{builder:?}").contains("s3cret"));
    let provider = builder.start().await.unwrap();
    let token = access(&provider.log_in());
    call(&provider, &token).await;
    let shown = format!("{provider:?} {:?}", provider.pause_token_requests());
    assert!(!shown.contains(&token) && !shown.contains("s3cret"), "{shown}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_requests_at_once() {
    let provider = Provider::start().await.unwrap();
    let token = access(&provider.log_in());
    // Requests beyond this wait for a connection to come free.
    let connections = Arc::new(Semaphore::new(256));
    let client = http();
    let start = Instant::now();
    let calls: Vec<_> = (0..10_000)
        .map(|n| {
            let url = format!("{}/{n}", provider.api_url());
            let request = client.get(url).bearer_auth(&token);
            let connections = Arc::clone(&connections);
            tokio::spawn(async move {
                let _permit = connections.acquire_owned().await.unwrap();
                let response = request.send().await.unwrap();
                let status = response.status();
                response.bytes().await.unwrap();
                status
            })
        })
        .collect();
    for call in calls {
        assert_eq!(call.await.unwrap(), 200);
    }
    println!("10,000 requests: {:?}", start.elapsed());
    let counts = provider.counts();
    assert_eq!((counts.api_requests, counts.api_ok), (10_000, 10_000));
    assert_eq!(provider.api_requests().len(), 10_000);
}
