//! Tokens that live 3 seconds, kept fresh for 8: `cargo run --example auto_refresh`.
//!
//! Needs nothing installed: the provider runs inside. It rotates refresh tokens and revokes the
//! login when one is used twice, and its token endpoint takes 300 ms. On the way that endpoint goes
//! down, and the access tokens are revoked. Every request is answered with 200 all the same.

#[path = "support/testing.rs"]
mod testing;

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use reqwest::StatusCode;
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};
use reqwest_oauth2::{BoxError, OAuthClient, Session, Token, TokenUpdates};
use tokio::time::{sleep, timeout};

use testing::{Fault, Provider}; // `reqwest_oauth2::testing`, with the feature `testing`

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let provider = Provider::builder().lifetime(ms(3000)).token_delay(ms(300)).start().await?;
    std::fs::File::create_new(&*FILE)?; // so that nobody else's file is written to

    // This machine is not reached through a proxy; elsewhere leave `no_proxy` out.
    let redirects = reqwest_oauth2::redirect_policy(); // no token for a server that redirects twice
    let direct = reqwest::Client::builder().redirect(redirects).no_proxy().build()?;

    // What an application does: a token, a session that saves, a client with the layer.
    let token: Token = serde_json::from_value(provider.log_in())?; // or as it was stored
    line(format!("logged in: token {} lives 3 s", number(&token)));
    let app = OAuthClient::new("foo", provider.token_url())?.secret("potato");
    let session = Session::builder(app)
        .token(token)
        .on_new_token(save)
        .backoff(ms(50), ms(50)) // for these short lives; leave it out where tokens live longer
        .build();
    let http = ClientBuilder::new(direct)
        .with(session.middleware([provider.origin()])?) // the only origin that sees the token
        .build();

    // Four tasks send requests; two more tell what happens to the token.
    let story = tokio::spawn(story(provider.clone(), session.subscribe()));
    let endpoint = tokio::spawn(watch_token_endpoint(provider.clone()));
    let senders = [(); 4].map(|()| tokio::spawn(send(http.clone(), provider.api_url())));
    let sent = futures_util::future::try_join_all(senders).await;
    session.shutdown().await?; // a renewal under way is finished and saved; also when something failed
    sent?;
    drop((http, session)); // the end of the subscription, and so of the story
    timeout(ms(1000), story).await??;
    endpoint.abort();
    let stored: Token = serde_json::from_slice(&std::fs::read(&*FILE)?)?;
    std::fs::remove_file(&*FILE)?;
    conclude(&provider, &stored)
}

/// The saver: gets each new token before any request carries it. Writing cuts the file off first, so a full disk
/// would cost the login: to keep tokens in a file, use `FileStore`, which replaces it by a rename.
async fn save(token: Token) -> std::io::Result<()> {
    tokio::fs::write(&*FILE, serde_json::to_vec(&token)?).await?; // or your database
    SAVES.fetch_add(1, Relaxed);
    line(format!("saved  token {}", number(&token)));
    Ok(())
}

/// Sends a request every 20 ms. The API answers in about one, so a request that takes 50 waited.
async fn send(http: ClientWithMiddleware, url: String) {
    while START.elapsed() < ms(8000) {
        let sent = Instant::now();
        REQUESTS.fetch_add(1, Relaxed);
        match http.get(&url).send().await.map(|response| response.status()) {
            Ok(StatusCode::OK) => _ = ANSWERED.fetch_add(1, Relaxed),
            Ok(status) => line(format!("NOT ANSWERED WITH 200: {status}")),
            Err(error) => line(format!("NOT ANSWERED: {error}")),
        }
        WAITED.fetch_add(u64::from(sent.elapsed() > ms(50)), Relaxed);
        sleep(ms(20)).await;
    }
}

