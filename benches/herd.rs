//! The herd: 10,000 requests at once that all find the token expired.
//!
//! Every request passes the token stage by itself; the gate that keeps the number of connections
//! down comes after it. The provider holds its answer to the token request until all 10,000 wait.
//! The time from there to the last answer is compared with the same load on a constant token.
//! Then the same herd meets a token endpoint that answers 503.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::collections::HashSet;
use std::future::poll_fn;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use async_trait::async_trait;
use http::Extensions;
use reqwest::{Request, Response, StatusCode};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware, Middleware, Next, Result};
use reqwest_oauth2::testing::{Fault, Provider};
use reqwest_oauth2::{Error, OAuthClient, Session, Token};
use support::{Constant, Targets, median};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

const REQUESTS: u32 = 10_000;
const CONNECTIONS: usize = 256;
const ROUNDS: usize = 5;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    let mut targets = Targets::default();
    let provider = Provider::start().await.unwrap();
    let http = support::plain_http();
    // Opens the connections.
    constant(&provider, &http).await;

    println!("\n## Herd: {REQUESTS} requests at once with an expired token\n");
    println!(
        "| round | token requests | answered 200 | constant ms | ours ms | ratio |\n|---|--:|--:|--:|--:|--:|"
    );
    let (mut exact, mut ratios) = (true, Vec::new());
    for round in 1..=ROUNDS {
        let constant = constant(&provider, &http).await;
        let ours = expired(&provider, &http).await;
        let ratio = ours.time.as_secs_f64() / constant.time.as_secs_f64();
        println!(
            "| {round} | {} | {} | {:.0} | {:.0} | {ratio:.2} |",
            ours.token_requests,
            ours.answered,
            millis(constant.time),
            millis(ours.time)
        );
        exact &= (ours.token_requests, ours.answered) == (1, REQUESTS.into());
        exact &= constant.answered == u64::from(REQUESTS);
        ratios.push(ratio);
    }
    println!("\nMedian ratio {:.2}.\n", median(ratios));
    targets.check(exact, "one token request, every request answered with 200");

    provider.fail_always(Fault::Status(503));
    let failed = expired(&provider, &http).await;
    println!(
        "\n| the token endpoint answers 503 | token requests | errors | ms |\n|---|--:|--:|--:|"
    );
    println!(
        "| {:?} | {} | {} | {:.0} |\n",
        failed.errors,
        failed.token_requests,
        failed.failed,
        millis(failed.time)
    );
    let once = (failed.token_requests, failed.api_requests) == (1, 0);
    let all = failed.failed == u64::from(REQUESTS) && failed.errors.len() == 1;
    targets.check(once && all, "one token request, every request failed with the same error");
    targets.exit()
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// What came of a herd.
#[derive(Default)]
struct Outcome {
    /// From the release to the last answer.
    time: Duration,
    token_requests: u64,
    api_requests: u64,
    answered: u64,
    failed: u64,
    errors: HashSet<String>,
}

/// A herd with a constant token; it waits before the gate until all are there.
async fn constant(provider: &Provider, http: &reqwest::Client) -> Outcome {
    let token: Token = serde_json::from_value(provider.log_in()).unwrap();
    let gate = Arc::new(Semaphore::new(0));
    let layer = Constant::new(token.access_token());
    run(provider, http, layer, &gate, || gate.add_permits(CONNECTIONS)).await
}

/// A herd with an expired token; the token request is held until all are there.
async fn expired(provider: &Provider, http: &reqwest::Client) -> Outcome {
    let token: Token = serde_json::from_value(provider.log_in()).unwrap();
    let token = token.with_expires_at(SystemTime::now().into());
    let app = OAuthClient::new("foo", provider.token_url()).unwrap().secret("potato");
    let session = Session::builder(app).token(token).build();
    let layer = session.middleware([provider.origin()]).unwrap();
    let gate = Arc::new(Semaphore::new(CONNECTIONS));
    let hold = provider.pause_token_requests();
    run(provider, http, layer, &gate, || drop(hold)).await
}

/// Starts the requests, waits until none gets any further, releases them, and takes the time.
async fn run(
    provider: &Provider,
    http: &reqwest::Client,
    layer: impl Middleware,
    gate: &Arc<Semaphore>,
    release: impl FnOnce(),
) -> Outcome {
    let before = provider.counts();
    let waiting = Arc::new(Semaphore::new(0));
    let client = ClientBuilder::new(http.clone())
        .with(Waiting(waiting.clone()))
        .with(layer)
        .with(Gate(gate.clone()))
        .build();
    let mut herd = JoinSet::new();
    for _ in 0..REQUESTS {
        herd.spawn(get(client.clone(), provider.api_url()));
    }
    drop(waiting.acquire_many(REQUESTS).await.unwrap());
    assert_eq!(provider.counts().api_requests, before.api_requests, "one went ahead");

    let start = Instant::now();
    release();
    let mut outcome = Outcome::default();
    while let Some(answer) = herd.join_next().await {
        match answer.unwrap() {
            Ok(StatusCode::OK) => outcome.answered += 1,
            Ok(_) => {}
            Err(error) => {
                outcome.failed += 1;
                let ours = Error::find_in(&error);
                outcome.errors.insert(ours.map_or(error.to_string(), Error::to_string));
            }
        }
    }
    outcome.time = start.elapsed();
    outcome.token_requests = provider.counts().token_requests - before.token_requests;
    outcome.api_requests = provider.counts().api_requests - before.api_requests;
    outcome
}

async fn get(client: ClientWithMiddleware, url: String) -> Result<StatusCode> {
    let response = client.get(url).send().await?;
    let status = response.status();
    response.bytes().await?;
    Ok(status)
}

/// Outermost: adds a permit for each request that has gone as far as it can by itself.
struct Waiting(Arc<Semaphore>);

#[async_trait]
impl Middleware for Waiting {
    async fn handle(
        &self,
        request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> Result<Response> {
        let mut rest = next.run(request, extensions);
        let mut polled = false;
        poll_fn(|context| {
            let poll = rest.as_mut().poll(context);
            if !std::mem::replace(&mut polled, true) {
                self.0.add_permits(1);
            }
            poll
        })
        .await
    }
}

/// Innermost: so many requests at a time. The permit goes with the response, until it is read.
struct Gate(Arc<Semaphore>);

#[async_trait]
impl Middleware for Gate {
    async fn handle(
        &self,
        request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> Result<Response> {
        let permit = self.0.clone().acquire_owned().await.unwrap();
        let mut response = next.run(request, extensions).await?;
        response.extensions_mut().insert(Arc::new(permit));
        Ok(response)
    }
}
