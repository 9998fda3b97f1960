//! A service below that is called only when it is ready, and only the one that is ready.

use std::future::{Ready, ready};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use http::{Request, Response, StatusCode};
use reqwest_oauth2::BoxError;
use tower::{Layer, Service, ServiceExt};

use crate::support::World;

/// Not ready in the beginning, nor is a clone. It answers 401 to its first request.
#[derive(Default)]
struct Strict {
    is_ready: bool,
    readied: Arc<AtomicU64>,
    called: Arc<AtomicU64>,
}

impl Clone for Strict {
    fn clone(&self) -> Self {
        let (readied, called) = (self.readied.clone(), self.called.clone());
        Self { is_ready: false, readied, called }
    }
}

impl Service<Request<String>> for Strict {
    type Response = Response<()>;
    type Error = BoxError;
    type Future = Ready<Result<Response<()>, BoxError>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        if self.is_ready {
            return Poll::Ready(Ok(()));
        }
        // Ready when it is asked again.
        self.is_ready = true;
        self.readied.fetch_add(1, Ordering::Relaxed);
        context.waker().wake_by_ref();
        Poll::Pending
    }

    fn call(&mut self, request: Request<String>) -> Self::Future {
        assert!(std::mem::take(&mut self.is_ready), "called before it was ready");
        assert_eq!(request.into_body(), "the body");
        let mut response = Response::new(());
        if self.called.fetch_add(1, Ordering::Relaxed) == 0 {
            *response.status_mut() = StatusCode::UNAUTHORIZED;
        }
        ready(Ok(response))
    }
}

#[tokio::test]
async fn the_service_that_is_ready_is_called_and_readied_again_for_a_replay() {
    let world = World::new().await;
    let session = world.session().token(world.token()).build();
    let strict = Strict::default();
    let (readied, called) = (strict.readied.clone(), strict.called.clone());
    let mut service = world.layer(&session).layer(strict);
    let request = || Request::get(world.provider.api_url()).body("the body".to_owned()).unwrap();
    let response = service.ready().await.unwrap().call(request()).await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(world.token_requests(), 1);
    assert_eq!((readied.load(Ordering::Relaxed), called.load(Ordering::Relaxed)), (2, 2));
    service.ready().await.unwrap().call(request()).await.unwrap();
    assert_eq!((readied.load(Ordering::Relaxed), called.load(Ordering::Relaxed)), (3, 3));
}
