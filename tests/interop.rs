//! Against the real, certified `oidc-provider`: tokens of three seconds, rotation, reuse detection.
//!
//! Run by `tests/interop/run cargo test --test interop`. Without the server it says so and ends
//! well, unless `REQUIRE_INTEROP=1`. It has no test harness, so that what it skips is seen.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use reqwest::header::{COOKIE, LOCATION, SET_COOKIE};
use reqwest::redirect::Policy;
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};
use reqwest_oauth2::{ClientAuthentication, ClientCredentials, OAuthClient, Session, Token};
use serde_json::Value;
use tokio::task::JoinSet;

const TASKS: usize = 32;
const EXPIRIES: usize = 12;

fn main() {
    match std::env::var("OIDC_ISSUER") {
        Ok(issuer) => {
            tokio::runtime::Runtime::new().unwrap().block_on(run(&Server::new(issuer)));
            println!("3 passed, 0 failed, 0 skipped");
        }
        Err(_) if std::env::var_os("REQUIRE_INTEROP").is_some() => {
            println!(
                "the interop test needs the server: tests/interop/run cargo test --test interop"
            );
            println!("0 passed, 3 failed, 0 skipped");
            std::process::exit(1);
        }
        Err(_) => {
            println!("skipped, for it needs Node: tests/interop/run cargo test --test interop");
            println!("0 passed, 0 failed, 3 skipped");
        }
    }
}

async fn run(server: &Server) {
    many_tasks_over_many_expiries(server).await;
    credentials_with_reserved_characters(server).await;
    detection_and_a_dead_login(server).await;
}

/// Requests of many tasks, over a dozen lifetimes of the token.
async fn many_tasks_over_many_expiries(server: &Server) {
    let login = server.log_in("web", "web-secret-for-tests-only").await;
    let crowd = Load::start(server, "web", "web-secret-for-tests-only", login, TASKS);
    // Beside it, for comparison, a single task with a login of its own.
    let login = server.log_in("web-post", "web-post-secret-for-tests-only").await;
    let one = Load::start(server, "web-post", "web-post-secret-for-tests-only", login, 1);
    let before = [server.stats("web").await, server.stats("web-post").await];

    let began = Instant::now();
    crowd.renewals(EXPIRIES * 2).await;
    let (crowd, one) = (crowd.stop().await, one.stop().await);
    let took = began.elapsed();
    assert!(took > Duration::from_secs(3 * EXPIRIES as u64 / 2));

    for (who, load, client, before) in
        [("32 tasks", &crowd, "web", &before[0]), ("one task", &one, "web-post", &before[1])]
    {
        let stats = server.stats(client).await;
        let since = |pointer: &str| count(&stats, pointer) - count(before, pointer);
        let (requests, refreshes) = (load.requests, since("/by_grant/refresh_token"));
        println!(
            "{who}: {requests} requests in {took:.1?}, {refreshes} token requests, {} saves",
            load.saved.len()
        );
        assert_eq!(load.failed, 0, "{who}: a request failed");
        // One token request for each token that came to be due, as one task alone makes; and none
        // before its time: half of the lifetime and a quarter of that.
        assert_eq!(refreshes, load.saved.len() as u64, "{who}");
        assert_eq!(since("/token_requests"), refreshes, "{who}");
        for pair in load.saved.windows(2) {
            let apart = pair[1].1.duration_since(pair[0].1);
            assert!(apart > Duration::from_millis(1000), "{who}: renewed after {apart:?}");
        }
        assert_eq!(count(&stats, "/reuse_detected"), 0, "{who}");
        let errors = stats.pointer("/token_errors").and_then(Value::as_object).unwrap();
        assert!(errors.is_empty(), "{who}: {errors:?}");
        // The saver's last token is the one that the server holds valid.
        let last = &load.saved.last().unwrap().0;
        assert!(server.is_valid(last.refresh_token().unwrap()).await, "{who}");
        assert!(!server.is_valid(load.saved[0].0.refresh_token().unwrap()).await, "{who}");
    }
    println!("ok: many tasks over many expiries");
}

/// HTTP Basic with characters that must be form-encoded first.
async fn credentials_with_reserved_characters(server: &Server) {
    let app = server.app("odd:client +1", "p%40ss w:rd+/&=~");
    let session = Session::builder(app).grant(ClientCredentials::new()).build();
    let http = server.http(&session);
    let response = http.get(format!("{}/api", server.issuer)).send().await.unwrap();
    assert_eq!(response.status(), 200);
    println!("ok: credentials with reserved characters");
}

/// `Detect` finds `client_secret_basic`; a login that the server revoked is one clear error.
async fn detection_and_a_dead_login(server: &Server) {
    let first = server.log_in("web", "web-secret-for-tests-only").await;
    let app =
        server.app("web", "web-secret-for-tests-only").authentication(ClientAuthentication::Detect);
    let session = Session::builder(app.clone()).token(first.clone()).build();
    session.refresh().await.unwrap();
    // Somebody else presents the old refresh token: the server revokes the whole login.
    let thief = Session::builder(app).token(first).build();
    assert!(thief.refresh().await.unwrap_err().is_reauthorization_required());
    let error = session.refresh().await.unwrap_err();
    assert!(error.is_reauthorization_required());
    assert_eq!(error.code(), Some("invalid_grant"));
    println!("ok: detection, and a dead login");
}

