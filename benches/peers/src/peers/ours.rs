//! This crate.

use std::path::Path;

use async_trait::async_trait;
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};
use reqwest_oauth2::store::FileStore;
use reqwest_oauth2::testing::Provider;
use reqwest_oauth2::{OAuthClient, Session, Token};

use crate::peer::{Begin, CLIENT_ID, Peer, Result, SECRET, http};
use crate::process::{Login, Process};

pub struct Ours {
    session: Session,
    http: ClientWithMiddleware,
}

impl Ours {
    pub fn log_in(begin: Begin<'_>) -> Self {
        let Begin { provider, saver, .. } = begin;
        let app = OAuthClient::new(CLIENT_ID, provider.token_url()).unwrap().secret(SECRET);
        let seconds = if begin.expired { 1_700_000_000 } else { 4_000_000_000_i64 };
        let token = serde_json::json!({
            "access_token": begin.access_token,
            "refresh_token": begin.refresh_token,
            "expires_at": seconds,
        });
        let session = Session::builder(app)
            .token(serde_json::from_value::<Token>(token).unwrap())
            .on_new_token(move |_: Token| async move { saver.save("") })
            .build();
        Self::new(session, provider)
    }

    /// As the page about command-line tools says, for a process that may end after any call.
    pub fn open(provider: &Provider, file: &Path) -> Self {
        let app = OAuthClient::new(CLIENT_ID, provider.token_url()).unwrap().secret(SECRET);
        let session = Session::builder(app)
            .store(FileStore::file(file), "me")
            .foreground()
            .strict_saving()
            .build();
        Self::new(session, provider)
    }

    fn new(session: Session, provider: &Provider) -> Self {
        let layer = session.middleware([provider.origin()]).unwrap();
        Self { session, http: ClientBuilder::new(http()).with(layer).build() }
    }

    /// The file may begin as a plain token.
    pub fn write(login: &Login, file: &Path) -> Result {
        Ok(std::fs::write(file, json(login).to_string())?)
    }
}

fn json(login: &Login) -> serde_json::Value {
    serde_json::json!({
        "access_token": login.access_token,
        "refresh_token": login.refresh_token,
        "expires_in": 3600,
        "expires_at": login.expires_at(),
    })
}

#[async_trait]
impl Process for Ours {
    async fn sign_in(&self, login: &Login) -> Result {
        Ok(self.session.set_token(serde_json::from_value(json(login))?).await?)
    }
}

#[async_trait]
impl Peer for Ours {
    async fn token(&self) -> Result {
        self.session.token().await?;
        Ok(())
    }

    async fn call(&self, url: &str) -> Result<u16> {
        Ok(self.http.get(url).send().await?.status().as_u16())
    }

    async fn renew(&self) -> Result {
        self.session.refresh().await?;
        Ok(())
    }
}
