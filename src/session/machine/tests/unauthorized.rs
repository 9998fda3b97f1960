//! What a 401 does to the token in use.

use super::*;

const REJECTION: Rejection = Rejection { path: 5, accepted_by: None };

/// A 401 to the token in use; whether the request is sent again.
fn rejects(machine: &mut Tested, settings: &Settings, now: &Now) -> bool {
    let token = machine.served().unwrap().token.clone();
    machine.rejected(&Target::OWN, &token, REJECTION, settings, now)
}

/// Renews by hand, or because of a 401, and gets this token.
fn renew(machine: &mut Tested, token: u8, settings: &Settings, now: &Now) {
    let before = machine.served().unwrap().token.clone();
    let ticket = machine.ticket_for_another(&Target::OWN, Some(&before), true);
    assert_eq!(machine.poll(&ticket, settings, now), Poll::Wait);
    let request = presented(machine, settings, now);
    machine.answered(request, Answer::Token(Numbered(token, Stage::Fresh)), settings, now);
}

#[test]
fn a_path_that_rejects_what_its_401_brought_renews_no_more() {
    let settings = settings(Home::Memory);
    let mut machine = given(FRESH);
    assert!(rejects(&mut machine, &settings, &at(0)));
    renew(&mut machine, 101, &settings, &at(0));
    machine.take_notes();
    assert!(!rejects(&mut machine, &settings, &at(1)));
    let note = Note::UnauthorizedAfterRenewal { target: Target::OWN, serial: 2 };
    assert_eq!(machine.take_notes(), [note]);
    assert!(!machine.is_rejected(&Target::OWN));
}

#[test]
fn a_renewal_that_brings_the_rejected_token_again_counts_as_one() {
    let settings = settings(Home::Memory);
    let mut machine = given(FRESH);
    assert!(rejects(&mut machine, &settings, &at(0)));
    let ticket = machine.ticket_for_another(&Target::OWN, Some(&FRESH), false);
    renew(&mut machine, 1, &settings, &at(0));
    assert_eq!(machine.poll(&ticket, &settings, &at(0)), Poll::Ready(FRESH));
    assert!(!rejects(&mut machine, &settings, &at(1)));
}

#[test]
fn a_path_may_try_again_after_a_renewal_that_no_401_brought_about() {
    let settings = settings(Home::Memory);
    let mut machine = given(FRESH);
    assert!(rejects(&mut machine, &settings, &at(0)));
    renew(&mut machine, 101, &settings, &at(0));
    renew(&mut machine, 102, &settings, &at(1));
    assert!(rejects(&mut machine, &settings, &at(1)));
}

#[test]
fn a_token_that_was_rejected_is_as_good_as_expired() {
    let settings = settings(Home::Memory);
    let mut machine = given(FRESH);
    assert!(rejects(&mut machine, &settings, &at(0)));
    machine.take_notes();
    // Five late 401s are one.
    assert!(rejects(&mut machine, &settings, &at(0)));
    assert_eq!(machine.take_notes(), []);
    assert_eq!(wants(&mut machine, &settings, &at(0)), Poll::Wait);
    let started = Note::RenewalStarted { target: Target::OWN, cause: Cause::Rejected, serial: 1 };
    assert_eq!(machine.take_notes(), [started]);
}

#[test]
fn a_401_takes_the_token_out_of_use_where_that_may_help() {
    let memory = settings(Home::Memory);
    let no_client = Settings { has_client: false, ..memory };
    let by_hand = Settings { manual_refresh: true, ..memory };
    let store = Settings { has_client: false, ..settings(Home::Store) };
    let rows = [(memory, true), (no_client, false), (by_hand, false), (store, true)];
    for (settings, helps) in rows {
        let mut machine = given(FRESH);
        assert_eq!(rejects(&mut machine, &settings, &at(0)), helps, "{settings:?}");
        assert_eq!(machine.is_rejected(&Target::OWN), helps, "{settings:?}");
    }
    // Where the login has ended, the sender is told so.
    let mut machine = given(DUE);
    machine.known = Some(Record { state: State::Ended("no"), ..live(DUE) });
    assert!(rejects(&mut machine, &memory, &at(0)));
    for (seconds, settings, helps) in [(100, memory, true), (99, no_client, false)] {
        let token = super::login_expiry::Ending(FRESH, 100);
        let mut machine = super::login_expiry::EndingMachine::with_token(7, 1, token.clone());
        let again = machine.rejected(&Target::OWN, &token, REJECTION, &settings, &at(seconds));
        assert_eq!(again, helps);
    }
}

#[test]
fn a_late_401_sends_the_request_again_if_there_is_another_token_or_may_be() {
    let memory = settings(Home::Memory);
    let by_hand = Settings { manual_refresh: true, ..memory };
    for (token, settings, again) in
        [(FRESH, by_hand, true), (EXPIRED, memory, true), (EXPIRED, by_hand, false)]
    {
        let mut machine = given(token);
        assert_eq!(machine.rejected(&Target::OWN, &DUE, REJECTION, &settings, &at(0)), again);
        assert!(!machine.is_rejected(&Target::OWN));
    }
}

#[test]
fn the_answer_to_a_replay_says_whether_the_path_or_the_token_was_at_fault() {
    let settings = settings(Home::Memory);
    let renewed = Numbered(101, Stage::Fresh);
    let replayed = |sent: &Numbered, rejected| {
        let mut machine = given(FRESH);
        assert!(rejects(&mut machine, &settings, &at(0)));
        renew(&mut machine, 101, &settings, &at(0));
        machine.take_notes();
        machine.replayed(&Target::OWN, sent, 5, rejected, &at(0));
        let notes = machine.take_notes();
        machine.replayed(&Target::OWN, sent, 5, rejected, &at(0));
        assert_eq!(machine.take_notes(), [], "no news");
        (notes, rejects(&mut machine, &settings, &at(1)))
    };
    assert_eq!(replayed(&renewed, false), (vec![], true));
    let news = Note::UnauthorizedAfterRenewal { target: Target::OWN, serial: 2 };
    assert_eq!(replayed(&renewed, true), (vec![news], false));
    // An answer to a token that is no longer in use.
    assert_eq!(replayed(&FRESH, false), (vec![], false));
    assert_eq!(replayed(&FRESH, true), (vec![], false));
    // A token that no 401 brought.
    let mut machine = given(FRESH);
    machine.replayed(&Target::OWN, &FRESH, 5, true, &at(0));
    assert!(!machine.has_notes());
    assert!(machine.own.paths.is_empty());
}
