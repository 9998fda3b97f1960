//! A network of one server.

use std::collections::VecDeque;
use std::sync::{Arc, LazyLock, Mutex};

use reqwest::{Request, Response, ResponseBuilderExt as _};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware, Middleware, Next};
use reqwest_oauth2::{Error, OAuthClient};
use url::Url;

/// Answers requests in the place of the network, in order, and remembers their URLs.
#[derive(Clone, Default)]
pub struct Site {
    answers: Arc<Mutex<VecDeque<(u16, String)>>>,
    asked: Arc<Mutex<Vec<Url>>>,
}

#[async_trait::async_trait]
impl Middleware for Site {
    async fn handle(
        &self,
        request: Request,
        _: &mut http::Extensions,
        _: Next<'_>,
    ) -> reqwest_middleware::Result<Response> {
        self.asked.lock().unwrap().push(request.url().clone());
        let answer = self.answers.lock().unwrap().pop_front();
        let (status, body) = answer.expect("nothing more was to be asked");
        let response = http::Response::builder().status(status).url(request.url().clone());
        Ok(response.body(body).unwrap().into())
    }
}

impl Site {
    pub fn new(answers: impl IntoIterator<Item = (u16, String)>) -> Self {
        let answers = Arc::new(Mutex::new(answers.into_iter().collect()));
        Self { answers, asked: Arc::default() }
    }

    pub fn http(&self) -> ClientWithMiddleware {
        // It sends nothing, so one is enough for all.
        static UNUSED: LazyLock<reqwest::Client> = LazyLock::new(super::plain_http);
        ClientBuilder::new(UNUSED.clone()).with(self.clone()).build()
    }

    /// The paths.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().iter().map(|url| url.path().to_owned()).collect()
    }

    /// The whole URLs.
    pub fn asked_urls(&self) -> Vec<String> {
        self.asked.lock().unwrap().iter().map(Url::to_string).collect()
    }

    pub async fn discover(&self, issuer: &str) -> Result<OAuthClient, Error> {
        OAuthClient::discover_with(issuer, "foo", self.http()).await
    }
}
