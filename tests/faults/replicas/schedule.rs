//! `Schedule`: what is tried in one run, drawn from its seed; for one login that several sessions
//! share, or for many users.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};

use super::clock::PROCESSES;
use super::grant::GrantFault;
use super::model::Terms;
use super::runtimes::PIECES;
use super::store::StoreFault;
use crate::fault_state::{ApiTrouble, Outage};
use crate::provider::{Lifetime, Rotation};

/// The most steps of a run; what fails is to be short enough to read.
const MOST: usize = 40;
/// Clocks differ by that much at most, in seconds.
const SKEW: i64 = 240;
const WILD_SKEW: i64 = 86_400;

#[derive(Debug)]
pub struct Schedule {
    pub setup: Setup,
    pub steps: Vec<(Step, Duration)>,
}

#[derive(Debug, Clone)]
pub struct Setup {
    /// Many users, in place of one login.
    pub many: bool,
    /// Of each session (or `UserSessions`), the process that it is in.
    pub processes: Vec<usize>,
    /// Of each process, how many runtimes it has.
    pub runtimes: Vec<usize>,
    pub rotation: Rotation,
    pub lifetime: Lifetime,
    pub ends_old: bool,
    pub revocation: bool,
    pub strict_saving: bool,
    pub foreground: bool,
    pub renew_without_store: bool,
    pub grant: bool,
    pub wild_clocks: bool,
    /// Store, runtimes and processes do not fail.
    pub is_calm: bool,
    pub lease: Duration,
    pub max_sessions: usize,
    pub idle: Duration,
    /// How long the first token lives; `None`: nobody has signed in.
    pub first: Option<i64>,
    /// So many users are signed in at first; those after them are not known.
    pub users: u32,
}

impl Setup {
    pub fn slots(&self) -> usize {
        self.processes.len()
    }

    pub fn clock_limit(&self) -> i64 {
        if self.wild_clocks { WILD_SKEW } else { SKEW }
    }

    pub fn terms(&self) -> Terms {
        let has_one_runtime = self.runtimes == [1];
        Terms {
            skew: if has_one_runtime { Duration::ZERO } else { PIECES.1 },
            lease: self.lease,
            many: self.many,
            renew_without_store: self.renew_without_store,
            grant: self.grant,
            wild_clocks: self.wild_clocks,
        }
    }
}

/// Who makes a call: which session, for which user, and when it goes away.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Caller {
    pub slot: usize,
    pub user: u32,
    /// Which of the process's runtimes.
    pub runtime: usize,
    pub polls: Option<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Step {
    Request(Caller),
    /// From each session, or for several users.
    Herd(Caller),
    Token(Caller),
    Refresh(Caller),
    SetToken(Caller, i64),
    SignOut(Caller),
    Shutdown(Caller),
    CancelAll,
    Pass(Duration),
    UntilExpired,
    /// The wall clock of a process moves, by seconds.
    Jump(usize, i64),
    EndAccess(u32),
    EndLogin(u32),
    Outage(Outage, u32),
    Slow(Duration),
    Api(ApiTrouble, u32),
    Grant(GrantFault, u32),
    /// For one session, or for all.
    Store(Option<usize>, StoreFault, u32),
    EmptyStore,
    /// A process dies, and another one comes in its place.
    Die(usize),
    LoseRuntime(usize),
    /// A process stands still.
    Stop(usize, Duration),
    /// Nobody drives the runtime.
    StopRuntime(usize, Duration),
    Recover,
}

