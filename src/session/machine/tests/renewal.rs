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

/// It has no key, say; another process may have one.
#[test]
fn what_keeps_only_this_process_from_renewing_is_not_recorded_and_the_store_is_looked_at() {
    let settings = settings(Home::Store);
    let (mut machine, request) = renewing(&settings);
    machine.answered(request, Answer::Failed("no key", FailureClass::Local), &settings, &at(0));
    let (call, record) = swap(&mut machine, Purpose::Outcome, &settings, &at(0));
    assert_eq!((record.mark, &record.pause), (None, &None));
    machine.swapped(call, Ok(Swapped::Stored(3)), &settings, &at(0));
    for seconds in [2, 59] {
        assert_eq!(wants(&mut machine, &settings, &at(seconds)), Poll::Wait);
        let call = load(&mut machine, &settings, &at(seconds));
        machine.loaded(call, Ok(Some((record.clone(), 3))), &settings, &at(seconds));
        // What it has just read is true for a moment.
        let error = Poll::Failed(Reason::Error("no key"));
        assert_eq!(wants(&mut machine, &settings, &at(seconds)), error);
        assert_eq!(actions(&mut machine, &settings, &at(seconds)), []);
    }
    assert_eq!(wants(&mut machine, &settings, &at(60)), Poll::Wait);
    swap(&mut machine, Purpose::Mark, &settings, &at(60));
}

#[test]
fn where_the_store_fails_or_a_sign_in_waits_for_it_nothing_is_looked_at() {
    for is_down in [false, true] {
        let settings = settings(Home::Store);
        let (mut machine, request) = renewing(&settings);
        machine.answered(request, Answer::Failed("no key", FailureClass::Local), &settings, &at(0));
        let (call, _) = swap(&mut machine, Purpose::Outcome, &settings, &at(0));
        machine.swapped(call, Ok(Swapped::Stored(3)), &settings, &at(0));
        if is_down {
            machine.store.retry_at = Some(Duration::from_secs(9));
            assert_eq!(
                wants(&mut machine, &settings, &at(2)),
                Poll::Failed(Reason::Error("no key"))
            );
        } else {
            machine.set_login(2, Some(FRESH), &settings, &at(2));
            assert_eq!(wants(&mut machine, &settings, &at(2)), Poll::Wait);
        }
        assert!(!machine.wants_read, "{is_down}");
    }
}
