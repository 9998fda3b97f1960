//! Single decisions, one after the other, without a runtime. Most are what the random test has found.

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

#[test]
fn a_token_that_is_due_renews_nothing_while_a_newer_one_is_being_saved() {
    let settings = settings(Home::Saver);
    let mut machine = given(DUE);
    machine.set_login(2, Some(FRESH), &settings, &at(0));
    save(&mut machine, &settings, &at(0));
    assert_eq!(wants(&mut machine, &settings, &at(1)), Poll::Ready(DUE));
    assert_eq!(actions(&mut machine, &settings, &at(1)), []);
}

#[test]
fn whoever_waited_for_a_renewal_gets_its_token_though_it_has_expired_meanwhile() {
    let settings = settings(Home::Memory);
    let mut machine = given(EXPIRED);
    let ticket = machine.ticket(&Target::OWN);
    assert_eq!(machine.poll(&ticket, &settings, &at(0)), Poll::Wait);
    let request = presented(&mut machine, &settings, &at(0));
    let late = Numbered(101, Stage::Expired);
    machine.answered(request, Answer::Token(late.clone()), &settings, &at(20));
    assert_eq!(machine.poll(&ticket, &settings, &at(20)), Poll::Ready(late));
    // Later callers renew again.
    assert_eq!(wants(&mut machine, &settings, &at(21)), Poll::Wait);
    presented(&mut machine, &settings, &at(21));
}

#[test]
fn of_two_sign_outs_neither_is_over_before_the_token_is_revoked() {
    let settings = settings(Home::Memory);
    let mut machine = given(FRESH);
    machine.set_login(2, None, &settings, &at(0));
    assert!(machine.is_busy());
    assert_eq!(actions(&mut machine, &settings, &at(0)), [Action::Revoke { token: FRESH }]);
    machine.set_login(3, None, &settings, &at(1));
    assert_eq!(machine.poll_sign_out(2), Poll::Wait);
    assert_eq!(machine.poll_sign_out(3), Poll::Wait);
    machine.revoked(Ok(()), &settings, &at(2));
    assert_eq!(actions(&mut machine, &settings, &at(2)), []);
    assert_eq!(machine.poll_sign_out(2), Poll::Ready(()));
    assert!(!machine.is_busy());
}

#[test]
fn an_unusable_success_may_hide_a_new_refresh_token() {
    let settings = settings(Home::Memory);
    let foreign = |in_doubt| FailureClass::Foreign { in_doubt, retry_after: None };
    for (class, may_be_lost) in
        [(foreign(true), true), (foreign(false), false), (FailureClass::Transient(None), false)]
    {
        let mut machine = given(EXPIRED);
        wants(&mut machine, &settings, &at(0));
        let request = presented(&mut machine, &settings, &at(0));
        machine.answered(request, Answer::Failed("page", class), &settings, &at(0));
        assert_eq!(actions(&mut machine, &settings, &at(0)), [], "no second try");
        wants(&mut machine, &settings, &at(60));
        let request = presented(&mut machine, &settings, &at(60));
        machine.answered(request, Answer::Refused("no"), &settings, &at(60));
        let reason = Reason::Ended { error: "no", lost: may_be_lost };
        assert_eq!(wants(&mut machine, &settings, &at(60)), Poll::Failed(reason));
    }
}

/// A session whose saver has been at work on a renewed token since second 0.
fn saving(settings: &Settings) -> (Tested, u32) {
    let mut machine = given(EXPIRED);
    wants(&mut machine, settings, &at(0));
    let request = presented(&mut machine, settings, &at(0));
    let token = Numbered(101, Stage::Fresh);
    machine.answered(request, Answer::Token(token), settings, &at(0));
    let call = save(&mut machine, settings, &at(0));
    (machine, call)
}

