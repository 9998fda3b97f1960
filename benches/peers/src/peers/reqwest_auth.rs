//! reqwest-auth: a middleware that asks a token source, which the application brings; here the one
//! that one writes.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use reqwest_auth::AuthorizationHeaderMiddleware;
use token_source::TokenSource;

use super::by_hand::ByHand;

struct Source(ByHand);

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Source")
    }
}

#[async_trait]
impl TokenSource for Source {
    async fn token(&self) -> crate::peer::Result<String> {
        Ok(format!("Bearer {}", self.0.access_token().await?))
    }
}

pub fn layer(access_token: &str) -> AuthorizationHeaderMiddleware {
    let source: Arc<dyn TokenSource> = Arc::new(Source(ByHand::fresh(access_token)));
    AuthorizationHeaderMiddleware::from(source)
}
