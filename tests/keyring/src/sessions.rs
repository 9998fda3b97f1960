//! Sessions with their login in the keychain.

use std::time::UNIX_EPOCH;

use reqwest_oauth2::store::KeyringStore;
use reqwest_oauth2::testing::Provider;
use reqwest_oauth2::{OAuthClient, Session, SessionBuilder, Token};

use crate::keychain;

/// A provider that rotates refresh tokens, and one login.
pub(crate) struct World {
    pub(crate) provider: Provider,
    service: &'static str,
}

impl World {
    pub(crate) async fn new(service: &'static str) -> Self {
        let provider = Provider::builder().rotation(true).reuse_detection(true);
        Self { provider: provider.start().await.unwrap(), service }
    }

    pub(crate) fn app(&self) -> OAuthClient {
        OAuthClient::new("foo", self.provider.token_url()).unwrap().secret("potato")
    }

    /// What a process has: a store and a session of its own.
    pub(crate) fn process(&self) -> SessionBuilder {
        Session::builder(self.app()).store(KeyringStore::new(self.service), "me").foreground()
    }

    pub(crate) fn token(&self) -> Token {
        serde_json::from_value(self.provider.log_in()).unwrap()
    }

    pub(crate) fn expired_token(&self) -> Token {
        self.token().with_expires_at(UNIX_EPOCH.into())
    }

    pub(crate) fn requests(&self) -> u64 {
        self.provider.counts().token_requests
    }
}

pub(crate) async fn a_login_survives_a_restart() {
    let world = World::new("login").await;
    let token = world.token();
    world.process().build().set_token(token.clone()).await.unwrap();
    keychain::restart();
    let found = world.process().build().token().await.unwrap();
    assert_eq!(found.access_token(), token.access_token());
    assert_eq!(found.refresh_token(), token.refresh_token());
    assert_eq!(world.requests(), 0);
}

pub(crate) async fn sign_out_leaves_no_secret() {
    let world = World::new("sign-out").await;
    let session = world.process().build();
    let token = world.token();
    session.set_token(token.clone()).await.unwrap();
    let secrets = [token.access_token(), token.refresh_token().unwrap()];
    let held = async |secret: &str| {
        let entries = keychain::entries("sign-out").await;
        entries.iter().any(|entry| String::from_utf8_lossy(&entry.secret).contains(secret))
    };
    for secret in secrets {
        assert!(held(secret).await);
    }
    session.sign_out().await.unwrap();
    for secret in secrets {
        assert!(!held(secret).await);
    }
    let error = world.process().build().token().await.unwrap_err();
    assert!(error.is_reauthorization_required(), "{error:?}");
}
