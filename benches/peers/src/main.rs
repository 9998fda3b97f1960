//! This crate beside what one would otherwise pick, in one run: what a request costs, and what happens
//! on a bad day.
//!
//! `cargo run --release` prints the tables; with `-- --readme FILE` they are put between the marks in
//! that file too, and the outage in them lasts a minute, not 6 seconds. Ends with 1 where this crate misses a target.

mod behaviours;
mod hot_path;
mod peer;
mod peers;
mod process;
mod support;

use std::alloc::System;
use std::process::ExitCode;

use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const BEGIN: &str = "<!-- peers:begin -->\n";
const END: &str = "<!-- peers:end -->";

fn main() -> ExitCode {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    if let Some(name) = support::callgrind::run() {
        runtime.block_on(hot_path::under_callgrind(&name));
        return ExitCode::SUCCESS;
    }
    let readme = std::env::args().skip_while(|argument| argument != "--readme").nth(1);
    // Ten a second.
    let requests_in_outage = if readme.is_some() { 600 } else { 60 };
    let mut targets = support::Targets::default();
    let hot_path = runtime.block_on(hot_path::table(&mut targets, ALLOCATOR));
    let renewals = runtime.block_on(behaviours::renewals::table(&mut targets));
    let bad_days = runtime.block_on(behaviours::bad_days::table(&mut targets, requests_in_outage));
    let tables = format!("{hot_path}\n{renewals}\n{bad_days}");
    println!("\n{tables}");
    if let Some(file) = readme {
        let text = std::fs::read_to_string(&file).unwrap();
        let (before, rest) = text.split_once(BEGIN).unwrap();
        let (_, after) = rest.split_once(END).unwrap();
        std::fs::write(&file, format!("{before}{BEGIN}{tables}{END}{after}")).unwrap();
    }
    targets.exit()
}
