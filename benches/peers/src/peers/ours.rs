//! This crate.

use async_trait::async_trait;
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};
use reqwest_oauth2::{OAuthClient, Session, Token};

use crate::peer::{Begin, CLIENT_ID, Peer, Result, SECRET, http};

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
            .on_new_token(move |_: Token| async move { saver.save() })
            .build();
        let layer = session.middleware([provider.origin()]).unwrap();
        Self { session, http: ClientBuilder::new(http()).with(layer).build() }
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
