//! Faults, holds, delays and the capture of token requests.

use std::time::{Duration, Instant};

use reqwest::header::{CONTENT_TYPE, LOCATION, RETRY_AFTER};
use reqwest_oauth2::testing::{Fault, Provider};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::support::provider_requests::{
    FORM, answer, bare, call, form, http, refresh, refresh_of, request,
};

const GRANT: [(&str, &str); 1] = [("grant_type", "client_credentials")];
const SHORT: Duration = Duration::from_millis(150);

async fn with(fault: Fault) -> (Provider, reqwest::Result<reqwest::Response>) {
    let provider = Provider::start().await.unwrap();
    provider.fail_next(fault);
    let response = request(&provider, &GRANT).send().await;
    assert_eq!(provider.counts().token_requests, 1);
    (provider, response)
}

#[tokio::test]
async fn answers_without_a_token() {
    let (provider, response) = with(Fault::Status(503)).await;
    let response = response.unwrap();
    assert_eq!(response.status(), 503);
    assert_eq!(response.text().await.unwrap(), "");
    assert_eq!(provider.counts().tokens_issued, 0);

    let retry_after = "7".to_owned();
    let (_, response) = with(Fault::TooManyRequests { retry_after }).await;
    let response = response.unwrap();
    assert_eq!(response.status(), 429);
    assert_eq!(response.headers()[RETRY_AFTER], "7");

    let code = "temporarily_unavailable".to_owned();
    let (_, response) = with(Fault::OAuthError { status: 403, code }).await;
    let response = response.unwrap();
    assert_eq!(response.status(), 403);
    assert_eq!(response.text().await.unwrap(), r#"{"error":"temporarily_unavailable"}"#);

    let (_, response) = with(Fault::HtmlPage).await;
    let response = response.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()[CONTENT_TYPE], "text/html");

    let (status, content_type, body) = (201, "text/x".to_owned(), "hello".to_owned());
    let (_, response) = with(Fault::Reply { status, content_type, body }).await;
    let response = response.unwrap();
    assert_eq!(response.status(), 201);
    assert_eq!(response.headers()[CONTENT_TYPE], "text/x");
    assert_eq!(response.text().await.unwrap(), "hello");

    let location = "http://127.0.0.1:1/else".to_owned();
    let (_, response) = with(Fault::Redirect { status: 307, location }).await;
    let response = response.unwrap();
    assert_eq!(response.status(), 307);
    assert_eq!(response.headers()[LOCATION], "http://127.0.0.1:1/else");

    let (_, response) = with(Fault::Status(7)).await;
    assert_eq!(response.unwrap().status(), 500, "no such status");
}

#[tokio::test]
async fn cut_before_issues_nothing() {
    let provider = Provider::start().await.unwrap();
    let token = refresh_of(&provider.log_in());
    let params = [("grant_type", "refresh_token"), ("refresh_token", &token)];
    provider.fail_next(Fault::CloseBeforeIssue);
    assert!(request(&provider, &params).send().await.is_err());
    assert!(provider.accepts_refresh_token(&token));
    assert_eq!(provider.counts().token_requests, 1);
    assert_eq!(provider.counts().tokens_issued, 0);
}

#[tokio::test]
async fn cut_after_rotates() {
    let provider = Provider::start().await.unwrap();
    let token = refresh_of(&provider.log_in());
    let params = [("grant_type", "refresh_token"), ("refresh_token", &token)];
    provider.fail_next(Fault::CloseAfterIssue);
    assert!(request(&provider, &params).send().await.is_err());
    assert!(!provider.accepts_refresh_token(&token));
    assert_eq!(provider.counts().refreshes, 1);
    assert_eq!(refresh(&provider, &token).await.0, 400);
    assert_eq!(provider.counts().reuse_detected, 1);
}

#[tokio::test]
async fn delay_then_serve() {
    let start = Instant::now();
    let (provider, response) = with(Fault::Delay(SHORT)).await;
    assert_eq!(response.unwrap().status(), 200);
    assert!(start.elapsed() >= SHORT);
    assert_eq!(provider.counts().tokens_issued, 1);
}

#[tokio::test]
async fn hang_never_answers() {
    let provider = Provider::start().await.unwrap();
    provider.fail_next(Fault::Hang);
    let request = tokio::spawn(request(&provider, &GRANT).send());
    provider.wait_for_token_requests(1).await;
    assert!(timeout(SHORT, request).await.is_err());
}