impl Step {
    pub fn name(self) -> &'static str {
        match self {
            Self::Request(_) => "shared step: request",
            Self::Herd(_) => "shared step: several requests",
            Self::Token(_) => "shared step: token()",
            Self::Refresh(_) => "shared step: refresh()",
            Self::SetToken(..) => "shared step: sign-in",
            Self::SignOut(_) => "shared step: sign-out",
            Self::Shutdown(_) => "shared step: shutdown()",
            Self::CancelAll => "shared step: all callers go away",
            Self::Pass(_) => "shared step: time passes",
            Self::UntilExpired => "shared step: until expired",
            Self::Jump(_, 0..) => "shared step: a clock is put forward",
            Self::Jump(..) => "shared step: a clock is put back",
            Self::EndAccess(_) => "shared step: access token revoked",
            Self::EndLogin(_) => "shared step: login revoked",
            Self::Outage(..) => "shared step: outage",
            Self::Slow(_) => "shared step: slow provider",
            Self::Api(..) => "shared step: API in trouble",
            Self::Grant(..) => "shared step: grant in trouble",
            Self::Store(None, ..) => "shared step: store in trouble",
            Self::Store(Some(_), ..) => "shared step: store in trouble for one session",
            Self::EmptyStore => "shared step: the store is emptied",
            Self::Die(_) => "shared step: a process dies",
            Self::LoseRuntime(_) => "shared step: a runtime ends",
            Self::Stop(..) => "shared step: a process stands still",
            Self::StopRuntime(..) => "shared step: nobody drives a runtime",
            Self::Recover => "shared step: all well again",
        }
    }
}

impl Schedule {
    pub fn draw(seed: u64, many: bool) -> Self {
        let rng = &mut StdRng::seed_from_u64(seed);
        let setup = setup(rng, many);
        let count = rng.random_range(5..=MOST);
        let mut draw = Draw { rng, setup: &setup };
        let steps = (0..count).map(|_| (draw.step(), draw.pace())).collect();
        Self { setup, steps }
    }
}

fn pick<T: Copy>(rng: &mut StdRng, from: &[T]) -> T {
    *from.choose(rng).unwrap()
}

fn setup(rng: &mut StdRng, many: bool) -> Setup {
    let count = rng.random_range(1..=PROCESSES);
    let slots = if many { count } else { rng.random_range(2..=4) };
    let processes: Vec<usize> = (0..slots).map(|slot| slot % count).collect();
    let grace = Rotation::Grace(Duration::from_secs(pick(rng, &[1, 10, 60])));
    Setup {
        many,
        runtimes: (0..count).map(|_| pick(rng, &[1, 1, 2])).collect(),
        processes,
        rotation: pick(
            rng,
            &[Rotation::Strict, Rotation::Strict, Rotation::Strict, Rotation::Kept, grace],
        ),
        lifetime: pick(rng, &[Some(5), Some(20), Some(60), Some(60), Some(600), Some(3600), None]),
        ends_old: rng.random_bool(0.3),
        revocation: rng.random_bool(0.8),
        strict_saving: rng.random_bool(0.2),
        foreground: rng.random_bool(0.1),
        renew_without_store: rng.random_bool(0.05),
        grant: !many && rng.random_bool(0.3),
        wild_clocks: rng.random_bool(0.1),
        // Whole milliseconds when halved and divided by three: see `runtimes`.
        lease: Duration::from_secs(pick(rng, &[12, 12, 30])),
        is_calm: rng.random_bool(0.35),
        max_sessions: rng.random_range(1..=4),
        idle: Duration::from_secs(pick(rng, &[10, 3600])),
        first: pick(rng, &[None, Some(-1), Some(8), Some(60), Some(3600)]),
        users: if many { rng.random_range(2..=5) } else { 1 },
    }
}

struct Draw<'a> {
    rng: &'a mut StdRng,
    setup: &'a Setup,
}

