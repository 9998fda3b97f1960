//! Renewals while the store fails.

use super::*;

/// A session whose store has not answered until second 9, and is not asked before second 11.
fn without_store(settings: &Settings) -> (Tested, Ticket) {
    let mut machine = Tested::new(7);
    let ticket = machine.ticket(&Target::OWN);
    machine.poll(&ticket, settings, &at(0));
    let call = load(&mut machine, settings, &at(0));
    machine.take_notes();
    let now = Now { jitter: u32::MAX, ..at(9) };
    machine.loaded(call, Err(slow()), settings, &now);
    (machine, ticket)
}

#[test]
fn a_grant_is_asked_although_the_store_fails_once() {
    let settings = Settings { has_grant: true, ..settings(Home::Store) };
    let (mut machine, ticket) = without_store(&settings);
    assert_eq!(machine.take_notes(), [Note::RenewingWithoutStore("slow")]);
    let request = presented(&mut machine, &settings, &at(9));
    assert!(!request.refresh);
    assert_eq!(actions(&mut machine, &settings, &at(9)), [], "one at a time");
    // It fails as well. No record says so, so the whole wait is this session's own.
    let now = Now { jitter: u32::MAX, ..at(9) };
    machine.answered(request, Answer::Failed("no", FailureClass::Transient(None)), &settings, &now);
    assert_eq!(machine.poll(&ticket, &settings, &at(9)), Poll::Failed(Reason::Error("no")));
    assert_eq!(
        machine.retry_at(&Target::OWN, &settings, &at(9)),
        Some(Some(Duration::from_secs(11)))
    );
    assert_eq!(machine.outcome, None);
    assert_eq!(actions(&mut machine, &settings, &at(9)), []);
}

#[test]
fn a_grant_that_fails_says_nothing_of_a_refresh_token() {
    let settings = Settings { has_grant: true, has_client: false, ..settings(Home::Memory) };
    let mut machine = given(DUE);
    wants(&mut machine, &settings, &at(0));
    let request = presented(&mut machine, &settings, &at(0));
    let class = FailureClass::Foreign { in_doubt: true, retry_after: None };
    machine.answered(request, Answer::Failed("page", class), &settings, &at(0));
    assert!(!machine.response_lost);
}

#[test]
fn while_a_sign_in_waits_for_the_store_nothing_is_renewed() {
    let settings = Settings { has_grant: true, ..settings(Home::Store) };
    let (mut machine, _) = without_store(&settings);
    machine.set_login(2, Some(EXPIRED), &settings, &at(9));
    machine.store.retry_at = Some(Duration::from_secs(11));
    machine.own.wanted = Some(Duration::from_secs(9));
    assert_eq!(actions(&mut machine, &settings, &at(9)), []);
}

#[test]
fn whoever_wants_a_token_while_a_sign_in_waits_for_the_store_gets_its_error() {
    for settings in [
        Settings { renew_without_store: true, ..settings(Home::Store) },
        Settings { has_grant: true, ..settings(Home::Store) },
    ] {
        let mut machine = stored(&live(FRESH), &settings);
        machine.set_login(2, Some(EXPIRED), &settings, &at(0));
        machine.take_notes();
        let mut waiting = Vec::new();
        for seconds in 0..3 {
            let (call, _) = swap(&mut machine, Purpose::Login, &settings, &at(seconds));
            machine.swapped(call, Err(slow()), &settings, &at(seconds));
            let notes = machine.take_notes();
            assert!(!notes.contains(&Note::RenewingWithoutStore("slow")), "{notes:?}");
            // Until the next attempt at once, then with its answer.
            waiting.push(machine.ticket(&Target::OWN));
            for ticket in &waiting {
                let down = Poll::Failed(Reason::Error("slow"));
                assert_eq!(machine.poll(ticket, &settings, &at(seconds)), down);
            }
            waiting = vec![machine.ticket(&Target::OWN)];
            assert_eq!(machine.poll(&waiting[0], &settings, &at(seconds + 1)), Poll::Wait);
        }
    }
}

