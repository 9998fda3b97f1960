//! Every order of events, in small worlds: the machine of a session, explored exhaustively.
//!
//! The machine (`src/session/machine`) is pure, so a whole world fits into a value that can be copied,
//! compared and hashed: two or three sessions, their clocks, one store, one provider that rotates
//! refresh tokens and ends a login when one comes twice, and all that is under way between them. Step by
//! step, breadth first, each thing that can happen next does happen, with a bounded number of faults at
//! every point. What must hold is in `world::Property`; `rest` says what must be the case when nothing
//! more happens. A violation is shown with its shortest run.
//!
//! ```sh
//! cargo test --test model                                              # the small worlds
//! cargo test --release -p machine --test model                         # the large ones, too
//! cargo test --release -p machine --test model -- --all                # and the huge ones
//! cargo test --release -p machine --test model -- "all store faults"   # those whose name contains this
//! cargo test --release -p machine --test model -- --losses             # the losses that no client can avoid
//! tests/model/mutants                                                  # without each rule, what goes wrong
//! ```
//!
//! `MODEL_MOST=1000000` ends each world after so many states, `MODEL_STATE=1` shows the last state of a
//! violation.
#![allow(missing_docs, unreachable_pub, clippy::unwrap_used, clippy::expect_used)]

mod drive;
mod explore;
#[path = "../../src/session/machine/mod.rs"]
#[allow(dead_code, unused_imports)]
mod machine;
mod rest;
mod services;
mod steps;
mod token;
mod world;
mod worlds;

use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Instant;

use explore::{Found, explore};
use world::{Size, World};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let has = |option: &str| arguments.iter().any(|argument| argument == option);
    let names: Vec<&String> = arguments.iter().filter(|a| !a.starts_with('-')).collect();
    let is_named = |world: &World| {
        names.is_empty()
            || names.iter().any(|name| match has("--exact") {
                true => world.name == *name,
                false => world.name.contains(name.as_str()),
            })
    };
    if has("--losses") {
        return losses();
    }
    let largest = match () {
        () if has("--all") || !names.is_empty() => Size::Huge,
        () if cfg!(debug_assertions) => Size::Small,
        () => Size::Large,
    };
    let mut groups = worlds::groups();
    for (_, worlds) in &mut groups {
        worlds.retain(|world| is_named(world) && world.size <= largest);
    }
    groups.retain(|(_, worlds)| !worlds.is_empty());
    run(&groups)
}

/// What was explored of a group of worlds.
#[derive(Clone, Copy, Default)]
struct Explored {
    worlds: usize,
    states: usize,
    /// Worlds that end after so many states.
    capped: usize,
}

fn run(groups: &[(&str, Vec<World>)]) -> ExitCode {
    let most = number("MODEL_MOST").unwrap_or(usize::MAX);
    let worlds: Vec<(usize, &World)> = (groups.iter().enumerate())
        .flat_map(|(group, (_, worlds))| worlds.iter().map(move |world| (group, world)))
        .collect();
    let (began, next) = (Instant::now(), AtomicUsize::new(0));
    let (sender, found) = mpsc::channel();
    let (mut explored, mut failed) = (vec![Explored::default(); groups.len()], 0);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            let (worlds, next, sender) = (&worlds, &next, sender.clone());
            scope.spawn(move || {
                while let Some((group, world)) = worlds.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let found = explore(world, most.min(world.most));
                    let _ = sender.send((*group, world.name, found));
                }
            });
        }
        drop(sender);
        for (group, name, found) in found {
            let group = &mut explored[group];
            group.worlds += 1;
            group.states += found.states;
            group.capped += usize::from(found.capped);
            failed += usize::from(!show(name, found));
        }
    });
    let titles = groups.iter().map(|(title, _)| *title);
    table(titles.zip(&explored));
    println!("explored in {:.1?}", began.elapsed());
    let outcome = if failed == 0 { "ok" } else { "FAILED" };
    println!("test result: {outcome}. {} passed; {failed} failed", worlds.len() - failed);
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What docs/sharing.md shows.
fn table<'a>(groups: impl Iterator<Item = (&'a str, &'a Explored)>) {
    println!("\n| what happens | worlds | states |\n|---|--:|--:|");
    let mut all = Explored::default();
    for (title, group) in groups {
        row(title, group);
        all.worlds += group.worlds;
        all.states += group.states;
        all.capped += group.capped;
    }
    row("all", &all);
    println!();
}

fn row(title: &str, &Explored { worlds, states, capped }: &Explored) {
    let capped =
        if capped > 0 { format!(", {capped} of them not to the end") } else { String::new() };
    println!("| {title} | {worlds}{capped} | {} |", grouped(states));
}

/// Digits in groups of three.
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (position, digit) in digits.char_indices() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Whether all held.
fn show(name: &str, found: Found) -> bool {
    let Found { states, ends, took, violation, capped } = found;
    let capped = if capped { ", not all" } else { "" };
    println!("{name:<45} {states:>9} states, {ends:>5} ends{capped}, {took:.1?}");
    let Some((property, run)) = violation else { return true };
    println!("FAILED: {property:?}, in {} steps: {}", run.len(), property.in_words());
    for line in run {
        println!("    {line}");
    }
    false
}

/// The shortest run to each loss that no client can avoid. They must still be found: else the model no
/// longer sees them.
fn losses() -> ExitCode {
    let mut code = ExitCode::SUCCESS;
    for (world, expected) in worlds::losses() {
        match explore(&world, usize::MAX).violation {
            Some((property, run)) if property == expected => {
                println!("{}: {} steps", world.name, run.len());
                run.iter().for_each(|line| println!("    {line}"));
            }
            other => {
                println!("FAILED: {}: {:?}", world.name, other.map(|(property, _)| property));
                code = ExitCode::FAILURE;
            }
        }
    }
    code
}

fn number(variable: &str) -> Option<usize> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is to be a number, not {text:?}")))
}
