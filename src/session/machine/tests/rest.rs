//! A session between renewals.

use super::super::memory::{FollowUp, Revocation, StoreHealth};
use super::super::unauthorized::Paths;
use super::*;

/// A session with a token in use that the store has under version 4.
fn idle() -> Tested {
    let mut machine = stored(&live(FRESH), &settings(Home::Store));
    machine.seen.as_mut().unwrap().version = Some(4);
    machine.seen.as_mut().unwrap().looked = Duration::ZERO;
    let access = Access { serial: 1, ..Access::new(Target::OWN) };
    Machine { own: access, began: None, notes: Vec::new(), ids: 0, ..machine }
}

fn failure() -> Failure<&'static str> {
    Failure { reason: Reason::Error("down"), attempts: 2, retry_at: None, of: FailureOf::Login }
}

/// What 401s of one path have taught.
fn taught() -> Paths {
    let settings = settings(Home::Memory);
    let mut machine = given(FRESH);
    let rejection = Rejection { path: 5, accepted_by: Some(6) };
    machine.rejected(&Target::OWN, &FRESH, rejection, &settings, &at(0));
    machine.own.paths
}

#[test]
fn a_session_that_has_more_to_remember_does_not_rest() {
    assert!(idle().rest().is_some());
    let changes: [fn(&mut Tested); 15] = [
        |machine| machine.own.rejected = true,
        |machine| machine.response_lost = true,
        |machine| {
            machine.revocation =
                Some(Revocation { tokens: vec![], under_way: false, error: Some("down") })
        },
        |machine| machine.began = Some(Duration::ZERO),
        |machine| machine.store = StoreHealth { failures: 1, ..StoreHealth::good() },
        |machine| machine.notes.push(Note::Saved),
        |machine| machine.set_aside = 1,
        |machine| machine.served = None,
        |machine| machine.served.as_mut().unwrap().generation = 1,
        |machine| machine.served.as_mut().unwrap().login = 2,
        |machine| machine.known = None,
        |machine| machine.known.as_mut().unwrap().state = State::SignedOut,
        |machine| machine.seen.as_mut().unwrap().record = None,
        |machine| machine.seen.as_mut().unwrap().record.as_mut().unwrap().generation = 1,
        |machine| machine.seen.as_mut().unwrap().version = None,
    ];
    for (number, change) in changes.iter().enumerate() {
        let mut machine = idle();
        change(&mut machine);
        assert!(machine.rest().is_none(), "{number}");
    }
    let mut machine = idle();
    machine.follow_up = Some(FollowUp::new());
    assert!(machine.rest().is_some(), "a renewal brought the token that it was for");
}

#[test]
fn a_session_wakes_as_it_was() {
    let mark = Mark { holder: Some(9), at: 0, lease: Duration::from_secs(10) };
    let changes: [fn(&mut Tested, Mark); 14] = [
        |_, _| {},
        |machine, _| machine.seen = None,
        |machine, _| machine.is_given = true,
        |machine, _| machine.is_login_expiry_noted = true,
        |machine, _| (machine.serial, machine.own.serial) = (5, 4),
        |machine, _| machine.own.after_rejection = true,
        |machine, _| machine.own.paths = taught(),
        |machine, _| machine.others = vec![Access { serial: 3, ..Access::new(Target::other("a")) }],
        |machine, _| machine.failure = Some(failure()),
        |machine, _| machine.failures = 6,
        |machine, mark| {
            let seen = machine.seen.as_mut().unwrap();
            seen.since = Duration::from_secs(3);
            seen.record.as_mut().unwrap().mark = Some(mark);
        },
        |machine, _| {
            let seen = machine.seen.as_mut().unwrap();
            seen.since = Duration::from_secs(3);
            let pause = Pause::new(UNIX_EPOCH, Duration::from_secs(30), "down", 1);
            seen.record.as_mut().unwrap().pause = Some(pause);
        },
        |machine, _| {
            for record in [&mut machine.known, &mut machine.seen.as_mut().unwrap().record] {
                let record = record.as_mut().unwrap();
                (record.login, record.number, record.generation) = (2, 8, 3);
            }
            (machine.served.as_mut().unwrap().login, machine.served.as_mut().unwrap().generation) =
                (2, 3);
        },
        |machine, _| machine.name = 8,
    ];
    for (number, change) in changes.iter().enumerate() {
        let mut machine = idle();
        change(&mut machine, mark);
        let resting = machine.rest().unwrap_or_else(|| panic!("{number}"));
        assert_eq!(resting.wake(Duration::ZERO), machine, "{number}");
    }
}

#[test]
fn a_session_that_wakes_knows_when_it_has_read_the_store() {
    let around = 1 << 32;
    for (read, woken) in [(3, 3), (3, 5), (around - 1, around + 1), (around + 3, around + 5)] {
        let mut machine = idle();
        machine.read = Some(Duration::from_millis(read));
        let resting = machine.rest().unwrap();
        assert_eq!(resting.wake(Duration::from_millis(woken)).read, machine.read, "{read}");
    }
}
