//! huskarl: a cache over a source of tokens, an authorizer that makes headers of them, and a loop
//! around each request that the application writes (as in its example `cached_client`).

use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use http::{Method, StatusCode, Uri};
use huskarl::authorizer::{HttpAuthorizer, parse_challenges};
use huskarl::cache::{
    GrantTokenSource, InMemoryRefreshTokenStore, InMemoryTokenCache, NoSource, RefreshTokenStore,
};
use huskarl::core::client_auth::ClientSecret;
use huskarl::core::platform::MaybeSendBoxFuture;
use huskarl::core::secrets::{Secret, SecretOutput, SecretString};
use huskarl::core::{Error, OAuthErrorCode, RetryAdvice};
use huskarl::grant::client_credentials::ClientCredentialsGrant;
use huskarl::grant::core::RawTokenResponse;
use huskarl::token::RefreshToken;
use huskarl_reqwest::ReqwestClient;
use reqwest_oauth2::testing::Provider;

use crate::peer::{Begin, CLIENT_ID, Peer, Result, SECRET, Saver, http};
use crate::process::{Login, Process};

type Source = GrantTokenSource<ClientCredentialsGrant, Store>;

pub struct Huskarl {
    pub authorizer: HttpAuthorizer,
    source: Arc<Source>,
    http: reqwest::Client,
}

impl Huskarl {
    /// Begins with a refresh token: an access token of before cannot be given.
    pub async fn log_in(begin: Begin<'_>) -> Result<Self> {
        let store = Store { inner: InMemoryRefreshTokenStore::default(), saver: begin.saver };
        store.inner.set(&RefreshToken::new(SecretString::new(begin.refresh_token), None)).await?;
        let huskarl = Self::new(begin.provider, store)?;
        if !begin.expired {
            huskarl.token().await?;
        }
        Ok(huskarl)
    }

    /// The file holds the refresh token: its documentation advises against more.
    pub fn open(provider: &Provider, file: &Path) -> Result<Self> {
        let inner = InMemoryRefreshTokenStore::default();
        Self::new(provider, Store { inner, saver: Saver::in_file(file) })
    }

    pub fn write(login: &Login, file: &Path) -> Result {
        Ok(Saver::in_file(file).save(&login.refresh_token)?)
    }

    fn new(provider: &Provider, store: Store) -> Result<Self> {
        let grant = ClientCredentialsGrant::builder()
            .client_id(CLIENT_ID)
            .client_auth(ClientSecret::new(Known))
            .http_client(ReqwestClient::from(http()))
            .token_endpoint(provider.token_url().parse()?)
            .build();
        let source = GrantTokenSource::builder()
            .grant(grant)
            .grant_parameters(NoSource)
            .refresh_store(store)
            .build();
        let source = Arc::new(source);
        let cache = InMemoryTokenCache::builder().source(Arc::clone(&source)).build();
        let authorizer = HttpAuthorizer::builder().cache(Arc::new(cache)).build();
        Ok(Self { authorizer, source, http: http() })
    }
}

#[async_trait]
impl Peer for Huskarl {
    async fn token(&self) -> Result {
        let uri = Uri::from_static("https://api.example/");
        self.authorizer.get_headers(&Method::GET, &uri).await?;
        Ok(())
    }

    async fn call(&self, url: &str) -> Result<u16> {
        let uri: Uri = url.parse()?;
        let headers = self.authorizer.get_headers(&Method::GET, &uri).await?;
        let mut response = self.http.get(url).headers(headers).send().await?;
        self.authorizer.process_response(&uri, response.headers());
        let invalid_token = response.status() == StatusCode::UNAUTHORIZED
            && parse_challenges(response.headers())
                .iter()
                .any(|challenge| challenge.error() == Some(OAuthErrorCode::InvalidToken));
        if invalid_token {
            let headers = self.authorizer.get_headers(&Method::GET, &uri).await?;
            response = self.http.get(url).headers(headers).send().await?;
            self.authorizer.process_response(&uri, response.headers());
        }
        Ok(response.status().as_u16())
    }

    async fn renew(&self) -> Result {
        self.authorizer.invalidate();
        self.token().await
    }
}

#[async_trait]
impl Process for Huskarl {
    async fn sign_in(&self, login: &Login) -> Result {
        let response = RawTokenResponse::builder()
            .access_token(SecretString::new(login.access_token.as_str()))
            .token_type("Bearer")
            .expires_in(3600)
            .refresh_token(SecretString::new(login.refresh_token.as_str()))
            .build();
        self.source.prime(response.into_token_response(None, SystemTime::now())?).await?;
        Ok(())
    }
}

/// Its own store in memory, or a file; fails when told to.
struct Store {
    inner: InMemoryRefreshTokenStore,
    saver: &'static Saver,
}

impl RefreshTokenStore for Store {
    fn get(&self) -> MaybeSendBoxFuture<'_, std::result::Result<Option<RefreshToken>, Error>> {
        let saved = match self.saver.load() {
            Ok(None) => return self.inner.get(),
            Ok(Some(saved)) => Ok(Some(RefreshToken::new(SecretString::new(saved), None))),
            Err(error) => Err(Error::new(RetryAdvice::No, error)),
        };
        Box::pin(async { saved })
    }

    fn set<'a>(
        &'a self,
        token: &'a RefreshToken,
    ) -> MaybeSendBoxFuture<'a, std::result::Result<(), Error>> {
        match self.saver.save(token.token().expose_secret()) {
            Ok(()) => self.inner.set(token),
            Err(error) => Box::pin(async move { Err(Error::new(RetryAdvice::No, error)) }),
        }
    }

    fn clear(&self) -> MaybeSendBoxFuture<'_, std::result::Result<(), Error>> {
        self.inner.clear()
    }
}

struct Known;

impl Secret for Known {
    type Output = SecretString;

    fn get_secret_value(
        &self,
    ) -> MaybeSendBoxFuture<'_, std::result::Result<SecretOutput<SecretString>, Error>> {
        Box::pin(async { Ok(SecretOutput { value: SecretString::new(SECRET), identity: None }) })
    }
}
