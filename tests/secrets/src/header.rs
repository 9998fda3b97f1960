//! The header is marked as sensitive, for loggers behind this layer.

use async_trait::async_trait;
use reqwest_middleware::{ClientBuilder, Middleware, Next};

use crate::support::World;

struct Look;

#[async_trait]
impl Middleware for Look {
    async fn handle(
        &self,
        request: reqwest::Request,
        _: &mut http::Extensions,
        _: Next<'_>,
    ) -> reqwest_middleware::Result<reqwest::Response> {
        assert!(request.headers()["authorization"].is_sensitive());
        assert!(!format!("{request:?}").contains("at-"));
        Ok(http::Response::new("").into())
    }
}

#[tokio::test]
async fn the_header_is_marked_sensitive() {
    let world = World::new().await;
    let session = world.session().token(world.token()).build();
    let http = ClientBuilder::new(reqwest::Client::new())
        .with(session.middleware([world.provider.origin()]).unwrap())
        .with(Look)
        .build();
    http.get(world.provider.api_url()).send().await.unwrap();
}
