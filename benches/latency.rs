//! Latency under load while the token is renewed all the time.
//!
//! Tokens live 3 seconds and the token endpoint takes 500 ms. Two loads of 2,000 requests a second
//! run side by side, so that whatever the machine does meets both: one with a constant token, one
//! whose token is renewed. After them, for contrast, one through a lock that is held across the
//! refresh.
//!
//! The loads are open: a request that could not start on time because the one before it was late
//! counts from when it should have started. A request *waited* if it did not come out of the layer
//! in the first poll; the time that it was within the layer is taken as well.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod support;

use std::future::poll_fn;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use http::Extensions;
use http::header::{AUTHORIZATION, HeaderValue};
use reqwest::{Request, Response, StatusCode};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware, Middleware, Next, Result};
use reqwest_oauth2::testing::{Provider, ProviderBuilder};
use reqwest_oauth2::{OAuthClient, Session, Token};
use support::Targets;
use tokio::task::JoinSet;

const TASKS: u32 = 64;
/// Each task starts a request that often: 2,000 a second together.
const EVERY: Duration = Duration::from_millis(32);
const LONG: Duration = Duration::from_secs(12);
const SHORT: Duration = Duration::from_secs(6);
const FEWEST_RENEWALS: u64 = 5;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    let mut targets = Targets::default();
    let renewing = |provider: ProviderBuilder| {
        provider.lifetime(Duration::from_secs(3)).token_delay(Duration::from_millis(500))
    };
    let lasting = Provider::start().await.unwrap();
    let constant = Token::new(log_in(&lasting).access_token()).unwrap();
    let constant = Session::builder(app(&lasting)).token(constant).build();
    let constant = series(&lasting, constant.middleware([lasting.origin()]).unwrap(), LONG);

    let provider = renewing(Provider::builder()).start().await.unwrap();
    let ours = Session::builder(app(&provider)).token(log_in(&provider)).build();
    let ours = series(&provider, ours.middleware([provider.origin()]).unwrap(), LONG);
    let (constant, ours) = tokio::join!(constant, ours);

    let provider = renewing(Provider::builder()).start().await.unwrap();
    let locked = Session::builder(app(&provider)).token(log_in(&provider)).manual().build();
    let locked = series(&provider, Locked(tokio::sync::Mutex::new(locked)), SHORT).await;

    println!("\n## Latency: tokens of 3 s, a token endpoint that takes 500 ms\n");
    println!(
        "| ms | requests | renewals | p50 | p99 | p99.9 | max | waited | longest in the layer |"
    );
    println!("|---|--:|--:|--:|--:|--:|--:|--:|--:|");
    constant.print("constant token");
    ours.print("ours");
    locked.print("a lock held across the refresh");
    println!();
    targets.check(ours.waited == 0, "no request waited for a renewal");
    targets.check(
        constant.failed + ours.failed == 0 && ours.renewals >= FEWEST_RENEWALS,
        "every request was answered with 200, and renewals took place",
    );
    targets.exit()
}

fn app(provider: &Provider) -> OAuthClient {
    OAuthClient::new("foo", provider.token_url()).unwrap().secret("potato")
}

fn log_in(provider: &Provider) -> Token {
    serde_json::from_value(provider.log_in()).unwrap()
}

/// What came of a load.
struct Series {
    /// Of each request, sorted.
    latencies: Vec<Duration>,
    failed: usize,
    renewals: u64,
    waited: u64,
    longest: Duration,
}

impl Series {
    fn print(&self, name: &str) {
        let at = |share: f64| {
            let place = (self.latencies.len() as f64 * share) as usize;
            millis(self.latencies[place.min(self.latencies.len() - 1)])
        };
        println!(
            "| {name} | {} | {} | {:.2} | {:.2} | {:.2} | {:.2} | {} | {:.2} |",
            self.latencies.len(),
            self.renewals,
            at(0.5),
            at(0.99),
            at(0.999),
            at(1.0),
            self.waited,
            millis(self.longest)
        );
    }
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// Runs the load.
async fn series(provider: &Provider, layer: impl Middleware, duration: Duration) -> Series {
    let watch = Arc::new(Watch::default());
    let client = ClientBuilder::new(support::plain_http())
        .with(Entrance)
        .with(layer)
        .with(Exit(watch.clone()))
        .build();
    let start = Instant::now();
    let mut tasks = JoinSet::new();
    for task in 0..TASKS {
        let first = start + EVERY * task / TASKS;
        tasks.spawn(one_task(client.clone(), provider.api_url(), first, start + duration));
    }
    let requests = tasks.join_all().await.concat();
    let failed = requests.iter().filter(|(status, _)| *status != Some(StatusCode::OK)).count();
    let mut latencies: Vec<_> = requests.into_iter().map(|(_, latency)| latency).collect();
    latencies.sort_unstable();
    let renewals = provider.counts().refreshes;
    let longest = *watch.longest.lock().unwrap();
    Series { latencies, failed, renewals, waited: watch.waited.load(Ordering::Relaxed), longest }
}

/// A request every [`EVERY`], one after the other.
async fn one_task(
    client: ClientWithMiddleware,
    url: String,
    mut due: Instant,
    end: Instant,
) -> Vec<(Option<StatusCode>, Duration)> {
    let mut requests = Vec::new();
    while due < end {
        let start = if Instant::now() < due {
            tokio::time::sleep_until(due.into()).await;
            Instant::now()
        } else {
            due
        };
        let response = client.get(&url).send().await;
        let status = response.as_ref().ok().map(Response::status);
        if let Ok(response) = response {
            response.bytes().await.unwrap();
        }
        requests.push((status, start.elapsed()));
        due += EVERY;
    }
    requests
}

/// What is noted between the middleware before the layer and the one behind it.
#[derive(Default)]
struct Watch {
    waited: AtomicU64,
    longest: Mutex<Duration>,
}

/// On its way through the layer.
#[derive(Clone)]
struct Passage {
    entered: Instant,
    polls: Arc<AtomicU32>,
}

struct Entrance;

#[async_trait]
impl Middleware for Entrance {
    async fn handle(
        &self,
        request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> Result<Response> {
        let polls = Arc::new(AtomicU32::new(0));
        extensions.insert(Passage { entered: Instant::now(), polls: polls.clone() });
        let mut rest = next.run(request, extensions);
        let response = poll_fn(|context| {
            polls.fetch_add(1, Ordering::Relaxed);
            rest.as_mut().poll(context)
        });
        response.await
    }
}

struct Exit(Arc<Watch>);

#[async_trait]
impl Middleware for Exit {
    async fn handle(
        &self,
        request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> Result<Response> {
        if let Some(passage) = extensions.remove::<Passage>() {
            let within = passage.entered.elapsed();
            let waited = passage.polls.load(Ordering::Relaxed) > 1;
            self.0.waited.fetch_add(waited.into(), Ordering::Relaxed);
            let mut longest = self.0.longest.lock().unwrap();
            *longest = within.max(*longest);
        }
        next.run(request, extensions).await
    }
}

/// For contrast: the token behind a lock, and whoever finds it expired refreshes it there.
struct Locked(tokio::sync::Mutex<Session>);

#[async_trait]
impl Middleware for Locked {
    async fn handle(
        &self,
        mut request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> Result<Response> {
        let token = {
            let session = self.0.lock().await;
            match session.token().await {
                Ok(token) => token,
                Err(_) => session.refresh().await.unwrap(),
            }
        };
        let header = HeaderValue::try_from(format!("Bearer {}", token.access_token())).unwrap();
        request.headers_mut().insert(AUTHORIZATION, header);
        next.run(request, extensions).await
    }
}
