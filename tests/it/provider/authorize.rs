//! The authorization endpoint and the grant of its codes.

use std::time::{Duration, SystemTime};

use reqwest::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, LOCATION};
use reqwest::{RequestBuilder, Response};
use reqwest_oauth2::testing::{Provider, ProviderBuilder};
use url::{Url, form_urlencoded};

use crate::support::provider_requests::{
    Answer, Time, access, answer, assert_error, bare, form, http, post, refresh_of, request,
};

const URI: &str = "https://me.test/cb?tenant=1";
// RFC 7636 Appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

const CODE: [(&str, &str); 4] =
    [("response_type", "code"), ("client_id", "foo"), ("redirect_uri", URI), ("state", "s&1")];
const S256: [(&str, &str); 2] = [("code_challenge", CHALLENGE), ("code_challenge_method", "S256")];
const ALLOWED: [(&str, &str); 3] =
    [("username", "johndoe"), ("password", "A3ddj3w"), ("decision", "allow")];

type Params = Vec<(String, String)>;

fn builder() -> ProviderBuilder {
    Provider::builder().redirect_uri(URI)
}

async fn provider() -> Provider {
    builder().start().await.unwrap()
}

fn url(provider: &Provider, params: &[(&str, &str)]) -> String {
    format!("{}?{}", provider.authorize_url(), form(params))
}

async fn ask(provider: &Provider, params: &[(&str, &str)]) -> Response {
    http().get(url(provider, params)).send().await.unwrap()
}

/// The redirect: where to, and the parameters added to the query.
fn callback(response: &Response) -> Params {
    let location = response.headers()[LOCATION].to_str().unwrap();
    let added = location.strip_prefix(URI).unwrap();
    form_urlencoded::parse(added.trim_start_matches('&').as_bytes()).into_owned().collect()
}

fn pairs<const N: usize>(pairs: [(&str, &str); N]) -> Params {
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
}

/// A new code for these parameters.
async fn code(provider: &Provider, params: &[(&str, &str)]) -> String {
    let callback = callback(&ask(provider, params).await);
    assert_eq!(callback[0].0, "code");
    callback[0].1.clone()
}

fn redemption(provider: &Provider, code: &str, more: &[(&str, &str)]) -> RequestBuilder {
    let grant = [("grant_type", "authorization_code"), ("code", code)];
    request(provider, &[&grant, more].concat())
}

async fn redeem(provider: &Provider, code: &str, more: &[(&str, &str)]) -> Answer {
    answer(redemption(provider, code, more)).await
}

#[tokio::test]
async fn a_code_for_a_token() {
    let provider = provider().await;
    let response = ask(&provider, &[&CODE[..], &[("scope", "read")]].concat()).await;
    assert_eq!(response.status(), 302);
    assert_eq!(response.headers()[CACHE_CONTROL], "no-store");
    let params = callback(&response);
    let code = params[0].1.clone();
    let origin = provider.origin();
    assert_eq!(params, pairs([("code", &code), ("state", "s&1"), ("iss", &origin)]));
    let (status, json) = redeem(&provider, &code, &[CODE[2]]).await;
    assert_eq!((status, &json["scope"]), (200, &"read".into()));
    assert!(provider.accepts_access_token(&access(&json)));
    assert!(provider.accepts_refresh_token(&refresh_of(&json)));
    let counts = provider.counts();
    assert_eq!((counts.token_requests, counts.tokens_issued, counts.refreshes), (1, 1, 0));
}

#[tokio::test]
async fn a_code_that_comes_again_costs_its_tokens() {
    let provider = provider().await;
    let other = provider.log_in();
    let code = code(&provider, &CODE).await;
    let (_, json) = redeem(&provider, &code, &[CODE[2]]).await;
    assert_error(&redeem(&provider, &code, &[CODE[2]]).await, "invalid_grant");
    assert!(!provider.accepts_access_token(&access(&json)));
    assert!(!provider.accepts_refresh_token(&refresh_of(&json)));
    assert!(provider.accepts_refresh_token(&refresh_of(&other)));
    assert_eq!(provider.counts().reuse_detected, 0);
}