/// Tells which token is in use; has an outage during the second, a revocation during the third.
async fn story(provider: Provider, mut updates: TokenUpdates) {
    while let Some(token) = updates.next().await {
        let before = ANSWERED_BEFORE.load(Relaxed);
        let meanwhile = ANSWERED.load(Relaxed) - before;
        line(format!("in use token {}; meanwhile {meanwhile} requests answered", number(&token)));
        match number(&token) {
            2 => {
                line("the token endpoint goes down: 503 to everything");
                let (down, n) = (Instant::now(), provider.counts().token_requests + 1);
                provider.fail_always(Fault::Status(503));
                provider.wait_for_token_requests(n).await;
                provider.clear_faults();
                let s = down.elapsed().as_secs_f64();
                line(format!("up again after {s:.1} s, token request {n} still gets a 503"));
            }
            3 => {
                sleep(ms(600)).await;
                line("the provider revokes every access token");
                provider.revoke_access_tokens();
            }
            4 => {
                let rejected = provider.counts().api_unauthorized;
                line(format!("requests that got a 401 and are sent again: {rejected}"));
            }
            _ => {}
        }
    }
}

/// Tells of each token request as it arrives at the provider, and why it was made.
async fn watch_token_endpoint(provider: Provider) {
    let mut renewing = None;
    for n in 1.. {
        provider.wait_for_token_requests(n).await;
        let present = TOKENS.lock().unwrap_or_else(PoisonError::into_inner).last().cloned();
        let Some(token) = present else { return };
        if renewing.replace(number(&token)) != Some(number(&token)) {
            ANSWERED_BEFORE.store(ANSWERED.load(Relaxed), Relaxed);
        }
        let live = provider.accepts_access_token(token.access_token());
        let why = if live { "is due, requests go on" } else { "is dead, requests wait" };
        line(format!("token {} {why}: token request {n}", number(&token)));
    }
}

fn conclude(provider: &Provider, stored: &Token) -> Result<(), BoxError> {
    let counts = provider.counts();
    let [requests, answered, saves, waited] =
        [&REQUESTS, &ANSWERED, &SAVES, &WAITED].map(|n| n.load(Relaxed));
    println!(
        "requests {requests}, answered {answered}, token requests {}, saves {saves}, requests that waited {waited}",
        counts.token_requests
    );
    let stored = stored.refresh_token().is_some_and(|text| provider.accepts_refresh_token(text));
    let checks = [
        (answered == requests, "a request was not answered with 200"),
        (counts.api_requests == requests + counts.api_unauthorized, "a 401 was not sent again"),
        (saves == counts.tokens_issued, "saves and tokens issued differ in number"),
        (stored && counts.reuse_detected == 0, "what was saved is not the present token"),
    ];
    let wrong = checks.into_iter().find(|(right, _)| !right);
    wrong.map_or(Ok(()), |(_, fault)| Err(fault.into()))
}

static START: LazyLock<Instant> = LazyLock::new(Instant::now);
static FILE: LazyLock<PathBuf> = LazyLock::new(|| {
    std::env::temp_dir().join(format!("reqwest-oauth2-example-{}.json", std::process::id()))
});
/// Tokens are told apart by a number, in order; no part of one is printed.
static TOKENS: Mutex<Vec<Token>> = Mutex::new(Vec::new());
static REQUESTS: AtomicU64 = AtomicU64::new(0);
static ANSWERED: AtomicU64 = AtomicU64::new(0);
/// The value of `ANSWERED` when the last renewal began.
static ANSWERED_BEFORE: AtomicU64 = AtomicU64::new(0);
static SAVES: AtomicU64 = AtomicU64::new(0);
static WAITED: AtomicU64 = AtomicU64::new(0);

fn number(token: &Token) -> usize {
    let mut tokens = TOKENS.lock().unwrap_or_else(PoisonError::into_inner);
    let known = tokens.iter().position(|known| known.access_token() == token.access_token());
    known.unwrap_or_else(|| {
        tokens.push(token.clone());
        tokens.len() - 1
    }) + 1
}

fn line(text: impl AsRef<str>) {
    println!("{:6.3} s  {}", START.elapsed().as_secs_f64(), text.as_ref());
}

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}
