//! A provider, a wall clock that a test moves, and hyper's client.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use reqwest_oauth2::testing::Provider;
use reqwest_oauth2::tower::{CloneBodies, OAuthLayer, OAuthService};
use reqwest_oauth2::{BoxError, OAuthClient, Session, SessionBuilder, Token};
use tower::{Layer, ServiceExt};

pub(crate) type Hyper<B = Full<Bytes>> = Client<HttpConnector, B>;

pub(crate) struct World {
    pub(crate) provider: Provider,
    now: SystemTime,
    saved: Arc<Mutex<Vec<Token>>>,
}

impl World {
    pub(crate) async fn new() -> Self {
        let now = UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let provider = Provider::builder().clock(move || now).start().await.unwrap();
        Self { provider, now, saved: Arc::default() }
    }

    pub(crate) fn app(&self) -> OAuthClient {
        OAuthClient::new("foo", self.provider.token_url()).unwrap().secret("potato")
    }

    /// A token of a new login, with an hour to live.
    pub(crate) fn token(&self) -> Token {
        let token: Token = serde_json::from_value(self.provider.log_in()).unwrap();
        token.with_expires_at((self.now + Duration::from_secs(3600)).into())
    }

    /// A token of a new login that has just expired.
    pub(crate) fn expired_token(&self) -> Token {
        self.token().with_expires_at(self.now.into())
    }

    pub(crate) fn session(&self) -> SessionBuilder {
        let (now, saved) = (self.now, self.saved.clone());
        Session::builder(self.app()).clock(move || now).on_new_token(move |token: Token| {
            saved.lock().unwrap().push(token);
            async { Ok::<_, std::io::Error>(()) }
        })
    }

    /// A session whose token is bound to a key.
    pub(crate) async fn bound_session(&self) -> Session {
        let now = self.now;
        let app = self.app().dpop().clock(move || now);
        let token = app.password("johndoe", "A3ddj3w").send().await.unwrap();
        Session::builder(app).token(token).clock(move || now).build()
    }

    /// The access tokens that were saved, in order.
    pub(crate) fn saved(&self) -> Vec<String> {
        self.saved.lock().unwrap().iter().map(|token| token.access_token().to_owned()).collect()
    }

    pub(crate) fn layer(&self, session: &Session) -> OAuthLayer {
        session.tower_layer([self.provider.origin()]).unwrap()
    }

    /// hyper's client, with the session's token on its requests to the provider's API.
    pub(crate) fn hyper(&self, session: &Session) -> OAuthService<Hyper, CloneBodies> {
        self.layer(session).layer(hyper())
    }

    /// What the API saw of each request, in order: the token, or nothing.
    pub(crate) fn shown(&self) -> Vec<Option<String>> {
        let requests = self.provider.api_requests().into_iter();
        requests
            .map(|request| Some(request.authorization?.strip_prefix("Bearer ")?.to_owned()))
            .collect()
    }

    pub(crate) fn token_requests(&self) -> u64 {
        self.provider.counts().token_requests
    }
}

/// hyper's client as it comes.
pub(crate) fn hyper<B>() -> Hyper<B>
where
    B: http_body_util::BodyExt<Data = Bytes, Error: Into<BoxError>> + Send + Unpin + 'static,
{
    Client::builder(TokioExecutor::new()).build_http()
}

pub(crate) fn get(uri: impl AsRef<str>) -> Request<Full<Bytes>> {
    Request::get(uri.as_ref()).body(Full::default()).unwrap()
}

pub(crate) fn post(uri: impl AsRef<str>, body: &'static str) -> Request<Full<Bytes>> {
    Request::post(uri.as_ref()).header("x-kept", "yes").body(body.into()).unwrap()
}

/// One request.
pub(crate) async fn send<S, B>(
    service: &S,
    request: Request<B>,
) -> Result<Response<Incoming>, BoxError>
where
    S: tower::Service<Request<B>, Response = Response<Incoming>, Error = BoxError> + Clone,
{
    service.clone().oneshot(request).await
}
