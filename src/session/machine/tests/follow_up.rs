//! Attempts after a lost answer that nobody asks for.

use super::*;

/// A session whose refresh token has been presented twice without an answer, at 0 and 250 milliseconds,
/// with a jitter that makes the backoff end at 2250 milliseconds.
fn lost_twice(settings: &Settings) -> Tested {
    let mut machine = given(EXPIRED);
    wants(&mut machine, settings, &at(0));
    let request = presented(&mut machine, settings, &at(0));
    machine.answered(request, Answer::Lost("cut"), settings, &at(0));
    let request = presented(&mut machine, settings, &at_millis(250));
    let now = Now { jitter: u32::MAX, ..at_millis(250) };
    machine.answered(request, Answer::Lost("cut"), settings, &now);
    machine
}

#[test]
fn a_session_asks_again_by_itself_when_the_backoff_is_over_three_times() {
    let settings = settings(Home::Memory);
    let mut machine = lost_twice(&settings);
    let mut due = at_millis(2250);
    for _ in 0..3 {
        assert_eq!(machine.wake_at(&settings), Some(due.at));
        assert!(machine.is_busy());
        assert_eq!(actions(&mut machine, &settings, &before(&due)), []);
        let request = presented(&mut machine, &settings, &due);
        assert_eq!(machine.wake_at(&settings), None);
        machine.answered(request, Answer::Lost("cut"), &settings, &due);
        let due_again = Now { at: due.at + Duration::from_millis(250), ..due };
        let request = presented(&mut machine, &settings, &due_again);
        machine.answered(request, Answer::Lost("cut"), &settings, &due_again);
        due = Now { at: due_again.at + Duration::from_secs(1), ..due };
    }
    assert_eq!(machine.wake_at(&settings), None);
    assert!(!machine.is_busy());
}

#[test]
fn a_request_that_wants_a_renewal_takes_the_place_of_the_follow_up() {
    let settings = settings(Home::Memory);
    let mut machine = lost_twice(&settings);
    assert_eq!(wants(&mut machine, &settings, &at_millis(2250)), Poll::Wait);
    assert_eq!(machine.wake_at(&settings), None);
    presented(&mut machine, &settings, &at_millis(2250));
}

/// The same with a store, and the outcome that is to be stored.
fn lost_twice_in_store(settings: &Settings) -> Tested {
    let (mut machine, request) = renewing(settings);
    machine.answered(request, Answer::Lost("cut"), settings, &at(0));
    let (call, _) = swap(&mut machine, Purpose::Mark, settings, &at_millis(250));
    machine.swapped(call, Ok(Swapped::Stored(3)), settings, &at_millis(250));
    let request = presented(&mut machine, settings, &at_millis(250));
    let now = Now { jitter: u32::MAX, ..at_millis(250) };
    machine.answered(request, Answer::Lost("cut"), settings, &now);
    machine
}

#[test]
fn a_follow_up_waits_for_the_outcome_to_be_stored_and_for_the_pause_in_the_record() {
    let settings = settings(Home::Store);
    let mut machine = lost_twice_in_store(&settings);
    let (call, record) = swap(&mut machine, Purpose::Outcome, &settings, &at_millis(250));
    assert_eq!(record.pause.map(|pause| pause.until), Some(2250));
    // While the outcome is being stored.
    assert_eq!(machine.wake_at(&settings), None);
    machine.swapped(call, Ok(Swapped::Stored(4)), &settings, &at_millis(300));
    assert_eq!(machine.wake_at(&settings), Some(Duration::from_millis(2250)));
    // The wall clock has been set back by 30 milliseconds, and later set right.
    let late = Now { wall: UNIX_EPOCH + Duration::from_millis(2220), ..at_millis(2250) };
    assert_eq!(actions(&mut machine, &settings, &late), []);
    assert_eq!(machine.wake_at(&settings), Some(Duration::from_millis(2280)));
    machine.take_notes();
    swap(&mut machine, Purpose::Mark, &settings, &at_millis(2280));
    let started = Note::RenewalStarted { target: Target::OWN, cause: Cause::Expired, serial: 1 };
    assert_eq!(machine.take_notes(), [started]);
}

#[test]
fn a_follow_up_waits_for_a_store_that_fails() {
    let settings = settings(Home::Store);
    let mut machine = lost_twice_in_store(&settings);
    let (call, _) = swap(&mut machine, Purpose::Outcome, &settings, &at_millis(250));
    machine.swapped(call, Ok(Swapped::Stored(4)), &settings, &at_millis(250));
    // A request looks whether another session has brought a token, and the store is slow.
    assert_eq!(wants(&mut machine, &settings, &at_millis(1250)), Poll::Wait);
    let call = load(&mut machine, &settings, &at_millis(1250));
    machine.loaded(call, Err(slow()), &settings, &at_millis(1750));
    assert_eq!(machine.wake_at(&settings), Some(Duration::from_millis(2250)));
    assert_eq!(actions(&mut machine, &settings, &at_millis(2250)), []);
    assert_eq!(machine.wake_at(&settings), Some(Duration::from_millis(2750)));
    assert_eq!(actions(&mut machine, &settings, &before(&at_millis(2750))), []);
    swap(&mut machine, Purpose::Mark, &settings, &at_millis(2750));
}

#[test]
fn neither_a_foreground_session_nor_one_renewed_by_hand_follows_up() {
    for settings in [
        Settings { foreground: true, ..settings(Home::Memory) },
        Settings { manual_refresh: true, ..settings(Home::Memory) },
    ] {
        let mut machine = given(EXPIRED);
        let by_hand = machine.ticket_for_another(&Target::OWN, None, true);
        machine.poll(&by_hand, &settings, &at(0));
        let request = presented(&mut machine, &settings, &at(0));
        machine.answered(request, Answer::Lost("cut"), &settings, &at(0));
        let request = presented(&mut machine, &settings, &at(1));
        machine.answered(request, Answer::Lost("cut"), &settings, &at(1));
        assert!(!machine.is_busy());
    }
}
