//! `Schedule`: what is tried in one run, drawn from its seed.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use reqwest_oauth2::Session;

use crate::fault_state::Outage;
use crate::provider::{Lifetime, Rotation};

/// The most steps of a run; what fails is to be short enough to read.
const MOST: usize = 40;

/// What an access token is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Aim {
    Own,
    Resource,
    Scope,
}

impl Aim {
    pub const ALL: [Self; 3] = [Self::Own, Self::Resource, Self::Scope];
    pub const RESOURCE: &str = "https://files.example/";
    pub const SCOPE: &str = "mail";

    /// The session's handle for it.
    pub fn of(self, session: &Session) -> Session {
        match self {
            Self::Own => session.clone(),
            Self::Resource => session.for_resource(Self::RESOURCE).unwrap(),
            Self::Scope => session.with_scope(Self::SCOPE).unwrap(),
        }
    }

    /// The error code of a provider that refuses it.
    pub fn refusal(self) -> &'static str {
        if self == Self::Scope { "invalid_scope" } else { "invalid_target" }
    }
}

#[derive(Debug)]
pub struct Schedule {
    pub setup: Setup,
    pub steps: Vec<(Step, Pace)>,
}

#[derive(Debug, Clone, Copy)]
pub struct Setup {
    /// Two sessions with a store, in place of one with a saver.
    pub shared: bool,
    pub rotation: Rotation,
    pub lifetime: Lifetime,
    /// How long the first token lives.
    pub first: i64,
    /// The provider refuses this one when all else is well again.
    pub refused_to_the_end: Option<Aim>,
}

impl Setup {
    pub fn sessions(self) -> usize {
        if self.shared { 2 } else { 1 }
    }
}

/// Whose handle.
#[derive(Debug, Clone, Copy)]
pub struct Handle {
    pub session: usize,
    pub aim: Aim,
}

#[derive(Debug, Clone, Copy)]
pub enum Step {
    Request(Handle, Option<u32>),
    /// Two requests for each target at once.
    Herd(usize),
    Token(Handle, Option<u32>),
    Refresh(Handle, Option<u32>),
    Mark(Handle),
    SetToken(usize, i64),
    SignOut(usize),
    CancelAll,
    Pass(Duration),
    UntilExpired,
    EndAccess(Aim),
    /// The API rejects every token for this target.
    Reject(Aim),
    Refuse(Aim),
    Outage(Outage, u32),
    Slow(Duration),
    SaverFails(u32),
    Recover,
}

/// How far what runs gets before the next step: so many turns of the scheduler, or all the way.
#[derive(Debug, Clone, Copy)]
pub enum Pace {
    Turns(u32),
    Quiet,
}

impl Schedule {
    pub fn draw(seed: u64) -> Self {
        let rng = &mut StdRng::seed_from_u64(seed);
        let setup = setup(rng);
        let count = rng.random_range(5..=MOST);
        Self { setup, steps: (0..count).map(|_| (step(rng, setup), pace(rng))).collect() }
    }
}

fn pick<T: Copy>(rng: &mut StdRng, from: &[T]) -> T {
    *from.choose(rng).unwrap()
}

fn setup(rng: &mut StdRng) -> Setup {
    let grace = Rotation::Grace(Duration::from_secs(pick(rng, &[1, 10, 60])));
    Setup {
        shared: rng.random(),
        rotation: pick(rng, &[Rotation::Strict, Rotation::Strict, Rotation::Kept, grace]),
        lifetime: pick(rng, &[Some(5), Some(20), Some(60), Some(600), Some(3600), Some(0), None]),
        first: pick(rng, &[-1, 8, 60, 3600]),
        refused_to_the_end: pick(rng, &[None, None, Some(Aim::Resource), Some(Aim::Scope)]),
    }
}

fn pace(rng: &mut StdRng) -> Pace {
    if rng.random_bool(0.4) { Pace::Quiet } else { Pace::Turns(rng.random_range(0..6)) }
}

/// How often it goes wrong: mostly a few times, at times until it is fixed.
fn times(rng: &mut StdRng) -> u32 {
    if rng.random_bool(0.2) { u32::MAX } else { rng.random_range(1..=3) }
}

fn step(rng: &mut StdRng, setup: Setup) -> Step {
    let session = rng.random_range(0..setup.sessions());
    let aim = pick(rng, &Aim::ALL);
    let handle = Handle { session, aim };
    let polls = rng.random_bool(0.2).then(|| rng.random_range(1..=6));
    match rng.random_range(0..100) {
        0..28 => Step::Request(handle, polls),
        28..38 => Step::Herd(session),
        38..42 => Step::Token(handle, polls),
        42..46 => Step::Refresh(handle, polls),
        46..50 => Step::Mark(handle),
        50..52 => Step::SetToken(session, pick(rng, &[-1, 8, 60, 3600])),
        52..53 => Step::SignOut(session),
        53..55 => Step::CancelAll,
        55..67 => Step::Pass(Duration::from_millis(pick(
            rng,
            &[1, 50, 300, 700, 1_000, 3_000, 10_000, 30_000, 61_000, 600_000],
        ))),
        67..74 => Step::UntilExpired,
        74..79 => Step::EndAccess(aim),
        79..80 => Step::Reject(aim),
        80..85 => Step::Refuse(pick(rng, &[Aim::Resource, Aim::Scope])),
        85..91 => Step::Outage(outage(rng), times(rng)),
        91..93 => Step::Slow(Duration::from_millis(pick(rng, &[0, 40, 400, 3_000]))),
        93..95 => Step::SaverFails(times(rng)),
        _ => Step::Recover,
    }
}

fn outage(rng: &mut StdRng) -> Outage {
    pick(
        rng,
        &[
            Outage::Status(503),
            Outage::TooMany(5),
            Outage::Unreachable,
            Outage::LostBeforeIssue,
            Outage::LostAfterIssue,
            Outage::GarbageAfterIssue,
            Outage::Hang,
            Outage::InvalidClient,
        ],
    )
}
