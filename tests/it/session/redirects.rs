//! Redirects: reqwest takes the token off where one leads to another origin, the layer sends the request on.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use http::{Request, Response, StatusCode, header};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use reqwest::{Body, Method, ResponseBuilderExt, Url};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware, Middleware, Next, RequestBuilder};
use reqwest_oauth2::{Origins, ReplayBody, Session, redirect_policy};

use crate::support::{World, plain_http};

/// What a server was sent: the method, whether there was a token, and the body.
type Seen = Vec<(String, bool, String)>;

/// Which requests are redirected, and how.
struct Redirect {
    methods: Vec<Method>,
    /// `None`: all paths.
    path: Option<&'static str>,
    who: Who,
    status: u16,
    to: String,
}

enum Who {
    Everybody,
    WithToken,
    WithRejected,
}

/// A server that redirects, or answers 200 to whoever has a token that is not rejected.
#[derive(Clone)]
struct Server {
    origin: String,
    seen: Arc<Mutex<Seen>>,
    redirect: Arc<Mutex<Option<Redirect>>>,
    rejected: Arc<Mutex<Option<String>>>,
}

impl Server {
    async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let (seen, redirect, rejected) = Default::default();
        let server = Self { origin, seen, redirect, rejected };
        let handler = server.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let handler = handler.clone();
                let service = service_fn(move |request| handler.clone().answer(request));
                let http = hyper::server::conn::http1::Builder::new();
                tokio::spawn(http.serve_connection(TokioIo::new(stream), service));
            }
        });
        server
    }

    fn redirect(&self, methods: &[Method], status: u16, to: &str) {
        self.redirect_who(Who::Everybody, methods, status, to);
    }

    /// Redirects those alone; all others get what they get without a redirect.
    fn redirect_who(&self, who: Who, methods: &[Method], status: u16, to: &str) {
        let (methods, to) = (methods.to_vec(), to.to_owned());
        *self.redirect.lock().unwrap() = Some(Redirect { methods, path: None, who, status, to });
    }

    /// The redirect is that of this path alone.
    fn only_at(&self, path: &'static str) {
        self.redirect.lock().unwrap().as_mut().unwrap().path = Some(path);
    }

    /// The session's token is not good any more.
    fn reject_token_of(&self, session: &Session) {
        let token = session.current_token().unwrap();
        *self.rejected.lock().unwrap() = Some(format!("Bearer {}", token.access_token()));
    }

    async fn answer(self, request: Request<Incoming>) -> Result<Response<String>, Infallible> {
        let (head, body) = request.into_parts();
        let token = head.headers.get(header::AUTHORIZATION).map(|value| value.to_str().unwrap());
        let is_rejected = token.is_some() && token == self.rejected.lock().unwrap().as_deref();
        let body = body.collect().await.unwrap().to_bytes();
        let body = String::from_utf8(body.to_vec()).unwrap();
        self.seen.lock().unwrap().push((head.method.to_string(), token.is_some(), body));
        let mut response = Response::new(String::new());
        let is_for_this = |redirect: &&Redirect| {
            let is_for_them = match redirect.who {
                Who::Everybody => true,
                Who::WithToken => token.is_some(),
                Who::WithRejected => is_rejected,
            };
            is_for_them
                && redirect.methods.contains(&head.method)
                && redirect.path.is_none_or(|path| path == head.uri.path())
        };
        match self.redirect.lock().unwrap().as_ref().filter(is_for_this) {
            Some(redirect) => {
                *response.status_mut() = StatusCode::from_u16(redirect.status).unwrap();
                response.headers_mut().insert(header::LOCATION, redirect.to.parse().unwrap());
            }
            None if token.is_some() && !is_rejected => {}
            None => *response.status_mut() = StatusCode::UNAUTHORIZED,
        }
        Ok(response)
    }

    fn seen(&self) -> Seen {
        std::mem::take(&mut self.seen.lock().unwrap())
    }
}

fn seen(all: &[(&str, bool, &str)]) -> Seen {
    all.iter().map(|(method, token, body)| ((*method).into(), *token, (*body).into())).collect()
}

