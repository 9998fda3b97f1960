//! yup-oauth2: an authenticator with a storage of the application's; the header is the application's to set.

use std::future::Future;
use std::pin::Pin;
use std::sync::Mutex;

use async_trait::async_trait;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use time::{Duration, OffsetDateTime};
use yup_oauth2::authenticator::Authenticator;
use yup_oauth2::authenticator_delegate::InstalledFlowDelegate;
use yup_oauth2::storage::{TokenInfo, TokenStorage, TokenStorageError};
use yup_oauth2::{ApplicationSecret, CustomHyperClientBuilder};
use yup_oauth2::{InstalledFlowAuthenticator, InstalledFlowReturnMethod};

use crate::peer::{Begin, CLIENT_ID, Peer, Result, SECRET, Saver, http};

const SCOPES: [&str; 1] = ["read"];

pub struct Yup {
    authenticator: Authenticator<HttpConnector>,
    http: reqwest::Client,
}

impl Yup {
    pub async fn log_in(begin: Begin<'_>) -> Self {
        let secret = ApplicationSecret {
            client_id: CLIENT_ID.into(),
            client_secret: SECRET.into(),
            token_uri: begin.provider.token_url(),
            auth_uri: begin.provider.authorize_url(),
            redirect_uris: vec!["http://127.0.0.1/".into()],
            ..ApplicationSecret::default()
        };
        let left = if begin.expired { -Duration::HOUR } else { Duration::HOUR };
        let token = TokenInfo {
            access_token: Some(begin.access_token),
            refresh_token: Some(begin.refresh_token),
            expires_at: Some(OffsetDateTime::now_utc() + left),
            id_token: None,
        };
        let stored = Storage { token: Mutex::new(token), saver: begin.saver };
        let client = Client::builder(TokioExecutor::new()).build(HttpConnector::new());
        let authenticator = InstalledFlowAuthenticator::with_client(
            secret,
            InstalledFlowReturnMethod::Interactive,
            CustomHyperClientBuilder::from(client),
        )
        .with_storage(Box::new(stored))
        .flow_delegate(Box::new(Nobody))
        .build()
        .await
        .unwrap();
        Self { authenticator, http: http() }
    }

    pub async fn access_token(&self) -> Result<String> {
        let token = self.authenticator.token(&SCOPES).await?;
        Ok(token.token().ok_or("no access token")?.to_owned())
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
        self.saver.save()?;
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
        Box::pin(async { Err("nobody is here to log in".into()) })
    }
}
