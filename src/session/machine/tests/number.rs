//! Records that another program wrote, without a number.

use super::*;

/// A session that knows this token as login 1, number 5, generation 3, and reads a record without a
/// number at second 1000.
fn read(login: u64, token: Numbered) -> (u64, u64, u64) {
    let settings = settings(Home::Store);
    let mut machine = Tested::new(7);
    machine.known = Some(Record { number: 5, generation: 3, ..live(EXPIRED) });
    let by_hand = machine.ticket_for_another(&Target::OWN, None, true);
    machine.poll(&by_hand, &settings, &at(1000));
    let call = load(&mut machine, &settings, &at(1000));
    let record = Record { login, number: UNNUMBERED, generation: 4, ..live(token) };
    machine.loaded(call, Ok(Some((record, 1))), &settings, &at(1000));
    let record = machine.seen.unwrap().record.unwrap();
    (record.login, record.number, record.generation)
}

#[test]
fn a_record_without_a_number_is_a_sign_in_unless_its_login_or_token_is_known() {
    assert_eq!(read(9, FRESH), (9, 1_000_000, 4));
    assert_eq!(read(1, FRESH), (1, 5, 4));
    assert_eq!(read(9, EXPIRED), (1, 5, 3));
}

#[test]
fn what_is_learned_is_known_without_mark_and_pause() {
    let settings = settings(Home::Store);
    let mark = Some(Mark { holder: Some(9), at: 0, lease: Duration::from_secs(10) });
    let pause = Some(Pause::new(UNIX_EPOCH, Duration::from_secs(30), "down", 1));
    let record = Record { mark, pause, ..live(EXPIRED) };
    let machine = stored(&record, &settings);
    assert_eq!(machine.known, Some(live(EXPIRED)));
    assert_eq!(machine.seen.unwrap().record, Some(record));
}

/// A session with a renewal under way, and the record that it then reads.
fn learned(record: Record<Numbered, &'static str>) -> Tested {
    let settings = settings(Home::Store);
    let (mut machine, _) = renewing(&settings);
    machine.response_lost = true;
    machine.failure = Some(Failure {
        reason: Reason::Error("down"),
        attempts: 1,
        retry_at: Some(Duration::from_secs(100)),
        of: FailureOf::Login,
    });
    let (call, _) = swap(&mut machine, Purpose::Mark, &settings, &at(4));
    let conflict = Swapped::Conflict(Some((record, 3)));
    machine.swapped(call, Ok(conflict), &settings, &at(4));
    machine
}

#[test]
fn another_login_in_the_store_takes_the_place_of_the_one_that_is_being_renewed() {
    let machine = learned(Record { login: 9, number: 5, ..live(FRESH) });
    assert_eq!((machine.request.is_some(), machine.abandoned), (false, 1));
    assert!(!machine.response_lost);
    assert!(machine.attempt.is_none());
    let machine = learned(Record { generation: 1, ..live(FRESH) });
    assert_eq!((machine.request.is_some(), machine.abandoned), (true, 0));
    assert!(machine.response_lost);
}

#[test]
fn a_good_token_from_the_store_ends_the_wait_and_the_failure() {
    let newer = |token| Record { generation: 1, ..live(token) };
    let state = |machine: Tested| (machine.wanted().is_none(), machine.failure.is_none());
    assert_eq!(state(learned(newer(FRESH))), (true, true));
    assert_eq!(state(learned(newer(DUE))), (true, true));
    let expired = Numbered(4, Stage::Expired);
    assert_eq!(state(learned(newer(expired))), (false, false));
    // The same access token is no other one: only the refresh token is new.
    let same = |stage| Numbered(3, stage);
    assert_eq!(state(learned(newer(same(Stage::Due)))), (false, true));
    // Unless it lives longer.
    assert_eq!(state(learned(newer(same(Stage::Fresh)))), (true, true));
    let pause = Some(Pause::new(UNIX_EPOCH, Duration::from_secs(30), "down", 1));
    assert_eq!(state(learned(Record { pause, ..newer(FRESH) })), (true, false));
}

#[test]
fn the_same_access_token_for_longer_is_another_one_to_those_who_wait_for_that() {
    let settings = settings(Home::Store);
    for (before, after, is_another) in [
        (Stage::Due, Stage::Fresh, true),
        (Stage::Expired, Stage::Fresh, true),
        (Stage::Fresh, Stage::Fresh, false),
        (Stage::Due, Stage::Due, false),
    ] {
        let (before, after) = (Numbered(3, before), Numbered(3, after));
        let mut machine = stored(&live(before.clone()), &settings);
        let ticket = machine.ticket_for_another(&Target::OWN, Some(&before), true);
        assert_eq!(machine.poll(&ticket, &settings, &at(0)), Poll::Wait);
        let (call, _) = swap(&mut machine, Purpose::Mark, &settings, &at(0));
        let newer = Record { generation: 1, ..live(after.clone()) };
        let conflict = Swapped::Conflict(Some((newer, 3)));
        machine.swapped(call, Ok(conflict), &settings, &at(0));
        let answer = machine.poll(&ticket, &settings, &at(0));
        let expected = if is_another { Poll::Ready(after) } else { Poll::Wait };
        assert_eq!(answer, expected, "{before:?}");
        assert_eq!(machine.wanted().is_none(), is_another, "{before:?}");
    }
}

#[test]
fn a_rejected_token_stays_rejected_however_long_it_lives() {
    let settings = settings(Home::Store);
    let mut machine = stored(&live(DUE), &settings);
    let rejection = Rejection { path: 5, accepted_by: None };
    assert!(machine.rejected(&Target::OWN, &DUE, rejection, &settings, &at(0)));
    assert_eq!(wants(&mut machine, &settings, &at(0)), Poll::Wait);
    let (call, _) = swap(&mut machine, Purpose::Mark, &settings, &at(0));
    let newer = Record { generation: 1, ..live(Numbered(DUE.0, Stage::Fresh)) };
    let conflict = Swapped::Conflict(Some((newer, 3)));
    machine.swapped(call, Ok(conflict), &settings, &at(0));
    assert!(machine.is_rejected(&Target::OWN));
    assert!(machine.wanted().is_some());
}

#[test]
fn the_rejected_token_under_a_new_refresh_token_is_as_bad_as_before() {
    let settings = settings(Home::Store);
    for (token, is_wanted) in [(FRESH, true), (DUE, false)] {
        let mut machine = stored(&live(FRESH), &settings);
        let rejection = Rejection { path: 5, accepted_by: None };
        assert!(machine.rejected(&Target::OWN, &FRESH, rejection, &settings, &at(0)));
        assert_eq!(wants(&mut machine, &settings, &at(0)), Poll::Wait);
        machine.failure = Some(Failure {
            reason: Reason::Error("down"),
            attempts: 1,
            retry_at: None,
            of: FailureOf::Login,
        });
        let (call, _) = swap(&mut machine, Purpose::Mark, &settings, &at(0));
        let newer = Record { generation: 1, ..live(token) };
        let conflict = Swapped::Conflict(Some((newer, 3)));
        machine.swapped(call, Ok(conflict), &settings, &at(0));
        assert_eq!((machine.wanted().is_some(), machine.failure.is_some()), (is_wanted, is_wanted));
    }
}