#[test]
fn a_refresh_token_is_presented_without_the_store_if_the_application_says_so() {
    let careful = settings(Home::Store);
    let mut machine = given(EXPIRED);
    let ticket = machine.ticket(&Target::OWN);
    machine.poll(&ticket, &careful, &at(0));
    let call = load(&mut machine, &careful, &at(0));
    machine.loaded(call, Err(slow()), &careful, &at(9));
    assert_eq!(machine.poll(&ticket, &careful, &at(9)), Poll::Failed(Reason::Error("slow")));
    assert_eq!(actions(&mut machine, &careful, &at(9)), []);

    let settings = Settings { renew_without_store: true, ..careful };
    let mut machine = given(EXPIRED);
    machine.poll(&ticket, &settings, &at(0));
    let call = load(&mut machine, &settings, &at(0));
    let now = Now { jitter: u32::MAX, ..at(9) };
    machine.loaded(call, Err(slow()), &settings, &now);
    let request = presented(&mut machine, &settings, &at(9));
    assert_eq!((request.generation, request.refresh), (0, true));
    machine.answered(request, Answer::Lost("cut"), &settings, &at(9));
    assert_eq!(actions(&mut machine, &settings, &before(&at_millis(9250))), []);
    let request = presented(&mut machine, &settings, &at_millis(9250));
    let token = Numbered(101, Stage::Expired);
    machine.answered(request, Answer::Token(token.clone()), &settings, &at_millis(9250));
    // The next renewal presents what this one brought, though it is not stored.
    machine.store.retry_at = Some(Duration::from_secs(11));
    machine.own.wanted = Some(Duration::from_secs(10));
    let request = presented(&mut machine, &settings, &at(10));
    assert_eq!((request.generation, request.token), (1, Some(token)));
}

#[test]
fn a_store_that_fails_is_asked_again_after_half_a_lease_at_the_latest() {
    let settings = settings(Home::Store);
    let mut machine = Tested::new(7);
    let mut seconds = 0;
    for wait in [2, 3, 5, 5, 5] {
        let now = Now { jitter: u32::MAX, ..at(seconds) };
        assert_eq!(wants(&mut machine, &settings, &now), Poll::Wait);
        let call = load(&mut machine, &settings, &now);
        machine.loaded(call, Err(slow()), &settings, &now);
        seconds += wait;
        let retry_at = Some(Some(Duration::from_secs(seconds)));
        assert_eq!(machine.retry_at(&Target::OWN, &settings, &now), retry_at);
    }
}

#[test]
fn a_store_that_fails_longer_than_a_backoff_is_what_a_renewal_waits_for() {
    let careful = settings(Home::Store);
    let without_store = Settings { renew_without_store: true, ..careful };
    let mut machine = stored(&live(EXPIRED), &careful);
    machine.fail(
        &Target::OWN,
        Reason::Error("later"),
        Some(Duration::from_secs(3)),
        FailureOf::Login,
        &at(0),
    );
    machine.store.error = Some("down");
    for (store, careful_until, until) in [(9, 9, 3), (2, 3, 3)] {
        machine.store.retry_at = Some(Duration::from_secs(store));
        let at_seconds = |seconds| Some(Some(Duration::from_secs(seconds)));
        assert_eq!(machine.retry_at(&Target::OWN, &careful, &at(5)), at_seconds(careful_until));
        assert_eq!(machine.retry_at(&Target::OWN, &without_store, &at(5)), at_seconds(until));
    }
    machine.failure.as_mut().unwrap().retry_at = None;
    assert_eq!(machine.retry_at(&Target::OWN, &careful, &at(5)), Some(None));
}

#[test]
fn while_the_store_fails_it_is_not_known_whether_the_login_has_ended() {
    let settings = settings(Home::Store);
    let record = Record { state: State::Ended("no"), ..live(EXPIRED) };
    let mut machine = stored(&record, &settings);
    assert_eq!(actions(&mut machine, &settings, &at(0)), []);
    // Another session may have stored a new login meanwhile.
    let ticket = machine.ticket(&Target::OWN);
    assert_eq!(machine.poll(&ticket, &settings, &at(1)), Poll::Wait);
    let call = load(&mut machine, &settings, &at(1));
    machine.loaded(call, Err(slow()), &settings, &at(1));
    assert_eq!(machine.poll(&ticket, &settings, &at(1)), Poll::Failed(Reason::Error("slow")));
    // The next look says so.
    let ticket = machine.ticket(&Target::OWN);
    assert_eq!(machine.poll(&ticket, &settings, &at(9)), Poll::Wait);
    let call = load(&mut machine, &settings, &at(9));
    machine.loaded(call, Ok(Some((record, 1))), &settings, &at(9));
    assert_eq!(actions(&mut machine, &settings, &at(9)), []);
    let ended = Reason::Ended { error: "no", lost: false };
    assert_eq!(machine.poll(&ticket, &settings, &at(9)), Poll::Failed(ended));
}

