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
    assert_eq!(machine.take_notes(), [Note::UnauthorizedAfterRenewal { serial: 2 }]);
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
