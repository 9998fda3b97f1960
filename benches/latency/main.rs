//! Latency under load while the token is renewed all the time.
//!
//! Tokens live 3 seconds and the token endpoint takes 500 ms. Two loads of 2,000 requests a second
//! run side by side, so that whatever the machine does meets both: one with a constant token, one
//! whose token is renewed. After them, for contrast, one through a lock that is held across the
//! refresh.
//!
//! The loads are open: a request that could not start on time because the one before it was late
//! counts from when it should have started. A request *waited* if it did not come out of the layer
//! in the first poll; the time that it was within the layer is taken as well. With `-- --plot FILE.svg`
//! the latencies are drawn over time.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, unreachable_pub)]

mod load;
mod mutex_layer;
mod probes;

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use load::{Series, series};
use mutex_layer::MutexLayer;
use plotters::prelude::IntoLogRange;
use reqwest_oauth2::testing::{Provider, ProviderBuilder};
use reqwest_oauth2::{OAuthClient, Session, Token};
use support::{Targets, plot};

const LONG: Duration = Duration::from_secs(12);
const FEWEST_RENEWALS: u64 = 5;
/// One point of the plot.
const BUCKET: Duration = Duration::from_millis(50);

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
    let locked = Session::builder(app(&provider)).token(log_in(&provider)).manual_refresh().build();
    let locked = series(&provider, MutexLayer::new(locked), LONG).await;

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
    if let Some(file) = plot::file() {
        plot(&file, &constant, &ours, &locked).unwrap();
        println!("drawn: {file}");
    }
    targets.exit()
}

fn plot(
    file: &str,
    constant: &Series,
    ours: &Series,
    locked: &Series,
) -> Result<(), Box<dyn Error>> {
    let words = plot::Words {
        caption: "Tokens of 3 s, a token endpoint that takes 500 ms, 2,000 requests a second",
        x: "seconds",
        y: "slowest request started within 50 ms, in ms",
    };
    let lines = vec![
        ("a lock held across the refresh", plot::RED, locked.slowest(BUCKET)),
        ("a constant token", plot::GREY, constant.slowest(BUCKET)),
        ("ours", plot::BLUE, ours.slowest(BUCKET)),
    ];
    plot::lines(file, &words, (0.0..LONG.as_secs_f64(), (0.1..10_000.0).log_scale()), lines)
}

fn app(provider: &Provider) -> OAuthClient {
    OAuthClient::new("foo", provider.token_url()).unwrap().secret("potato")
}

fn log_in(provider: &Provider) -> Token {
    serde_json::from_value(provider.log_in()).unwrap()
}
