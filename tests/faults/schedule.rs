//! `Schedule`: what is tried in one run, drawn from its seed.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};

use crate::fault_state::{ApiTrouble, Outage, SaverTrouble};
use crate::provider::{Lifetime, Rotation};

/// The most steps of a run; what fails is to be short enough to read.
const MOST: usize = 60;

#[derive(Debug)]
pub struct Schedule {
    pub setup: Setup,
    pub steps: Vec<(Step, Pace)>,
}

/// How session and provider are set up.
#[derive(Debug, Clone, Copy)]
pub struct Setup {
    pub rotation: Rotation,
    pub lifetime: Lifetime,
    pub ends_old: bool,
    pub revocation: bool,
    pub strict_saving: bool,
    pub manual: bool,
    pub saver: bool,
    pub keep_fresh: bool,
    pub first: First,
}

/// What the session begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum First {
    /// A token that lives that many seconds more.
    Token(i64),
    RefreshToken,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Step {
    Request {
        shape: Shape,
        polls: Option<u32>,
    },
    Herd(u32),
    Elsewhere(usize),
    OwnHeader,
    Token {
        polls: Option<u32>,
    },
    Refresh {
        polls: Option<u32>,
    },
    SetToken {
        life: i64,
        polls: Option<u32>,
    },
    SignOut {
        polls: Option<u32>,
    },
    Shutdown {
        polls: Option<u32>,
    },
    /// One of the callers, or all of them, go away.
    Cancel(usize),
    CancelAll,
    Pass(Duration),
    UntilDue,
    UntilExpired,
    /// The wall clock alone moves, by seconds.
    Jump(i64),
    EndAccess,
    EndLogin,
    Outage(Outage, u32),
    Slow(Duration),
    Api(ApiTrouble, u32),
    Saver(SaverTrouble, u32),
    Recover,
    KeepFresh(bool),
}

impl Step {
    pub fn name(self) -> &'static str {
        match self {
            Self::Request { .. } => "step: request",
            Self::Herd(_) => "step: several requests",
            Self::Elsewhere(_) => "step: request to another origin",
            Self::OwnHeader => "step: request with its own header",
            Self::Token { .. } => "step: token()",
            Self::Refresh { .. } => "step: refresh()",
            Self::SetToken { .. } => "step: set_token()",
            Self::SignOut { .. } => "step: sign_out()",
            Self::Shutdown { .. } => "step: shutdown()",
            Self::Cancel(_) => "step: a caller goes away",
            Self::CancelAll => "step: all callers go away",
            Self::Pass(_) => "step: time passes",
            Self::UntilDue => "step: until due",
            Self::UntilExpired => "step: until expired",
            Self::Jump(0..) => "step: the clock is put forward",
            Self::Jump(_) => "step: the clock is put back",
            Self::EndAccess => "step: access token revoked",
            Self::EndLogin => "step: login revoked",
            Self::Outage(..) => "step: outage",
            Self::Slow(_) => "step: slow provider",
            Self::Api(..) => "step: API in trouble",
            Self::Saver(..) => "step: saver in trouble",
            Self::Recover => "step: all well again",
            Self::KeepFresh(true) => "step: keep_fresh()",
            Self::KeepFresh(false) => "step: keep_fresh() dropped",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    Get,
    Post,
    /// Its body cannot be sent twice.
    Stream,
}

/// How far what runs gets before the next step: so many turns of the scheduler, or all the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    Turns(u32),
    Quiet,
}

impl Schedule {
    pub fn draw(seed: u64) -> Self {
        let rng = &mut StdRng::seed_from_u64(seed);
        let setup = setup(rng);
        let count = rng.random_range(5..=MOST);
        Self { setup, steps: (0..count).map(|_| (step(rng), pace(rng))).collect() }
    }
}

fn pick<T: Copy>(rng: &mut StdRng, from: &[T]) -> T {
    *from.choose(rng).unwrap()
}

