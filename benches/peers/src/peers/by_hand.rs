//! The usual code: the token behind a mutex, refreshed by the first request that finds it expired, saved, used.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use http::Extensions;
use http::header::{AUTHORIZATION, HeaderValue};
use reqwest::{Request, Response};
use reqwest_middleware::{Middleware, Next};
use serde::Deserialize;
use tokio::sync::Mutex;

use crate::peer::{Begin, CLIENT_ID, Peer, Result, SECRET, Saver, http};

pub struct ByHand {
    token: Mutex<Tokens>,
    token_url: String,
    saver: &'static Saver,
    http: reqwest::Client,
}

struct Tokens {
    access_token: String,
    refresh_token: String,
    expires_at: Instant,
}

#[derive(Deserialize)]
struct Answer {
    access_token: String,
    refresh_token: Option<String>,
    expires_in: u64,
}

impl ByHand {
    pub fn log_in(begin: Begin<'_>) -> Self {
        let left = if begin.expired { Duration::ZERO } else { Duration::from_secs(3600) };
        let token = Tokens {
            access_token: begin.access_token,
            refresh_token: begin.refresh_token,
            expires_at: Instant::now() + left,
        };
        let token_url = begin.provider.token_url();
        Self { token: Mutex::new(token), token_url, saver: begin.saver, http: http() }
    }

    /// With an hour left, and nowhere to refresh.
    pub fn fresh(access_token: &str) -> Self {
        let token = Tokens {
            access_token: access_token.to_owned(),
            refresh_token: String::new(),
            expires_at: Instant::now() + Duration::from_secs(3600),
        };
        let saver = Box::leak(Box::default());
        Self { token: Mutex::new(token), token_url: String::new(), saver, http: http() }
    }

    pub async fn access_token(&self) -> Result<String> {
        let mut token = self.token.lock().await;
        if token.expires_at <= Instant::now() {
            let renewed = self.refresh(&token.refresh_token).await?;
            self.saver.save(&renewed.refresh_token)?;
            *token = renewed;
        }
        Ok(token.access_token.clone())
    }

    async fn refresh(&self, refresh_token: &str) -> Result<Tokens> {
        let form = [("grant_type", "refresh_token"), ("refresh_token", refresh_token)];
        let request = self.http.post(&self.token_url).basic_auth(CLIENT_ID, Some(SECRET));
        let answer = request.form(&form).send().await?.error_for_status()?;
        let answer: Answer = answer.json().await?;
        Ok(Tokens {
            access_token: answer.access_token,
            refresh_token: answer.refresh_token.unwrap_or_else(|| refresh_token.to_owned()),
            expires_at: Instant::now() + Duration::from_secs(answer.expires_in),
        })
    }
}

#[async_trait]
impl Peer for ByHand {
    async fn token(&self) -> Result {
        self.access_token().await?;
        Ok(())
    }

    async fn call(&self, url: &str) -> Result<u16> {
        let token = self.access_token().await?;
        Ok(self.http.get(url).bearer_auth(token).send().await?.status().as_u16())
    }

    async fn renew(&self) -> Result {
        self.token.lock().await.expires_at = Instant::now();
        self.token().await
    }
}

#[async_trait]
impl Middleware for ByHand {
    async fn handle(
        &self,
        mut request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> reqwest_middleware::Result<Response> {
        let failed = |error| reqwest_middleware::Error::Middleware(anyhow::anyhow!("{error}"));
        let token = self.access_token().await.map_err(failed)?;
        let mut header = HeaderValue::try_from(format!("Bearer {token}")).unwrap();
        header.set_sensitive(true);
        request.headers_mut().insert(AUTHORIZATION, header);
        next.run(request, extensions).await
    }
}
