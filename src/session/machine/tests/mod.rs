//! Single decisions, one after the other, without a runtime. Most are what the random test has found.

mod login;
mod login_expiry;
mod renewal;
mod saver;

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
