//! `Entrance` and `Exit`: the middleware before the layer and the one behind it.

use std::future::poll_fn;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use http::Extensions;
use reqwest::{Request, Response};
use reqwest_middleware::{Middleware, Next, Result};

/// What is noted between the middleware before the layer and the one behind it.
#[derive(Default)]
pub struct Watch {
    pub waited: AtomicU64,
    pub longest: Mutex<Duration>,
}

/// On its way through the layer.
#[derive(Clone)]
struct Passage {
    entered: Instant,
    polls: Arc<AtomicU32>,
}

pub struct Entrance;

#[async_trait]
impl Middleware for Entrance {
    async fn handle(
        &self,
        request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> Result<Response> {
        let polls = Arc::new(AtomicU32::new(0));
        extensions.insert(Passage { entered: Instant::now(), polls: polls.clone() });
        let mut rest = next.run(request, extensions);
        let response = poll_fn(|context| {
            polls.fetch_add(1, Ordering::Relaxed);
            rest.as_mut().poll(context)
        });
        response.await
    }
}

pub struct Exit(pub Arc<Watch>);

#[async_trait]
impl Middleware for Exit {
    async fn handle(
        &self,
        request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> Result<Response> {
        if let Some(passage) = extensions.remove::<Passage>() {
            let within = passage.entered.elapsed();
            let waited = passage.polls.load(Ordering::Relaxed) > 1;
            self.0.waited.fetch_add(waited.into(), Ordering::Relaxed);
            let mut longest = self.0.longest.lock().unwrap();
            *longest = within.max(*longest);
        }
        next.run(request, extensions).await
    }
}