struct Gateway {
    world: World,
    from: Server,
    to: Server,
    session: Session,
}

const ALL: [Method; 4] = [Method::GET, Method::HEAD, Method::POST, Method::PUT];

impl Gateway {
    async fn new() -> Self {
        let world = World::new().await;
        let session = world.session().token(world.token()).build();
        let (from, to) = (Server::start().await, Server::start().await);
        Self { world, from, to, session }
    }

    fn http(&self, origins: &[&Server]) -> ClientWithMiddleware {
        let origins = Origins::new(origins.iter().map(|server| &server.origin)).unwrap();
        ClientBuilder::new(plain_http()).with(self.session.middleware(origins).unwrap()).build()
    }

    fn both(&self) -> ClientWithMiddleware {
        self.http(&[&self.from, &self.to])
    }

    async fn status(&self, request: RequestBuilder) -> u16 {
        let status = request.send().await.unwrap().status();
        assert_eq!(self.world.provider.counts().token_requests, 0);
        status.as_u16()
    }
}

#[tokio::test]
async fn a_get_is_sent_on_with_the_token_whatever_the_redirect() {
    for status in [301, 302, 303, 307, 308] {
        let gateway = Gateway::new().await;
        gateway.from.redirect(&ALL, status, &format!("{}/there?x=y", gateway.to.origin));
        let response = gateway.both().get(&gateway.from.origin).send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.url().as_str(), format!("{}/there?x=y", gateway.to.origin));
        assert_eq!(gateway.from.seen(), seen(&[("GET", true, "")]));
        assert_eq!(gateway.to.seen(), seen(&[("GET", false, ""), ("GET", true, "")]));
    }
}

#[tokio::test]
async fn a_post_is_sent_on_with_its_body_where_the_server_redirects_everything() {
    for status in [307, 308] {
        let gateway = Gateway::new().await;
        gateway.from.redirect(&ALL, status, &gateway.to.origin);
        let post = gateway.both().post(&gateway.from.origin).body("the body");
        assert_eq!(gateway.status(post).await, 200);
        assert_eq!(
            gateway.to.seen(),
            seen(&[("POST", false, "the body"), ("HEAD", false, ""), ("POST", true, "the body")])
        );
    }
}

#[tokio::test]
async fn a_post_that_was_answered_with_a_redirect_is_not_posted_again() {
    for status in [301, 302, 303] {
        let gateway = Gateway::new().await;
        gateway.from.redirect(&[Method::POST], status, &format!("{}/result", gateway.to.origin));
        let post = gateway.both().post(&gateway.from.origin).body("the body");
        assert_eq!(gateway.status(post).await, 401);
        assert_eq!(gateway.to.seen(), seen(&[("GET", false, "")]));
    }
}

#[tokio::test]
async fn the_token_is_renewed_where_the_redirect_leads() {
    let gateway = Gateway::new().await;
    let (world, to) = (&gateway.world, &gateway.world.provider);
    gateway.from.redirect(&ALL, 308, &to.api_url());
    world.provider.revoke_access_tokens();
    let origins = Origins::new([&gateway.from.origin, &to.origin()]).unwrap();
    let http =
        ClientBuilder::new(plain_http()).with(gateway.session.middleware(origins).unwrap()).build();
    let response = http.get(&gateway.from.origin).send().await.unwrap();
    assert_eq!(response.status(), 200);
    let counts = to.counts();
    assert_eq!((counts.token_requests, counts.api_requests, counts.api_without_token), (1, 3, 1));
}

#[tokio::test]
async fn a_stream_is_sent_on_only_if_it_can_be_made_again() {
    let gateway = Gateway::new().await;
    gateway.from.redirect(&ALL, 307, &gateway.to.origin);
    let stream = || {
        let chunks = [Ok::<_, std::io::Error>("a stream")];
        Body::wrap_stream(futures_util::stream::iter(chunks))
    };
    // reqwest cannot follow: the caller gets the redirect.
    let post = gateway.both().post(&gateway.from.origin).body(stream());
    assert_eq!(gateway.status(post).await, 307);
    let body = ReplayBody::new(stream);
    let post = gateway.both().post(&gateway.from.origin).body(body.make()).with_extension(body);
    assert_eq!(gateway.status(post).await, 307);
    assert_eq!(gateway.to.seen(), seen(&[]));
}

