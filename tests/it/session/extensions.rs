//! The extensions of a request: what is below the layer sees them each time that it is sent.

use std::sync::{Arc, Mutex};

use http::Extensions;
use reqwest::{Body, Method, Request, Response};
use reqwest_middleware::{ClientBuilder, Middleware, Next};
use reqwest_oauth2::store::MemoryStore;
use reqwest_oauth2::{
    ReplayBody, RequestOptions, SendRequest, SentWithoutToken, TokenUpdated, UserId, UserSessions,
};

use crate::support::{World, plain_http};

/// What the application gives to its request.
#[derive(Clone, PartialEq, Debug)]
struct TraceId(u32);

/// What is below counts in them how often it was called.
#[derive(Clone, Default)]
struct Calls(u32);

type Seen = (Option<TraceId>, u32);

/// What is below the layer: a client that notes what it sees of the extensions.
#[derive(Clone)]
struct Below {
    http: reqwest::Client,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Below {
    fn new() -> Self {
        Self { http: plain_http(), seen: Arc::default() }
    }

    fn look(&self, extensions: &mut Extensions) {
        let calls = extensions.get_or_insert_default::<Calls>();
        calls.0 += 1;
        let calls = calls.0;
        self.seen.lock().unwrap().push((extensions.get().cloned(), calls));
    }

    fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

#[async_trait::async_trait]
impl Middleware for Below {
    async fn handle(
        &self,
        request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> reqwest_middleware::Result<Response> {
        self.look(extensions);
        next.run(request, extensions).await
    }
}

impl SendRequest for &Below {
    type Error = reqwest::Error;

    async fn send(
        &mut self,
        request: Request,
        extensions: &mut Extensions,
    ) -> Result<Response, reqwest::Error> {
        self.look(extensions);
        self.http.execute(request).await
    }
}

/// Both sendings of a request with the trace's id.
const BOTH: [Seen; 2] = [(Some(TraceId(7)), 1), (Some(TraceId(7)), 2)];

#[tokio::test]
async fn layers_below_the_middleware_see_them_on_a_replay_too() {
    let world = World::new().await;
    let session = world.saving().token(world.token()).build();
    let below = Below::new();
    let http = ClientBuilder::new(plain_http())
        .with(session.middleware([world.provider.origin()]).unwrap())
        .with(below.clone())
        .build();
    world.provider.revoke_access_tokens();
    let request = http.get(world.provider.api_url()).with_extension(TraceId(7));
    assert_eq!(request.send().await.unwrap().status(), 200);
    assert_eq!(below.seen(), BOTH);
}

#[tokio::test]
async fn a_stack_of_ones_own_hands_them_on() {
    let world = World::new().await;
    let sessions = UserSessions::builder(world.app()).store(MemoryStore::new()).build();
    sessions.sign_in("alice", world.token()).await.unwrap();
    let api = sessions.api([world.provider.origin()]).unwrap();
    world.provider.revoke_access_tokens();
    let below = Below::new();
    let body = ReplayBody::new(|| {
        Body::wrap_stream(futures_util::stream::iter(["a ", "stream"].map(Ok::<_, std::io::Error>)))
    });
    let mut extensions = Extensions::new();
    extensions.insert(TraceId(7));
    extensions.insert(UserId::from("alice"));
    extensions.insert(body.clone());
    let send = async |extensions: &mut Extensions| {
        let request = plain_http().post(world.provider.api_url()).body(body.make());
        let request = request.build().unwrap();
        api.execute_with_extensions(&below, request, extensions).await.unwrap()
    };
    let response = send(&mut extensions).await;
    assert_eq!(response.status(), 200);
    assert_eq!(below.seen(), BOTH);
    let TokenUpdated(token) = response.extensions().get().unwrap();
    let shown = world.shown();
    assert_eq!(shown[1], token.access_token());
    // A stack that tries again hands the same extensions on, and each response shows the update.
    assert!(send(&mut extensions).await.extensions().get::<TokenUpdated>().is_some());
    drop(extensions);
    assert!(
        send(&mut with(UserId::from("alice"))).await.extensions().get::<TokenUpdated>().is_none()
    );
    let bare = send(&mut with(RequestOptions::new().token_if_any())).await;
    assert!(bare.extensions().get::<SentWithoutToken>().is_some());
    let bodies: Vec<_> = world.provider.api_requests().into_iter().map(|seen| seen.body).collect();
    assert_eq!(bodies, [b"a stream"; 5]);
}

fn with<T: Clone + Send + Sync + 'static>(extension: T) -> Extensions {
    let mut extensions = Extensions::new();
    extensions.insert(extension);
    extensions
}

#[tokio::test]
async fn what_execute_sends_with_sees_the_options() {
    struct Looking(Vec<bool>);
    impl SendRequest for &mut Looking {
        type Error = reqwest::Error;

        async fn send(
            &mut self,
            request: Request,
            extensions: &mut Extensions,
        ) -> Result<Response, reqwest::Error> {
            self.0.push(extensions.get::<RequestOptions>().is_some());
            plain_http().execute(request).await
        }
    }
    let world = World::new().await;
    let session = world.saving().token(world.token()).build();
    let get = || Request::new(Method::GET, world.provider.api_url().parse().unwrap());
    world.provider.revoke_access_tokens();
    let mut looking = Looking(Vec::new());
    let options = RequestOptions::new().wait_at_most(std::time::Duration::from_secs(9));
    session.execute_with(&mut looking, get(), options).await.unwrap();
    session.execute(&mut looking, get()).await.unwrap();
    assert_eq!(looking.0, [true, true, false]);
}
