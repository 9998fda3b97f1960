//! Assertions that the client signs ([RFC 7523 §2.2](https://www.rfc-editor.org/rfc/rfc7523#section-2.2)).

use std::collections::BTreeSet;
use std::time::UNIX_EPOCH;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use reqwest_oauth2::testing::{AuthMethod, ProviderBuilder};
use reqwest_oauth2::{
    BoxError, ClientAuthentication, ClientCredentials, JwtBearer, OAuthClient, Session, Signer,
    SigningAlgorithm, SigningKey, TokenTypeHint,
};
use serde_json::{Map, Value, json};

use crate::support::{World, pass};

/// 32 bytes, the least that HS256 takes.
const LONG_SECRET: &str = "a-secret-of-32-bytes-0123456789a";

fn key() -> SigningKey {
    SigningKey::generate().unwrap().with_key_id("16")
}

fn signs(provider: ProviderBuilder, key: &SigningKey) -> ProviderBuilder {
    provider.client_key(key.public_jwk()).auth_methods([AuthMethod::PrivateKeyJwt])
}

async fn world(key: &SigningKey) -> World {
    World::with(|p| signs(p, key)).await
}

/// With every endpoint, and the issuer.
async fn discovered(world: &World) -> OAuthClient {
    let app = OAuthClient::discover(world.provider.issuer(), "foo").await.unwrap();
    app.clock(world.clock.reader())
}

