//! aliri_tokens renews in a task of its own, by a refresh token; aliri_reqwest is its middleware.

use aliri_clock::DurationSecs;
use aliri_reqwest::AccessTokenMiddleware;
use aliri_tokens::backoff::ErrorBackoffConfig;
use aliri_tokens::jitter::NullJitter;
use aliri_tokens::sources::ConstTokenSource;
use aliri_tokens::sources::oauth2::RefreshTokenSource;
use aliri_tokens::sources::oauth2::dto::RefreshTokenCredentialsSource;
use aliri_tokens::{ClientId, ClientSecret, RefreshToken, TokenLifetimeConfig, TokenWatcher};
use async_trait::async_trait;
use predicates::constant::{BooleanPredicate, always};
use reqwest_middleware_04::{ClientBuilder, ClientWithMiddleware};

use crate::peer::{Begin, CLIENT_ID, Peer, Result, SECRET, http_12};

pub async fn layer(
    access_token: &str,
) -> AccessTokenMiddleware<impl predicates::Predicate<reqwest_12::Request> + Send + Sync + use<>> {
    let source = ConstTokenSource::new(access_token).with_token_valid_for(DurationSecs(3600));
    let watcher =
        TokenWatcher::spawn_from_token_source(source, NullJitter, ErrorBackoffConfig::default());
    AccessTokenMiddleware::new(watcher.await.unwrap())
}

pub struct Aliri(ClientWithMiddleware);

impl Aliri {
    /// Asks for its first access token at once: it cannot begin with one.
    pub async fn log_in(begin: Begin<'_>) -> Result<Self> {
        let credentials = RefreshTokenCredentialsSource {
            client_id: ClientId::from(CLIENT_ID),
            client_secret: Some(ClientSecret::from(SECRET)),
            refresh_token: RefreshToken::from(begin.refresh_token).into_boxed_ref(),
        };
        let url = begin.provider.token_url().parse()?;
        // By default no token is renewed within 30 seconds, however short it lives.
        let lifetimes = TokenLifetimeConfig::new(0.75, DurationSecs(0));
        let source = RefreshTokenSource::new(http_12(), url, credentials, lifetimes);
        let source = source.using_form_data();
        let watcher = TokenWatcher::spawn_from_token_source(
            source,
            NullJitter,
            ErrorBackoffConfig::default(),
        );
        let layer = AccessTokenMiddleware::new(watcher.await?);
        // On loopback; over https it needs nothing.
        let layer: AccessTokenMiddleware<BooleanPredicate> = layer.with_predicate(always());
        Ok(Self(ClientBuilder::new(http_12()).with(layer).build()))
    }
}

#[async_trait]
impl Peer for Aliri {
    /// There is always one: the last.
    async fn token(&self) -> Result {
        Ok(())
    }

    async fn call(&self, url: &str) -> Result<u16> {
        Ok(self.0.get(url).send().await?.status().as_u16())
    }

    async fn renew(&self) -> Result {
        Err("aliri_tokens renews by itself".into())
    }
}