#[tokio::test]
async fn a_code_is_bound_to_its_redirect_uri() {
    let provider = provider().await;
    let first = code(&provider, &CODE).await;
    assert_error(&redeem(&provider, &first, &[]).await, "invalid_grant");
    let other = ("redirect_uri", "https://me.test/cb");
    assert_error(&redeem(&provider, &first, &[other]).await, "invalid_grant");
    assert_error(&redeem(&provider, "no", &[CODE[2]]).await, "invalid_grant");
    assert_error(&redeem(&provider, "", &[CODE[2]]).await, "invalid_request");
    assert_eq!(redeem(&provider, &first, &[CODE[2]]).await.0, 200);
    // The only one registered may be left out, and then it is not sent again.
    let second = code(&provider, &CODE[..2]).await;
    assert_eq!(redeem(&provider, &second, &[]).await.0, 200);
}

#[tokio::test]
async fn a_code_is_for_its_client() {
    let provider = builder().public_client("app").start().await.unwrap();
    let code = code(&provider, &[CODE[0], ("client_id", "app"), CODE[2]]).await;
    let grant = [("grant_type", "authorization_code"), ("code", &code), CODE[2]];
    for id in [&[][..], &[("client_id", "foo")]] {
        assert_eq!(answer(bare(&provider, &[&grant, id].concat())).await.0, 401);
    }
    let id = [("client_id", "app")];
    assert_eq!(answer(bare(&provider, &[&grant[..], &id].concat())).await.0, 200);
}

#[tokio::test]
async fn a_code_expires_by_the_clock() {
    let time = Time::new();
    let provider = builder().clock(time.clock()).start().await.unwrap();
    let (first, second) = (code(&provider, &CODE).await, code(&provider, &CODE).await);
    time.pass(59);
    assert_eq!(redeem(&provider, &first, &[CODE[2]]).await.0, 200);
    time.pass(1);
    assert_error(&redeem(&provider, &second, &[CODE[2]]).await, "invalid_grant");
}

#[tokio::test]
async fn proof_keys() {
    let provider = provider().await;
    let plain = [("code_challenge", VERIFIER)];
    for challenge in [&S256[..], &plain] {
        let code = code(&provider, &[&CODE[..], challenge].concat()).await;
        for verifier in [&[][..], &[("code_verifier", CHALLENGE)]] {
            let more = [&[CODE[2]], verifier].concat();
            assert_error(&redeem(&provider, &code, &more).await, "invalid_grant");
        }
        let more = [CODE[2], ("code_verifier", VERIFIER)];
        assert_eq!(redeem(&provider, &code, &more).await.0, 200);
    }
    let code = code(&provider, &CODE).await;
    let more = [CODE[2], ("code_verifier", VERIFIER)];
    assert_error(&redeem(&provider, &code, &more).await, "invalid_grant");
}

#[tokio::test]
async fn require_pkce() {
    let provider = builder().require_pkce(true).start().await.unwrap();
    let plain = [S256[0], ("code_challenge_method", "plain")];
    for challenge in [&[][..], &S256[..1], &S256[1..], &plain] {
        let params = callback(&ask(&provider, &[&CODE[..], challenge].concat()).await);
        assert_eq!(params[0], ("error".to_owned(), "invalid_request".to_owned()));
    }
    code(&provider, &[&CODE[..], &S256].concat()).await;
}

#[tokio::test]
async fn what_must_not_be_redirected() {
    let provider = builder().redirect_uri("https://b.test/").start().await.unwrap();
    let id = ("client_id", "foo");
    let cases: [&[(&str, &str)]; 6] = [
        &[CODE[0], CODE[2]],
        &[CODE[0], ("client_id", "bar"), CODE[2]],
        &[CODE[0], id, id, CODE[2]],
        &[CODE[0], id],
        &[CODE[0], id, CODE[2], CODE[2]],
        &[CODE[0], id, ("redirect_uri", "https://me.test/cb?tenant=2")],
    ];
    for params in cases {
        let response = ask(&provider, params).await;
        assert_eq!(response.status(), 400, "{params:?}");
        assert_eq!(response.headers()[CONTENT_TYPE], "text/html; charset=utf-8");
        assert!(!response.headers().contains_key(LOCATION));
    }
    let provider = Provider::start().await.unwrap();
    assert_eq!(ask(&provider, &CODE).await.status(), 400, "none is registered");
}

