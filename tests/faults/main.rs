//! The session layer under faults drawn at random, on one thread, in memory and in virtual time.
//!
//! Each seed is a schedule of up to 60 steps, of one of four kinds:
//!
//! - one session with a saver: requests, callers that go away at any await point, expiry, 401s, a
//!   provider, a saver and an API that fail in every way, clocks that jump, new logins and sign-outs;
//! - two to four sessions that share a login in a store (`replicas`), which fails in every way too; in
//!   several processes and on several runtimes, which die, stand still, or are replaced;
//! - many users in `UserSessions` that have room for a few;
//! - one login with access tokens for several targets (`targets`), with a saver or in a store.
//!
//! After each step a model says what must not be (`model`, `replicas::model`); at the end all is well
//! again, and the sessions have to heal (`recovery`). A seed repeats itself to the last line of its
//! trace.
//!
//! ```sh
//! cargo test --test faults                                          # the first 2400 seeds
//! FAULT_SCHEDULES=100000 cargo test --release --test faults         # more
//! FAULT_SEED=123 cargo test --test faults                           # one, with its trace
//! FAULT_SEED=100001 FAULT_SCHEDULES=100000 cargo test --release --test faults
//! ```
//!
//! Seeds count from 1, the same at each run: what fails then fails for the change that is tested, and
//! not by chance. To look further, begin where nobody has been.
#![allow(missing_docs, unreachable_pub, clippy::unwrap_used, clippy::expect_used)]

mod api;
mod app;
mod clock;
mod coverage;
mod endpoints;
mod fault_state;
mod model;
mod provider;
mod recovery;
mod replicas;
mod run;
mod saver;
mod schedule;
mod targets;
mod token_serial;
mod world;

use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use coverage::Coverage;
use run::Report;

/// How many schedules are run unless told otherwise.
const SCHEDULES: u64 = 2400;
/// How many of them are run twice, to see that they repeat themselves.
const TWICE: u64 = 100;
/// How many lines of a trace are shown.
const LINES: usize = 60;

/// How long a schedule may take. What never comes to rest ends so, and not with the patience of
/// a waiter.
const LONGEST: Duration = Duration::from_secs(60);

fn main() -> ExitCode {
    let (seed, schedules) = (number("FAULT_SEED"), number("FAULT_SCHEDULES"));
    let first = seed.unwrap_or(1);
    let count = schedules.unwrap_or(if seed.is_some() { 1 } else { SCHEDULES });
    let (began, mut coverage) = (Instant::now(), Coverage::default());
    let at = watchdog();
    // What is made once in a process: an error, on a runtime of its own, and where sessions count time
    // from, which is before anything that a later one sees.
    drop(endpoints::unreachable());
    drop(run::run(0));
    for seed in first..first.saturating_add(count) {
        at.store(seed, Ordering::Relaxed);
        let report = run(seed);
        if seed < first.saturating_add(TWICE) {
            let again = run(seed).trace;
            if again != report.trace {
                let mut both = again.lines().zip(report.trace.lines());
                let at = both.position(|(again, line)| again != line).unwrap_or_default();
                for trace in [&again, &report.trace] {
                    let lines: Vec<&str> = trace.lines().collect();
                    let shown = at.saturating_sub(12)..(at + 3).min(lines.len());
                    println!("{}\n", lines[shown].join("\n"));
                }
                println!("FAILED: seed {seed} does not repeat itself");
                return ExitCode::FAILURE;
            }
        }
        coverage.add(&report.coverage);
        if let Some(violation) = report.violation {
            let lines: Vec<&str> = report.trace.lines().collect();
            let from = if count == 1 { 0 } else { lines.len().saturating_sub(LINES) };
            println!("the end of its trace:\n{}\n", lines[from..].join("\n"));
            println!("FAILED schedule {} of {count}: {violation}", seed - first + 1);
            println!("to repeat it: FAULT_SEED={seed} cargo test --test faults");
            return ExitCode::FAILURE;
        }
        if count == 1 {
            println!("{}", report.trace);
        }
    }
    println!("{coverage}");
    println!("{count} schedules held, in {:.1?}", began.elapsed());
    let missing = coverage.missing();
    if count >= SCHEDULES && !missing.is_empty() {
        println!("FAILED: never met: {missing:?}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// The schedule of a seed: of one session, of one login that several share, of many users, or of one login
/// with several targets.
fn run(seed: u64) -> Report {
    match seed % 6 {
        0 | 1 => run::run(seed),
        2 | 3 => replicas::run(seed, false),
        4 => replicas::run(seed, true),
        _ => targets::run(seed),
    }
}

/// Ends the process where the seed in it stays the same for too long.
fn watchdog() -> &'static AtomicU64 {
    static AT: AtomicU64 = AtomicU64::new(0);
    std::thread::spawn(|| {
        loop {
            let seed = AT.load(Ordering::Relaxed);
            std::thread::sleep(LONGEST);
            if AT.load(Ordering::Relaxed) == seed {
                println!("FAILED: the schedule never comes to rest");
                println!("to repeat it: FAULT_SEED={seed} cargo test --test faults");
                std::process::exit(1);
            }
        }
    });
    &AT
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is to be a number, not {text:?}")))
}