/// Header and claims of the last assertion.
fn last(world: &World) -> (Value, Map<String, Value>) {
    let request = world.provider.token_requests().pop().unwrap();
    let assertion = request.param("client_assertion").unwrap();
    let parts: Vec<&str> = assertion.split('.').collect();
    assert_eq!(parts.len(), 3);
    let read = |part: &str| {
        serde_json::from_slice::<Value>(&BASE64_URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
    };
    (read(parts[0]), read(parts[1]).as_object().unwrap().clone())
}

/// 7523-3-a, 7523-3-b, 7523bis-4: who, for whom, until when, and a new `jti` each time.
#[tokio::test]
async fn an_assertion_says_who_for_whom_and_for_how_long_and_is_never_the_same() {
    let key = key();
    let world = world(&key).await;
    let app = discovered(&world).await.signing_key(key);
    let mut ids = BTreeSet::new();
    for _ in 0..3 {
        let session = Session::builder(app.clone()).grant(ClientCredentials::new());
        session.clock(world.clock.reader()).build().token().await.unwrap();
        let (header, claims) = last(&world);
        // V6: the header of an ES256 key with the id 16.
        assert_eq!(header, json!({"alg": "ES256", "kid": "16"}));
        let now = world.clock.now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let id = claims["jti"].as_str().unwrap();
        assert_eq!(BASE64_URL_SAFE_NO_PAD.decode(id).unwrap().len(), 16);
        ids.insert(id.to_owned());
        let expected = json!({
            "iss": "foo", "sub": "foo", "aud": world.provider.issuer(),
            "iat": now, "exp": now + 60, "jti": id,
        });
        assert_eq!(Value::Object(claims), expected);
        world.clock.forward(7.0);
    }
    assert_eq!(ids.len(), 3);
    let request = world.provider.token_requests().pop().unwrap();
    assert_eq!(request.param("client_id"), Some("foo"));
    assert_eq!((request.param("client_secret"), request.authorization.as_ref()), (None, None));
}

#[tokio::test]
async fn every_endpoint_that_authenticates_the_client_gets_an_assertion_of_its_own() {
    let key = key();
    let world = World::with(|p| signs(p, &key).redirect_uri("https://me.example/cb")).await;
    let app = discovered(&world).await.signing_key(key);
    // The provider accepts no assertion twice, and none that is not signed.
    let login = app.authorization_code("https://me.example/cb").unwrap().begin().unwrap();
    let callback = crate::login::browse(login.url()).await;
    let token = login.finish(&app, callback).await.unwrap();
    let session = Session::builder(app.clone()).token(token).build();
    let token = session.refresh().await.unwrap();
    let mut login = app.device_authorization().begin().await.unwrap();
    assert!(world.provider.approve_device(login.user_code()));
    let (of_device, ()) = tokio::join!(login.wait(), pass(5));
    of_device.unwrap();
    let access_token = token.access_token();
    assert!(app.introspect(access_token, TokenTypeHint::AccessToken).await.unwrap().active);
    app.revoke(access_token, TokenTypeHint::AccessToken).await.unwrap();
    assert!(!app.introspect(access_token, TokenTypeHint::AccessToken).await.unwrap().active);
    // Without the key nothing is accepted.
    let error = discovered(&world).await.revoke(access_token, TokenTypeHint::AccessToken).await;
    assert_eq!(error.unwrap_err().error_code(), Some("invalid_client"));
}

#[tokio::test]
async fn the_audience_is_the_issuer_else_the_token_endpoint_else_what_the_application_says() {
    let key = key();
    let world = world(&key).await;
    let url = world.provider.token_url();
    let plain = || OAuthClient::new("foo", &url).unwrap().signing_key(key.clone());
    let plain = || plain().clock(world.clock.reader());
    for (app, audience) in [
        (plain(), url.clone()),
        (plain().issuer(world.provider.issuer()), world.provider.issuer()),
        (discovered(&world).await.signing_key(key.clone()).assertion_audience(&url), url.clone()),
    ] {
        app.token_request("client_credentials").send().await.unwrap();
        assert_eq!(last(&world).1["aud"], audience);
    }
    let other = plain().assertion_audience("https://else.example");
    let error = other.token_request("client_credentials").send().await.unwrap_err();
    assert_eq!(error.error_code(), Some("invalid_client"));
}

#[tokio::test]
async fn a_secret_signs_with_hs256() {
    let world =
        World::with(|p| p.client("foo", LONG_SECRET).auth_methods([AuthMethod::ClientSecretJwt]))
            .await;
    let app = OAuthClient::new("foo", world.provider.token_url()).unwrap().secret(LONG_SECRET);
    let app = app.authentication(ClientAuthentication::ClientSecretJwt);
    let app = app.clock(world.clock.reader());
    app.token_request("client_credentials").send().await.unwrap();
    let (header, claims) = last(&world);
    assert_eq!(header, json!({"alg": "HS256"}));
    assert_eq!((&claims["iss"], &claims["sub"]), (&json!("foo"), &json!("foo")));
    let request = world.provider.token_requests().pop().unwrap();
    assert_eq!((request.param("client_secret"), request.authorization.as_ref()), (None, None));
    // RFC 7518 §3.2: 31 bytes are too few.
    let error = app.secret(&LONG_SECRET[1..]).token_request("client_credentials").send().await;
    let error = error.unwrap_err();
    assert!(error.is_config() && error.to_string().contains("at least 32 bytes"), "{error}");
    assert_eq!(world.provider.counts().token_requests, 1);
}

#[tokio::test]
async fn the_metadata_says_which_method_is_used() {
    use AuthMethod::{ClientSecretBasic, ClientSecretJwt, ClientSecretPost, PrivateKeyJwt};
    let key = key();
    // What the provider lists; whether the client has a key; what it sends.
    let cases = [
        (vec![PrivateKeyJwt, ClientSecretBasic], true, "ES256"),
        (vec![ClientSecretBasic, ClientSecretPost], true, "basic"),
        (vec![ClientSecretPost], true, "post"),
        (vec![ClientSecretPost, ClientSecretJwt], false, "post"),
        (vec![ClientSecretJwt], false, "HS256"),
        (vec![ClientSecretBasic, ClientSecretJwt, PrivateKeyJwt], false, "basic"),
    ];
    for (methods, has_key, expected) in cases {
        let world = World::with(|p| {
            let p = p.client("foo", LONG_SECRET).client_key(key.public_jwk());
            p.auth_methods(methods.clone())
        })
        .await;
        let app = discovered(&world).await.secret(LONG_SECRET);
        let app = if has_key { app.signing_key(key.clone()) } else { app };
        app.token_request("client_credentials").send().await.unwrap();
        let request = world.provider.token_requests().pop().unwrap();
        let sent = match (&request.authorization, request.param("client_secret")) {
            (Some(_), None) => "basic".to_owned(),
            (None, Some(_)) => "post".to_owned(),
            _ => last(&world).0["alg"].as_str().unwrap().to_owned(),
        };
        assert_eq!(sent, expected, "{methods:?} {has_key}");
    }
}

#[tokio::test]
async fn an_error_names_what_is_missing_for_the_providers_methods() {
    let key = key();
    let world = world(&key).await;
    let send = async |app: OAuthClient| {
        app.token_request("client_credentials").send().await.unwrap_err().to_string()
    };
    assert_eq!(
        send(discovered(&world).await.secret("potato")).await,
        "by its metadata the provider authenticates clients with private_key_jwt, and this client has a secret for none of them; give it what is missing (OAuthClient::signing_key, OAuthClient::secret, or an http_client with a certificate), or name the method with OAuthClient::authentication"
    );
    let named = OAuthClient::new("foo", world.provider.token_url()).unwrap();
    let named = named.authentication(ClientAuthentication::PrivateKeyJwt);
    assert!(send(named).await.contains("set one with OAuthClient::signing_key"));
    let world = World::with(|p| {
        signs(p, &key).metadata(|members| {
            let algorithms = json!(["RS256", "PS256\u{1b}"]);
            members.insert("token_endpoint_auth_signing_alg_values_supported".into(), algorithms);
        })
    })
    .await;
    let error = send(discovered(&world).await.signing_key(key)).await;
    assert!(error.contains(r"signed with RS256, PS256\u{1b}, and the key is for ES256"), "{error}");
    assert_eq!(world.provider.counts().token_requests, 0);
}

#[tokio::test]
async fn an_empty_list_in_the_metadata_lists_nothing() {
    let key = key();
    let world = World::with(|p| {
        signs(p, &key).metadata(|members| {
            for name in [
                "token_endpoint_auth_methods_supported",
                "token_endpoint_auth_signing_alg_values_supported",
            ] {
                members.insert(name.into(), json!([]));
            }
        })
    })
    .await;
    let app = discovered(&world).await.signing_key(key);
    app.token_request("client_credentials").send().await.unwrap();
    let world = World::with(|p| {
        p.metadata(|members| {
            members.insert("token_endpoint_auth_methods_supported".into(), json!([]));
        })
    })
    .await;
    let app = discovered(&world).await.secret("potato");
    app.token_request("client_credentials").send().await.unwrap();
}

#[tokio::test]
async fn detection_begins_with_the_strongest_method_that_the_metadata_lists() {
    let methods = [AuthMethod::ClientSecretJwt, AuthMethod::ClientSecretPost];
    for (registered, requests) in [(vec![methods[0]], 1), (vec![methods[1]], 3)] {
        let world = World::with(|p| {
            p.client("foo", LONG_SECRET).auth_methods(registered).metadata(move |members| {
                let names =
                    json!(["client_secret_jwt", "client_secret_basic", "client_secret_post"]);
                members.insert("token_endpoint_auth_methods_supported".into(), names);
            })
        })
        .await;
        let app = discovered(&world).await.secret(LONG_SECRET);
        let app = app.authentication(ClientAuthentication::Detect);
        app.token_request("client_credentials").send().await.unwrap();
        assert_eq!(world.provider.counts().token_requests, requests);
        // It is remembered.
        app.token_request("client_credentials").send().await.unwrap();
        assert_eq!(world.provider.counts().token_requests, requests + 1);
    }
}

/// 7523-2.1-a, V6: an authorization grant is one assertion, and no client authentication beside the client's own.
#[tokio::test]
async fn a_jwt_bearer_grant_presents_one_assertion() {
    let world = World::new().await;
    let key = key();
    let claims = json!({
        "iss": "https://jwt-idp.example.com", "sub": "mailto:mike@example.com",
        "aud": "https://jwt-rp.example.net", "nbf": 1_300_815_780, "exp": 1_300_819_380,
        "http://claims.example.com/member": true,
    });
    let signed = claims.as_object().unwrap().clone();
    let grant = JwtBearer::new(move || {
        let (key, signed) = (key.clone(), signed.clone());
        async move { key.sign_jwt(signed).await }
    });
    let session = Session::builder(world.app()).grant(grant).clock(world.clock.reader()).build();
    session.token().await.unwrap();
    let request = world.provider.token_requests().pop().unwrap();
    let names: Vec<&str> = request.params.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["grant_type", "assertion"]);
    let grant_type = "urn:ietf:params:oauth:grant-type:jwt-bearer";
    assert_eq!(request.param("grant_type"), Some(grant_type));
    let parts: Vec<&str> = request.param("assertion").unwrap().split('.').collect();
    assert_eq!((parts.len(), parts[0]), (3, "eyJhbGciOiJFUzI1NiIsImtpZCI6IjE2In0"));
    let payload = BASE64_URL_SAFE_NO_PAD.decode(parts[1]).unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&payload).unwrap(), claims);
}

