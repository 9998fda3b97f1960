//! A key for the whole client, and keys that are elsewhere.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest_oauth2::serde_json::{Map, Value};
use reqwest_oauth2::store::MemoryStore;
use reqwest_oauth2::{
    BoxError, PendingLogin, Session, Signer, SigningAlgorithm, SigningKey, Token,
};

use super::logins::{callback, param};
use super::{Proof, client, presented, token_proofs};
use crate::support::{World, pass};

const JWK: &str = include_str!("../../../src/keys/test_keys/ec.jwk");
const OTHER: &str = include_str!("../../../src/keys/test_keys/ed.pem");

#[tokio::test]
async fn one_key_for_the_client_is_named_and_not_saved() {
    let world = World::new().await;
    let key = SigningKey::from_jwk(JWK).unwrap();
    let app = client(&world).dpop_key(key.clone());
    let token = app.password("johndoe", "A3ddj3w").send().await.unwrap();
    let other = app.password("johndoe", "A3ddj3w").send().await.unwrap();
    assert_eq!(token.dpop_thumbprint(), Some(key.thumbprint()));
    assert_eq!(other.dpop_thumbprint(), Some(key.thumbprint()));
    let json = serde_json::to_value(&token).unwrap();
    assert_eq!((&json["dpop_jkt"], json.get("dpop_key")), (&key.thumbprint().into(), None));

    let restored: Token = serde_json::from_value(json).unwrap();
    let session = Session::builder(app).token(restored).build();
    session.refresh().await.unwrap();
    let keys: Vec<String> = token_proofs(&world.provider).iter().map(Proof::key).collect();
    assert_eq!(keys.len(), 3);
    assert!(keys.iter().all(|key| *key == keys[0]));
}

#[tokio::test]
async fn the_clients_key_is_not_stored_with_a_login_that_has_begun() {
    let world = World::with(|p| p.redirect_uri("https://app.example/cb")).await;
    let key = SigningKey::generate_for(SigningAlgorithm::Ps256).unwrap();
    let app = client(&world).dpop_key(key.clone());
    let app = app.authorization_endpoint(world.provider.authorize_url()).unwrap();
    let login = app.authorization_code("https://app.example/cb").unwrap().begin().unwrap();
    assert_eq!(param(login.url(), "dpop_jkt").unwrap(), key.thumbprint());
    let stored = serde_json::to_value(&login).unwrap();
    assert_eq!(stored.get("dpop_key"), None);
    let login: PendingLogin = serde_json::from_value(stored).unwrap();
    let callback = callback(&login).await;
    let token = login.finish(&app, &callback).await.unwrap();
    assert_eq!(token.dpop_thumbprint(), Some(key.thumbprint()));
    assert_eq!(token_proofs(&world.provider)[0].header["alg"], "PS256");
}

#[tokio::test]
async fn a_key_that_is_not_there_is_an_error_that_ends_nothing() {
    let world = World::new().await;
    let key = SigningKey::from_jwk(JWK).unwrap();
    let token =
        client(&world).dpop_key(key.clone()).password("johndoe", "A3ddj3w").send().await.unwrap();
    let stored = serde_json::to_value(&token).unwrap();
    let other = SigningKey::from_pem(OTHER).unwrap();
    for app in [client(&world), client(&world).dpop(), client(&world).dpop_key(other)] {
        let session =
            Session::builder(app).token(serde_json::from_value(stored.clone()).unwrap()).build();
        let error = session.refresh().await.unwrap_err();
        assert!(error.is_config() && !error.is_reauthorization_required());
        assert_eq!(
            error.to_string(),
            format!(
                "the token is bound to the key with the thumbprint {}, which is not here; pass that key to OAuthClient::dpop_key",
                key.thumbprint()
            )
        );
    }
    assert_eq!(presented(&world.provider), [None]);
    let session = Session::builder(client(&world).dpop_key(key)).token(token).build();
    session.refresh().await.unwrap();
}

