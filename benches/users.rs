//! Many users in one process: what each takes up, and how fast a user's header is found.
//!
//! - Live heap per user beyond the text of the tokens, of a million users loaded from a store: the
//!   session, its entry in the cache, and its share of the cache's tables.
//! - A hit: the header of a user who is in memory, against a bare hit of the cache underneath (the
//!   same key, an `Arc` for a value), in nanoseconds and in instructions. The target is in
//!   instructions; in nanoseconds ours reads the clock, which takes about as long as the bare hit.
//! - Loads: users that are not in memory, from a store that answers at once, and from PostgreSQL where
//!   `POSTGRES_URL` is set (`tests/stores/run cargo bench -p benches --bench users`).
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::alloc::System;
use std::hint::black_box;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use async_trait::async_trait;
use futures_util::StreamExt;
use futures_util::stream::iter;
use quick_cache::sync::Cache;
use reqwest_oauth2::store::{PostgresStore, Record, StoreError, SwapOutcome};
use reqwest_oauth2::store::{TokenKey, TokenStore, Version};
use reqwest_oauth2::{OAuthClient, Token, UserId, UserSessions};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use support::{Targets, callgrind, median};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const USERS: usize = 1_000_000;
const FEW: usize = 1000;
/// In PostgreSQL.
const STORED: usize = 20_000;
const AT_ONCE: usize = 64;
const MOST_PER_USER: usize = 600;
const MOST_OF_A_HIT: f64 = 1.5;
const ACCESS: usize = 48;
const REFRESH: usize = 48;
const ROUNDS: usize = 50;
const PER_ROUND: usize = 20_000;

fn main() -> ExitCode {
    if let Some(what) = callgrind::run() {
        under_callgrind(&what);
        return ExitCode::SUCCESS;
    }
    let mut targets = Targets::default();
    println!("\n## A million users in one process\n");
    let region = Region::new(ALLOCATOR);
    let users = users(USERS);
    let began = Instant::now();
    let sessions = sessions(&users);
    let loads = USERS as f64 / began.elapsed().as_secs_f64();
    let change = region.change();
    let list = size_of::<UserId>();
    let live = (change.bytes_allocated - change.bytes_deallocated) / USERS - list;
    assert_eq!(sessions.loaded_sessions(), USERS);
    let per_user = live - ACCESS - REFRESH;
    println!("live heap per user, name and all, the tokens' text excepted: {per_user} bytes");
    println!("loads from a store that answers at once: {loads:.0} per second");
    match std::env::var("POSTGRES_URL") {
        Ok(url) => {
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
            let loads = runtime.block_on(loads_from_postgres(&url, &users[..STORED]));
            println!("loads from PostgreSQL, {AT_ONCE} at a time: {loads:.0} per second\n");
        }
        Err(_) => println!("loads from PostgreSQL: POSTGRES_URL is not set\n"),
    }

    let bare = bare(&users);
    println!("| a hit, in ns | bare | ours | ratio |\n|---|--:|--:|--:|");
    for (name, among) in [("among 1,000 users", FEW), ("among a million", USERS)] {
        let (bare, ours, ratio) = hits(&users[..among], &bare, &sessions);
        println!("| {name} | {bare:.0} | {ours:.0} | {ratio:.2} |");
    }
    println!();
    targets.check(
        per_user <= MOST_PER_USER,
        &format!("at most {MOST_PER_USER} bytes per user ({per_user})"),
    );
    if callgrind::present(&mut targets) {
        let [bare, ours] = ["bare", "ours"].map(callgrind::instructions);
        let ratio = ours / bare;
        println!("a hit, in instructions: bare {bare:.0}, ours {ours:.0}, ratio {ratio:.2}\n");
        let target = format!(
            "a hit: at most {MOST_OF_A_HIT} times the instructions of a bare one ({ratio:.2})"
        );
        targets.check(ratio <= MOST_OF_A_HIT, &target);
    }
    targets.exit()
}

fn users(number: usize) -> Vec<UserId> {
    (0..number).map(|user| UserId::from(format!("user-{user:08}"))).collect()
}

/// Sessions of all of them, loaded.
fn sessions(users: &[UserId]) -> UserSessions {
    let app = OAuthClient::new("foo", "https://provider.example/token").unwrap().secret("potato");
    let sessions =
        UserSessions::builder(app).store(Generous::new()).max_sessions(2 * users.len()).build();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        for user in users {
            sessions.for_user(user.clone()).token().await.unwrap();
        }
    });
    sessions
}

