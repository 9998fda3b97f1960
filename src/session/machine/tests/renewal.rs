//! Renewals, and what their answers do.

use super::*;

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