#[tokio::test]
async fn an_origin_that_is_not_listed_never_gets_the_token() {
    let gateway = Gateway::new().await;
    gateway.from.redirect(&ALL, 308, &gateway.to.origin);
    let http = gateway.http(&[&gateway.from]);
    assert_eq!(gateway.status(http.get(&gateway.from.origin)).await, 401);
    assert_eq!(gateway.to.seen(), seen(&[("GET", false, "")]));
}

/// reqwest removes it too.
#[tokio::test]
async fn what_is_for_the_first_origin_alone_is_not_sent_on_beside_the_token() {
    let [cookie, request_id] = [("cookie", "sid=1"), ("x-request-id", "42")];
    let [basic, of_proxy] =
        [("authorization", "Basic own"), ("proxy-authorization", "Basic of-proxy")];
    let cases = [
        (vec![cookie, ("cookie2", "v"), of_proxy, request_id], false),
        (vec![cookie, basic, request_id], true),
    ];
    let (from, to) = ("https://a.example/x", "https://b.example/y");
    for (headers, is_elsewhere) in &cases {
        let world = World::new().await;
        let session = world.session().token(world.token()).build();
        let api = session.api(["https://a.example", "https://b.example"]).unwrap();
        let api = if *is_elsewhere { api.header("x-auth").unwrap() } else { api };
        let mut request = reqwest::Request::new(Method::GET, from.parse().unwrap());
        for (name, value) in headers {
            request.headers_mut().append(*name, value.parse().unwrap());
        }
        let mut sent = Vec::new();
        let send = |request: reqwest::Request| {
            let is_redirected = request.url().as_str() == from;
            sent.push(request);
            let status = if is_redirected { 401 } else { 200 };
            let response = Response::builder().status(status).url(to.parse().unwrap());
            let response = reqwest::Response::from(response.body("").unwrap());
            std::future::ready(Ok::<_, Infallible>(response))
        };
        assert_eq!(api.execute(send, request).await.unwrap().status(), 200);
        let [first, second] = &sent[..] else { panic!("{sent:?}") };
        for (name, value) in headers {
            assert_eq!(first.headers()[*name], value);
        }
        assert_eq!(second.url().as_str(), to);
        let token = session.current_token().unwrap();
        let left: Vec<_> =
            second.headers().iter().map(|(name, value)| (name.as_str(), value)).collect();
        assert_eq!(left.len(), 2, "{left:?}");
        assert_eq!(second.headers()["x-request-id"], "42");
        let given = second
            .headers()
            .iter()
            .filter(|(_, value)| value.to_str().unwrap().ends_with(token.access_token()));
        assert_eq!(given.count(), 1);
        assert_eq!(world.provider.counts().token_requests, 0);
    }
}

#[tokio::test]
async fn user_info_in_a_redirect_is_not_sent_beside_the_token() {
    let gateway = Gateway::new().await;
    let there = gateway.to.origin.replace("http://", "http://user:pw@");
    gateway.from.redirect(&ALL, 308, &there);
    let http = ClientBuilder::new(plain_http())
        .with(gateway.session.middleware(Origins::any_origin()).unwrap())
        .build();
    assert_eq!(gateway.status(http.get(&gateway.from.origin)).await, 401);
    assert_eq!(gateway.to.seen(), seen(&[("GET", false, "")]));
}

#[tokio::test]
async fn servers_that_redirect_to_each_other_come_to_an_end() {
    let gateway = Gateway::new().await;
    gateway.from.redirect(&ALL, 308, &gateway.to.origin);
    gateway.to.redirect(&ALL, 308, &gateway.from.origin);
    let error = gateway.both().get(&gateway.from.origin).send().await.unwrap_err();
    assert!(error.is_redirect());
    // Each hop takes another request, since it shows only with a token.
    gateway.from.redirect_who(Who::WithToken, &ALL, 308, &gateway.to.origin);
    gateway.to.redirect_who(Who::WithToken, &ALL, 308, &gateway.from.origin);
    gateway.from.seen();
    assert_eq!(gateway.status(gateway.both().get(&gateway.from.origin)).await, 401);
    let with_token = gateway.from.seen().iter().filter(|(_, token, _)| *token).count();
    assert_eq!(with_token, 3, "of six in all");
}