#[tokio::test]
async fn endless_body_never_ends() {
    let (_provider, response) = with(Fault::EndlessBody).await;
    let mut response = response.unwrap();
    assert_eq!(response.headers()[CONTENT_TYPE], "application/json");
    let mut read = Vec::new();
    while read.len() < 8 * 1024 * 1024 {
        read.extend_from_slice(&response.chunk().await.unwrap().unwrap());
    }
    assert!(read.starts_with(br#"{"access_token":"aaaa"#));
}

#[tokio::test]
async fn drip_is_one_byte_every_second() {
    let (_provider, response) = with(Fault::SlowBody).await;
    let mut response = response.unwrap();
    assert_eq!(response.chunk().await.unwrap().unwrap().len(), 1);
    assert!(timeout(SHORT, response.chunk()).await.is_err());
    assert_eq!(response.chunk().await.unwrap().unwrap().len(), 1);
}

#[tokio::test]
async fn queued_faults_come_first_and_recover_clears_both() {
    let provider = Provider::start().await.unwrap();
    provider.fail_always(Fault::Status(500));
    provider.fail_next(Fault::Status(501));
    provider.fail_next(Fault::Status(502));
    let mut seen = Vec::new();
    for _ in 0..4 {
        seen.push(answer(request(&provider, &GRANT)).await.0);
    }
    assert_eq!(seen, [501, 502, 500, 500]);
    provider.fail_next(Fault::Status(501));
    provider.clear_faults();
    assert_eq!(answer(request(&provider, &GRANT)).await.0, 200);
}

#[tokio::test]
async fn hold_keeps_token_requests_waiting() {
    let provider = Provider::start().await.unwrap();
    let hold = provider.pause_token_requests();
    let requests: Vec<_> =
        (0..5).map(|_| tokio::spawn(answer(request(&provider, &GRANT)))).collect();
    provider.wait_for_token_requests(5).await;
    assert_eq!(provider.token_requests().len(), 5);
    assert_eq!(provider.counts().tokens_issued, 0);
    drop(hold);
    for request in requests {
        assert_eq!(request.await.unwrap().0, 200);
    }
    assert_eq!(provider.counts().tokens_issued, 5);
}

#[tokio::test]
async fn a_request_whose_client_left_is_still_served() {
    let provider = Provider::start().await.unwrap();
    let token = refresh_of(&provider.log_in());
    let hold = provider.pause_token_requests();
    let address = provider.origin().replace("http://", "");
    let body = form(&[("grant_type", "refresh_token"), ("refresh_token", &token)]);
    let request = format!(
        "POST /token HTTP/1.1\r\nhost: a\r\nauthorization: Basic Zm9vOnBvdGF0bw==\r\n\
         content-type: {FORM}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    provider.wait_for_token_requests(1).await;
    drop(stream);
    // Time enough for the server to see that the client has gone.
    for _ in 0..10 {
        call(&provider, "no").await;
    }
    assert!(provider.accepts_refresh_token(&token));
    drop(hold);
    call(&provider, "no").await;
    assert!(!provider.accepts_refresh_token(&token));
    assert_eq!(provider.counts().refreshes, 1);
}

#[tokio::test]
async fn waiting_can_be_spawned() {
    let provider = Provider::start().await.unwrap();
    let waiting = tokio::spawn({
        let provider = provider.clone();
        async move {
            provider.wait_for_token_requests(2).await;
            provider.wait_for_api_requests(1).await;
        }
    });
    answer(request(&provider, &GRANT)).await;
    assert!(!waiting.is_finished());
    answer(request(&provider, &GRANT)).await;
    call(&provider, "no").await;
    waiting.await.unwrap();
}

#[tokio::test]
async fn token_delay_comes_before_the_token() {
    let provider = Provider::builder().token_delay(SHORT).start().await.unwrap();
    let start = Instant::now();
    let pending = tokio::spawn(answer(request(&provider, &GRANT)));
    provider.wait_for_token_requests(1).await;
    assert_eq!(provider.counts().tokens_issued, 0);
    assert_eq!(pending.await.unwrap().0, 200);
    assert!(start.elapsed() >= SHORT);
}

#[tokio::test]
async fn captures_token_requests() {
    let provider = Provider::start().await.unwrap();
    let params = [GRANT[0], ("resource", "https://a.test/?x=1&y"), ("scope", "")];
    let url = provider.token_url() + "?tenant=7%20";
    let sent = http().post(url).basic_auth("foo", Some("potato")).body(form(&params));
    sent.header(CONTENT_TYPE, FORM).send().await.unwrap();
    bare(&provider, &[]).send().await.unwrap();
    let captured = provider.token_requests();
    assert_eq!(captured.len(), 2);
    let first = &captured[0];
    assert_eq!(first.authorization.as_deref(), Some("Basic Zm9vOnBvdGF0bw=="));
    assert_eq!(first.content_type.as_deref(), Some(FORM));
    assert_eq!(first.query.as_deref(), Some("tenant=7%20"));
    assert_eq!(first.param("resource"), Some("https://a.test/?x=1&y"));
    assert_eq!(first.param("scope"), Some(""));
    assert_eq!(first.param("nothing"), None);
    assert_eq!(first.params.len(), 3);
    let shown = format!("{first:?}");
    assert!(shown.contains("resource") && shown.contains("client_credentials"), "{shown}");
    assert!(!shown.contains("a.test") && !shown.contains("Zm9v"), "{shown}");
    assert_eq!(captured[1].authorization, None);
}
