//! The end of a refresh token's life.

use super::*;

/// A token whose refresh token expires at a second of the wall clock.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Ending(pub(super) Numbered, pub(super) u64);

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

pub(super) type EndingMachine = Machine<Ending, &'static str>;

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

/// A laptop may have slept between the two tries.
#[test]
fn there_is_no_second_try_once_the_refresh_token_has_expired() {
    for home in [Home::Memory, Home::Saver] {
        let settings = Settings { foreground: true, ..settings(home) };
        let mut machine = EndingMachine::with_token(7, 1, Ending(EXPIRED, 100));
        let ticket = machine.ticket(&Target::OWN);
        assert_eq!(machine.poll(&ticket, &settings, &at(90)), Poll::Wait);
        let Some(Action::Present { request, .. }) = machine.next(&settings, &at(90)) else {
            panic!()
        };
        machine.answered(request, Answer::Lost("lost"), &settings, &at(90));
        assert_eq!(machine.next(&settings, &at(100)), None);
        assert_eq!((machine.wake_at(&settings), machine.is_busy()), (None, false));
        assert_eq!(machine.poll(&ticket, &settings, &at(100)), Poll::Failed(Reason::LoginExpired));
    }
}

#[test]
fn there_is_no_second_try_if_another_target_finds_that_the_refresh_token_has_expired() {
    let settings = settings(Home::Memory);
    let mut machine = EndingMachine::with_token(7, 1, Ending(EXPIRED, 100));
    let ticket = machine.ticket(&Target::OWN);
    assert_eq!(machine.poll(&ticket, &settings, &at(99)), Poll::Wait);
    let Some(Action::Present { request, .. }) = machine.next(&settings, &at(99)) else { panic!() };
    machine.answered(request, Answer::Lost("lost"), &settings, &at(100));
    let another = machine.ticket(&Target::other("a"));
    assert_eq!(machine.poll(&another, &settings, &at(100)), Poll::Failed(Reason::LoginExpired));
    assert_eq!(machine.next(&settings, &at(101)), None);
    assert_eq!((machine.wake_at(&settings), machine.is_busy()), (None, false));
}
