//! The end of the HTTP client: every request gets the same answer at once, and is kept.

use std::sync::{Arc, LazyLock, Mutex};

use futures_util::FutureExt as _;
use http::Extensions;
use reqwest::{Request, Response, ResponseBuilderExt as _};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware, Middleware, Next, Result};

use super::message::Message;

#[derive(Clone)]
pub struct Provider {
    answer: Arc<Message>,
    asked: Arc<Mutex<Vec<Request>>>,
}

impl Provider {
    pub fn new(answer: Message) -> Self {
        Self { answer: Arc::new(answer), asked: Arc::default() }
    }

    /// An HTTP client that ends here, by way of the given layers.
    pub fn http(
        &self,
        layers: impl FnOnce(ClientBuilder) -> ClientBuilder,
    ) -> ClientWithMiddleware {
        static CLIENT: LazyLock<reqwest::Client> = LazyLock::new(reqwest::Client::new);
        layers(ClientBuilder::new(CLIENT.clone())).with(self.clone()).build()
    }

    /// The requests since this was last asked.
    pub fn asked(&self) -> Vec<Request> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }
}

#[async_trait::async_trait]
impl Middleware for Provider {
    async fn handle(&self, request: Request, _: &mut Extensions, _: Next<'_>) -> Result<Response> {
        let mut answer = http::Response::builder()
            .status(self.answer.status)
            .url(request.url().clone())
            .body(self.answer.body.clone())
            .unwrap();
        answer.headers_mut().clone_from(&self.answer.headers);
        self.asked.lock().unwrap().push(request);
        Ok(answer.into())
    }
}

/// The outcome of a future that waits for nothing but a [`Provider`]. Time limits want a runtime to
/// be there, and never need it.
pub fn outcome<F: Future>(future: F) -> F::Output {
    static RUNTIME: LazyLock<tokio::runtime::Runtime> = LazyLock::new(|| {
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap()
    });
    let _entered = RUNTIME.enter();
    future.now_or_never().expect("nothing to wait for")
}
