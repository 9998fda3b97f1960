//! Single decisions, one after the other, without a runtime. Most are what the random test has found.

mod follow_up;
mod login;
mod login_expiry;
mod lost_calls;
mod mark;
mod number;
mod outage;
mod outcome;
mod reason;
mod renewal;
mod request;
mod rest;
mod saver;
mod settings;
mod store;
mod target;
mod unauthorized;

use std::time::{Duration, UNIX_EPOCH};

use super::*;

/// A token by its number.
#[derive(Clone, Debug, PartialEq)]
struct Numbered(u8, Stage);

impl Credential for Numbered {
    fn stage(&self, _: &Target, _: SystemTime) -> Stage {
        self.1
    }

    fn can_refresh(&self) -> bool {
        true
    }

    fn is_same(&self, _: &Target, other: &Self) -> bool {
        self.0 == other.0
    }

    fn is_renewed(&self, _: &Target) -> bool {
        self.0 > 100
    }
}

const FRESH: Numbered = Numbered(1, Stage::Fresh);
const DUE: Numbered = Numbered(2, Stage::Due);
const EXPIRED: Numbered = Numbered(3, Stage::Expired);

type Tested = Machine<Numbered, &'static str>;

fn settings(home: Home) -> Settings {
    Settings {
        home,
        has_client: true,
        has_grant: false,
        can_revoke: true,
        manual_refresh: false,
        strict_saving: false,
        foreground: false,
        renew_without_store: false,
        lease: Duration::from_secs(10),
        save_wait: Duration::from_secs(5),
        refresh_limit: Duration::from_secs(30),
        grant_limit: Duration::ZERO,
        backoff: Backoff::default(),
        looks: (Duration::from_millis(10), Duration::from_millis(500)),
    }
}

fn at(seconds: u64) -> Now {
    let since = Duration::from_secs(seconds);
    Now { at: since, wall: UNIX_EPOCH + since, jitter: 0 }
}

/// A moment between seconds.
fn at_millis(millis: u64) -> Now {
    let since = Duration::from_millis(millis);
    Now { at: since, wall: UNIX_EPOCH + since, jitter: 0 }
}

/// The nanosecond before it.
fn before(now: &Now) -> Now {
    let ns = Duration::from_nanos(1);
    Now { at: now.at - ns, wall: now.wall - ns, ..*now }
}

fn given(token: Numbered) -> Tested {
    Machine::with_token(7, 1, token)
}

/// All that is to be done now.
fn actions(
    machine: &mut Tested,
    settings: &Settings,
    now: &Now,
) -> Vec<Action<Numbered, &'static str>> {
    std::iter::from_fn(|| machine.next(settings, now)).collect()
}

/// The token request that is to be made now.
#[track_caller]
fn presented(machine: &mut Tested, settings: &Settings, now: &Now) -> Presented<Numbered> {
    match actions(machine, settings, now).pop() {
        Some(Action::Present { request, .. }) => request,
        other => panic!("{other:?}"),
    }
}

/// The call of the saver that is to be made now.
#[track_caller]
fn save(machine: &mut Tested, settings: &Settings, now: &Now) -> u32 {
    match actions(machine, settings, now).pop() {
        Some(Action::Save { call, .. } | Action::Delete { call }) => call,
        other => panic!("{other:?}"),
    }
}

fn wants<T: Credential>(
    machine: &mut Machine<T, &'static str>,
    settings: &Settings,
    now: &Now,
) -> Poll<T, &'static str> {
    let ticket = machine.ticket(&Target::OWN);
    machine.poll(&ticket, settings, now)
}

/// The load that is to be made now.
#[track_caller]
fn load(machine: &mut Tested, settings: &Settings, now: &Now) -> u32 {
    match actions(machine, settings, now)[..] {
        [Action::Load { call }] => call,
        ref other => panic!("{other:?}"),
    }
}

/// The swap that is to be made now, and nothing else.
#[track_caller]
fn swap(
    machine: &mut Tested,
    purpose: Purpose,
    settings: &Settings,
    now: &Now,
) -> (u32, Record<Numbered, &'static str>) {
    match &actions(machine, settings, now)[..] {
        [Action::Swap { call, purpose: found, record, .. }] if *found == purpose => {
            (*call, record.clone())
        }
        other => panic!("{other:?}"),
    }
}

/// A record of login 1, number 1.
fn live(token: Numbered) -> Record<Numbered, &'static str> {
    let state = State::Live(Some(token));
    Record { login: 1, number: 1, generation: 0, state, mark: None, pause: None }
}

/// A session that has read this record under version 1 at second 0, since a request wants a token.
#[track_caller]
fn stored(record: &Record<Numbered, &'static str>, settings: &Settings) -> Tested {
    let mut machine = Tested::new(7);
    assert_eq!(wants(&mut machine, settings, &at(0)), Poll::Wait);
    let call = load(&mut machine, settings, &at(0));
    machine.loaded(call, Ok(Some((record.clone(), 1))), settings, &at(0));
    machine
}

/// A session that has claimed the renewal of login 1 at second 0, and presented its refresh token.
#[track_caller]
fn renewing(settings: &Settings) -> (Tested, Presented<Numbered>) {
    let mut machine = stored(&live(EXPIRED), settings);
    let (call, _) = swap(&mut machine, Purpose::Mark, settings, &at(0));
    machine.swapped(call, Ok(Swapped::Stored(2)), settings, &at(0));
    let request = presented(&mut machine, settings, &at(0));
    (machine, request)
}

fn slow() -> StoreFailure<&'static str> {
    StoreFailure { error: "slow", slow: true, unreadable: None }
}

fn token_in_use(machine: &Tested) -> Option<&Numbered> {
    machine.served().map(|served| &served.token)
}
