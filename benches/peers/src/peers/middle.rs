//! middle: client credentials, renewed in a task of its own; its client sets the header.

use async_trait::async_trait;
use middle::{Authorizer, BasicClientCredentialAuthorizer, HttpClient};
use reqwest_oauth2::testing::Provider;

use crate::peer::{CLIENT_ID, Peer, Result, SECRET, http_12};

pub struct Middle {
    pub authorizer: BasicClientCredentialAuthorizer,
    http: HttpClient<BasicClientCredentialAuthorizer>,
}

impl Middle {
    pub async fn log_in(provider: &Provider) -> Result<Self> {
        let url = provider.token_url().parse()?;
        let authorizer = BasicClientCredentialAuthorizer::basic_builder(CLIENT_ID, SECRET, url)
            .set_http_client(http_12())
            .set_max_retries(0)
            .build()
            .await?;
        let http = HttpClient::new(authorizer.clone()).set_client(http_12());
        Ok(Self { authorizer, http })
    }
}

#[async_trait]
impl Peer for Middle {
    async fn token(&self) -> Result {
        self.authorizer.authorization_header()?;
        Ok(())
    }

    async fn call(&self, url: &str) -> Result<u16> {
        Ok(self.http.get(url)?.send().await?.status().as_u16())
    }

    async fn renew(&self) -> Result {
        Err("middle renews by itself".into())
    }
}