#[tokio::test]
async fn errors_are_redirected_with_state_and_issuer() {
    let provider = provider().await;
    let cases: [(&[(&str, &str)], &str); 6] = [
        (&CODE[1..], "invalid_request"),
        (&[&CODE[1..], &[("response_type", "id_token")]].concat(), "unsupported_response_type"),
        (&[&CODE[..], &[("scope", "a"), ("scope", "a")]].concat(), "invalid_request"),
        (&[&CODE[..], &S256[1..]].concat(), "invalid_request"),
        (&[&CODE[..], &[("code_challenge", "short")]].concat(), "invalid_request"),
        (&[&CODE[..], &S256[..1], &[("code_challenge_method", "S1")]].concat(), "invalid_request"),
    ];
    for (params, error) in cases {
        let response = ask(&provider, params).await;
        assert_eq!(response.status(), 302);
        let mut params = callback(&response);
        params.retain(|(name, _)| name != "error_description");
        let origin = provider.origin();
        assert_eq!(params, pairs([("error", error), ("state", "s&1"), ("iss", &origin)]));
    }
}

#[tokio::test]
async fn any_port_of_a_loopback_literal() {
    let builder = builder().redirect_uri("http://127.0.0.1/cb");
    let provider = builder.start().await.unwrap();
    let uri = ("redirect_uri", "http://127.0.0.1:4711/cb");
    let response = ask(&provider, &[CODE[0], CODE[1], uri]).await;
    let location = Url::parse(response.headers()[LOCATION].to_str().unwrap()).unwrap();
    assert!(location.as_str().starts_with("http://127.0.0.1:4711/cb?code="));
    let (_, code) = location.query_pairs().next().unwrap();
    let other = ("redirect_uri", "http://127.0.0.1:4712/cb");
    assert_error(&redeem(&provider, &code, &[other]).await, "invalid_grant");
    assert_eq!(redeem(&provider, &code, &[uri]).await.0, 200);
    let uri = ("redirect_uri", "http://127.0.0.1:4711/other");
    assert_eq!(ask(&provider, &[CODE[0], CODE[1], uri]).await.status(), 400);
}

#[tokio::test]
async fn implicit() {
    let builder = builder().lifetime(Duration::from_secs(60)).clock(|| SystemTime::UNIX_EPOCH);
    let provider = builder.start().await.unwrap();
    let params = [&[("response_type", "token"), ("scope", "read")], &CODE[1..]].concat();
    let response = ask(&provider, &params).await;
    assert_eq!(response.status(), 302);
    let location = response.headers()[LOCATION].to_str().unwrap();
    let fragment = location.strip_prefix(URI).unwrap().strip_prefix('#').unwrap();
    let params: Params = form_urlencoded::parse(fragment.as_bytes()).into_owned().collect();
    let token = params[0].1.clone();
    let expected = [
        ("access_token", &*token),
        ("expires_in", "60"),
        ("scope", "read"),
        ("token_type", "Bearer"),
        ("state", "s&1"),
        ("iss", &provider.origin()),
    ];
    assert_eq!(params, pairs(expected));
    assert!(provider.accepts_access_token(&token));
    assert_eq!(provider.counts().tokens_issued, 0, "not from the token endpoint");

    provider.deny_next_authorization("access_denied", None);
    let response = ask(&provider, &[&[("response_type", "token")], &CODE[1..]].concat()).await;
    let location = response.headers()[LOCATION].to_str().unwrap();
    assert!(location.contains("#error=access_denied&state="), "{location}");
}

#[tokio::test]
async fn a_pushed_request_is_refused_with_the_code_of_its_error() {
    let provider = builder().require_resource(true).start().await.unwrap();
    let (api, other) = (provider.api_url(), ("resource", "https://other.test/"));
    let api = ("resource", &*api);
    let push = async |params: &[(&str, &str)]| {
        answer(post(provider.pushed_authorization_request_url(), params)).await
    };
    assert_error(&push(&CODE).await, "invalid_target");
    assert_error(&push(&[&CODE[..], &[other]].concat()).await, "invalid_target");
    let of_type = [("response_type", "id_token"), CODE[1], CODE[2], api];
    assert_error(&push(&of_type).await, "unsupported_response_type");
    let elsewhere = [CODE[0], CODE[1], ("redirect_uri", "https://other.test/"), api];
    assert_error(&push(&elsewhere).await, "invalid_request");
    assert_eq!(push(&[&CODE[..], &[api]].concat()).await.0, 201);
}