#[test]
fn a_save_that_is_set_aside_says_nothing_of_a_newer_token() {
    let settings = settings(Home::Saver);
    let (mut machine, _) = saving(&settings);
    let (ticket, than) = (machine.ticket(&Target::OWN), Some(Numbered(101, Stage::Fresh)));
    actions(&mut machine, &settings, &at(10));
    let by_hand = machine.ticket_for_another(&Target::OWN, than.as_ref(), true);
    assert_eq!(machine.poll(&by_hand, &settings, &at(58)), Poll::Wait);
    let request = presented(&mut machine, &settings, &at(58));
    let newer = Answer::Token(Numbered(102, Stage::Fresh));
    machine.answered(request, newer, &settings, &at(58));
    // The call for the token before is set aside; the newer one has not been tried yet.
    save(&mut machine, &settings, &at(60));
    assert_eq!(machine.save_error(), None);
    let before = Poll::Ready(Numbered(101, Stage::Fresh));
    assert_eq!(machine.poll(&ticket, &settings, &at(60)), before);
}

#[test]
fn a_shutdown_does_not_wait_for_a_save_that_was_set_aside() {
    let settings = settings(Home::Saver);
    let (mut machine, _) = saving(&settings);
    assert_eq!(actions(&mut machine, &settings, &at(60)), []);
    let second = save(&mut machine, &settings, &at(62));
    let flush = machine.flush(&at(63));
    assert_eq!(machine.poll_flush(&flush), Poll::Wait);
    machine.saved(second, Ok(()), &settings, &at(64));
    assert_eq!(machine.poll_flush(&flush), Poll::Ready(()));
    assert!(machine.is_busy(), "the worker stays for the end of the call");
}

#[test]
fn in_the_foreground_a_saver_that_hangs_is_waited_for_no_longer_than_elsewhere() {
    let settings = Settings { foreground: true, ..settings(Home::Saver) };
    let (mut machine, _) = saving(&settings);
    actions(&mut machine, &settings, &at(4));
    assert_eq!(wants(&mut machine, &settings, &at(4)), Poll::Wait);
    actions(&mut machine, &settings, &at(5));
    let token = Numbered(101, Stage::Fresh);
    assert_eq!(wants(&mut machine, &settings, &at(5)), Poll::Ready(token));
}