/// Tasks that send requests one after the other until told to stop.
struct Load {
    tasks: JoinSet<()>,
    shared: Arc<Shared>,
    session: Session,
}

#[derive(Default)]
struct Shared {
    requests: AtomicU64,
    failed: AtomicU64,
    stop: std::sync::atomic::AtomicBool,
    saved: Mutex<Vec<(Token, Instant)>>,
    saves: tokio::sync::Notify,
}

struct Outcome {
    requests: u64,
    failed: u64,
    saved: Vec<(Token, Instant)>,
}

impl Load {
    fn start(server: &Server, client: &str, secret: &str, login: Token, tasks: usize) -> Self {
        let shared = Arc::new(Shared::default());
        let saver = shared.clone();
        let session = Session::builder(server.app(client, secret))
            .token(login)
            .on_refresh(move |token: Token| {
                saver.saved.lock().unwrap().push((token, Instant::now()));
                saver.saves.notify_one();
                async { Ok::<(), std::io::Error>(()) }
            })
            .build();
        let http = server.http(&session);
        let url = format!("{}/me", server.issuer);
        let mut set = JoinSet::new();
        for _ in 0..tasks {
            let (http, shared, url) = (http.clone(), shared.clone(), url.clone());
            set.spawn(async move {
                while !shared.stop.load(Ordering::Relaxed) {
                    let status = http.get(&url).send().await.map(|response| response.status());
                    shared.requests.fetch_add(1, Ordering::Relaxed);
                    if status.as_ref().is_ok_and(|status| *status == 200) {
                        // A little air for the server, which shares the machine with us.
                        tokio::time::sleep(Duration::from_millis(20)).await;
                    } else {
                        println!("a request failed: {status:?}");
                        shared.failed.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
        Self { tasks: set, shared, session }
    }

    async fn renewals(&self, number: usize) {
        while self.shared.saved.lock().unwrap().len() < number {
            self.shared.saves.notified().await;
        }
    }

    async fn stop(self) -> Outcome {
        self.shared.stop.store(true, Ordering::Relaxed);
        self.tasks.join_all().await;
        self.session.shutdown().await.unwrap();
        Outcome {
            requests: self.shared.requests.load(Ordering::Relaxed),
            failed: self.shared.failed.load(Ordering::Relaxed),
            saved: self.shared.saved.lock().unwrap().clone(),
        }
    }
}

struct Server {
    issuer: String,
    plain: reqwest::Client,
}

impl Server {
    fn new(issuer: String) -> Self {
        let plain = reqwest::Client::builder().redirect(Policy::none()).no_proxy().build().unwrap();
        Self { issuer, plain }
    }

    fn app(&self, client: &str, secret: &str) -> OAuthClient {
        let app =
            OAuthClient::new(client, format!("{}/token", self.issuer)).unwrap().secret(secret);
        match client {
            "web-post" => app.authentication(ClientAuthentication::ClientSecretPost),
            _ => app,
        }
    }

    fn http(&self, session: &Session) -> ClientWithMiddleware {
        let layer = session.middleware([self.issuer.as_str()]).unwrap();
        ClientBuilder::new(self.plain.clone()).with(layer).build()
    }

    /// The authorization code flow as a browser goes through it.
    async fn log_in(&self, client: &str, secret: &str) -> Token {
        const REDIRECT_URI: &str = "http://127.0.0.1:4711/cb";
        let mut url = url::Url::parse(&format!("{}/auth", self.issuer)).unwrap();
        url.query_pairs_mut()
            .append_pair("client_id", client)
            .append_pair("redirect_uri", REDIRECT_URI)
            .append_pair("response_type", "code")
            .append_pair("scope", "openid email");
        let mut cookies = BTreeMap::new();
        for _ in 0..5 {
            let cookie: Vec<String> =
                cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            let response =
                self.plain.get(url.clone()).header(COOKIE, cookie.join("; ")).send().await.unwrap();
            for cookie in response.headers().get_all(SET_COOKIE) {
                let (pair, _) = cookie.to_str().unwrap().split_once(';').unwrap();
                let (name, value) = pair.split_once('=').unwrap();
                cookies.insert(name.to_owned(), value.to_owned());
            }
            url = url.join(response.headers()[LOCATION].to_str().unwrap()).unwrap();
            if url.as_str().starts_with(REDIRECT_URI) {
                let code =
                    url.query_pairs().find(|(name, _)| name == "code").unwrap().1.into_owned();
                let app = self.app(client, secret);
                let request = app.token_request("authorization_code").param("code", code);
                return request.param("redirect_uri", REDIRECT_URI).send().await.unwrap();
            }
        }
        panic!("the login did not come to an end: {url}");
    }

    async fn get(&self, path: &str) -> Value {
        let response = self.plain.get(format!("{}{path}", self.issuer)).send().await.unwrap();
        serde_json::from_str(&response.text().await.unwrap()).unwrap()
    }

    async fn stats(&self, client: &str) -> Value {
        self.get("/stats")
            .await
            .pointer(&format!("/by_client/{client}"))
            .cloned()
            .unwrap_or_default()
    }

    async fn is_valid(&self, token: &str) -> bool {
        self.get(&format!("/valid?token={token}")).await["active"].as_bool().unwrap()
    }
}

/// A number of the statistics, absent as zero.
fn count(stats: &Value, pointer: &str) -> u64 {
    stats.pointer(pointer).and_then(Value::as_u64).unwrap_or(0)
}
