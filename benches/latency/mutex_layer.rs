//! `MutexLayer`: for contrast, the layer that people write first.

use async_trait::async_trait;
use http::Extensions;
use http::header::{AUTHORIZATION, HeaderValue};
use reqwest::{Request, Response};
use reqwest_middleware::{Middleware, Next, Result};
use reqwest_oauth2::Session;
use tokio::sync::Mutex;

/// The token behind a lock; a request that finds it expired refreshes it there.
pub struct MutexLayer(Mutex<Session>);

impl MutexLayer {
    pub fn new(session: Session) -> Self {
        Self(Mutex::new(session))
    }
}

#[async_trait]
impl Middleware for MutexLayer {
    async fn handle(
        &self,
        mut request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> Result<Response> {
        let token = {
            let session = self.0.lock().await;
            match session.token().await {
                Ok(token) => token,
                Err(_) => session.refresh().await.unwrap(),
            }
        };
        let header = HeaderValue::try_from(format!("Bearer {}", token.access_token())).unwrap();
        request.headers_mut().insert(AUTHORIZATION, header);
        next.run(request, extensions).await
    }
}
