//! rmcp: the client side of the Model Context Protocol. Its transports ask an `AuthClient`, which
//! holds an `AuthorizationManager` behind a mutex; the store is the application's, and so is the lock
//! that its documentation offers for processes that share the store.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use http::header::WWW_AUTHENTICATE;
use http::{HeaderName, HeaderValue, StatusCode};
use reqwest_oauth2::testing::Provider;
use rmcp::model::ClientJsonRpcMessage;
use rmcp::transport::auth::{
    AuthClient, AuthError, AuthorizationManager, AuthorizationMetadata, CredentialRefreshGuard,
    CredentialStore, InMemoryCredentialStore, OAuthClientConfig, StoredCredentials,
};
use rmcp::transport::streamable_http_client::{
    AuthRequiredError, SseError, StreamableHttpClient, StreamableHttpError,
    StreamableHttpPostResponse,
};
use sse_stream::Sse;

use crate::peer::{Begin, CLIENT_ID, Peer, Result, SECRET, Saver, http};
use crate::process::{Login, Process};

pub struct Rmcp {
    client: AuthClient<Api>,
    store: Option<Store>,
}

impl Rmcp {
    pub async fn log_in(begin: Begin<'_>) -> Result<Self> {
        let Begin { provider, access_token, refresh_token, expired, saver } = begin;
        let seconds_left = if expired { -1 } else { 3600 };
        let login = Login { access_token, refresh_token, seconds_left };
        let store = Store { inner: InMemoryCredentialStore::new(), saver };
        store.inner.save(credentials(&login)?).await?;
        Self::with_store(provider, store).await
    }

    /// Fresh, in the store that is there by default.
    pub async fn fresh(access_token: &str) -> Self {
        let access_token = access_token.into();
        let login = Login { access_token, refresh_token: String::new(), seconds_left: 3600 };
        let store = InMemoryCredentialStore::new();
        store.save(credentials(&login).unwrap()).await.unwrap();
        let mut manager = manager("https://provider.example").await.unwrap();
        manager.set_credential_store(store);
        Self { client: AuthClient::new(Api(http()), manager), store: None }
    }

    pub async fn open(provider: &Provider, file: &Path) -> Result<Self> {
        let saver = Saver::in_file(file);
        let inner = InMemoryCredentialStore::new();
        Self::with_store(provider, Store { inner, saver }).await
    }

    pub fn write(login: &Login, file: &Path) -> Result {
        Ok(Saver::in_file(file).save(&serde_json::to_string(&credentials(login)?)?)?)
    }

    async fn with_store(provider: &Provider, store: Store) -> Result<Self> {
        let mut manager = manager(&provider.origin()).await?;
        manager.set_credential_store(store.clone());
        Ok(Self { client: AuthClient::new(Api(http()), manager), store: Some(store) })
    }

    pub async fn access_token(&self) -> Result<String> {
        Ok(self.client.get_access_token().await?)
    }
}

async fn manager(origin: &str) -> Result<AuthorizationManager> {
    let mut manager = AuthorizationManager::new(origin).await?;
    manager.with_client(http())?;
    let mut metadata = AuthorizationMetadata::default();
    metadata.authorization_endpoint = format!("{origin}/authorize");
    metadata.token_endpoint = format!("{origin}/token");
    manager.set_metadata(metadata);
    let client = OAuthClientConfig::new(CLIENT_ID, "http://127.0.0.1/");
    manager.configure_client(client.with_client_secret(SECRET))?;
    Ok(manager)
}

/// What it stores: the answer of the provider, and when it came.
fn credentials(login: &Login) -> Result<StoredCredentials> {
    const LIFETIME: i64 = 3600;
    let answer = serde_json::json!({
        "access_token": login.access_token,
        "token_type": "Bearer",
        "refresh_token": login.refresh_token,
        "expires_in": LIFETIME,
    });
    let received_at = (login.expires_at() - LIFETIME).cast_unsigned();
    let answer = serde_json::from_value(answer)?;
    Ok(StoredCredentials::new(CLIENT_ID.into(), Some(answer), vec![], Some(received_at)))
}

