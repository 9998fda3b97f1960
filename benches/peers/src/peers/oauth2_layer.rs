//! The `oauth2` crate for the token request, and what one writes around it: the token behind a mutex, in
//! a file, renewed by whoever finds it expired; one renewal and one more try after a 401.

use std::path::Path;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use http::header::{AUTHORIZATION, HeaderValue};
use http::{Extensions, StatusCode};
use oauth2::basic::BasicClient;
use oauth2::{
    ClientId, ClientSecret, EndpointNotSet, EndpointSet, RefreshToken, TokenResponse, TokenUrl,
};
use reqwest::{Request, Response};
use reqwest_middleware::{ClientBuilder, Middleware, Next};
use reqwest_oauth2::testing::Provider;
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use crate::peer::{Begin, CLIENT_ID, Peer, Result, SECRET, Saver, http};
use crate::process::{Login, Process};

type Client =
    BasicClient<EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointSet>;

pub struct OAuth2Layer(std::sync::Arc<Shared>);

struct Shared {
    tokens: Mutex<Tokens>,
    client: Client,
    saver: &'static Saver,
    /// What the `oauth2` crate is built on.
    token_http: reqwest_12::Client,
    http: reqwest::Client,
}

#[derive(Clone, Deserialize, Serialize)]
struct Tokens {
    access_token: String,
    refresh_token: String,
    expires_at: SystemTime,
}

impl From<&Login> for Tokens {
    fn from(login: &Login) -> Self {
        Self {
            access_token: login.access_token.clone(),
            refresh_token: login.refresh_token.clone(),
            expires_at: SystemTime::UNIX_EPOCH
                + Duration::from_secs(login.expires_at().cast_unsigned()),
        }
    }
}

impl OAuth2Layer {
    pub fn log_in(begin: Begin<'_>) -> Self {
        let Begin { provider, access_token, refresh_token, expired, saver } = begin;
        let seconds_left = if expired { -1 } else { 3600 };
        let login = Login { access_token, refresh_token, seconds_left };
        Self::new(provider.token_url(), Tokens::from(&login), saver)
    }

    /// Fresh, and never renewed.
    pub fn fresh(access_token: &str) -> Self {
        let access_token = access_token.into();
        let login = Login { access_token, refresh_token: String::new(), seconds_left: 3600 };
        let saver = Box::leak(Box::default());
        Self::new("https://provider.example/token".into(), Tokens::from(&login), saver)
    }

    /// The file is read once, when the program starts.
    pub fn open(provider: &Provider, file: &Path) -> Result<Self> {
        let saver = Saver::in_file(file);
        let tokens = serde_json::from_str(&saver.load()?.ok_or("there is no file")?)?;
        Ok(Self::new(provider.token_url(), tokens, saver))
    }

    pub fn write(login: &Login, file: &Path) -> Result {
        Ok(Saver::in_file(file).save(&serde_json::to_string(&Tokens::from(login))?)?)
    }

    fn new(token_url: String, tokens: Tokens, saver: &'static Saver) -> Self {
        let client = BasicClient::new(ClientId::new(CLIENT_ID.into()))
            .set_client_secret(ClientSecret::new(SECRET.into()))
            .set_token_uri(TokenUrl::new(token_url).unwrap());
        // As the documentation of the `oauth2` crate says.
        let token_http = reqwest_12::Client::builder()
            .no_proxy()
            .redirect(reqwest_12::redirect::Policy::none())
            .build()
            .unwrap();
        let tokens = Mutex::new(tokens);
        Self(std::sync::Arc::new(Shared { tokens, client, saver, token_http, http: http() }))
    }
}

impl Shared {
    async fn access_token(&self) -> Result<String> {
        let mut tokens = self.tokens.lock().await;
        if tokens.expires_at <= SystemTime::now() {
            self.renew(&mut tokens).await?;
        }
        Ok(tokens.access_token.clone())
    }

    /// After a 401; unless another one has renewed since.
    async fn other_than(&self, rejected: &str) -> Result<String> {
        let mut tokens = self.tokens.lock().await;
        if tokens.access_token == rejected {
            self.renew(&mut tokens).await?;
        }
        Ok(tokens.access_token.clone())
    }

    async fn renew(&self, tokens: &mut Tokens) -> Result {
        let refresh_token = RefreshToken::new(tokens.refresh_token.clone());
        let request = self.client.exchange_refresh_token(&refresh_token);
        let answer = request.request_async(&self.token_http).await?;
        let lifetime = answer.expires_in().unwrap_or(Duration::from_secs(3600));
        let new = answer.refresh_token().unwrap_or(&refresh_token);
        let renewed = Tokens {
            access_token: answer.access_token().secret().clone(),
            refresh_token: new.secret().clone(),
            expires_at: SystemTime::now() + lifetime,
        };
        self.save(&renewed)?;
        *tokens = renewed;
        Ok(())
    }

    fn save(&self, tokens: &Tokens) -> Result {
        Ok(self.saver.save(&serde_json::to_string(tokens)?)?)
    }
}

fn authorize(request: &mut Request, token: &str) {
    let mut header = HeaderValue::try_from(format!("Bearer {token}")).unwrap();
    header.set_sensitive(true);
    request.headers_mut().insert(AUTHORIZATION, header);
}

#[async_trait]
impl Middleware for OAuth2Layer {
    async fn handle(
        &self,
        mut request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> reqwest_middleware::Result<Response> {
        let failed = |error| reqwest_middleware::Error::Middleware(anyhow::anyhow!("{error}"));
        let token = self.0.access_token().await.map_err(failed)?;
        authorize(&mut request, &token);
        let again = request.try_clone();
        let response = next.clone().run(request, extensions).await?;
        let Some(mut again) = again.filter(|_| response.status() == StatusCode::UNAUTHORIZED)
        else {
            return Ok(response);
        };
        authorize(&mut again, &self.0.other_than(&token).await.map_err(failed)?);
        next.run(again, extensions).await
    }
}

#[async_trait]
impl Peer for OAuth2Layer {
    async fn token(&self) -> Result {
        self.0.access_token().await?;
        Ok(())
    }

    async fn call(&self, url: &str) -> Result<u16> {
        let layer = Self(std::sync::Arc::clone(&self.0));
        let http = ClientBuilder::new(self.0.http.clone()).with(layer).build();
        Ok(http.get(url).send().await?.status().as_u16())
    }

    async fn renew(&self) -> Result {
        self.0.renew(&mut *self.0.tokens.lock().await).await
    }
}

#[async_trait]
impl Process for OAuth2Layer {
    async fn sign_in(&self, login: &Login) -> Result {
        let mut tokens = self.0.tokens.lock().await;
        *tokens = login.into();
        self.0.save(&tokens)
    }
}
