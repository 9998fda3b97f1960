//! huskarl: a cache over a source of tokens, an authorizer that makes headers of them, and a loop
//! around each request that the application writes (as in its example `cached_client`).

use std::sync::Arc;

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
use huskarl::token::RefreshToken;
use huskarl_reqwest::ReqwestClient;

use crate::peer::{Begin, CLIENT_ID, Peer, Result, SECRET, Saver, http};

pub struct Huskarl {
    pub authorizer: HttpAuthorizer,
    http: reqwest::Client,
}

impl Huskarl {
    /// Begins with a refresh token: an access token of before cannot be given.
    pub async fn log_in(begin: Begin<'_>) -> Result<Self> {
        let store = Store { inner: InMemoryRefreshTokenStore::default(), saver: begin.saver };
        store.inner.set(&RefreshToken::new(SecretString::new(begin.refresh_token), None)).await?;
        let grant = ClientCredentialsGrant::builder()
            .client_id(CLIENT_ID)
            .client_auth(ClientSecret::new(Known))
            .http_client(ReqwestClient::from(http()))
            .token_endpoint(begin.provider.token_url().parse()?)
            .build();
        let source = GrantTokenSource::builder()
            .grant(grant)
            .grant_parameters(NoSource)
            .refresh_store(store)
            .build();
        let cache = InMemoryTokenCache::builder().source(source).build();
        let huskarl = Self {
            authorizer: HttpAuthorizer::builder().cache(Arc::new(cache)).build(),
            http: http(),
        };
        if !begin.expired {
            huskarl.token().await?;
        }
        Ok(huskarl)
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

/// Its own store in memory, which fails when told to.
struct Store {
    inner: InMemoryRefreshTokenStore,
    saver: &'static Saver,
}

impl RefreshTokenStore for Store {
    fn get(&self) -> MaybeSendBoxFuture<'_, std::result::Result<Option<RefreshToken>, Error>> {
        self.inner.get()
    }

    fn set<'a>(
        &'a self,
        token: &'a RefreshToken,
    ) -> MaybeSendBoxFuture<'a, std::result::Result<(), Error>> {
        match self.saver.save() {
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