#[async_trait]
impl Peer for Rmcp {
    async fn token(&self) -> Result {
        self.access_token().await?;
        Ok(())
    }

    async fn call(&self, url: &str) -> Result<u16> {
        let called = self.client.delete_session(url.into(), "".into(), None, HashMap::new());
        match called.await {
            Ok(()) => Ok(200),
            Err(StreamableHttpError::AuthRequired(_)) => Ok(401),
            Err(error) => Err(error.into()),
        }
    }

    async fn renew(&self) -> Result {
        self.client.auth_manager.lock().await.refresh_token().await?;
        Ok(())
    }
}

#[async_trait]
impl Process for Rmcp {
    /// What the exchange of a code does with its answer: the manager is asked for it under the mutex,
    /// and saves without the lock of the store.
    async fn sign_in(&self, login: &Login) -> Result {
        let _manager = self.client.auth_manager.lock().await;
        let store = self.store.as_ref().ok_or("there is no store")?;
        Ok(store.save(credentials(login)?).await?)
    }
}

/// Its own store in memory, or a file with a lock; fails when told to.
#[derive(Clone)]
struct Store {
    inner: InMemoryCredentialStore,
    saver: &'static Saver,
}

fn failed(error: impl std::error::Error) -> AuthError {
    AuthError::CredentialStoreError(error.to_string())
}

#[async_trait]
impl CredentialStore for Store {
    async fn load(&self) -> std::result::Result<Option<StoredCredentials>, AuthError> {
        match self.saver.load().map_err(failed)? {
            Some(saved) => serde_json::from_str(&saved).map_err(failed),
            None => self.inner.load().await,
        }
    }

    async fn save(&self, credentials: StoredCredentials) -> std::result::Result<(), AuthError> {
        let text = serde_json::to_string(&credentials).map_err(failed)?;
        self.saver.save(&text).map_err(failed)?;
        self.inner.save(credentials).await
    }

    async fn clear(&self) -> std::result::Result<(), AuthError> {
        self.inner.clear().await
    }

    async fn acquire_refresh_guard(
        &self,
    ) -> std::result::Result<Option<CredentialRefreshGuard>, AuthError> {
        Ok(self.saver.lock().await.map_err(failed)?.map(CredentialRefreshGuard::new))
    }
}

/// A request to the API in place of one to an MCP server: `AuthClient` adds the token, and answers a
/// 401.
#[derive(Clone)]
struct Api(reqwest::Client);

type Answer<T> = std::result::Result<T, StreamableHttpError<reqwest::Error>>;

impl StreamableHttpClient for Api {
    type Error = reqwest::Error;

    async fn delete_session(
        &self,
        url: Arc<str>,
        _: Arc<str>,
        token: Option<String>,
        _: HashMap<HeaderName, HeaderValue>,
    ) -> Answer<()> {
        let mut request = self.0.get(&*url);
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let response = request.send().await.map_err(StreamableHttpError::Client)?;
        if response.status() == StatusCode::UNAUTHORIZED {
            let challenge = response.headers().get(WWW_AUTHENTICATE);
            let challenge = challenge.and_then(|value| value.to_str().ok()).unwrap_or_default();
            return Err(StreamableHttpError::AuthRequired(AuthRequiredError::new(
                challenge.into(),
            )));
        }
        response.error_for_status().map_err(StreamableHttpError::Client)?;
        Ok(())
    }

    async fn post_message(
        &self,
        _: Arc<str>,
        _: ClientJsonRpcMessage,
        _: Option<Arc<str>>,
        _: Option<String>,
        _: HashMap<HeaderName, HeaderValue>,
    ) -> Answer<StreamableHttpPostResponse> {
        Err(StreamableHttpError::UnexpectedEndOfStream)
    }

    async fn get_stream(
        &self,
        _: Arc<str>,
        _: Option<Arc<str>>,
        _: Option<String>,
        _: Option<String>,
        _: HashMap<HeaderName, HeaderValue>,
    ) -> Answer<BoxStream<'static, std::result::Result<Sse, SseError>>> {
        Err(StreamableHttpError::ServerDoesNotSupportSse)
    }
}