/// Whatever the store is asked now fails. What else is to be done.
fn while_it_fails(
    machine: &mut Tested,
    settings: &Settings,
    now: &Now,
) -> Option<Action<Numbered, &'static str>> {
    loop {
        match actions(machine, settings, now).pop() {
            Some(Action::Load { call }) => machine.loaded(call, Err(slow()), settings, now),
            Some(Action::Swap { call, .. }) => machine.swapped(call, Err(slow()), settings, now),
            other => return other,
        }
    }
}

#[test]
fn a_backoff_is_kept_while_the_store_fails() {
    let settings = Settings { renew_without_store: true, ..settings(Home::Store) };
    let later = Duration::from_secs(300);
    let pause = Some(Pause::new(at(0).wall, later, "later", 1));
    let mut stored = stored(&Record { pause, ..live(EXPIRED) }, &settings);
    assert_eq!(actions(&mut stored, &settings, &at(0)), []);
    let answered = |answer| {
        let (mut machine, request) = renewing(&settings);
        machine.answered(request, answer, &settings, &at(0));
        machine
    };
    let failed = Answer::Failed("later", FailureClass::Transient(Some(later)));
    let rotated = Answer::Rotated(Numbered(4, Stage::Expired), "later", Some(later));
    for (name, mut machine) in [
        ("stored before", stored),
        ("not stored yet", answered(failed)),
        ("not stored yet, beside a new refresh token", answered(rotated)),
    ] {
        for seconds in [10, 299] {
            let now = at(seconds);
            let ticket = machine.ticket(&Target::OWN);
            assert_eq!(machine.poll(&ticket, &settings, &now), Poll::Wait, "{name}");
            assert_eq!(while_it_fails(&mut machine, &settings, &now), None, "{name}");
            let failed = Poll::Failed(Reason::Error("slow"));
            assert_eq!(machine.poll(&ticket, &settings, &now), failed, "{name}");
        }
        assert_eq!(wants(&mut machine, &settings, &at(310)), Poll::Wait, "{name}");
        let action = while_it_fails(&mut machine, &settings, &at(310));
        assert!(matches!(action, Some(Action::Present { .. })), "{name}");
    }
}

#[test]
fn a_new_token_that_is_not_stored_yet_ends_the_backoff_that_is() {
    let settings = Settings { renew_without_store: true, ..settings(Home::Store) };
    let pause = Some(Pause::new(at(0).wall, Duration::from_secs(300), "later", 1));
    let mut machine = stored(&Record { pause, ..live(EXPIRED) }, &settings);
    actions(&mut machine, &settings, &at(0));
    let state = State::Live(Some(EXPIRED));
    machine.outcome = Some(Outcome::Gained(Record { generation: 1, state, ..live(EXPIRED) }));
    assert!(machine.renewable_without_store(&settings, &at(10)).is_some());
}

#[test]
fn whoever_renews_without_the_store_watches_no_mark() {
    let settings = Settings { renew_without_store: true, ..settings(Home::Store) };
    let mark = Some(Mark { holder: Some(8), at: 0, lease: settings.lease });
    let mut machine = stored(&live(EXPIRED).with_mark(mark), &settings);
    assert_eq!(actions(&mut machine, &settings, &at(0)), []);
    let call = load(&mut machine, &settings, &at(1));
    machine.loaded(call, Err(slow()), &settings, &at(6));
    presented(&mut machine, &settings, &at(6));
    assert_eq!(machine.wake_at(&settings), Some(Duration::from_secs(7)), "the store is asked");
}

#[test]
fn a_mark_on_what_nobody_knows_any_more_is_not_kept() {
    let settings =
        Settings { has_grant: true, grant_limit: Duration::from_secs(60), ..settings(Home::Store) };
    let mut machine = Tested::new(7);
    wants(&mut machine, &settings, &at(0));
    let call = load(&mut machine, &settings, &at(0));
    machine.loaded(call, Ok(None), &settings, &at(0));
    let (call, _) = swap(&mut machine, Purpose::Mark, &settings, &at(0));
    machine.swapped(call, Ok(Swapped::Stored(1)), &settings, &at(0));
    let request = presented(&mut machine, &settings, &at(0));
    // The store has lost its content.
    let (call, _) = swap(&mut machine, Purpose::Mark, &settings, &at(4));
    machine.swapped(call, Ok(Swapped::Conflict(None)), &settings, &at(4));
    assert_eq!(actions(&mut machine, &settings, &at(4)), []);
    assert_eq!(machine.wake_at(&settings), None);
    machine.answered(request, Answer::Token(Numbered(101, Stage::Fresh)), &settings, &at(5));
    swap(&mut machine, Purpose::Outcome, &settings, &at(5));
}
