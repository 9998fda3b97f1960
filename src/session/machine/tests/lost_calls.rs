//! The end of a runtime, and what the next one goes on with.

use super::*;

#[test]
fn a_request_that_had_not_begun_when_the_runtime_ended_is_made_again_at_once() {
    let settings = settings(Home::Memory);
    for (sent, notes) in [(false, vec![]), (true, vec![Note::ResponseLost("end")])] {
        let mut machine = given(EXPIRED);
        wants(&mut machine, &settings, &at(0));
        presented(&mut machine, &settings, &at(0));
        machine.take_notes();
        machine.calls_lost(&"end", sent, &settings, &at(0));
        assert_eq!(machine.take_notes(), notes);
        assert_eq!(actions(&mut machine, &settings, &at(0)).is_empty(), sent);
    }
}

/// A session whose runtime ends at this second, 30 s and more after its token request was sent.
fn cut_off(seconds: u64, settings: &Settings) -> Tested {
    let mut machine = given(EXPIRED);
    wants(&mut machine, settings, &at(0));
    presented(&mut machine, settings, &at(0));
    machine.take_notes();
    machine.calls_lost(&"end", true, settings, &at(seconds));
    machine
}

#[test]
fn a_second_try_on_another_runtime_has_its_whole_time() {
    let settings = settings(Home::Memory);
    for seconds in [1, 30, 35] {
        let mut machine = cut_off(seconds, &settings);
        assert_eq!(machine.take_notes(), [Note::ResponseLost("end")], "{seconds}");
        machine.resumed(&settings, &at(100));
        match &actions(&mut machine, &settings, &at(100))[..] {
            [Action::Present { limit, .. }] => assert_eq!(*limit, Duration::from_secs(30)),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_second_try_takes_no_longer_than_a_first_one() {
    let settings = Settings { grant_limit: Duration::from_secs(60), ..settings(Home::Memory) };
    let mut machine = cut_off(1, &settings);
    machine.resumed(&settings, &at(100));
    match &actions(&mut machine, &settings, &at(101))[..] {
        [Action::Present { limit, .. }] => assert_eq!(*limit, Duration::from_secs(30)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn time_in_which_nobody_worked_is_no_wait_for_others() {
    let settings = settings(Home::Store);
    let mut machine = stored(&live(EXPIRED), &settings);
    let ticket = machine.ticket(&Target::OWN);
    swap(&mut machine, Purpose::Mark, &settings, &at(0));
    machine.calls_lost(&"end", false, &settings, &at(1));
    machine.resumed(&settings, &at(100));
    machine.take_notes();
    let (call, _) = swap(&mut machine, Purpose::Mark, &settings, &at(100));
    machine.swapped(call, Ok(Swapped::Stored(2)), &settings, &at(100));
    let request = presented(&mut machine, &settings, &at(101));
    machine.answered(request, Answer::Token(FRESH), &settings, &at(102));
    let (call, _) = swap(&mut machine, Purpose::Outcome, &settings, &at(102));
    machine.swapped(call, Ok(Swapped::Stored(3)), &settings, &at(103));
    assert_eq!(machine.poll(&ticket, &settings, &at(103)), Poll::Ready(FRESH));
    // Nor does it count as the time of the renewal.
    let took = Duration::from_secs(3);
    let in_use = Note::TokenInUse { target: Target::OWN, serial: 2, took };
    assert_eq!(machine.take_notes(), [Note::Saved, in_use]);
}

#[test]
fn time_in_which_nobody_saved_is_no_slow_save() {
    let settings = settings(Home::Store);
    let mut machine = stored(&live(DUE), &settings);
    machine.set_login(2, Some(FRESH), &settings, &at(0));
    machine.calls_lost(&"end", false, &settings, &at(1));
    machine.resumed(&settings, &at(100));
    swap(&mut machine, Purpose::Login, &settings, &at(100));
    assert_eq!(machine.save_error(), None);
    actions(&mut machine, &settings, &at(105));
    assert_eq!(machine.save_error(), Some(Reason::SaveSlow));
}
