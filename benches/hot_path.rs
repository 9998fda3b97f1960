//! The hot path: what the layer costs while the token is valid.
//!
//! Chains without a network, alike but for the layer: ours, and the baseline of [`support::Constant`].
//! Each request is a clone of a template, so both chains pay for its making. Beside them `Session::execute`
//! and `Api::execute`, over a closure that answers at once; and two `tower` services, alike but for the layer.
//!
//! - Nanoseconds: rounds that alternate between the chains; the ratio is the median of the rounds'.
//! - Instructions, by callgrind; our one reading of the clock is hidden from it, its nanoseconds are
//!   in full.
//!
//! Allocations are in `memory.rs`, whose allocator would be in the way here.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::fmt::Debug;
use std::future::poll_fn;
use std::hint::black_box;
use std::process::ExitCode;
use std::time::Instant;

use reqwest::Request;
use reqwest_middleware::ClientWithMiddleware;
use support::{Constant, Shape, Targets, callgrind, median};
use tokio::runtime::Runtime;
use tower_service::Service;

const MOST_INSTRUCTIONS: f64 = 1.05;
const MOST_OF_TOWER: f64 = 1.1;
const ROUNDS: usize = 200;
const PER_ROUND: u32 = 1000;

fn main() -> ExitCode {
    if let Some(run) = callgrind::run() {
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

    if !callgrind::present(&mut targets) {
        return targets.exit();
    }
    println!(
        "| instructions per request | constant | ours | more | ratio |\n|---|--:|--:|--:|--:|"
    );
    let mut worst: f64 = 0.0;
    for shape in Shape::ALL {
        let [constant, ours] =
            ["constant", "ours"].map(|name| callgrind::instructions(&format!("{name} {shape:?}")));
        let ratio = ours / constant;
        let more = ours - constant;
        println!("| {} | {constant:.0} | {ours:.0} | {more:.0} | {ratio:.3} |", shape.name());
        worst = worst.max(ratio);
    }
    println!("\n| instructions per request | middleware | Session::execute | Api::execute |");
    println!("|---|--:|--:|--:|");
    let mut is_less = true;
    for shape in Shape::ALL {
        let [ours, session, api] = ["ours", "session", "api"]
            .map(|name| callgrind::instructions(&format!("{name} {shape:?}")));
        println!("| {} | {ours:.0} | {session:.0} | {api:.0} |", shape.name());
        is_less &= session <= ours && api <= ours;
    }
    println!("\n| instructions per request, tower | constant | ours | more | ratio |");
    println!("|---|--:|--:|--:|--:|");
    let mut worst_of_tower: f64 = 0.0;
    for shape in Shape::ALL {
        let [constant, ours] = ["tower-constant", "tower"]
            .map(|name| callgrind::instructions(&format!("{name} {shape:?}")));
        let (ratio, more) = (ours / constant, ours - constant);
        println!("| {} | {constant:.0} | {ours:.0} | {more:.0} | {ratio:.3} |", shape.name());
        worst_of_tower = worst_of_tower.max(ratio);
    }
    println!();
    targets.check(is_less, "execute: at most the instructions of the middleware");
    let target = format!("at most {MOST_INSTRUCTIONS:.2} times the instructions ({worst:.3})");
    targets.check(worst <= MOST_INSTRUCTIONS, &target);
    let target = format!("tower: at most {MOST_OF_TOWER:.2} times ({worst_of_tower:.3})");
    targets.check(worst_of_tower <= MOST_OF_TOWER, &target);
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

fn under_callgrind(run: &str) {
    let (name, shape) = run.split_once(' ').unwrap();
    let shape = Shape::ALL.into_iter().find(|known| format!("{known:?}") == shape).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    match name {
        "tower" => return tower(&runtime, support::tower::ours(), shape),
        "tower-constant" => return tower(&runtime, support::tower::Constant::chain(), shape),
        _ => {}
    }
    let request = shape.request();
    if let "session" | "api" = name {
        let session = support::session();
        let api = session.api(["https://api.example"]).unwrap();
        callgrind::counted(|times| {
            runtime.block_on(async {
                for _ in 0..times {
                    let request = request.try_clone().unwrap();
                    let response = if name == "api" {
                        api.execute(support::answer, request).await
                    } else {
                        session.execute(support::answer, request).await
                    };
                    black_box(response.unwrap());
                }
            });
        });
        return;
    }
    let chain = chain(name);
    callgrind::counted(|times| runtime.block_on(send(&chain, &request, times)));
}

fn tower<S>(runtime: &Runtime, mut service: S, shape: Shape)
where
    S: Service<http::Request<support::tower::Body>, Error: Debug>,
{
    let template = shape.http_request();
    callgrind::counted(|times| {
        runtime.block_on(async {
            for _ in 0..times {
                poll_fn(|context| service.poll_ready(context)).await.unwrap();
                black_box(service.call(template.clone()).await.unwrap());
            }
        });
    });
}
