//! A header that is there already, and never changes.

use async_trait::async_trait;
use http::Extensions;
use http::header::{AUTHORIZATION, HeaderValue};
use reqwest::{Request, Response};
use reqwest_middleware::{Middleware, Next, Result};

pub struct Constant(HeaderValue);

impl Constant {
    pub fn new(access_token: &str) -> Self {
        Self(HeaderValue::try_from(format!("Bearer {access_token}")).unwrap())
    }
}

#[async_trait]
impl Middleware for Constant {
    async fn handle(
        &self,
        mut request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> Result<Response> {
        request.headers_mut().insert(AUTHORIZATION, self.0.clone());
        next.run(request, extensions).await
    }
}
