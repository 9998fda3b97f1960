//! Against the real, certified `oidc-provider`: tokens of three seconds, rotation, reuse detection.
//!
//! Run by `tests/interop/run cargo test --test interop`. Without the server it says so and ends
//! well, unless `REQUIRE_INTEROP=1`. It has no test harness, so that what it skips is seen.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

#[path = "interop/browse.rs"]
mod browse;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use browse::{REDIRECT_URI, agree, browse};
use chrono::TimeDelta;
use reqwest::redirect::Policy;
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};
use reqwest_oauth2::{
    ClientAuthentication, ClientCredentials, OAuthClient, PendingLogin, Session, Token,
    TokenTypeHint,
};
use serde_json::Value;
use tokio::task::JoinSet;

const TESTS: usize = 7;
const TASKS: usize = 32;
const EXPIRIES: usize = 12;

fn main() {
    match std::env::var("OIDC_ISSUER") {
        Ok(issuer) => {
            tokio::runtime::Runtime::new().unwrap().block_on(run(&Server::new(issuer)));
            println!("{TESTS} passed, 0 failed, 0 skipped");
        }
        Err(_) if std::env::var_os("REQUIRE_INTEROP").is_some() => {
            println!(
                "the interop test needs the server: tests/interop/run cargo test --test interop"
            );
            println!("0 passed, {TESTS} failed, 0 skipped");
            std::process::exit(1);
        }
        Err(_) => {
            println!("skipped, for it needs Node: tests/interop/run cargo test --test interop");
            println!("0 passed, 0 failed, {TESTS} skipped");
        }
    }
}

async fn run(server: &Server) {
    many_tasks_over_many_expiries(server).await;
    credentials_with_reserved_characters(server).await;
    detection_and_a_dead_login(server).await;
    a_public_client_logs_in_and_out(server).await;
    a_login_that_is_refused(server).await;
    a_login_on_another_device(server).await;
    introspection_and_revocation(server).await;
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
        // One token request for each token that came to be due, as one task alone makes; and none before its
        // time. A deadline counts from the moment of the request, however long the answer takes.
        assert_eq!(refreshes, load.saved.len() as u64, "{who}");
        assert_eq!(since("/token_requests"), refreshes, "{who}");
        for pair in load.saved.windows(2) {
            let [before, after] = [&pair[0], &pair[1]].map(|token| token.expires_at().unwrap());
            let apart = after - before;
            assert!(apart > TimeDelta::seconds(1), "{who}: renewed after {apart}");
        }
        assert_eq!(count(&stats, "/reuse_detected"), 0, "{who}");
        let errors = stats.pointer("/token_errors").and_then(Value::as_object).unwrap();
        assert!(errors.is_empty(), "{who}: {errors:?}");
        // The saver's last token is the one that the server holds valid.
        let last = load.saved.last().unwrap();
        assert!(server.is_valid(last.refresh_token().unwrap()).await, "{who}");
        assert!(!server.is_valid(load.saved[0].refresh_token().unwrap()).await, "{who}");
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
    assert_eq!(error.error_code(), Some("invalid_grant"));
    println!("ok: detection, and a dead login");
}

/// Authorization code with PKCE and discovery; a code is good for one use; signing out ends it.
async fn a_public_client_logs_in_and_out(server: &Server) {
    let app = server.discover("cli").await;
    let login =
        app.authorization_code(REDIRECT_URI).unwrap().scopes(["openid", "email"]).begin().unwrap();
    // The callback may land on another process.
    let stored = serde_json::to_string(&login).unwrap();
    let callback = server.browse(login.url()).await;
    let token = login.finish(&app, &callback).await.unwrap();
    assert_eq!(token.scope(), Some("openid email"));
    assert!(token.extra().contains_key("id_token"));

    let deleted = Arc::new(AtomicU64::new(0));
    let session = Session::builder(app.clone())
        .token(token.clone())
        .on_sign_out({
            let deleted = deleted.clone();
            move || {
                deleted.fetch_add(1, Ordering::SeqCst);
                async { Ok::<(), std::io::Error>(()) }
            }
        })
        .build();
    let http = server.http(&session);
    assert_eq!(http.get(format!("{}/me", server.issuer)).send().await.unwrap().status(), 200);
    let last = session.refresh().await.unwrap();
    session.sign_out().await.unwrap();
    assert_eq!(deleted.load(Ordering::SeqCst), 1);
    assert!(!server.is_valid(last.refresh_token().unwrap()).await);
    assert!(session.token().await.unwrap_err().is_reauthorization_required());

    let again: PendingLogin = serde_json::from_str(&stored).unwrap();
    let error = again.finish(&app, &callback).await.unwrap_err();
    assert_eq!(error.error_code(), Some("invalid_grant"));
    println!("ok: a public client logs in and out");
}

