//! `load`: requests at a steady rate, and what came of them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use reqwest::{Response, StatusCode};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware, Middleware};
use reqwest_oauth2::testing::Provider;
use tokio::task::JoinSet;

use crate::probes::{EntryProbe, ExitProbe, ProbeResults};

const TASKS: u32 = 64;
/// Each task starts a request that often: 2,000 a second together.
const EVERY: Duration = Duration::from_millis(32);

/// What came of a load.
pub struct Series {
    /// Of each request, sorted.
    latencies: Vec<Duration>,
    /// When each started, and what it took.
    over_time: Vec<(Duration, Duration)>,
    pub failed: usize,
    pub renewals: u64,
    pub waited: u64,
    longest: Duration,
}

impl Series {
    pub fn print(&self, name: &str) {
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

    /// Seconds, and the milliseconds of the slowest request that started in each `bucket`.
    pub fn slowest(&self, bucket: Duration) -> Vec<(f64, f64)> {
        let mut slowest = BTreeMap::new();
        for (started, took) in &self.over_time {
            let in_bucket = slowest.entry(started.as_millis() / bucket.as_millis()).or_default();
            *in_bucket = (*took).max(*in_bucket);
        }
        let seconds = |place: u128| place as f64 * bucket.as_secs_f64();
        slowest.into_iter().map(|(place, took)| (seconds(place), millis(took))).collect()
    }
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// Runs the load.
pub async fn series(provider: &Provider, layer: impl Middleware, duration: Duration) -> Series {
    let watch = Arc::new(ProbeResults::default());
    let client = ClientBuilder::new(support::plain_http())
        .with(EntryProbe)
        .with(layer)
        .with(ExitProbe(watch.clone()))
        .build();
    let start = Instant::now();
    let mut tasks = JoinSet::new();
    for task in 0..TASKS {
        let first = start + EVERY * task / TASKS;
        tasks.spawn(one_task(client.clone(), provider.api_url(), first, start + duration));
    }
    let requests = tasks.join_all().await.concat();
    let failed = requests.iter().filter(|request| request.status != Some(StatusCode::OK)).count();
    let over_time: Vec<_> =
        requests.iter().map(|request| (request.started - start, request.took)).collect();
    let mut latencies: Vec<_> = over_time.iter().map(|(_, took)| *took).collect();
    latencies.sort_unstable();
    let renewals = provider.counts().refreshes;
    let longest = *watch.longest.lock().unwrap();
    let waited = watch.waited.load(Ordering::Relaxed);
    Series { latencies, over_time, failed, renewals, waited, longest }
}

/// A request, once it is answered.
#[derive(Clone)]
struct Sent {
    status: Option<StatusCode>,
    started: Instant,
    took: Duration,
}

/// A request every [`EVERY`], one after the other.
async fn one_task(
    client: ClientWithMiddleware,
    url: String,
    mut due: Instant,
    end: Instant,
) -> Vec<Sent> {
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
        requests.push(Sent { status, started: start, took: start.elapsed() });
        due += EVERY;
    }
    requests
}
