//! A day of many users: 10,000 of them, eight processes, one store, 24 hours in virtual time.
//!
//! Each user makes a request every ten minutes on average, in a process drawn at random. Tokens live an
//! hour, and the provider rotates refresh tokens. One in a hundred token requests meets each fault of
//! [`provider::Fault`], one in a hundred store calls each of [`store::Fault`], one in a hundred API
//! requests each of [`api::Fault`]. A login that is lost is begun again at the user's next request.
//!
//! The day is lived twice: with a provider that accepts the refresh token before last for a minute, and
//! with one that ends the login when a refresh token is presented twice. With the second, each answer
//! that is lost after the provider has issued a new refresh token is a lost login, whatever a client does.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod api;
mod chance;
mod provider;
mod store;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use chance::Chance;
use provider::Provider;
use reqwest_oauth2::{Api, Error, OAuthClient, RequestOptions, UserSessions};
use store::FaultyStore;
use support::Targets;
use tokio::task::JoinSet;
use tokio::time::Instant;

const USERS: u32 = 10_000;
const PROCESSES: usize = 8;
const DAY: Duration = Duration::from_secs(24 * 3600);
/// Between two requests of a user, on average.
const PAUSE: Duration = Duration::from_secs(600);
const GRACE: Duration = Duration::from_secs(60);

/// What the users met.
#[derive(Default)]
struct Requests {
    answered: AtomicU64,
    /// The API or the connection to it failed.
    failed_by_api: AtomicU64,
    /// No token was to be had at that moment.
    failed_by_layer: AtomicU64,
    login_ended: AtomicU64,
}

fn main() -> ExitCode {
    let mut targets = Targets::default();
    println!("\n## A day: {USERS} users, {PROCESSES} processes, one store, 1 % of every fault\n");
    println!(
        "| the provider | requests | failed: no token | failed: the login has ended | failed: the API's fault | token requests | tokens issued | token requests per token | logins that the provider ended | of them after a lost answer |\n|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|"
    );
    // Each day on a thread of its own, as each has its own clock.
    let days = [
        ("accepts the last refresh token for a minute", GRACE),
        ("ends a login at the first reuse", Duration::ZERO),
    ]
    .map(|(name, grace)| (name, std::thread::spawn(move || day(grace))));
    for (name, day) in days {
        let (provider, requests) = day.join().unwrap();
        let [answered, by_api, by_layer, ended] = [
            &requests.answered,
            &requests.failed_by_api,
            &requests.failed_by_layer,
            &requests.login_ended,
        ]
        .map(|count| count.load(Ordering::Relaxed));
        let counts = provider.counts();
        println!(
            "| {name} | {} | {by_layer} | {ended} | {by_api} | {} | {} | {:.3} | {} | {} |",
            answered + by_api + by_layer + ended,
            counts.token_requests,
            counts.issued,
            counts.token_requests as f64 / counts.issued as f64,
            counts.ended,
            counts.ended_after_lost_answer,
        );
        targets.check(
            counts.ended == counts.ended_after_lost_answer,
            "no login is lost but where the answer with its new refresh token was lost",
        );
    }
    targets.exit()
}

/// A day with such a provider, from the first sign-in to the last shutdown.
fn day(grace: Duration) -> (Arc<Provider>, Arc<Requests>) {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_time().start_paused(true).build().unwrap().block_on(async {
        reqwest_oauth2::testing::seed_jitter(1);
        let began = Instant::now();
        let wall = move || -> SystemTime {
            UNIX_EPOCH + Duration::from_secs(1_800_000_000) + began.elapsed()
        };
        let provider = Arc::new(Provider::new(grace));
        let store = Arc::new(FaultyStore::new());
        let http = reqwest_middleware::ClientBuilder::new(reqwest::Client::new())
            .with_arc(provider.clone())
            .build();
        let process = |_| {
            let client = OAuthClient::new("load", "https://provider.example/token").unwrap();
            let client = client.secret("secret").http_client(http.clone()).clock(wall);
            let sessions = UserSessions::builder(client).store(store.clone());
            sessions.configure_sessions(|session| session.clock(wall)).build()
        };
        let sessions: Vec<UserSessions> = (0..PROCESSES).map(process).collect();
        let apis = sessions.iter().map(|sessions| sessions.api(["https://api.example"]).unwrap());
        let apis: Arc<[Api]> = apis.collect();
        let requests = Arc::new(Requests::default());
        let mut users = JoinSet::new();
        for user in 0..USERS {
            let sessions = sessions[user as usize % PROCESSES].clone();
            let user = User { id: user, sessions, apis: apis.clone(), provider: provider.clone() };
            users.spawn(user.live(requests.clone()));
        }
        while let Some(ended) = users.join_next().await {
            ended.unwrap();
        }
        for sessions in sessions {
            sessions.shutdown().await.ok();
        }
        (provider, requests)
    })
}

struct User {
    id: u32,
    sessions: UserSessions,
    apis: Arc<[Api]>,
    provider: Arc<Provider>,
}

impl User {
    async fn live(self, requests: Arc<Requests>) {
        let mut chance = Chance::new(u64::from(self.id));
        let end = Instant::now() + DAY;
        // Not all at once: the first hour of the day fills up.
        tokio::time::sleep(chance.up_to(Duration::from_secs(3600))).await;
        self.sign_in().await;
        loop {
            tokio::time::sleep(chance.up_to(2 * PAUSE)).await;
            if Instant::now() >= end {
                return;
            }
            let api = &self.apis[chance.below(PROCESSES)];
            let url = "https://api.example/me".parse().unwrap();
            let request = reqwest::Request::new(http::Method::GET, url);
            let options = RequestOptions::new().user(self.id.to_string());
            let fault = chance.fault();
            let send = |request| api::answer(self.provider.clone(), request, fault);
            let count = match api.execute_with(send, request, options).await {
                Ok(response) if response.status().is_success() => &requests.answered,
                Ok(_) => &requests.failed_by_api,
                Err(error) => match Error::find_in(&error) {
                    None => &requests.failed_by_api,
                    Some(ours) if ours.is_reauthorization_required() => &requests.login_ended,
                    Some(_) => &requests.failed_by_layer,
                },
            };
            count.fetch_add(1, Ordering::Relaxed);
            if std::ptr::eq(count, &requests.login_ended) {
                self.sign_in().await;
            }
        }
    }

    async fn sign_in(&self) {
        // An error says that the token is not saved yet: other processes do not know of the login.
        while self.sessions.sign_in(self.id.to_string(), self.provider.log_in()).await.is_err() {}
    }
}