#[tokio::test]
async fn a_redirect_away_and_back_says_nothing_of_the_token() {
    let gateway = Gateway::new().await;
    gateway.from.redirect(&ALL, 307, &format!("{}/check", gateway.to.origin));
    gateway.from.only_at("/x");
    gateway.to.redirect(&ALL, 307, &format!("{}/y", gateway.from.origin));
    for http in [gateway.both(), gateway.http(&[&gateway.from])] {
        let get = http.get(format!("{}/x#part", gateway.from.origin));
        assert_eq!(gateway.status(get).await, 200);
        let of_get = [("GET", true, ""), ("GET", false, ""), ("GET", true, "")];
        assert_eq!(gateway.from.seen(), seen(&of_get));
        let post = http.post(format!("{}/x", gateway.from.origin)).body("b");
        assert_eq!(gateway.status(post).await, 200);
        let first = [("POST", true, "b"), ("POST", false, "b")];
        let probe = [("HEAD", true, ""), ("HEAD", false, ""), ("HEAD", true, "")];
        assert_eq!(
            gateway.from.seen(),
            seen(&[&first[..], &probe, &[("POST", true, "b")]].concat())
        );
    }
}

#[tokio::test]
async fn a_redirect_within_the_origin_costs_a_rejected_token_one_more_request() {
    let gateway = Gateway::new().await;
    gateway.from.redirect(&ALL, 302, &format!("{}/y", gateway.from.origin));
    gateway.from.only_at("/x");
    gateway.from.reject_token_of(&gateway.session);
    let get = || gateway.both().get(format!("{}/x", gateway.from.origin));
    let response = get().send().await.unwrap();
    assert_eq!((response.status().as_u16(), response.url().path()), (200, "/y"));
    assert_eq!(gateway.from.seen(), seen(&[("GET", true, ""); 5]));
    assert_eq!(gateway.world.provider.counts().token_requests, 1);
    // A good token costs nothing.
    get().send().await.unwrap();
    assert_eq!(gateway.from.seen(), seen(&[("GET", true, ""); 2]));
}

#[tokio::test]
async fn a_request_that_is_redirected_for_its_token_begins_anew_with_the_next_one() {
    let gateway = Gateway::new().await;
    let log_in = format!("{}/log-in", gateway.from.origin);
    gateway.from.redirect_who(Who::WithRejected, &ALL, 302, &log_in);
    gateway.from.only_at("/x");
    gateway.from.reject_token_of(&gateway.session);
    let get = gateway.both().get(format!("{}/x", gateway.from.origin));
    let response = get.send().await.unwrap();
    assert_eq!((response.status().as_u16(), response.url().path()), (200, "/x"));
    assert_eq!(gateway.world.provider.counts().token_requests, 1);
}

/// Where the token is sent is asked first, with a request that does nothing.
#[tokio::test]
async fn a_post_that_is_redirected_for_its_token_is_not_posted_there() {
    for (status, followed) in [(302, ("GET", true, "")), (307, ("POST", true, "b"))] {
        let gateway = Gateway::new().await;
        let log_in = format!("{}/log-in", gateway.from.origin);
        gateway.from.redirect_who(Who::WithRejected, &ALL, status, &log_in);
        gateway.from.only_at("/x");
        gateway.from.reject_token_of(&gateway.session);
        let post = gateway.both().post(format!("{}/x", gateway.from.origin)).body("b");
        let response = post.send().await.unwrap();
        assert_eq!((response.status().as_u16(), response.url().path()), (200, "/x"));
        let heads = [("HEAD", true, ""); 3];
        let post = [("POST", true, "b")];
        assert_eq!(gateway.from.seen(), seen(&[&post, &[followed][..], &heads, &post].concat()));
        assert_eq!(gateway.world.provider.counts().token_requests, 1);
    }
}