#[tokio::test]
async fn a_process_without_the_key_keeps_no_other_one_from_renewing() {
    let world = World::new().await;
    let app = client(&world).dpop_key(SigningKey::from_jwk(JWK).unwrap());
    let token = app.password("johndoe", "A3ddj3w").send().await.unwrap();
    let store = Arc::new(MemoryStore::new());
    let session = |app| Session::builder(app).store(store.clone(), "alice").build();
    let (with, without) = (session(app), session(client(&world)));
    with.set_token(token.with_expires_at(std::time::UNIX_EPOCH.into())).await.unwrap();
    for seconds in [1, 30, 1] {
        let error = without.token().await.unwrap_err();
        assert!(error.is_config(), "{error}");
        pass(seconds).await;
    }
    let renewed = with.token().await.unwrap();
    assert_eq!(without.token().await.unwrap().access_token(), renewed.access_token());
    let counts = world.provider.counts();
    assert_eq!((counts.refreshes, counts.reuse_detected), (1, 0));
}

/// A signer that fails, hangs or panics, as a test says.
struct Elsewhere {
    key: SigningKey,
    does: Arc<Mutex<&'static str>>,
    signed: Arc<AtomicU32>,
    is_dropped: Arc<AtomicBool>,
}

struct OnDrop(Arc<AtomicBool>);

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[async_trait::async_trait]
impl Signer for Elsewhere {
    fn algorithm(&self) -> SigningAlgorithm {
        self.key.algorithm()
    }

    fn public_jwk(&self) -> Map<String, Value> {
        self.key.public_jwk()
    }

    async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, BoxError> {
        self.signed.fetch_add(1, Ordering::Relaxed);
        let does = *self.does.lock().unwrap();
        match does {
            "fail" => Err("the KMS is down".into()),
            "panic" => panic!("on purpose"),
            "garbage" => Ok(message.to_vec()),
            _ => {
                let _dropped = OnDrop(self.is_dropped.clone());
                std::future::pending().await
            }
        }
    }
}

#[tokio::test]
async fn a_signer_that_does_not_sign_is_an_error_and_the_login_stays() {
    let world = World::new().await;
    let key = SigningKey::from_jwk(JWK).unwrap();
    let token =
        client(&world).dpop_key(key.clone()).password("johndoe", "A3ddj3w").send().await.unwrap();
    let (does, signed) = (Arc::new(Mutex::new("fail")), Arc::new(AtomicU32::new(0)));
    let is_dropped = Arc::new(AtomicBool::new(false));
    let signer = Elsewhere {
        key: key.clone(),
        does: does.clone(),
        signed: signed.clone(),
        is_dropped: is_dropped.clone(),
    };
    let elsewhere = SigningKey::from_signer(signer).unwrap().sign_timeout(Duration::from_secs(2));
    let app = client(&world).dpop_key(elsewhere);
    let session = Session::builder(app)
        .token(token.clone())
        .clock(world.clock.reader())
        .backoff(Duration::from_secs(1), Duration::from_secs(1))
        .build();
    for how in ["fail", "panic", "garbage"] {
        *does.lock().unwrap() = how;
        let error = session.refresh().await.unwrap_err();
        assert!(error.is_signing() && error.is_transient(), "{how}: {error}");
        pass(2).await;
    }
    assert_eq!(signed.load(Ordering::Relaxed), 3);
    *does.lock().unwrap() = "hang";
    let waiting = tokio::spawn(async move { session.refresh().await });
    world.plain_turns().await;
    pass(2).await;
    let error = waiting.await.unwrap().unwrap_err();
    assert!(error.is_signing() && error.is_timeout());
    assert!(is_dropped.load(Ordering::Relaxed));
    // Nothing was sent.
    assert_eq!(world.provider.counts().token_requests, 1);
    assert!(world.provider.accepts_refresh_token(token.refresh_token().unwrap()));
}