/// Users per second that are loaded from PostgreSQL.
async fn loads_from_postgres(url: &str, users: &[UserId]) -> f64 {
    let pool = sqlx::postgres::PgPoolOptions::new().max_connections(8).connect(url).await.unwrap();
    let store = PostgresStore::new(pool).table("users_bench").unwrap();
    store.migrate().await.unwrap();
    let app = OAuthClient::new("foo", "https://provider.example/token").unwrap().secret("potato");
    let sessions = || UserSessions::builder(app.clone()).store(store.clone()).build();
    let token =
        serde_json::from_str::<Token>(&document("00000000", Generous::new().expires_at)).unwrap();
    let filled = sessions();
    iter(users)
        .for_each_concurrent(AT_ONCE, async |user| {
            filled.sign_in(user.clone(), token.clone()).await.unwrap();
        })
        .await;
    let empty = sessions();
    let began = Instant::now();
    iter(users)
        .for_each_concurrent(AT_ONCE, async |user| {
            empty.for_user(user.clone()).token().await.unwrap();
        })
        .await;
    users.len() as f64 / began.elapsed().as_secs_f64()
}

/// The cache underneath, by itself.
fn bare(users: &[UserId]) -> Cache<UserId, Arc<u64>> {
    let bare = Cache::new(2 * users.len());
    for user in users {
        bare.insert(user.clone(), Arc::new(0));
    }
    bare
}

fn under_callgrind(what: &str) {
    let users = users(FEW);
    let (bare, sessions) = (bare(&users), sessions(&users));
    callgrind::counted(|times| {
        for user in users.iter().cycle().take(times.try_into().unwrap()) {
            match what {
                "ours" => drop(black_box(sessions.header(user).unwrap())),
                _ => drop(black_box(bare.get(user).unwrap())),
            }
        }
    });
}

/// Nanoseconds of a bare hit and of ours, and the median of the rounds' ratios.
fn hits(
    users: &[UserId],
    bare: &Cache<UserId, Arc<u64>>,
    sessions: &UserSessions,
) -> (f64, f64, f64) {
    let mut rounds = Vec::new();
    let mut at = 1_usize;
    for _ in 0..ROUNDS {
        let order: Vec<&UserId> = (0..PER_ROUND)
            .map(|_| {
                at = at
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                &users[(at >> 33) % users.len()]
            })
            .collect();
        let time = |hit: &dyn Fn(&UserId)| {
            let began = Instant::now();
            for user in &order {
                hit(user);
            }
            began.elapsed().as_nanos() as f64 / PER_ROUND as f64
        };
        let bare = time(&|user| drop(black_box(bare.get(user).unwrap())));
        let ours = time(&|user| drop(black_box(sessions.header(user).unwrap())));
        rounds.push((bare, ours, ours / bare));
    }
    let middle = |part: fn(&(f64, f64, f64)) -> f64| median(rounds.iter().map(part).collect());
    (middle(|round| round.0), middle(|round| round.1), middle(|round| round.2))
}

/// A store that has a token for everybody, an hour fresh, and keeps none: what the users' records take
/// up is not the sessions'.
struct Generous {
    expires_at: u64,
}

impl Generous {
    fn new() -> Self {
        let in_an_hour = SystemTime::now() + Duration::from_secs(3600);
        let since = in_an_hour.duration_since(SystemTime::UNIX_EPOCH).unwrap();
        Self { expires_at: since.as_secs() }
    }
}

fn document(user: &str, expires_at: u64) -> String {
    let (access, refresh) = (format!("{user:a>ACCESS$}"), format!("{user:r>REFRESH$}"));
    format!(
        r#"{{"access_token":"{access}","token_type":"Bearer","refresh_token":"{refresh}","expires_at":{expires_at},"expires_in":3600}}"#
    )
}

#[async_trait]
impl TokenStore for Generous {
    async fn load(&self, key: &TokenKey) -> Result<Option<Record>, StoreError> {
        let user = &key.as_str()[key.as_str().len() - 8..];
        Ok(Some(Record::new(document(user, self.expires_at))))
    }

    async fn compare_and_swap(
        &self,
        _: &TokenKey,
        _: Option<Version>,
        record: &Record,
    ) -> Result<SwapOutcome, StoreError> {
        Ok(SwapOutcome::Stored(record.version()))
    }
}