/// As it is between origins.
#[tokio::test]
async fn a_post_that_was_answered_with_a_redirect_within_the_origin_is_not_posted_again() {
    let gateway = Gateway::new().await;
    gateway.from.redirect(&[Method::POST], 303, &format!("{}/result", gateway.from.origin));
    gateway.from.reject_token_of(&gateway.session);
    let post = || gateway.both().post(&gateway.from.origin).body("the body");
    assert_eq!(post().send().await.unwrap().status(), 401);
    let all = [("POST", true, "the body"), ("GET", true, ""), ("HEAD", true, "")];
    assert_eq!(gateway.from.seen(), seen(&all));
    // The next request renews.
    assert_eq!(post().send().await.unwrap().status(), 200);
    assert_eq!(gateway.from.seen(), seen(&all[..2]));
    assert_eq!(gateway.world.provider.counts().token_requests, 1);
}

#[tokio::test]
async fn a_fragment_is_no_redirect() {
    let gateway = Gateway::new().await;
    gateway.from.reject_token_of(&gateway.session);
    let get = gateway.both().get(format!("{}/x?y#part", gateway.from.origin));
    assert_eq!(get.send().await.unwrap().status(), 200);
    assert_eq!(gateway.from.seen(), seen(&[("GET", true, ""); 2]));
}

/// As a layer for an API key does, or one for a version in the path.
struct Edits(fn(&mut Url));

#[async_trait::async_trait]
impl Middleware for Edits {
    async fn handle(
        &self,
        mut request: reqwest::Request,
        extensions: &mut http::Extensions,
        next: Next<'_>,
    ) -> reqwest_middleware::Result<reqwest::Response> {
        self.0(request.url_mut());
        next.run(request, extensions).await
    }
}

#[tokio::test]
async fn a_url_that_a_layer_below_edits_is_no_redirect() {
    fn add_key(url: &mut Url) {
        url.query_pairs_mut().append_pair("key", "K");
    }
    fn add_version(url: &mut Url) {
        url.set_path(&format!("/v2{}", url.path()));
    }
    let key = [(Method::GET, &["GET"; 2][..]), (Method::POST, &["POST"; 2])];
    let version =
        [(Method::GET, &["GET"; 3][..]), (Method::POST, &["POST", "HEAD", "HEAD", "POST"])];
    for (edit, expected) in [(add_key as fn(&mut Url), key), (add_version, version)] {
        for (method, expected) in expected {
            let gateway = Gateway::new().await;
            gateway.from.reject_token_of(&gateway.session);
            let layer = gateway.session.middleware([&*gateway.from.origin]).unwrap();
            let http = ClientBuilder::new(plain_http()).with(layer).with(Edits(edit)).build();
            let request = http.request(method, format!("{}/x", gateway.from.origin));
            assert_eq!(request.send().await.unwrap().status(), 200);
            let expected: Vec<_> = expected.iter().map(|method| (*method, true, "")).collect();
            assert_eq!(gateway.from.seen(), seen(&expected));
        }
    }
}

#[tokio::test]
async fn with_the_redirect_policy_no_second_redirect_elsewhere_gets_the_token() {
    let gateway = Gateway::new().await;
    gateway.from.redirect(&ALL, 302, &format!("{}/1", gateway.to.origin));
    gateway.to.redirect(&ALL, 302, &format!("{}/2", gateway.to.origin));
    let client = reqwest::Client::builder().no_proxy().redirect(redirect_policy()).build().unwrap();
    let http = ClientBuilder::new(client)
        .with(gateway.session.middleware([&*gateway.from.origin]).unwrap())
        .build();
    assert_eq!(gateway.status(http.get(&gateway.from.origin)).await, 302);
    assert_eq!(gateway.to.seen(), seen(&[("GET", false, "")]));
    // Redirects within the origin go on, ten of them.
    gateway.from.seen();
    gateway.from.redirect(&ALL, 302, &gateway.from.origin);
    let error = http.get(&gateway.from.origin).send().await.unwrap_err();
    assert!(error.is_redirect());
    assert_eq!(gateway.from.seen(), vec![("GET".into(), true, String::new()); 11]);
}
