//! Proofs of requests to the API.

use std::time::Duration;

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue, PROXY_AUTHORIZATION};
use reqwest::{Method, Request, StatusCode, Url};
use reqwest_oauth2::store::MemoryStore;
use reqwest_oauth2::testing::{DpopNonces, DpopRules, RecordedApiRequest};
use reqwest_oauth2::{
    ClientCredentials, OAuthClient, RequestError, Session, SigningKey, Token, UserSessions,
};
use serde_json::json;

use super::{Proof, assert_all_differ, client, each_answer, lasting, nonces, rules};
use crate::support::{World, plain_http, polled};

const JWK: &str = include_str!("../../../src/keys/test_keys/ec.jwk");

fn get(url: impl AsRef<str>) -> Request {
    Request::new(Method::GET, url.as_ref().parse().unwrap())
}

/// A session with a bound token.
async fn session(world: &World) -> Session {
    let app = client(world).dpop();
    let session = Session::builder(app).grant(ClientCredentials::new()).build();
    session.token().await.unwrap();
    session
}

/// The proofs that the API was sent, in order.
fn proofs(world: &World) -> Vec<Proof> {
    let read = |request: &RecordedApiRequest| Proof::read(request.dpop.as_deref());
    world.provider.api_requests().iter().map(read).collect()
}

fn api_requests(world: &World) -> (u64, u64) {
    (world.provider.counts().api_requests, world.provider.counts().api_ok)
}

#[tokio::test]
async fn r9449_4_2_b_each_request_has_a_proof_for_it_alone() {
    let world = World::new().await;
    let session = session(&world).await;
    let token = session.token().await.unwrap();
    let url = world.provider.api_url();
    let http = plain_http();
    let ath = {
        use base64::Engine;
        use sha2::Digest;
        base64::prelude::BASE64_URL_SAFE_NO_PAD.encode(sha2::Sha256::digest(token.access_token()))
    };
    for (method, path) in [(Method::GET, "/a%20b?x=1&y#z"), (Method::POST, ""), (Method::PUT, "/ü")]
    {
        let request = Request::new(method, format!("{url}{path}").parse().unwrap());
        assert_eq!(session.execute(&http, request).await.unwrap().status(), 200);
    }
    let proofs = proofs(&world);
    let iat = world.clock.now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    for (proof, (method, path)) in
        proofs.iter().zip([("GET", "/a%20b"), ("POST", ""), ("PUT", "/%C3%BC")])
    {
        let jti = proof.claim("jti").unwrap();
        assert_eq!(jti.len(), 22);
        assert_eq!(
            proof.claims,
            json!({"jti": jti, "htm": method, "htu": format!("{url}{path}"), "iat": iat, "ath": ath})
        );
        assert_eq!(proof.header["typ"], "dpop+jwt");
        assert!(proof.header["jwk"].get("d").is_none());
    }
    assert_all_differ(&proofs);
    for request in world.provider.api_requests() {
        let expected = format!("DPoP {}", token.access_token());
        assert_eq!(request.authorization.as_deref(), Some(&*expected));
    }
}

#[tokio::test]
async fn r9449_7_1_a_nothing_is_in_proxy_authorization() {
    let world = World::new().await;
    let session = session(&world).await;
    let http = plain_http();
    let send = async |request: Request| {
        assert!(!request.headers().contains_key(PROXY_AUTHORIZATION));
        assert!(request.headers()[AUTHORIZATION].is_sensitive());
        assert!(request.headers()["dpop"].is_sensitive());
        http.execute(request).await
    };
    let response = session.execute(send, get(world.provider.api_url())).await.unwrap();
    assert_eq!(response.status(), 200);
    for request in world.provider.token_requests() {
        assert!(!request.headers.contains_key(PROXY_AUTHORIZATION));
    }
}

#[tokio::test]
async fn r9449_7_3_a_a_replay_has_a_new_proof_for_the_new_token() {
    let world = World::with(|p| p.issue_refresh_token_for_client_credentials(true)).await;
    let session = session(&world).await;
    world.provider.revoke_access_tokens();
    let http = plain_http();
    let response = session.execute(&http, get(world.provider.api_url())).await.unwrap();
    assert_eq!(response.status(), 200);
    let proofs = proofs(&world);
    assert_eq!(proofs.len(), 2);
    assert_all_differ(&proofs);
    assert_ne!(proofs[0].claim("ath"), proofs[1].claim("ath"));
    assert_eq!(proofs[0].key(), proofs[1].key());
    assert_eq!(world.provider.counts().replayed_proofs, 0);
}