fn setup(rng: &mut StdRng) -> Setup {
    let grace = Rotation::Grace(Duration::from_secs(pick(rng, &[1, 10, 60])));
    Setup {
        rotation: pick(rng, &[Rotation::Kept, Rotation::Strict, Rotation::Strict, grace, grace]),
        lifetime: pick(
            rng,
            &[Some(2), Some(5), Some(20), Some(60), Some(600), Some(3600), Some(0), None],
        ),
        ends_old: rng.random_bool(0.3),
        revocation: rng.random_bool(0.8),
        strict_saving: rng.random_bool(0.2),
        manual: rng.random_bool(0.08),
        saver: rng.random_bool(0.95),
        keep_fresh: rng.random_bool(0.15),
        first: pick(
            rng,
            &[
                First::Token(-1),
                First::Token(1),
                First::Token(8),
                First::Token(60),
                First::Token(3600),
                First::RefreshToken,
            ],
        ),
    }
}

fn pace(rng: &mut StdRng) -> Pace {
    if rng.random_bool(0.4) { Pace::Quiet } else { Pace::Turns(rng.random_range(0..6)) }
}

/// Most callers stay; the others go at one of their first polls.
fn polls(rng: &mut StdRng) -> Option<u32> {
    rng.random_bool(0.25).then(|| rng.random_range(1..=6))
}

/// How often it goes wrong: mostly a few times, at times until it is fixed.
fn times(rng: &mut StdRng) -> u32 {
    if rng.random_bool(0.25) { u32::MAX } else { rng.random_range(1..=3) }
}

fn step(rng: &mut StdRng) -> Step {
    match rng.random_range(0..100) {
        0..22 => Step::Request {
            shape: pick(rng, &[Shape::Get, Shape::Get, Shape::Post, Shape::Stream]),
            polls: polls(rng),
        },
        22..26 => Step::Herd(rng.random_range(2..=6)),
        26..28 => Step::Elsewhere(rng.random_range(0..16)),
        28..29 => Step::OwnHeader,
        29..31 => Step::Token { polls: polls(rng) },
        31..34 => Step::Refresh { polls: polls(rng) },
        34..37 => Step::SetToken { life: pick(rng, &[-1, 1, 8, 60, 3600]), polls: polls(rng) },
        37..38 => Step::SignOut { polls: polls(rng) },
        38..40 => Step::Shutdown { polls: polls(rng) },
        40..43 => Step::Cancel(rng.random_range(0..16)),
        43..44 => Step::CancelAll,
        44..60 => Step::Pass(Duration::from_millis(pick(
            rng,
            &[
                1, 10, 50, 100, 250, 300, 500, 700, 1_000, 1_000, 2_000, 3_000, 5_000, 10_000,
                30_000, 60_000, 600_000,
            ],
        ))),
        60..63 => Step::UntilDue,
        63..67 => Step::UntilExpired,
        67..70 => Step::Jump(pick(rng, &[-86_400, -3600, -60, -5, 5, 60, 3600, 86_400])),
        70..75 => Step::EndAccess,
        75..76 => Step::EndLogin,
        76..84 => Step::Outage(outage(rng), times(rng)),
        84..86 => Step::Slow(Duration::from_millis(pick(rng, &[0, 0, 40, 400, 3_000]))),
        86..89 => Step::Api(api_trouble(rng), times(rng)),
        89..94 => Step::Saver(saver_trouble(rng), times(rng)),
        94..98 => Step::Recover,
        _ => Step::KeepFresh(rng.random()),
    }
}

fn outage(rng: &mut StdRng) -> Outage {
    let retry_after = pick(rng, &[1, 5, 120, 7200]);
    pick(
        rng,
        &[
            Outage::Status(500),
            Outage::Status(503),
            Outage::TooMany(retry_after),
            Outage::Unreachable,
            Outage::LostBeforeIssue,
            Outage::LostAfterIssue,
            Outage::LostAfterIssue,
            Outage::CutOff,
            Outage::Garbage,
            Outage::GarbageAfterIssue,
            Outage::Hang,
            Outage::HangAfterIssue,
            Outage::InvalidClient,
        ],
    )
}

fn api_trouble(rng: &mut StdRng) -> ApiTrouble {
    pick(
        rng,
        &[
            ApiTrouble::Unauthorized,
            ApiTrouble::Unauthorized,
            ApiTrouble::Scope,
            ApiTrouble::Status(500),
            ApiTrouble::Lost,
            ApiTrouble::Elsewhere,
        ],
    )
}

fn saver_trouble(rng: &mut StdRng) -> SaverTrouble {
    pick(
        rng,
        &[
            SaverTrouble::Error,
            SaverTrouble::ErrorAfterWrite,
            SaverTrouble::Panic,
            SaverTrouble::Hang,
            SaverTrouble::Slow,
        ],
    )
}