/// A key that is elsewhere.
struct Elsewhere {
    key: SigningKey,
    fails: std::sync::atomic::AtomicBool,
}

#[async_trait::async_trait]
impl Signer for Elsewhere {
    fn algorithm(&self) -> SigningAlgorithm {
        self.key.algorithm()
    }

    fn public_jwk(&self) -> Map<String, Value> {
        self.key.public_jwk()
    }

    fn key_id(&self) -> Option<String> {
        Some("16".to_owned())
    }

    async fn sign(&self, _: &[u8]) -> Result<Vec<u8>, BoxError> {
        if self.fails.swap(false, std::sync::atomic::Ordering::SeqCst) {
            return std::future::pending().await;
        }
        Err("the HSM is locked".into())
    }
}

#[tokio::test]
async fn a_signer_that_hangs_or_fails_sends_nothing_and_the_login_stays() {
    let key = key();
    let world = world(&key).await;
    let elsewhere = Elsewhere { key: key.clone(), fails: true.into() };
    let elsewhere = SigningKey::from_signer(elsewhere).unwrap();
    let app = |key| discovered_with(&world, key);
    let session = Session::builder(app(elsewhere.clone()).await).token(world.expired_token());
    let session = session.clock(world.clock.reader()).build();
    let waiting = tokio::spawn({
        let session = session.clone();
        async move { session.token().await }
    });
    world.plain_turns().await;
    pass(10).await;
    let error = waiting.await.unwrap().unwrap_err();
    assert!(error.is_timeout() && error.is_signing() && error.is_transient(), "{error}");
    let error = app(elsewhere).await.token_request("client_credentials").send().await.unwrap_err();
    assert!(error.is_signing() && error.is_transient() && !error.is_timeout(), "{error}");
    assert_eq!(world.provider.counts().token_requests, 0);
    assert!(session.current_token().unwrap().refresh_token().is_some());
}

async fn discovered_with(world: &World, key: SigningKey) -> OAuthClient {
    discovered(world).await.signing_key(key)
}
