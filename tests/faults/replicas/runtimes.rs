//! `Runtimes`: several Tokio runtimes on one thread and in virtual time. Any of them can be lost, or
//! stand still.
//!
//! They are driven in turn, by a piece of time that is short while something happens. So within a
//! runtime all is in its exact order, and between two of them time differs by one piece at most, as it
//! does between machines.
//!
//! All clocks show the same to the nanosecond, and timers of each fire a millisecond late: so a
//! schedule repeats itself, although no two runtimes were built at the same real time. Only waits of
//! whole milliseconds do.

use std::time::Duration;

use tokio::runtime::{Builder, EnterGuard, Runtime};
use tokio::task::{AbortHandle, Id};

use super::clock::Clock;

/// The shortest piece of time, and the longest while anything is under way.
pub const PIECES: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(1024));

pub struct Runtimes {
    clock: Clock,
    all: Vec<Slot>,
    /// Which one is first; changes each time.
    first: usize,
}

struct Slot {
    /// Taken only while it is replaced.
    runtime: Option<Runtime>,
    stands_still_until: Duration,
}

impl Slot {
    fn is_idle(&self) -> bool {
        self.runtime.as_ref().is_none_or(|runtime| runtime.metrics().num_alive_tasks() == 0)
    }
}

impl Runtimes {
    pub fn new(clock: Clock, count: usize) -> Self {
        let slot = || Slot { runtime: Some(build(&clock)), stands_still_until: Duration::ZERO };
        let all = (0..count).map(|_| slot()).collect();
        let runtimes = Self { clock, all, first: 0 };
        // A runtime that ends drops its tasks in an order that depends on their ids, modulo a small
        // power of two.
        while !is_aligned(runtimes.spawn(0, async {}).id()) {}
        runtimes
    }

    pub fn spawn(
        &self,
        runtime: usize,
        work: impl Future<Output = ()> + Send + 'static,
    ) -> AbortHandle {
        self.all[runtime].runtime.as_ref().unwrap().spawn(work).abort_handle()
    }

    /// While the guard lives, this runtime's clock is the present one.
    pub fn enter(&self, runtime: usize) -> EnterGuard<'_> {
        self.all[runtime].runtime.as_ref().unwrap().enter()
    }

    /// Ends the runtime and all that runs on it. There is a new one in its place.
    pub fn replace(&mut self, runtime: usize) {
        let slot = &mut self.all[runtime];
        drop(slot.runtime.take());
        slot.runtime = Some(build(&self.clock));
        slot.stands_still_until = Duration::ZERO;
    }

    /// Nobody drives the runtime for so long.
    pub fn stop(&mut self, runtime: usize, time: Duration) {
        self.all[runtime].stands_still_until = self.clock.reached() + time;
    }

    pub fn wake_all(&mut self) {
        self.all.iter_mut().for_each(|slot| slot.stands_still_until = Duration::ZERO);
    }

    /// Drives all of them for so long. `happened` does what is due, and says how much has happened in all
    /// and whether more will, without any of them.
    pub fn advance(&mut self, time: Duration, mut happened: impl FnMut() -> (u64, bool)) {
        let end = self.clock.reached() + time;
        let (mut piece, (mut before, mut goes_on)) = (PIECES.0, happened());
        while self.clock.reached() < end {
            let reached = self.clock.reached();
            let idle = !goes_on && self.all.iter().all(Slot::is_idle);
            let until = if idle { end } else { (reached + piece).min(end) };
            self.drive_until(until);
            let after;
            (after, goes_on) = happened();
            piece = if after == before { (piece * 2).min(PIECES.1) } else { PIECES.0 };
            before = after;
        }
    }

    fn drive_until(&mut self, until: Duration) {
        let reached = self.clock.reached();
        let instant = self.clock.instant(until);
        self.first += 1;
        for at in 0..self.all.len() {
            let slot = &self.all[(at + self.first) % self.all.len()];
            if slot.is_idle() || reached < slot.stands_still_until {
                continue;
            }
            let runtime = slot.runtime.as_ref().unwrap();
            let now = self.clock.instant(reached);
            runtime.block_on(async {
                // One that stood still, or had nothing to do, finds the time changed before anything else.
                let behind = now.saturating_duration_since(tokio::time::Instant::now());
                if !behind.is_zero() {
                    tokio::time::advance(behind).await;
                }
                tokio::time::sleep_until(instant).await;
            });
        }
        self.clock.reach(until);
    }
}

fn is_aligned(id: Id) -> bool {
    id.to_string().parse::<u64>().is_ok_and(|id| id % 64 == 0)
}

fn build(clock: &Clock) -> Runtime {
    let mut builder = Builder::new_current_thread();
    // How many turns the scheduler has taken is not the same each time.
    builder.enable_time().start_paused(true).global_queue_interval(u32::MAX);
    let runtime = builder.build().unwrap();
    runtime.block_on(async {
        let now = clock.instant(clock.reached());
        let behind = now.saturating_duration_since(tokio::time::Instant::now());
        tokio::time::advance(behind).await;
    });
    runtime
}
