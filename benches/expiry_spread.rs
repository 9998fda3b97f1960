//! 100,000 users whose tokens expire within the same minute: when their token requests come.
//!
//! The users' requests go on all the time; the wall clock is the bench's, in steps of a second. The
//! provider is the embedded one, with rotation and reuse detection. With `-- --plot FILE.svg` the
//! result is drawn beside what a lead without jitter would make of the same tokens (computed).
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use futures_util::StreamExt;
use futures_util::stream::iter;
use reqwest_oauth2::testing::Provider;
use reqwest_oauth2::{OAuthClient, Token, UserId, UserSessions};
use support::{Targets, plot};

const USERS: usize = 100_000;
/// Requests for tokens at a time.
const AT_ONCE: usize = 64;
const LIFETIME: u64 = 3600;
/// The lead that such a lifetime has by default, and how far jitter moves it.
const LEAD: u64 = 300;
const JITTER: u64 = LEAD / 4;
const START: u64 = 1_800_000_000;

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let mut targets = Targets::default();
    println!("\n## 100,000 users whose tokens expire within the same minute\n");
    let began = Instant::now();
    let spread = runtime.block_on(spread(&mut targets));
    let peak = spread.iter().max().unwrap();
    let busy = spread.iter().filter(|requests| **requests > 0).count();
    println!("token requests per second: at most {peak}, over {busy} seconds");
    println!("without jitter: {} over 60 seconds", USERS / 60);
    println!("(the run took {:.0} s)\n", began.elapsed().as_secs_f64());
    // The minute, and the jitter's way in both directions; the first and the last second are partial.
    let expected = 60 + 2 * JITTER as usize;
    targets.check(busy.abs_diff(expected) <= 2, "spread over the minute and the jitter both ways");
    if let Some(file) = plot::file() {
        plot(&file, &spread).unwrap();
        println!("drawn: {file}");
    }
    targets.exit()
}

/// Token requests in each second from when the first token may be due to when the last has expired.
async fn spread(targets: &mut Targets) -> Vec<usize> {
    let seconds = Arc::new(AtomicU64::new(START));
    let clock = {
        let seconds = seconds.clone();
        move || -> SystemTime { UNIX_EPOCH + Duration::from_secs(seconds.load(Ordering::SeqCst)) }
    };
    let provider = Provider::builder()
        .lifetime(Duration::from_secs(LIFETIME))
        .clock(clock.clone())
        .start()
        .await
        .unwrap();
    let app = OAuthClient::new("foo", provider.token_url()).unwrap().secret("potato");
    let sessions = UserSessions::builder(app)
        .configure_sessions(|session| session.clock(clock))
        .max_sessions(2 * USERS)
        .build();
    let users: Vec<UserId> = (0..USERS).map(|user| UserId::from(format!("user-{user}"))).collect();
    for (i, user) in users.iter().enumerate() {
        // They logged in within one minute.
        seconds.store(START + (i % 60) as u64, Ordering::SeqCst);
        let expires_at = START + (i % 60) as u64 + LIFETIME;
        let mut token = provider.log_in();
        token["expires_at"] = expires_at.into();
        let token: Token = serde_json::from_value(token).unwrap();
        sessions.sign_in(user.clone(), token).await.unwrap();
    }
    let mut spread = Vec::new();
    for second in START + LIFETIME - LEAD - JITTER - 10..START + LIFETIME + 60 {
        seconds.store(second, Ordering::SeqCst);
        // A request of each user; those whose token is due renew it.
        let due: Vec<&UserId> =
            users.iter().filter(|user| sessions.header(user).is_none()).collect();
        spread.push(due.len());
        iter(due)
            .for_each_concurrent(AT_ONCE, async |user| {
                let session = sessions.for_user(user.clone());
                session.token().await.unwrap();
                session.shutdown().await.unwrap();
            })
            .await;
    }
    let counts = provider.counts();
    println!("{counts:?}\n");
    targets.check(counts.refreshes == USERS as u64, "every user's token was renewed");
    targets.check(counts.token_requests == USERS as u64, "one token request each, none twice");
    targets.check(counts.reuse_detected == 0, "no refresh token was presented twice");
    spread
}

fn plot(file: &str, spread: &[usize]) -> Result<(), Box<dyn Error>> {
    // Seconds before the first token expires.
    let first = -((LEAD + JITTER + 10) as i64);
    let last = first + spread.len() as i64;
    let steady = (USERS / 60) as f64;
    let lead = -(LEAD as i64);
    let without = |s| if (lead..lead + 60).contains(&s) { steady } else { 0.0 };
    let without = (first..last).map(|s| (s as f64, without(s))).collect();
    let with =
        (first..last).zip(spread).map(|(s, requests)| (s as f64, *requests as f64)).collect();
    plot::lines(
        file,
        &plot::Words {
            caption: "100,000 tokens that expire within the same minute",
            x: "seconds from when the first of them expires",
            y: "token requests per second",
        },
        (first as f64..last as f64, 0.0..steady * 1.2),
        vec![
            ("a fixed lead of 5 minutes (computed)", plot::GREY, without),
            ("with jitter (measured)", plot::BLUE, with),
        ],
    )
}
