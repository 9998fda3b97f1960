//! The hot path: what the layer costs while the token is valid.
//!
//! Two chains without a network, alike but for the layer: ours, and the baseline of
//! [`support::Constant`]. Each request is a clone of a template, so both chains pay for its making.
//!
//! - Nanoseconds: rounds that alternate between the chains; the ratio is the median of the rounds'.
//! - Instructions: the bench runs itself under valgrind's callgrind with two numbers of requests;
//!   the difference, per request, has no start-up in it. Valgrind hides the vDSO, so our one
//!   reading of the clock counts as a system call's few instructions; its nanoseconds are in full.
//!
//! Without valgrind the instructions are left out; with `REQUIRE_VALGRIND=1` that is a failure.
//! Allocations are in `memory.rs`, whose allocator would be in the way here.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod support;

use std::hint::black_box;
use std::process::{Command, ExitCode};
use std::time::Instant;

use reqwest::Request;
use reqwest_middleware::ClientWithMiddleware;
use support::{Constant, Shape, Targets, median};

/// Set in the runs under callgrind: chain, shape and number of requests.
const UNDER_CALLGRIND: &str = "HOT_PATH_UNDER_CALLGRIND";
const MOST_INSTRUCTIONS: f64 = 1.10;
const ROUNDS: usize = 200;
const PER_ROUND: u32 = 1000;
const CALLGRIND_RUNS: [u64; 2] = [1000, 3000];

fn main() -> ExitCode {
    if let Ok(run) = std::env::var(UNDER_CALLGRIND) {
        under_callgrind(&run);
        return ExitCode::SUCCESS;
    }
    let mut targets = Targets::default();
    println!("\n## Hot path: a request with a valid token, ours against a constant header\n");
    println!("| ns per request | constant | ours | ratio |\n|---|--:|--:|--:|");
    for shape in Shape::ALL {
        let (constant, ours, ratio) = nanoseconds(shape);
        println!("| {} | {constant:.0} | {ours:.0} | {ratio:.3} |", shape.name());
    }
    println!("\nReading the clock takes {:.0} ns of ours.\n", clock());

    let valgrind = Command::new("valgrind").arg("--version").output();
    if !valgrind.is_ok_and(|output| output.status.success()) {
        println!("valgrind is not installed: instructions are not counted\n");
        if std::env::var_os("REQUIRE_VALGRIND").is_some_and(|value| value == "1") {
            targets.check(false, "REQUIRE_VALGRIND=1");
        }
        return targets.exit();
    }
    println!(
        "| instructions per request | constant | ours | more | ratio |\n|---|--:|--:|--:|--:|"
    );
    let mut worst: f64 = 0.0;
    for shape in Shape::ALL {
        let (constant, ours) = (instructions("constant", shape), instructions("ours", shape));
        let ratio = ours / constant;
        let more = ours - constant;
        println!("| {} | {constant:.0} | {ours:.0} | {more:.0} | {ratio:.3} |", shape.name());
        worst = worst.max(ratio);
    }
    println!();
    let target = format!("at most {MOST_INSTRUCTIONS:.2} times the instructions ({worst:.3})");
    targets.check(worst <= MOST_INSTRUCTIONS, &target);
    targets.exit()
}

fn chain(name: &str) -> ClientWithMiddleware {
    match name {
        "ours" => support::chain(support::layer()),
        _ => support::chain(Constant::new(support::ACCESS_TOKEN)),
    }
}

async fn send(chain: &ClientWithMiddleware, template: &Request, times: u64) {
    for _ in 0..times {
        let request = template.try_clone().unwrap();
        black_box(chain.execute(request).await.unwrap());
    }
}

/// Nanoseconds per request of both chains, and the ratio.
fn nanoseconds(shape: Shape) -> (f64, f64, f64) {
    let chains = [chain("constant"), chain("ours")];
    let template = shape.request();
    let (mut times, mut ratios) = ([Vec::new(), Vec::new()], Vec::new());
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        for round in 0..=ROUNDS {
            let mut round_times = [0.0; 2];
            for step in 0..2 {
                // Who goes first alternates.
                let which = (round + step) % 2;
                let start = Instant::now();
                send(&chains[which], &template, PER_ROUND.into()).await;
                round_times[which] = start.elapsed().as_secs_f64() * 1e9 / f64::from(PER_ROUND);
            }
            // The first round is for warming up.
            if round > 0 {
                times[0].push(round_times[0]);
                times[1].push(round_times[1]);
                ratios.push(round_times[1] / round_times[0]);
            }
        }
    });
    let [constant, ours] = times;
    (median(constant), median(ours), median(ratios))
}

/// Nanoseconds that one reading of the wall clock takes.
fn clock() -> f64 {
    let start = Instant::now();
    for _ in 0..1_000_000 {
        black_box(std::time::SystemTime::now());
    }
    start.elapsed().as_secs_f64() * 1e9 / 1e6
}

/// Instructions per request.
fn instructions(chain: &str, shape: Shape) -> f64 {
    let [few, many] = CALLGRIND_RUNS;
    let more = collected(chain, shape, many) - collected(chain, shape, few);
    more as f64 / (many - few) as f64
}

/// Instructions of this program in a run of its own.
fn collected(chain: &str, shape: Shape, requests: u64) -> u64 {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(std::env::current_exe().unwrap())
        .env(UNDER_CALLGRIND, format!("{chain} {shape:?} {requests}"))
        .output()
        .unwrap();
    let report = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{report}");
    let collected = report.lines().find_map(|line| line.split_once("Collected :"));
    collected.expect("callgrind's total").1.trim().parse().unwrap()
}

fn under_callgrind(run: &str) {
    let mut words = run.split(' ');
    let chain = chain(words.next().unwrap());
    let shape = words.next().unwrap();
    let shape = Shape::ALL.into_iter().find(|known| format!("{known:?}") == shape).unwrap();
    let requests = words.next().unwrap().parse().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(send(&chain, &shape.request(), requests));
}
