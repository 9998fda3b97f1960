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

#[test]
fn only_token_requests_make_the_next_backoff_longer() {
    let settings = settings(Home::Store);
    let pause = Pause { until: 30_000, wait: Duration::from_secs(30), error: "later", attempts: 1 };
    let record = Record { pause: Some(pause), ..live(EXPIRED) };
    let mut machine = stored(&record, &settings);
    assert_eq!(actions(&mut machine, &settings, &at(0)), []);
    // Each request during the pause looks, and fails.
    for seconds in 1..30 {
        assert_eq!(wants(&mut machine, &settings, &at(seconds)), Poll::Wait);
        let call = load(&mut machine, &settings, &at(seconds));
        machine.loaded(call, Ok(Some((record.clone(), 1))), &settings, &at(seconds));
        assert_eq!(actions(&mut machine, &settings, &at(seconds)), []);
    }
    wants(&mut machine, &settings, &at(30));
    let (call, _) = swap(&mut machine, Purpose::Mark, &settings, &at(30));
    machine.swapped(call, Ok(Swapped::Stored(2)), &settings, &at(30));
    let request = presented(&mut machine, &settings, &at(30));
    let failed = Answer::Failed("down", FailureClass::Transient(None));
    machine.answered(request, failed, &settings, &at(30));
    let (_, record) = swap(&mut machine, Purpose::Outcome, &settings, &at(30));
    assert_eq!(record.pause.map(|pause| pause.attempts), Some(2));
}
