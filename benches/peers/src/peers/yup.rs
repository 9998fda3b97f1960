//! yup-oauth2: an authenticator with a storage of the application's; the header is the application's to set.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Mutex;

use async_trait::async_trait;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use reqwest_oauth2::testing::Provider;
use time::{Duration, OffsetDateTime};
use yup_oauth2::authenticator::Authenticator;
use yup_oauth2::authenticator_delegate::InstalledFlowDelegate;
use yup_oauth2::storage::{TokenInfo, TokenStorage, TokenStorageError};
use yup_oauth2::{ApplicationSecret, CustomHyperClientBuilder};
use yup_oauth2::{InstalledFlowAuthenticator, InstalledFlowReturnMethod};

use crate::peer::{Begin, CLIENT_ID, Peer, Result, SECRET, Saver, http};
use crate::process::{Login, Process};

const SCOPES: [&str; 1] = ["read"];

/// How a person is asked to log in anew, whom this bench does not have.
pub const ASKS: &str = "nobody is here to log in";

pub struct Yup {
    authenticator: Authenticator<HttpConnector>,
    file: Option<PathBuf>,
    http: reqwest::Client,
}

impl Yup {
    pub async fn log_in(begin: Begin<'_>) -> Self {
        let left = if begin.expired { -Duration::HOUR } else { Duration::HOUR };
        let token = TokenInfo {
            access_token: Some(begin.access_token),
            refresh_token: Some(begin.refresh_token),
            expires_at: Some(OffsetDateTime::now_utc() + left),
            id_token: None,
        };
        let stored = Storage { token: Mutex::new(token), saver: begin.saver };
        let authenticator = authenticator(begin.provider, Keep::InMemory(stored)).await.unwrap();
        Self { authenticator, file: None, http: http() }
    }

    /// With its own storage on disk.
    pub async fn open(provider: &Provider, file: &Path) -> Result<Self> {
        let authenticator = authenticator(provider, Keep::OnDisk(file.into())).await?;
        Ok(Self { authenticator, file: Some(file.into()), http: http() })
    }

    pub fn write(login: &Login, file: &Path) -> Result {
        let token = TokenInfo {
            access_token: Some(login.access_token.clone()),
            refresh_token: Some(login.refresh_token.clone()),
            expires_at: Some(OffsetDateTime::from_unix_timestamp(login.expires_at())?),
            id_token: None,
        };
        let saved = serde_json::json!([{ "scopes": SCOPES, "token": token }]);
        Ok(std::fs::write(file, saved.to_string())?)
    }

    pub async fn access_token(&self) -> Result<String> {
        let token = self.authenticator.token(&SCOPES).await?;
        Ok(token.token().ok_or("no access token")?.to_owned())
    }
}

enum Keep {
    InMemory(Storage),
    OnDisk(PathBuf),
}

async fn authenticator(
    provider: &Provider,
    keep: Keep,
) -> std::io::Result<Authenticator<HttpConnector>> {
    let secret = ApplicationSecret {
        client_id: CLIENT_ID.into(),
        client_secret: SECRET.into(),
        token_uri: provider.token_url(),
        auth_uri: provider.authorize_url(),
        redirect_uris: vec!["http://127.0.0.1/".into()],
        ..ApplicationSecret::default()
    };
    let client = Client::builder(TokioExecutor::new()).build(HttpConnector::new());
    let builder = InstalledFlowAuthenticator::with_client(
        secret,
        InstalledFlowReturnMethod::Interactive,
        CustomHyperClientBuilder::from(client),
    );
    let builder = match keep {
        Keep::InMemory(storage) => builder.with_storage(Box::new(storage)),
        Keep::OnDisk(file) => builder.persist_tokens_to_disk(file),
    };
    builder.flow_delegate(Box::new(Nobody)).build().await
}

#[async_trait]
impl Process for Yup {
    /// By another authenticator, which writes the file: one that has a login asks nobody.
    async fn sign_in(&self, login: &Login) -> Result {
        Self::write(login, self.file.as_ref().ok_or("there is no file")?)
    }
}

#[async_trait]
impl Peer for Yup {
    async fn token(&self) -> Result {
        self.access_token().await?;
        Ok(())
    }

    async fn call(&self, url: &str) -> Result<u16> {
        let token = self.access_token().await?;
        Ok(self.http.get(url).bearer_auth(token).send().await?.status().as_u16())
    }

    async fn renew(&self) -> Result {
        self.authenticator.force_refreshed_token(&SCOPES).await?;
        Ok(())
    }
}

/// The token in memory, and a saver that fails when told to.
struct Storage {
    token: Mutex<TokenInfo>,
    saver: &'static Saver,
}

#[async_trait]
impl TokenStorage for Storage {
    async fn set(
        &self,
        _: &[&str],
        token: TokenInfo,
    ) -> std::result::Result<(), TokenStorageError> {
        self.saver.save("")?;
        *self.token.lock().unwrap() = token;
        Ok(())
    }

    async fn get(&self, _: &[&str]) -> Option<TokenInfo> {
        Some(self.token.lock().unwrap().clone())
    }
}

/// No person is there to log in again.
struct Nobody;

impl InstalledFlowDelegate for Nobody {
    fn present_user_url<'a>(
        &'a self,
        _: &'a str,
        _: bool,
    ) -> Pin<Box<dyn Future<Output = std::result::Result<String, String>> + Send + 'a>> {
        Box::pin(async { Err(ASKS.into()) })
    }
}
