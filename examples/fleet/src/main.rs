//! Many processes, the same logins: `cargo run --release -p fleet -- --store file --processes 8`.
//!
//! Starts a provider whose tokens live two seconds, which rotates refresh tokens and revokes a login when
//! one is presented twice, and processes of the operating system that share some users' tokens in a store.
//! Each has a task for each user that sends requests all the time. Beside them one process has as many
//! users and tasks to itself. At the end: who was answered what, and how many token requests each side
//! has made.
//!
//! With `--dpop` each login is bound to a key, which all processes have from the store.
//!
//! With `--kill` a process is killed (SIGKILL) every second, and another one takes its place.

mod counts;
mod logins;
mod process_kills;
mod provider;
mod shared_store;
mod worker;

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use reqwest_oauth2::{BoxError, UserId};
use tokio::time::{Instant, sleep, sleep_until};

use counts::ResponseCounts;
use logins::Logins;
use process_kills::ProcessKills;
use provider::{FleetProvider, TokenCounts};
use shared_store::{Place, StoreName};
use worker::{Fleet, Task};

/// Processes that share logins: one refresh between them.
#[derive(Parser)]
struct Args {
    /// Where they share it; PostgreSQL and Redis by POSTGRES_URL and REDIS_URL
    #[arg(long)]
    store: StoreName,
    /// How many processes share the logins
    #[arg(long, default_value_t = 8)]
    processes: usize,
    /// How many tasks each has, with a user each
    #[arg(long, default_value_t = 16)]
    tasks: usize,
    /// How long
    #[arg(long, default_value_t = 30)]
    seconds: u64,
    /// Kill a process at random every second
    #[arg(long)]
    kill: bool,
    /// How many seconds the embedded provider is down, from a second after the start
    #[arg(long, default_value_t = 0, conflicts_with_all = ["kill", "issuer"])]
    outage: u64,
    /// What the random choice begins with [default: drawn, and printed]
    #[arg(long)]
    seed: Option<u64>,
    /// How long the provider takes for a token, in milliseconds: the longer, the likelier that a kill
    /// falls into it
    #[arg(long, default_value_t = 0)]
    token_delay: u64,
    /// A real server, as tests/interop/run starts one with ACCESS_TOKEN_TTL=2
    #[arg(long)]
    issuer: Option<String>,
    /// Bind each login to a key (DPoP): the provider asks for nonces, and takes no proof twice
    #[arg(long)]
    dpop: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    if let Some(task) = Task::of_this_process() {
        return worker::run(task).await;
    }
    let args = Args::parse();
    let scratch = match tempfile::tempdir() {
        Ok(scratch) => scratch,
        Err(error) => {
            eprintln!("error: no temporary directory: {error}");
            return ExitCode::FAILURE;
        }
    };
    let place = match args.store.place(scratch.path()) {
        Ok(place) => place,
        Err(missing) => {
            eprintln!("{missing}");
            return ExitCode::from(2);
        }
    };
    match run(&args, &place).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Whether all held.
async fn run(args: &Args, place: &Place) -> Result<bool, BoxError> {
    let delay = Duration::from_millis(args.token_delay);
    let [fleets, ones] = match &args.issuer {
        Some(issuer) => FleetProvider::real(issuer, args.dpop),
        None => FleetProvider::embedded(delay, args.dpop).await?,
    };
    let users = |whose: &str| -> Vec<UserId> {
        (0..args.tasks).map(|user| UserId::from(format!("{whose}-{user}"))).collect()
    };
    // At once: tokens of the same age to begin with.
    let (shared, alone) = tokio::try_join!(
        Logins::begin(&fleets, place.open().await?, users("shared")),
        Logins::begin(&ones, place.open().await?, users("alone")),
    )?;
    let before = [fleets.counts().await?, ones.counts().await?];
    let mut fleet = Fleet::start(Task::new(&fleets, place, &shared.users, 1), args.processes)?;
    // As many requests for each user as the fleet makes: a token is renewed at the first one after it
    // is due.
    let one = Fleet::start(Task::new(&ones, place, &alone.users, args.processes), 1)?;
    let end = Instant::now() + Duration::from_secs(args.seconds);
    let mut kills = ProcessKills::new(args.seed);
    if args.kill {
        println!("seed {}", kills.seed);
        while Instant::now() + Duration::from_secs(1) < end {
            sleep(Duration::from_secs(1)).await;
            kills.one(&mut fleet, &shared, delay).await?;
        }
    }
    let outage =
        if args.outage > 0 { Some(outage(args.outage, &fleets, &ones).await?) } else { None };
    sleep_until(end).await;
    let (fleet, one) = (fleet.stop().await?, one.stop().await?);
    let fleets_counts = fleets.counts().await? - before[0];
    let ones_counts = ones.counts().await? - before[1];

    println!("\n| | {} processes | one process |\n|---|--:|--:|", args.processes);
    println!("| requests | {} | {} |", fleet.requests(), one.requests());
    println!("| answered with 200 | {} | {} |", fleet.ok(), one.ok());
    println!("| token requests | {} | {} |", fleets_counts.requests, ones_counts.requests);
    println!(
        "| of these with a token for an answer | {} | {} |",
        fleets_counts.tokens, ones_counts.tokens
    );
    println!(
        "| refresh tokens presented twice | {} | {} |",
        fleets_counts.reuse, ones_counts.reuse
    );
    fleet.print_others("fleet");
    one.print_others("one process");
    if args.kill {
        kills.print();
        return Ok(verdict(&[
            (
                "nobody was logged out by anything but a kill before the commit",
                kills.unexplained == 0,
            ),
            ("in the end each user's request was answered with 200", shared.all_serve().await?),
        ]));
    }
    if let Some([fleets, ones]) = outage {
        println!("token requests during the outage: {} and {}", fleets.requests, ones.requests);
        return Ok(verdict(&[
            (
                "no more token requests in the outage than one process makes, within a tenth",
                fleets.requests * 10 <= ones.requests * 11,
            ),
            ("none was presented twice", fleets_counts.reuse == 0),
            ("in the end each user's request was answered with 200", shared.all_serve().await?),
        ]));
    }
    let others = |counts: &ResponseCounts| counts.requests() - counts.ok();
    Ok(verdict(&[
        ("every request was answered with 200", others(&fleet) + others(&one) == 0),
        ("every refresh token was presented once", fleets_counts.requests == fleets_counts.tokens),
        ("none was presented twice", fleets_counts.reuse == 0),
        ("no proof came twice", fleets_counts.replayed + ones_counts.replayed == 0),
        (
            "no more token requests than one process makes, give or take each user's last",
            fleets_counts.requests <= ones_counts.requests + args.tasks as u64,
        ),
    ]))
}

/// What both sides ask of a provider that is down.
async fn outage(
    seconds: u64,
    fleets: &FleetProvider,
    ones: &FleetProvider,
) -> Result<[TokenCounts; 2], BoxError> {
    sleep(Duration::from_secs(1)).await;
    let before = [fleets.counts().await?, ones.counts().await?];
    for provider in [fleets, ones] {
        provider.set_down(true);
    }
    sleep(Duration::from_secs(seconds)).await;
    let counts = [fleets.counts().await? - before[0], ones.counts().await? - before[1]];
    for provider in [fleets, ones] {
        provider.set_down(false);
    }
    Ok(counts)
}

fn verdict(held: &[(&str, bool)]) -> bool {
    println!();
    for (what, held) in held {
        println!("{}: {what}", if *held { "held" } else { "BROKEN" });
    }
    held.iter().all(|(_, held)| *held)
}