impl Draw<'_> {
    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        pick(self.rng, from)
    }

    /// What runs gets that far before the next step.
    fn pace(&mut self) -> Duration {
        Duration::from_millis(self.pick(&[0, 0, 1, 1, 3, 10, 50, 400]))
    }

    fn caller(&mut self) -> Caller {
        let slot = self.rng.random_range(0..self.setup.slots());
        // Some users are not known.
        let users = if self.setup.many { self.setup.users + 2 } else { 1 };
        let user = self.rng.random_range(0..users);
        let runtime = self.rng.random_range(0..self.setup.runtimes[self.setup.processes[slot]]);
        let polls = self.rng.random_bool(0.15).then(|| self.rng.random_range(1..=6));
        Caller { slot, user, runtime, polls }
    }

    fn process(&mut self) -> usize {
        self.rng.random_range(0..self.setup.runtimes.len())
    }

    fn runtime(&mut self) -> usize {
        self.rng.random_range(0..self.setup.runtimes.iter().sum())
    }

    /// How often it goes wrong: mostly a few times, at times until it is fixed.
    fn times(&mut self) -> u32 {
        if self.rng.random_bool(0.2) { u32::MAX } else { self.rng.random_range(1..=3) }
    }

    fn step(&mut self) -> Step {
        let user = self.caller().user;
        match self.rng.random_range(0..100) {
            0..22 => Step::Request(self.caller()),
            22..29 => Step::Herd(self.caller()),
            29..32 => Step::Token(self.caller()),
            32..35 => Step::Refresh(self.caller()),
            35..39 => {
                let caller = self.caller();
                Step::SetToken(caller, self.pick(&[-1, 8, 60, 3600]))
            }
            39..41 => Step::SignOut(self.caller()),
            41..42 => Step::Shutdown(self.caller()),
            42..43 => Step::CancelAll,
            43..54 => Step::Pass(Duration::from_millis(self.pick(&[
                10, 100, 500, 1_000, 2_000, 4_000, 6_000, 11_000, 20_000, 35_000, 70_000, 600_000,
            ]))),
            54..62 => Step::UntilExpired,
            62..64 => {
                let process = self.process();
                let jumps = [-60, -5, 5, 60, 100];
                let wild = [-86_400, -3600, -700, 700, 3600, 86_400];
                let wild = self.setup.wild_clocks.then(|| self.pick(&wild));
                Step::Jump(process, wild.unwrap_or(self.pick(&jumps)))
            }
            64..68 => Step::EndAccess(user),
            68..69 => Step::EndLogin(user),
            69..76 => Step::Outage(self.outage(), self.times()),
            76..78 => Step::Slow(Duration::from_millis(self.pick(&[0, 40, 400, 3_000, 7_000]))),
            78..80 => Step::Api(
                self.pick(&[ApiTrouble::Unauthorized, ApiTrouble::Status(500), ApiTrouble::Lost]),
                self.times(),
            ),
            80..89 => self.of_store_or_runtime(),
            89..93 if self.setup.grant => Step::Grant(
                self.pick(&[
                    GrantFault::Transient,
                    GrantFault::Refused,
                    GrantFault::Hang,
                    GrantFault::Panic,
                ]),
                self.times(),
            ),
            93..97 => Step::Recover,
            _ => Step::Request(self.caller()),
        }
    }

    /// A third of the schedules have none of these.
    fn of_store_or_runtime(&mut self) -> Step {
        if self.setup.is_calm {
            return Step::Request(self.caller());
        }
        match self.rng.random_range(0..20) {
            0..11 => {
                let slot = self.rng.random_range(0..self.setup.slots() * 2);
                let slot = (slot < self.setup.slots()).then_some(slot);
                Step::Store(slot, self.store_fault(), self.times())
            }
            11 => Step::EmptyStore,
            12..14 => Step::Die(self.process()),
            14..17 => Step::LoseRuntime(self.runtime()),
            17..19 => {
                let process = self.process();
                Step::Stop(process, Duration::from_secs(self.pick(&[1, 4, 12, 40])))
            }
            _ => {
                let runtime = self.runtime();
                Step::StopRuntime(runtime, Duration::from_secs(self.pick(&[4, 12, 70])))
            }
        }
    }

    fn store_fault(&mut self) -> StoreFault {
        let ago = self.rng.random_range(1..=4);
        self.pick(&[
            StoreFault::FailBefore,
            StoreFault::FailAfter,
            StoreFault::FailAfter,
            StoreFault::Later,
            StoreFault::HangBefore,
            StoreFault::HangAfter,
            StoreFault::SlowBefore,
            StoreFault::SlowAfter,
            StoreFault::PanicBefore,
            StoreFault::PanicAfter,
            StoreFault::Stale(ago),
        ])
    }

    fn outage(&mut self) -> Outage {
        let retry_after = self.pick(&[1, 5, 120, 7200]);
        self.pick(&[
            Outage::Status(500),
            Outage::Status(503),
            Outage::TooMany(retry_after),
            Outage::TooMany(retry_after),
            Outage::Unreachable,
            Outage::LostBeforeIssue,
            Outage::LostAfterIssue,
            Outage::CutOff,
            Outage::Garbage,
            Outage::GarbageAfterIssue,
            Outage::Hang,
            Outage::HangAfterIssue,
            Outage::InvalidClient,
        ])
    }
}
