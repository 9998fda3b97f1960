//! `TokenUpdated`, for applications that save without a saver, with a retrying layer outside.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use http::Extensions;
use reqwest::{Request, Response};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware, Middleware, Next, Result};
use reqwest_oauth2::{Session, TokenUpdated};

use crate::support::{World, plain_http};

/// Sends each request so often, whatever the responses, and returns the last one.
struct Attempts(Arc<AtomicU32>);

#[async_trait]
impl Middleware for Attempts {
    async fn handle(
        &self,
        request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> Result<Response> {
        for _ in 1..self.0.load(Ordering::Relaxed) {
            next.clone().run(request.try_clone().unwrap(), extensions).await?;
        }
        next.run(request, extensions).await
    }
}

fn http(world: &World, session: &Session) -> (ClientWithMiddleware, Arc<AtomicU32>) {
    let attempts = Arc::new(AtomicU32::new(3));
    let http = ClientBuilder::new(plain_http())
        .with(Attempts(attempts.clone()))
        .with(session.middleware([world.provider.origin()]).unwrap())
        .build();
    (http, attempts)
}

async fn update(world: &World, http: &ClientWithMiddleware) -> Option<String> {
    let response = http.get(world.provider.api_url()).send().await.unwrap();
    assert_eq!(response.status(), 200);
    let update = response.extensions().get::<TokenUpdated>();
    update.map(|TokenUpdated(token)| token.access_token().to_owned())
}

#[tokio::test]
async fn whichever_attempt_is_taken_its_response_shows_the_update() {
    for expired in [true, false] {
        let world = World::new().await;
        let token = if expired { world.expired_token() } else { world.token() };
        let session = world.session().token(token).build();
        let (http, attempts) = http(&world, &session);
        world.provider.revoke_access_tokens();
        for round in 1..=3 {
            attempts.store(round, Ordering::Relaxed);
            let shown = update(&world, &http).await;
            let token = session.current_token().unwrap();
            assert_eq!(shown.as_deref(), Some(token.access_token()));
            assert_eq!(update(&world, &http).await, None, "another request");
            world.clock.forward(3600.0);
        }
        assert_eq!(world.provider.counts().token_requests, 3);
    }
}

#[tokio::test]
async fn one_request_of_many_shows_the_update() {
    let world = World::new().await;
    let session = world.session().token(world.expired_token()).build();
    let (http, _) = http(&world, &session);
    let hold = world.provider.pause_token_requests();
    let updates = (0..10).map(|_| update(&world, &http));
    let all = futures_util::future::join_all(updates);
    let release = async {
        world.provider.wait_for_token_requests(1).await;
        drop(hold);
    };
    let (updates, ()) = tokio::join!(all, release);
    assert_eq!(updates.iter().flatten().count(), 1);
}