async fn a_login_that_is_refused(server: &Server) {
    let app = server.discover("cli").await;
    let request = app
        .authorization_code(REDIRECT_URI)
        .unwrap()
        .scope("openid")
        .extra_param("login_hint", "deny");
    let login = request.begin().unwrap();
    let callback = server.browse(login.url()).await;
    let error = login.finish(&app, &callback).await.unwrap_err();
    assert_eq!(error.error_code(), Some("access_denied"));
    assert!(!error.is_transient());
    println!("ok: a login that is refused");
}

async fn a_login_on_another_device(server: &Server) {
    let app = server.discover("cli").await;
    let mut login = app.device_authorization().scope("openid").begin().await.unwrap();
    assert!(login.verification_uri().starts_with(&server.issuer));
    let user_code = login.user_code().to_owned();
    let agreed = agree(&server.plain, &server.issuer, &user_code);
    let (token, ()) = tokio::join!(login.wait(), agreed);
    let session = Session::builder(app).token(token.unwrap()).build();
    let http = server.http(&session);
    assert_eq!(http.get(format!("{}/me", server.issuer)).send().await.unwrap().status(), 200);
    println!("ok: a login on another device");
}

async fn introspection_and_revocation(server: &Server) {
    let app = server.discover("web").await.secret("web-secret-for-tests-only");
    let token = server.log_in("web", "web-secret-for-tests-only").await;
    let (access, refresh) = (token.access_token(), token.refresh_token().unwrap());
    let before = app.introspect(access, TokenTypeHint::AccessToken).await.unwrap();
    assert!(before.active);
    assert_eq!(before.members["client_id"], "web");
    app.revoke(refresh, TokenTypeHint::RefreshToken).await.unwrap();
    assert!(!app.introspect(refresh, TokenTypeHint::RefreshToken).await.unwrap().active);
    // A token that the server does not know is no error.
    app.revoke("unknown", TokenTypeHint::RefreshToken).await.unwrap();
    println!("ok: introspection and revocation");
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
    saved: Mutex<Vec<Token>>,
    saves: tokio::sync::Notify,
}

struct Outcome {
    requests: u64,
    failed: u64,
    saved: Vec<Token>,
}

impl Load {
    fn start(server: &Server, client: &str, secret: &str, login: Token, tasks: usize) -> Self {
        let shared = Arc::new(Shared::default());
        let saver = shared.clone();
        let session = Session::builder(server.app(client, secret))
            .token(login)
            .on_new_token(move |token: Token| {
                saver.saved.lock().unwrap().push(token);
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

    async fn discover(&self, client: &str) -> OAuthClient {
        OAuthClient::discover(&self.issuer, client).await.unwrap()
    }

    async fn log_in(&self, client: &str, secret: &str) -> Token {
        let app = self.discover(client).await.secret(secret);
        let app = match client {
            "web-post" => app.authentication(ClientAuthentication::ClientSecretPost),
            _ => app,
        };
        let request = app.authorization_code(REDIRECT_URI).unwrap().scope("openid email");
        let login = request.begin().unwrap();
        let callback = self.browse(login.url()).await;
        login.finish(&app, callback).await.unwrap()
    }

    async fn browse(&self, url: &str) -> String {
        browse(&self.plain, url).await
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
