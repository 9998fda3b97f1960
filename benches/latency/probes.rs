//! `EntryProbe` and `ExitProbe`: the middleware before the layer and the one behind it.

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
pub struct ProbeResults {
    pub waited: AtomicU64,
    pub longest: Mutex<Duration>,
}

/// On its way through the layer.
#[derive(Clone)]
struct Timing {
    entered: Instant,
    polls: Arc<AtomicU32>,
}

pub struct EntryProbe;

#[async_trait]
impl Middleware for EntryProbe {
    async fn handle(
        &self,
        request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> Result<Response> {
        let polls = Arc::new(AtomicU32::new(0));
        extensions.insert(Timing { entered: Instant::now(), polls: polls.clone() });
        let mut rest = next.run(request, extensions);
        let response = poll_fn(|context| {
            polls.fetch_add(1, Ordering::Relaxed);
            rest.as_mut().poll(context)
        });
        response.await
    }
}

pub struct ExitProbe(pub Arc<ProbeResults>);

#[async_trait]
impl Middleware for ExitProbe {
    async fn handle(
        &self,
        request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> Result<Response> {
        if let Some(timing) = extensions.remove::<Timing>() {
            let within = timing.entered.elapsed();
            let waited = timing.polls.load(Ordering::Relaxed) > 1;
            self.0.waited.fetch_add(waited.into(), Ordering::Relaxed);
            let mut longest = self.0.longest.lock().unwrap();
            *longest = within.max(*longest);
        }
        next.run(request, extensions).await
    }
}