#[tokio::test]
async fn r9449_8_a_a_nonce_that_is_asked_for_costs_one_request_and_no_renewal() {
    let world = World::new().await;
    let session = session(&world).await;
    world.provider.set_dpop(lasting());
    let http = plain_http();
    let before = world.provider.counts().token_requests;
    for _ in 0..3 {
        let request = http.post(world.provider.api_url()).body("the body").build().unwrap();
        assert_eq!(session.execute(&http, request).await.unwrap().status(), 200);
    }
    world.provider.renew_dpop_nonces();
    let response = session.execute(&http, get(world.provider.api_url())).await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(api_requests(&world), (6, 4));
    assert_eq!(world.provider.counts().token_requests, before);
    let proofs = proofs(&world);
    let (first, second) = ("nonce-of-the-api-0", "nonce-of-the-api-1000000");
    assert_eq!(
        nonces(&proofs),
        [None, Some(first), Some(first), Some(first), Some(first), Some(second)]
    );
    assert_all_differ(&proofs);
    assert!(world.provider.api_requests()[..4].iter().all(|request| request.body == b"the body"));
}

#[tokio::test]
async fn r9449_8_2_a_rotating_nonces_cost_no_request_in_the_long_run() {
    let world = World::new().await;
    let session = session(&world).await;
    world.provider.set_dpop(each_answer());
    let http = plain_http();
    for _ in 0..20 {
        let response = session.execute(&http, get(world.provider.api_url())).await.unwrap();
        assert_eq!(response.status(), 200);
    }
    // One too many, for the first nonce.
    assert_eq!(api_requests(&world), (21, 20));
    // The nonce that comes with a 401 for another reason is kept, and so is that of the replay's answer.
    world.provider.revoke_access_tokens();
    for _ in 0..2 {
        let response = session.execute(&http, get(world.provider.api_url())).await.unwrap();
        assert_eq!(response.status(), 200);
    }
    assert_eq!(api_requests(&world), (24, 22));
    // The token endpoint has nonces of its own.
    let expected: Vec<String> = (1..24).map(|n| format!("nonce-of-the-api-{n}")).collect();
    let proofs = proofs(&world);
    assert_eq!(nonces(&proofs)[1..], expected.iter().map(|n| Some(&**n)).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_server_that_asks_for_ever_costs_one_retry_and_no_quiet() {
    let world = World::with(|p| p.issue_refresh_token_for_client_credentials(true)).await;
    let session = session(&world).await;
    let asks = || {
        rules(|rules| {
            rules.nonces = DpopNonces::EachAnswer { window: 1 };
            rules.always_asks = true;
        })
    };
    world.provider.set_dpop(asks());
    let http = plain_http();
    let before = world.provider.counts().token_requests;
    for requests in [2, 4, 6] {
        let response = session.execute(&http, get(world.provider.api_url())).await.unwrap();
        assert_eq!(response.status(), 401);
        assert_eq!(world.provider.counts().api_requests, requests);
    }
    assert_eq!(world.provider.counts().token_requests, before);
    world.provider.set_dpop(each_answer());
    let response = session.execute(&http, get(world.provider.api_url())).await.unwrap();
    assert_eq!(response.status(), 200);
    // The path is not quiet: a 401 renews.
    world.provider.revoke_access_tokens();
    let response = session.execute(&http, get(world.provider.api_url())).await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(world.provider.counts().refreshes, 1);
}

#[tokio::test]
async fn a_server_that_asks_without_a_nonce_or_with_a_bad_one_gets_no_retry() {
    for edit in [
        (|rules| rules.asks_without_nonce = true) as fn(&mut DpopRules),
        |rules| rules.nonce = Some(b"a b".to_vec()),
        |rules| rules.nonce = Some(b"a\tb".to_vec()),
        |rules| rules.nonce = Some(b"a\xffb".to_vec()),
        |rules| rules.nonce = Some("n".repeat(100 * 1024).into()),
    ] {
        let world = World::new().await;
        let session = session(&world).await;
        world.provider.set_dpop(rules(|rules| {
            rules.nonces = DpopNonces::Lasting;
            edit(rules);
        }));
        let http = plain_http();
        let response = session.execute(&http, get(world.provider.api_url())).await.unwrap();
        assert_eq!(response.status(), 401);
        assert_eq!(api_requests(&world), (1, 0));
        assert_eq!(world.provider.counts().token_requests, 1);
    }
}

#[tokio::test]
async fn a_stream_is_sent_once_and_its_nonce_kept() {
    let world = World::new().await;
    let session = session(&world).await;
    world.provider.set_dpop(lasting());
    let http = plain_http();
    let stream = || {
        let parts = futures_util::stream::iter([Ok::<_, std::io::Error>("the body")]);
        let body = reqwest::Body::wrap_stream(parts);
        http.post(world.provider.api_url()).body(body).build().unwrap()
    };
    assert_eq!(session.execute(&http, stream()).await.unwrap().status(), 401);
    assert_eq!(session.execute(&http, stream()).await.unwrap().status(), 200);
    assert_eq!(api_requests(&world), (2, 1));
}

#[tokio::test]
async fn a_response_without_a_url_says_what_the_next_proofs_need() {
    let world = World::new().await;
    let session = session(&world).await;
    let client = plain_http();
    // As a client makes it that is not reqwest.
    let send = |request: Request| {
        let sent = client.execute(request);
        async move {
            let response = sent.await?;
            let mut made = http::Response::new("");
            *made.status_mut() = response.status();
            *made.headers_mut() = response.headers().clone();
            Ok::<_, reqwest::Error>(reqwest::Response::from(made))
        }
    };
    world.provider.set_dpop(lasting());
    for _ in 0..3 {
        let response = session.execute(send, get(world.provider.api_url())).await.unwrap();
        assert_eq!(response.status(), 200);
    }
    assert_eq!(api_requests(&world), (4, 3));
    // A replay's response has none either.
    world.provider.set_dpop(each_answer());
    world.provider.revoke_access_tokens();
    for _ in 0..3 {
        let response = session.execute(send, get(world.provider.api_url())).await.unwrap();
        assert_eq!(response.status(), 200);
    }
    let stream = || {
        let parts = futures_util::stream::iter([Ok::<_, std::io::Error>("the body")]);
        let mut request = get(world.provider.api_url());
        *request.body_mut() = Some(reqwest::Body::wrap_stream(parts));
        request
    };
    world.provider.renew_dpop_nonces();
    assert_eq!(session.execute(send, stream()).await.unwrap().status(), 401);
    assert_eq!(session.execute(send, stream()).await.unwrap().status(), 200);
    world.provider.set_dpop(rules(|rules| rules.clock_ahead = 420));
    let response = session.execute(send, get(world.provider.api_url())).await.unwrap();
    assert_eq!(response.status(), 200);
}

#[tokio::test]
async fn a_clock_that_is_wrong_by_minutes_is_learned_from_date() {
    for ahead in [-420, 420] {
        let world = World::with(|p| p.dpop(rules(|rules| rules.clock_ahead = ahead))).await;
        let app = client(&world).dpop();
        let token = app.token_request("client_credentials").send().await.unwrap();
        // Another process, which has heard nothing of the server's clock.
        let token: Token = serde_json::from_value(serde_json::to_value(&token).unwrap()).unwrap();
        let session = Session::builder(client(&world)).token(token).build();
        let http = plain_http();
        for _ in 0..2 {
            let response = session.execute(&http, get(world.provider.api_url())).await.unwrap();
            assert_eq!(response.status(), 200);
        }
        assert_eq!(api_requests(&world), (3, 2));
        assert_eq!(world.provider.counts().token_requests, 2);
        // Somebody sets the clock right: one more is refused.
        world.provider.set_dpop(DpopRules::default());
        let response = session.execute(&http, get(world.provider.api_url())).await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(api_requests(&world), (5, 3));
    }
}

#[tokio::test]
async fn an_absurd_date_is_not_believed_and_nothing_is_renewed() {
    for date in ["Thu, 01 Jan 1970 00:00:00 GMT", "Fri, 31 Dec 9999 23:59:59 GMT", "soon"] {
        let world = World::new().await;
        let session = session(&world).await;
        world.provider.set_dpop(rules(|rules| {
            rules.clock_ahead = 420;
            rules.date = Some(date.to_owned());
        }));
        let http = plain_http();
        let response = session.execute(&http, get(world.provider.api_url())).await.unwrap();
        assert_eq!(response.status(), 401);
        assert_eq!(api_requests(&world), (1, 0));
        assert_eq!(world.provider.counts().token_requests, 1);
    }
}

#[tokio::test]
async fn a_nonce_of_one_origin_never_goes_to_another() {
    let (here, there) = (World::new().await, World::new().await);
    let session = session(&here).await;
    for world in [&here, &there] {
        world.provider.set_dpop(lasting());
    }
    let (http, origins) = (plain_http(), [here.provider.origin(), there.provider.origin()]);
    let api = session.api(origins).unwrap();
    for _ in 0..2 {
        api.execute(&http, get(here.provider.api_url())).await.unwrap();
    }
    api.execute(&http, get(there.provider.api_url())).await.unwrap();
    assert_eq!(
        nonces(&proofs(&here)),
        [None, Some("nonce-of-the-api-0"), Some("nonce-of-the-api-0")]
    );
    assert_eq!(nonces(&proofs(&there))[0], None);
}

#[tokio::test]
async fn a_redirect_to_another_listed_origin_gets_a_proof_of_its_own() {
    let (here, there) = (World::new().await, World::new().await);
    let session = session(&here).await;
    let (http, origins) = (plain_http(), [here.provider.origin(), there.provider.origin()]);
    let api = session.api(origins).unwrap();
    let mut request = get(here.provider.api_url());
    let there_url = there.provider.api_url() + "/there";
    request.headers_mut().insert("x-redirect-to", there_url.parse().unwrap());
    api.execute(&http, request).await.unwrap();
    let with_token: Vec<Proof> = there
        .provider
        .api_requests()
        .iter()
        .filter(|request| request.authorization.is_some())
        .map(|request| Proof::read(request.dpop.as_deref()))
        .collect();
    assert!(!with_token.is_empty());
    assert_all_differ(&with_token);
    for proof in with_token {
        assert_eq!(proof.claim("htu"), Some(&*there_url));
    }
}

#[tokio::test]
async fn a_redirect_within_the_origin_gets_a_proof_for_where_it_leads() {
    let world = World::new().await;
    let session = session(&world).await;
    let http = plain_http();
    let mut request = get(world.provider.api_url());
    let to = world.provider.api_url() + "/there";
    request.headers_mut().insert("x-redirect-to", to.parse().unwrap());
    let response = session.execute(&http, request).await.unwrap();
    // The provider's API redirects a caller that asks for it, so the header has to go where it leads.
    assert_eq!(response.url().path(), "/api/there");
    let last = proofs(&world).pop().unwrap();
    assert_eq!(last.claim("htu"), Some(&*to));
}

#[tokio::test]
async fn many_users_have_keys_of_their_own() {
    let world = World::new().await;
    let app = client(&world).dpop();
    let sessions = UserSessions::builder(app.clone()).store(MemoryStore::new()).build();
    let http = plain_http();
    let mut keys = Vec::new();
    for user in ["a", "b"] {
        let token = app.password("johndoe", "A3ddj3w").send().await.unwrap();
        keys.push(token.dpop_thumbprint().unwrap().to_owned());
        sessions.sign_in(user, token).await.unwrap();
        let session = sessions.for_user(user);
        let response = session.execute(&http, get(world.provider.api_url())).await.unwrap();
        assert_eq!(response.status(), 200);
    }
    assert_ne!(keys[0], keys[1]);
    assert_eq!(api_requests(&world), (2, 2));
}

#[tokio::test]
async fn a_token_whose_key_is_not_there_is_an_error_and_the_login_stays() {
    let world = World::new().await;
    let key = SigningKey::from_jwk(JWK).unwrap();
    let bound = client(&world).dpop_key(key.clone());
    let token = bound.password("johndoe", "A3ddj3w").send().await.unwrap();
    let session = Session::builder(client(&world)).token(token.clone()).build();
    let http = plain_http();
    let error = session.execute(&http, get(world.provider.api_url())).await.unwrap_err();
    let RequestError::Token(error) = error else { panic!("{error:?}") };
    assert!(error.is_config() && error.to_string().contains(key.thumbprint()), "{error}");
    let bare: Token =
        serde_json::from_value(json!({"access_token": "at", "token_type": "DPoP"})).unwrap();
    let session = Session::builder(client(&world)).token(bare).build();
    let error = session.execute(&http, get(world.provider.api_url())).await.unwrap_err();
    let RequestError::Token(error) = error else { panic!("{error:?}") };
    assert_eq!(
        error.to_string(),
        "the token's type is DPoP, and its key is not known; set it with Token::with_dpop_key"
    );
    assert_eq!(api_requests(&world), (0, 0));

    let session = Session::builder(bound).token(token).build();
    let response = session.execute(&http, get(world.provider.api_url())).await.unwrap();
    assert_eq!(response.status(), 200);
}

#[tokio::test]
async fn a_session_without_a_client_has_proofs_too() {
    let world = World::new().await;
    let token = client(&world).dpop().token_request("client_credentials").send().await.unwrap();
    let grant = move || {
        let token = token.clone();
        async move { Ok(token) }
    };
    let session = Session::from_grant(grant).clock(world.clock.reader()).build();
    world.provider.set_dpop(each_answer());
    let http = plain_http();
    for _ in 0..3 {
        let response = session.execute(&http, get(world.provider.api_url())).await.unwrap();
        assert_eq!(response.status(), 200);
    }
    assert_eq!(api_requests(&world), (4, 3));
}

#[tokio::test]
async fn authorize_gives_header_and_proof_to_those_who_send_otherwise() {
    let world = World::new().await;
    let session = session(&world).await;
    world.provider.set_dpop(each_answer());
    let url = world.provider.api_url() + "/events?a=b";
    let http = plain_http();
    let mut sendings = 0;
    // As a websocket's handshake, whose URL HTTP has otherwise.
    let uri = url.replacen("http", "ws", 1);
    loop {
        let mut handshake = http::Request::get(&uri).body(()).unwrap();
        session.authorize(&mut handshake).await.unwrap();
        sendings += 1;
        let mut request = get(&url);
        *request.headers_mut() = handshake.headers().clone();
        let response = http.execute(request).await.unwrap();
        let (url, status) = (uri.parse().unwrap(), response.status());
        if !session.learn_from_response(&url, status, response.headers()) || sendings == 3 {
            assert_eq!(status, 200);
            break;
        }
    }
    assert_eq!((sendings, api_requests(&world)), (2, (2, 1)));
    assert_eq!(proofs(&world)[1].claim("htu"), Some(&*(world.provider.api_url() + "/events")));

    let mut request = get(&url);
    session.authorize(&mut request).await.unwrap();
    assert_eq!(http.execute(request).await.unwrap().status(), 200);
    let mut handshake = get(&uri);
    session.authorize(&mut handshake).await.unwrap();
    assert!(handshake.headers().contains_key("dpop"));
    for url in ["http://api.example/x", "https://a:b@api.example/x"] {
        let mut request = get(url);
        let error = session.authorize(&mut request).await.unwrap_err();
        assert!(error.is_config());
        assert!(request.headers().is_empty());
    }
    let mut relative = http::Request::get("/events").body(()).unwrap();
    assert!(session.authorize(&mut relative).await.unwrap_err().is_config());

    let bearer = world.session().token(world.token()).build();
    let mut request = get(&url);
    bearer.authorize(&mut request).await.unwrap();
    let header = format!("Bearer {}", bearer.token().await.unwrap().access_token());
    assert_eq!(request.headers()[AUTHORIZATION], header);
    assert!(!request.headers().contains_key("dpop"));
}

/// A request that is kept for the next sending.
#[tokio::test]
async fn authorize_leaves_no_proof_of_an_earlier_token_beside_a_bearer_token() {
    let world = World::new().await;
    let session = session(&world).await;
    let mut handshake = http::Request::get(world.provider.api_url()).body(()).unwrap();
    session.authorize(&mut handshake).await.unwrap();
    assert!(handshake.headers().contains_key("dpop"));
    let bearer = world.token();
    session.set_token(bearer.clone()).await.unwrap();
    session.authorize(&mut handshake).await.unwrap();
    assert_eq!(handshake.headers()[AUTHORIZATION], format!("Bearer {}", bearer.access_token()));
    assert_eq!(handshake.headers().len(), 1);
}

/// Handshakes whose proofs were all made before the first answer came.
#[tokio::test]
async fn each_of_those_who_send_otherwise_learns_what_its_proof_lacked() {
    let world = World::new().await;
    let session = session(&world).await;
    let url: Url = world.provider.api_url().parse().unwrap();
    let may_another_help = |status: u16, fields: &[(&'static str, &'static str)]| {
        let fields = fields
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        let headers = HeaderMap::from_iter(fields);
        session.learn_from_response(&url, StatusCode::from_u16(status).unwrap(), &headers)
    };
    let asks = ("www-authenticate", r#"DPoP error="use_dpop_nonce""#);
    let rejects = ("www-authenticate", r#"DPoP error="invalid_token""#);
    let (on_time, ahead) =
        (("date", "Fri, 15 Jan 2027 08:00:00 GMT"), ("date", "Fri, 15 Jan 2027 08:07:00 GMT"));

    let nonce = [asks, ("dpop-nonce", "1"), on_time];
    assert_eq!([may_another_help(401, &nonce), may_another_help(401, &nonce)], [true; 2]);
    // The server has said nothing that the proof lacked, or has not refused it.
    assert!(!may_another_help(200, &nonce));
    assert!(!may_another_help(401, &[asks, on_time]));
    assert!(!may_another_help(401, &[asks, ("dpop-nonce", "a b"), on_time]));
    assert!(!may_another_help(401, &[rejects, ("dpop-nonce", "2"), on_time]));

    for date in [ahead, on_time] {
        let refusal = [rejects, date];
        assert_eq!([may_another_help(401, &refusal), may_another_help(401, &refusal)], [true; 2]);
        assert!(!may_another_help(200, &refusal));
    }
}

#[tokio::test]
async fn the_requests_own_timeout_bounds_a_signer_that_hangs() {
    struct Hangs(SigningKey);
    #[async_trait::async_trait]
    impl reqwest_oauth2::Signer for Hangs {
        fn algorithm(&self) -> reqwest_oauth2::SigningAlgorithm {
            self.0.algorithm()
        }

        fn public_jwk(&self) -> serde_json::Map<String, serde_json::Value> {
            self.0.public_jwk()
        }

        async fn sign(&self, _: &[u8]) -> Result<Vec<u8>, reqwest_oauth2::BoxError> {
            std::future::pending().await
        }
    }
    let world = World::new().await;
    let key = SigningKey::from_jwk(JWK).unwrap();
    let bound = client(&world).dpop_key(key.clone());
    let token = bound.password("johndoe", "A3ddj3w").send().await.unwrap();
    let hangs = SigningKey::from_signer(Hangs(key)).unwrap();
    let app: OAuthClient = client(&world).dpop_key(hangs);
    let session = Session::builder(app).token(token).build();
    let http = plain_http();
    let waiting = {
        let (http, url) = (http.clone(), world.provider.api_url());
        tokio::spawn(async move {
            let mut request = get(url);
            *request.timeout_mut() = Some(Duration::from_secs(3));
            session.execute(&http, request).await
        })
    };
    world.plain_turns().await;
    crate::support::pass(3).await;
    let error = waiting.await.unwrap().unwrap_err();
    let RequestError::Token(error) = error else { panic!("{error:?}") };
    assert!(error.is_signing() && error.is_timeout(), "{error}");
    assert_eq!(api_requests(&world), (0, 0));
}

#[tokio::test]
async fn a_signer_that_does_not_sign_sends_nothing_and_the_login_stays() {
    struct Fails(SigningKey, std::sync::atomic::AtomicUsize);
    #[async_trait::async_trait]
    impl reqwest_oauth2::Signer for Fails {
        fn algorithm(&self) -> reqwest_oauth2::SigningAlgorithm {
            self.0.algorithm()
        }

        fn public_jwk(&self) -> serde_json::Map<String, serde_json::Value> {
            self.0.public_jwk()
        }

        async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, reqwest_oauth2::BoxError> {
            match self.1.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
                0 => Err("the KMS is down".into()),
                1 => panic!("on purpose"),
                _ => Ok(message.to_vec()),
            }
        }
    }
    let world = World::new().await;
    let key = SigningKey::from_jwk(JWK).unwrap();
    let bound = client(&world).dpop_key(key.clone());
    let token = bound.password("johndoe", "A3ddj3w").send().await.unwrap();
    let fails = SigningKey::from_signer(Fails(key, 0.into())).unwrap();
    let session = Session::builder(client(&world).dpop_key(fails)).token(token.clone()).build();
    let http = plain_http();
    for why in ["the signer failed", "the signer panicked", "does not match its public key"] {
        let error = session.execute(&http, get(world.provider.api_url())).await.unwrap_err();
        let RequestError::Token(error) = error else { panic!("{error:?}") };
        assert!(error.is_signing() && error.is_transient(), "{error}");
        assert!(error.to_string().contains(why), "{error}");
    }
    assert_eq!(api_requests(&world), (0, 0));
    assert_eq!(session.current_token().unwrap().access_token(), token.access_token());
    let session = Session::builder(bound).token(token).build();
    let response = session.execute(&http, get(world.provider.api_url())).await.unwrap();
    assert_eq!(response.status(), 200);
}

#[tokio::test]
async fn a_header_of_a_megabyte_is_an_error_of_the_client_and_the_login_stays() {
    let world = World::new().await;
    let session = session(&world).await;
    world.provider.set_dpop(rules(|rules| {
        rules.nonces = DpopNonces::Lasting;
        rules.nonce = Some(vec![b'n'; 1024 * 1024]);
    }));
    let http = plain_http();
    let error = session.execute(&http, get(world.provider.api_url())).await.unwrap_err();
    let RequestError::Send(error) = error else { panic!("{error:?}") };
    assert!(!format!("{error} {error:?}").contains("nnnn"));
    world.provider.set_dpop(lasting());
    let response = session.execute(&http, get(world.provider.api_url())).await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(world.provider.counts().token_requests, 1);
}

#[tokio::test]
async fn tokens_for_other_resources_are_bound_to_the_key_of_the_login() {
    let world = World::with(|p| p.more_scopes(["mail"])).await;
    let token = client(&world).dpop().password("johndoe", "A3ddj3w").send().await.unwrap();
    let session = Session::builder(client(&world).dpop()).token(token.clone()).build();
    let other = session.with_scope("mail").unwrap();
    let http = plain_http();
    for session in [&session, &other] {
        let response = session.execute(&http, get(world.provider.api_url())).await.unwrap();
        assert_eq!(response.status(), 200);
    }
    let proofs = proofs(&world);
    assert_eq!(proofs[0].key(), proofs[1].key());
    assert_ne!(proofs[0].claim("ath"), proofs[1].claim("ath"));
    // One key is stored, and another process uses it for both.
    let stored = serde_json::to_string(&session.token().await.unwrap()).unwrap();
    assert_eq!(stored.matches("BEGIN PRIVATE KEY").count(), 1);
    let token = serde_json::from_str(&stored).unwrap();
    let session = Session::builder(client(&world)).token(token).build();
    let other = session.with_scope("mail").unwrap();
    let before = world.provider.counts().token_requests;
    let response = other.execute(&http, get(world.provider.api_url())).await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(world.provider.counts().token_requests, before);
}

/// Without a nonce yet, and with a token that is rejected.
#[tokio::test]
async fn a_request_dropped_at_any_await_point_loses_nothing() {
    for polls in 1..25 {
        let world = World::new().await;
        let token = client(&world).dpop().password("johndoe", "A3ddj3w").send().await.unwrap();
        let session = Session::builder(client(&world).dpop()).token(token).build();
        world.provider.set_dpop(lasting());
        world.provider.revoke_access_tokens();
        let http = plain_http();
        let send = || session.execute(&http, get(world.provider.api_url()));
        let _ = polled(polls, send()).await;
        for _ in 0..2 {
            assert_eq!(send().await.unwrap().status(), 200, "{polls}");
        }
        let counts = world.provider.counts();
        assert_eq!((counts.refreshes, counts.reuse_detected), (1, 0), "{polls}");
    }
}
