//! One run: a schedule, step by step; then everything is fixed, and has to come to rest.

use std::time::Duration;

use reqwest_oauth2::testing;

use super::clock::Clock;
use super::fleet::Fleet;
use super::recovery::recover;
use super::schedule::{Caller, Schedule, Step};
use super::world::World;
use crate::run::Report;

/// The longest step, in virtual time.
const LONGEST: Duration = Duration::from_secs(3700);

pub fn run(seed: u64, many: bool) -> Report {
    testing::seed_jitter(seed);
    let schedule = Schedule::draw(seed, many);
    let world = World::new(seed, &schedule.setup, Clock::default());
    let mut fleet = Fleet::new(world.clone(), schedule.setup.clone());
    world.with(|state| state.model.note(format_args!("{:?}", schedule.setup)));
    begin(&mut fleet);
    if play(&mut fleet, &schedule) {
        recover(&mut fleet);
    }
    drop(fleet);
    world.with(|state| Report {
        violation: state.model.violation.take(),
        trace: std::mem::take(&mut state.model.trace),
        coverage: std::mem::take(&mut state.model.coverage),
    })
}

/// The first users sign in.
fn begin(fleet: &mut Fleet) {
    let Some(life) = fleet.setup.first else { return };
    for user in 0..fleet.setup.users {
        fleet.set_token(Caller { slot: 0, user, runtime: 0, polls: None }, life);
    }
    fleet.advance(Duration::from_secs(1));
}

/// Plays the schedule until its end, or until something must not be.
fn play(fleet: &mut Fleet, schedule: &Schedule) -> bool {
    for (step, pace) in &schedule.steps {
        fleet.world.with(|state| {
            state.model.note(format_args!("STEP {step:?}, {pace:?}"));
            state.model.coverage.count(step.name());
        });
        take(fleet, *step);
        fleet.advance(*pace);
        if fleet.world.with(|state| state.model.violation.is_some()) {
            return false;
        }
    }
    true
}

fn take(fleet: &mut Fleet, step: Step) {
    let world = fleet.world.clone();
    match step {
        Step::Request(caller) => fleet.request(caller),
        Step::Herd(caller) => herd(fleet, caller),
        Step::Token(caller) => fleet.token(caller),
        Step::Refresh(caller) => fleet.refresh(caller),
        Step::SetToken(caller, life) => fleet.set_token(caller, life),
        Step::SignOut(caller) => fleet.sign_out(caller),
        Step::Shutdown(caller) => fleet.shutdown(caller),
        Step::CancelAll => fleet.cancel_all(),
        Step::Pass(time) => fleet.advance(time),
        Step::UntilExpired => {
            let life = fleet.setup.lifetime.unwrap_or(60).unsigned_abs();
            fleet.advance(Duration::from_secs(life).min(LONGEST));
        }
        Step::Jump(process, seconds) => {
            world.clock().jump(process, seconds, fleet.setup.clock_limit());
            world.with(|state| state.model.clocks_differ());
        }
        Step::EndAccess(user) => world.with(|state| {
            if let Some((_, Some(access))) = state.model.record(user) {
                state.provider.end_access(access);
            }
        }),
        Step::EndLogin(user) => world.with(|state| {
            if let Some((_, Some(access))) = state.model.record(user) {
                state.provider.end(access.login);
                state.model.ended(access.login);
            }
        }),
        Step::Outage(outage, times) => world.with(|state| state.outage.set(outage, times)),
        Step::Slow(time) => world.with(|state| state.slow = time),
        Step::Api(trouble, times) => world.with(|state| state.api.set(trouble, times)),
        Step::Grant(fault, times) => world.with(|state| state.grant.set(fault, times)),
        Step::Store(slot, fault, times) => {
            let at = slot.map_or(0, |slot| slot + 1);
            world.with(|state| state.store[at].set(fault, times));
        }
        Step::EmptyStore => world.with(|state| {
            state.contents.empty();
            state.model.content_lost();
        }),
        Step::Die(process) => fleet.die(process),
        Step::LoseRuntime(runtime) => {
            let process = fleet.process_of(runtime);
            stops(fleet, process, "loss: a holder's runtime ends");
            world.with(|state| state.model.runtime_lost());
            fleet.runtimes.replace(runtime);
        }
        Step::Stop(process, time) => {
            stops(fleet, process, "loss: a holder stands still");
            for runtime in fleet.runtimes_of(process) {
                stop(fleet, runtime, time);
            }
        }
        Step::StopRuntime(runtime, time) => {
            let process = fleet.process_of(runtime);
            stops(fleet, process, "loss: nobody drives a holder's runtime");
            world.with(|state| state.model.runtime_lost());
            stop(fleet, runtime, time);
        }
        Step::Recover => {
            world.with(|state| state.recover());
        }
    }
}

/// From each session, or for each of some users.
fn herd(fleet: &mut Fleet, caller: Caller) {
    if fleet.setup.many {
        for user in 0..fleet.setup.users {
            fleet.request(Caller { user, polls: None, ..caller });
        }
    } else {
        for slot in 0..fleet.setup.slots() {
            fleet.request(Caller { slot, runtime: 0, polls: None, ..caller });
        }
    }
}

fn stops(fleet: &Fleet, process: usize, why: &'static str) {
    for slot in fleet.slots_of(process) {
        fleet.world.with(|state| state.model.slot_stops(slot, why));
    }
}

fn stop(fleet: &mut Fleet, runtime: usize, time: Duration) {
    fleet.runtimes.stop(runtime, time);
    fleet.world.with(|state| state.model.runtime_stands_still(runtime, time));
}