/// A sign-in's swap that is to be made now.
#[track_caller]
fn sign_in(
    machine: &mut Tested,
    settings: &Settings,
    now: &Now,
) -> (u32, Record<Numbered, &'static str>) {
    match actions(machine, settings, now).pop() {
        Some(Action::Swap { call, purpose: Purpose::Login, record, .. }) => (call, record),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_sign_in_that_may_have_been_stored_and_replaced_is_not_stored_again() {
    let settings = settings(Home::Store);
    let mut machine = Tested::new(7);
    machine.set_login(1, Some(FRESH), &settings, &at(10));
    let load = actions(&mut machine, &settings, &at(10));
    let [Action::Load { call }] = load[..] else { panic!("{load:?}") };
    machine.loaded(call, Ok(None), &settings, &at(10));
    // Two attempts without an answer. Between them another session signs in.
    let (call, first) = sign_in(&mut machine, &settings, &at(10));
    let failure = || StoreFailure { error: "down", slow: false, unreadable: None };
    machine.swapped(call, Err(failure()), &settings, &at(10));
    let (call, _) = sign_in(&mut machine, &settings, &at(30));
    machine.swapped(call, Err(failure()), &settings, &at(30));
    let (call, _) = sign_in(&mut machine, &settings, &at(60));
    let other = Record { login: 2, number: first.number + 1, ..first };
    let conflict = Swapped::Conflict(Some((other, 5)));
    machine.swapped(call, Ok(conflict), &settings, &at(60));
    assert_eq!(actions(&mut machine, &settings, &at(60)), []);
    assert_eq!(machine.poll_login(1, &settings), Poll::Ready(()));
}

#[test]
fn a_sign_out_is_not_stored_because_the_sign_in_before_it_is() {
    let settings = settings(Home::Store);
    let mut machine = Tested::new(7);
    machine.set_login(1, Some(FRESH), &settings, &at(0));
    let load = actions(&mut machine, &settings, &at(0));
    let [Action::Load { call }] = load[..] else { panic!("{load:?}") };
    machine.loaded(call, Ok(None), &settings, &at(0));
    let (call, _) = sign_in(&mut machine, &settings, &at(0));
    machine.set_login(2, None, &settings, &at(1));
    machine.swapped(call, Ok(Swapped::Stored(1)), &settings, &at(1));
    assert_eq!(machine.poll_sign_out(2), Poll::Wait);
    let (call, record) = sign_in(&mut machine, &settings, &at(1));
    assert_eq!((record.login, record.state), (2, State::SignedOut));
    machine.swapped(call, Ok(Swapped::Stored(2)), &settings, &at(1));
    assert_eq!(actions(&mut machine, &settings, &at(1)), [Action::Revoke { token: FRESH }]);
}

#[test]
fn a_login_that_never_had_a_token_does_not_outrank_what_the_store_has() {
    let settings = Settings { has_grant: true, ..settings(Home::Store) };
    let mut machine = Tested::new(7);
    let now = at(1000);
    wants(&mut machine, &settings, &now);
    let load = actions(&mut machine, &settings, &now);
    let [Action::Load { call }] = load[..] else { panic!("{load:?}") };
    machine.loaded(call, Ok(None), &settings, &now);
    let swap = |machine: &mut Tested, now: &Now| match actions(machine, &settings, now).pop() {
        Some(Action::Swap { call, record, .. }) => (call, record),
        other => panic!("{other:?}"),
    };
    // A first token is asked for in vain.
    let (call, _) = swap(&mut machine, &now);
    machine.swapped(call, Ok(Swapped::Stored(1)), &settings, &now);
    let request = presented(&mut machine, &settings, &now);
    let refused = Answer::Failed("no", FailureClass::Misconfigured);
    machine.answered(request, refused, &settings, &now);
    let (call, empty) = swap(&mut machine, &now);
    machine.swapped(call, Ok(Swapped::Stored(2)), &settings, &now);
    // The store loses that, and another session writes back what it has, which is older.
    let now = at(5000);
    let state = State::Live(Some(EXPIRED));
    let older = Record { login: 9, number: empty.number - 1, state, pause: None, ..empty };
    wants(&mut machine, &settings, &now);
    let (call, _) = swap(&mut machine, &now);
    let conflict = Swapped::Conflict(Some((older, 3)));
    machine.swapped(call, Ok(conflict), &settings, &now);
    let (call, _) = swap(&mut machine, &now);
    machine.swapped(call, Ok(Swapped::Stored(4)), &settings, &now);
    let request = presented(&mut machine, &settings, &now);
    let token = Answer::Token(Numbered(101, Stage::Fresh));
    machine.answered(request, token, &settings, &now);
    let (_, stored) = swap(&mut machine, &now);
    assert_eq!((stored.login, stored.generation), (9, 1));
}

/// A store that cannot read what it holds, under this version.
fn unreadable(version: i64) -> StoreFailure<&'static str> {
    StoreFailure { error: "unreadable", slow: false, unreadable: Some(version) }
}

#[test]
fn a_sign_in_replaces_what_cannot_be_read_and_waits_if_that_changes_meanwhile() {
    let settings = settings(Home::Store);
    let mut machine = Tested::new(7);
    machine.set_login(1, Some(FRESH), &settings, &at(10));
    let load = actions(&mut machine, &settings, &at(10));
    let [Action::Load { call }] = load[..] else { panic!("{load:?}") };
    machine.loaded(call, Err(unreadable(4)), &settings, &at(10));
    let swap = |machine: &mut Tested, now: &Now| match &actions(machine, &settings, now)[..] {
        [Action::Swap { call, purpose: Purpose::Login, expected, unreadable: true, record }] => {
            (*call, *expected, record.clone())
        }
        other => panic!("{other:?}"),
    };
    let (call, expected, first) = swap(&mut machine, &at(10));
    assert_eq!(expected, Some(4));
    machine.swapped(call, Err(unreadable(5)), &settings, &at(10));
    assert_eq!(actions(&mut machine, &settings, &at(10)), [], "not again and again");
    let (call, expected, _) = swap(&mut machine, &at(600));
    assert_eq!(expected, Some(5));
    // Somebody fixes it meanwhile. What they wrote has a higher number than the first attempt, which
    // changed nothing.
    let mended = Record { login: 9, number: first.number + 1, ..first };
    let conflict = Swapped::Conflict(Some((mended, 6)));
    machine.swapped(call, Ok(conflict), &settings, &at(600));
    let (call, record) = sign_in(&mut machine, &settings, &at(600));
    assert_eq!(record.login, 1, "it does not give way");
    machine.swapped(call, Ok(Swapped::Stored(7)), &settings, &at(600));
    assert_eq!(machine.poll_login(1, &settings), Poll::Ready(()));
    assert_eq!(actions(&mut machine, &settings, &at(600)), []);
}

#[test]
fn nothing_but_a_sign_in_replaces_what_cannot_be_read() {
    let settings = Settings { has_grant: true, ..settings(Home::Store) };
    let mut machine = Tested::new(7);
    machine.set_login(1, Some(EXPIRED), &settings, &at(0));
    let load = actions(&mut machine, &settings, &at(0));
    let [Action::Load { call }] = load[..] else { panic!("{load:?}") };
    machine.loaded(call, Ok(None), &settings, &at(0));
    let (call, _) = sign_in(&mut machine, &settings, &at(0));
    machine.swapped(call, Ok(Swapped::Stored(1)), &settings, &at(0));
    // A renewal meets it when it claims, and goes on to expect what it knows.
    wants(&mut machine, &settings, &at(10));
    for seconds in [10, 10, 600, 1200] {
        match &actions(&mut machine, &settings, &at(seconds))[..] {
            [Action::Swap { call, purpose: Purpose::Mark, expected, unreadable: false, .. }] => {
                assert_eq!(*expected, Some(1));
                machine.swapped(*call, Err(unreadable(4)), &settings, &at(seconds));
            }
            other => panic!("{seconds}: {other:?}"),
        }
        if seconds >= 10 && machine.retry_at(&Target::OWN).is_some() {
            wants(&mut machine, &settings, &at(seconds + 590));
        }
    }
}

/// A token whose refresh token expires at a second of the wall clock.
#[derive(Clone, Debug, PartialEq)]
struct Ending(Numbered, u64);

impl Credential for Ending {
    fn stage(&self, target: &Target, wall: SystemTime) -> Stage {
        self.0.stage(target, wall)
    }

    fn can_refresh(&self) -> bool {
        true
    }

    fn login_expires_at(&self) -> Option<SystemTime> {
        Some(UNIX_EPOCH + Duration::from_secs(self.1))
    }

    fn login_expires_soon(&self, wall: SystemTime) -> bool {
        wall + Duration::from_secs(10) >= UNIX_EPOCH + Duration::from_secs(self.1)
    }

    fn is_same(&self, target: &Target, other: &Self) -> bool {
        self.0.is_same(target, &other.0)
    }
}

type EndingMachine = Machine<Ending, &'static str>;

#[test]
fn a_refresh_token_is_presented_until_the_nanosecond_before_it_expires() {
    let ns = Duration::from_nanos(1);
    for home in [Home::Memory, Home::Saver] {
        let settings = settings(home);
        let deadline = UNIX_EPOCH + Duration::from_secs(100);
        let at = |wall| Now { at: Duration::from_secs(5), wall, jitter: 0 };
        let mut machine = EndingMachine::with_token(7, 1, Ending(EXPIRED, 100));
        for late in [deadline, deadline + ns] {
            let expired = Poll::Failed(Reason::LoginExpired);
            assert_eq!(wants(&mut machine, &settings, &at(late)), expired);
            assert!(machine.next(&settings, &at(late)).is_none());
            assert!(!machine.is_busy());
        }
        let told: Vec<_> = machine.take_notes();
        assert_eq!(told.len(), 1, "once: {told:?}");
        // The clock is set right, and the failure that is remembered does not count.
        let early = at(deadline - ns);
        assert_eq!(wants(&mut machine, &settings, &early), Poll::Wait);
        let presented = machine.next(&settings, &early);
        assert!(matches!(presented, Some(Action::Present { .. })), "{presented:?}");
    }
}

#[test]
fn a_claim_whose_refresh_token_expires_meanwhile_presents_nothing_and_marks_nothing_as_ended() {
    let settings = settings(Home::Store);
    let mut machine = EndingMachine::new(7);
    let state = State::Live(Some(Ending(EXPIRED, 100)));
    let stored = Record { login: 1, number: 1, generation: 0, state, mark: None, pause: None };
    assert_eq!(wants(&mut machine, &settings, &at(99)), Poll::Wait);
    let Some(Action::Load { call }) = machine.next(&settings, &at(99)) else { panic!() };
    machine.loaded(call, Ok(Some((stored.clone(), 1))), &settings, &at(99));
    let ticket = machine.ticket(&Target::OWN);
    let claim = machine.next(&settings, &at(99));
    let Some(Action::Swap { call, purpose: Purpose::Mark, .. }) = claim else { panic!() };
    machine.swapped(call, Ok(Swapped::Stored(2)), &settings, &at(100));
    let clear = machine.next(&settings, &at(100));
    let Some(Action::Swap { call, purpose: Purpose::Outcome, record, .. }) = clear else {
        panic!("{clear:?}")
    };
    assert_eq!(record, stored);
    machine.swapped(call, Ok(Swapped::Stored(3)), &settings, &at(100));
    assert_eq!(machine.next(&settings, &at(100)), None);
    assert_eq!(machine.poll(&ticket, &settings, &at(100)), Poll::Failed(Reason::LoginExpired));
}

#[test]
fn that_a_login_expires_soon_is_noted_once_for_each_login() {
    let settings = settings(Home::Memory);
    let mut machine = EndingMachine::with_token(7, 1, Ending(FRESH, 100));
    let renew = |machine: &mut EndingMachine, number: u8, seconds: u64| {
        let token = machine.served().unwrap().token.clone();
        let ticket = machine.ticket_for_another(&Target::OWN, Some(&token), true);
        assert_eq!(machine.poll(&ticket, &settings, &at(seconds)), Poll::Wait);
        let Some(Action::Present { request, .. }) = machine.next(&settings, &at(seconds)) else {
            panic!()
        };
        let token = Ending(Numbered(number, Stage::Fresh), 100);
        machine.answered(request, Answer::Token(token), &settings, &at(seconds));
        let notes = machine.take_notes();
        if let Some(resting) = machine.rest() {
            *machine = resting.wake(Duration::from_secs(seconds));
        }
        notes.iter().filter(|note| **note == Note::LoginExpiresSoon).count()
    };
    let counts = [(4, 89), (5, 90), (6, 91), (7, 99)].map(|(n, s)| renew(&mut machine, n, s));
    assert_eq!(counts, [0, 1, 0, 0]);
    machine.set_login(2, Some(Ending(Numbered(8, Stage::Fresh), 100)), &settings, &at(99));
    let notes = machine.take_notes();
    assert_eq!(notes.iter().filter(|note| **note == Note::LoginExpiresSoon).count(), 1);
}
