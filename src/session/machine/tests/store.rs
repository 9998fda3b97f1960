//! Calls of the store, and what they bring.

use super::*;

#[test]
fn a_session_keeps_its_mark_young_while_it_renews() {
    let settings = settings(Home::Store);
    let (mut machine, _) = renewing(&settings);
    let third = settings.lease / 3;
    let due = Now { at: third, wall: UNIX_EPOCH + third, jitter: 0 };
    assert_eq!(machine.wake_at(&settings), Some(third));
    assert_eq!(actions(&mut machine, &settings, &before(&due)), []);
    let (call, record) = swap(&mut machine, Purpose::Mark, &settings, &due);
    let mark = Mark { holder: Some(7), at: 3333, lease: settings.lease };
    assert_eq!(record, live(EXPIRED).with_mark(Some(mark)));
    assert_eq!(machine.wake_at(&settings), None);
    // A slow store is asked again once its own wait is over.
    machine.swapped(call, Err(slow()), &settings, &due);
    let (call, _) = swap(&mut machine, Purpose::Mark, &settings, &due);
    machine.swapped(call, Err(slow()), &settings, &at(4));
    assert_eq!(machine.wake_at(&settings), Some(Duration::from_secs(5)));
}

#[test]
fn the_second_try_is_the_last_and_has_what_the_first_has_left_of_the_limit() {
    let settings = settings(Home::Store);
    let mut machine = stored(&live(EXPIRED), &settings);
    let presents = |machine: &mut Tested, now: &Now| match actions(machine, &settings, now).pop() {
        Some(Action::Present { request, limit }) => (request, limit),
        other => panic!("{other:?}"),
    };
    let (call, _) = swap(&mut machine, Purpose::Mark, &settings, &at(0));
    machine.swapped(call, Ok(Swapped::Stored(2)), &settings, &at(3));
    let (request, limit) = presents(&mut machine, &at(3));
    assert_eq!(limit, settings.refresh_limit);
    machine.take_notes();
    machine.answered(request, Answer::Lost("cut"), &settings, &at(10));
    assert_eq!(machine.take_notes(), [Note::ResponseLost("cut")]);
    assert_eq!(machine.wake_at(&settings), Some(Duration::from_millis(10_250)));
    assert_eq!(actions(&mut machine, &settings, &before(&at_millis(10_250))), []);
    let (call, _) = swap(&mut machine, Purpose::Mark, &settings, &at_millis(10_250));
    machine.swapped(call, Ok(Swapped::Stored(3)), &settings, &at(11));
    let (request, limit) = presents(&mut machine, &at(11));
    assert_eq!(limit, Duration::from_secs(22));
    machine.answered(request, Answer::Lost("cut"), &settings, &at(12));
    let (_, record) = swap(&mut machine, Purpose::Outcome, &settings, &at(12));
    assert_eq!((record.mark, record.pause.map(|pause| pause.attempts)), (None, Some(1)));
}

#[test]
fn an_answer_to_an_earlier_call_is_dropped() {
    let settings = settings(Home::Store);
    let mut machine = Tested::new(7);
    wants(&mut machine, &settings, &at(0));
    let first = load(&mut machine, &settings, &at(0));
    machine.calls_lost(&"end", false, &settings, &at(0));
    let second = load(&mut machine, &settings, &at(0));
    assert_eq!((first, second), (1, 2));
    machine.loaded(first, Ok(Some((live(FRESH), 1))), &settings, &at(0));
    assert_eq!(token_in_use(&machine), None);
    machine.loaded(second, Ok(Some((live(FRESH), 1))), &settings, &at(0));
    assert_eq!(token_in_use(&machine), Some(&FRESH));
}

#[test]
fn a_login_that_has_ended_in_the_store_leaves_its_own_token_in_use_and_no_other() {
    let settings = settings(Home::Store);
    for (login, in_use) in [(1, Some(&FRESH)), (9, None)] {
        let mut machine = given(FRESH);
        let by_hand = machine.ticket_for_another(&Target::OWN, Some(&FRESH), true);
        assert_eq!(machine.poll(&by_hand, &settings, &at(0)), Poll::Wait);
        let call = load(&mut machine, &settings, &at(0));
        let ended = Record { login, state: State::Ended("no"), ..live(FRESH) };
        machine.loaded(call, Ok(Some((ended, 1))), &settings, &at(0));
        assert_eq!(token_in_use(&machine), in_use, "{login}");
    }
}