#[tokio::test]
async fn the_api_may_be_one_of_several_resources() {
    let provider = builder().require_resource(true).start().await.unwrap();
    let api = provider.api_url();
    let resources = [("resource", "https://other.test/"), ("resource", &*api)];
    let code = code(&provider, &[&CODE[..], &resources].concat()).await;
    assert_error(&redeem(&provider, &code, &[CODE[2], resources[0]]).await, "invalid_target");
    let both = [CODE[2], resources[0], resources[1]];
    assert_eq!(redeem(&provider, &code, &both).await.0, 200);
}

#[tokio::test]
async fn without_issuer() {
    let provider = builder().send_iss(false).start().await.unwrap();
    let names: Vec<_> = callback(&ask(&provider, &CODE).await);
    assert!(names.iter().all(|(name, _)| name != "iss"));
    let provider = builder().issuer_path("/t1").start().await.unwrap();
    let params = callback(&ask(&provider, &CODE).await);
    assert_eq!(params[2], ("iss".to_owned(), provider.origin() + "/t1"));
}

#[tokio::test]
async fn denied_and_tampered() {
    let provider = provider().await;
    let origin = provider.origin();
    provider.deny_next_authorization("server_error", Some("over there"));
    // A request that is in order takes it.
    assert_eq!(ask(&provider, &CODE[1..2]).await.status(), 302);
    let expected = pairs([
        ("error", "server_error"),
        ("error_description", "over there"),
        ("state", "s&1"),
        ("iss", &origin),
    ]);
    assert_eq!(callback(&ask(&provider, &CODE).await), expected);
    provider.tamper_next_callback(|params| params.push(("state".to_owned(), "x".to_owned())));
    provider.tamper_next_callback(Vec::clear);
    let params = callback(&ask(&provider, &CODE).await);
    assert_eq!(params[3], ("state".to_owned(), "x".to_owned()));
    assert_eq!(ask(&provider, &CODE).await.headers()[LOCATION], URI);
    code(&provider, &CODE).await;
    provider.deny_next_authorization("server_error", None);
    provider.tamper_next_callback(Vec::clear);
    provider.clear_faults();
    code(&provider, &CODE).await;
}

#[tokio::test]
async fn login_page() {
    let provider = builder().login_page(true).start().await.unwrap();
    let asked = [&CODE[..], &[("scope", r#""<b>""#)]].concat();
    let page = ask(&provider, &asked).await;
    assert_eq!(page.status(), 200);
    assert_eq!(page.headers()[CONTENT_TYPE], "text/html; charset=utf-8");
    let page = page.text().await.unwrap();
    assert!(page.contains("foo asks for: &quot;&lt;b&gt;&quot;"), "{page}");
    let action = form(&asked).replace('&', "&amp;");
    assert!(page.contains(&format!("action=\"/authorize?{action}\"")), "{page}");

    let submit =
        |fields: &[(&str, &str)]| http().post(url(&provider, &asked)).body(form(fields)).send();
    let response = submit(&ALLOWED).await.unwrap();
    assert_eq!(response.status(), 303);
    let params = callback(&response);
    assert_eq!((&*params[0].0, &*params[1].1), ("code", "s&1"));
    assert_eq!(redeem(&provider, &params[0].1, &[CODE[2]]).await.0, 200);

    let response = submit(&[("decision", "deny")]).await.unwrap();
    assert_eq!(callback(&response)[0], ("error".to_owned(), "access_denied".to_owned()));
    for (fields, message) in [
        (&[ALLOWED[0], ("password", "wrong"), ALLOWED[2]][..], "Wrong name or password."),
        (&ALLOWED[2..], "Wrong name or password."),
        (&ALLOWED[..2], "Allow or deny?"),
    ] {
        let response = submit(fields).await.unwrap();
        assert_eq!(response.status(), 200);
        assert!(response.text().await.unwrap().contains(message));
    }
    provider.deny_next_authorization("server_error", None);
    assert_eq!(ask(&provider, &asked).await.status(), 302);
}

#[tokio::test]
async fn methods() {
    for (page, allowed) in [(false, "GET"), (true, "GET, POST")] {
        let provider = builder().login_page(page).start().await.unwrap();
        let response = http().put(url(&provider, &CODE)).send().await.unwrap();
        assert_eq!(response.status(), 405);
        assert_eq!(response.headers()[ALLOW], allowed);
    }
    let provider = provider().await;
    let response = http().post(url(&provider, &CODE)).body(form(&ALLOWED)).send().await.unwrap();
    assert_eq!(response.status(), 405);
}
