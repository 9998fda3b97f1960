//! Claims to renew, and the marks of other sessions.

use super::*;

const LEASE: Duration = Duration::from_secs(10);

fn mark(holder: u64) -> Option<Mark> {
    Some(Mark { holder: Some(holder), at: 0, lease: LEASE })
}

/// The mark of a record whose holder is not known.
fn nobody(at: u64) -> Option<Mark> {
    Some(Mark { holder: None, at, lease: LEASE })
}

/// A session that has seen the mark of another one at second 0, and wants a renewal.
fn watching(settings: &Settings) -> Tested {
    stored(&live(EXPIRED).with_mark(mark(9)), settings)
}

#[test]
fn another_sessions_mark_is_read_again_after_waits_that_double() {
    let settings = Settings {
        looks: (Duration::from_millis(10), Duration::from_millis(30)),
        ..settings(Home::Store)
    };
    let mut machine = watching(&settings);
    let millis = |millis| Some(Duration::from_millis(millis));
    assert_eq!(actions(&mut machine, &settings, &at(0)), []);
    assert_eq!(machine.wake_at(&settings), millis(5));
    for (due, jitter, next) in [(5, 0, 15), (15, u32::MAX, 60), (60, 0, 75)] {
        let due = Now { jitter, ..at_millis(due) };
        assert_eq!(actions(&mut machine, &settings, &before(&due)), []);
        let call = load(&mut machine, &settings, &due);
        let record = live(EXPIRED).with_mark(mark(9));
        machine.loaded(call, Ok(Some((record, 1))), &settings, &due);
        assert_eq!(actions(&mut machine, &settings, &due), [], "not twice at a time");
        assert_eq!(machine.wake_at(&settings), millis(next));
    }
}

/// Reads the same mark again, and then waits.
#[track_caller]
fn read_once(machine: &mut Tested, settings: &Settings, now: &Now) {
    actions(machine, settings, &at(0));
    let call = load(machine, settings, now);
    let record = live(EXPIRED).with_mark(mark(9));
    machine.loaded(call, Ok(Some((record, 1))), settings, now);
    assert_eq!(actions(machine, settings, now), []);
}

#[test]
fn another_sessions_mark_is_dead_once_it_has_not_changed_for_a_lease() {
    let settings = settings(Home::Store);
    let mut machine = watching(&settings);
    let last = before(&at(10));
    read_once(&mut machine, &settings, &last);
    let (_, record) = swap(&mut machine, Purpose::Mark, &settings, &at(10));
    let ours = Mark { holder: Some(7), at: 10_000, lease: LEASE };
    assert_eq!(record, live(EXPIRED).with_mark(Some(ours)));
}

#[test]
fn after_an_outage_another_sessions_mark_has_a_whole_lease() {
    let settings = settings(Home::Store);
    let mut machine = watching(&settings);
    actions(&mut machine, &settings, &at(0));
    let call = load(&mut machine, &settings, &at(1));
    let ticket = machine.ticket(&Target::OWN);
    machine.loaded(call, Err(slow()), &settings, &at(9));
    assert_eq!(machine.poll(&ticket, &settings, &at(9)), Poll::Failed(Reason::Error("slow")));
    assert_eq!(
        machine.retry_at(&Target::OWN, &settings, &at(9)),
        Some(Some(Duration::from_secs(10)))
    );
    assert_eq!(wants(&mut machine, &settings, &at(10)), Poll::Wait);
    actions(&mut machine, &settings, &at(10));
    let call = load(&mut machine, &settings, &at(11));
    let record = live(EXPIRED).with_mark(mark(9));
    machine.loaded(call, Ok(Some((record, 1))), &settings, &at(11));
    assert_eq!(machine.retry_at(&Target::OWN, &settings, &at(11)), None);
    let last = before(&at(21));
    read_once(&mut machine, &settings, &last);
    swap(&mut machine, Purpose::Mark, &settings, &at(21));
}

#[test]
fn a_request_that_waits_for_others_gives_up_after_its_patience() {
    let settings = settings(Home::Store);
    let mut machine = watching(&settings);
    let ticket = machine.ticket(&Target::OWN);
    actions(&mut machine, &settings, &at(0));
    let call = load(&mut machine, &settings, &at(1));
    // The mark changes all the time.
    let seen = |number: u64| (live(EXPIRED).with_mark(mark(number)), 10);
    machine.loaded(call, Ok(Some(seen(10))), &settings, &before(&at(65)));
    assert_eq!(machine.poll(&ticket, &settings, &before(&at(65))), Poll::Wait);
    machine.take_notes();
    assert_eq!(actions(&mut machine, &settings, &at(65)), []);
    assert_eq!(machine.poll(&ticket, &settings, &at(65)), Poll::Failed(Reason::Busy));
    assert_eq!(
        machine.retry_at(&Target::OWN, &settings, &at(65)),
        Some(Some(Duration::from_secs(66)))
    );
}

#[test]
fn a_claim_is_good_for_half_a_lease_on_both_clocks() {
    let settings = settings(Home::Store);
    let slept = Now { wall: UNIX_EPOCH + Duration::from_secs(5), ..at(1) };
    for (now, is_young) in [(before(&at(5)), true), (at(5), false), (slept, false)] {
        let mut machine = stored(&live(EXPIRED), &settings);
        let (call, _) = swap(&mut machine, Purpose::Mark, &settings, &at(0));
        machine.swapped(call, Ok(Swapped::Stored(2)), &settings, &now);
        let action = machine.next(&settings, &now);
        assert_eq!(matches!(action, Some(Action::Present { .. })), is_young, "{action:?}");
        assert_eq!(matches!(action, Some(Action::Swap { .. })), !is_young, "{action:?}");
    }
}

#[test]
fn a_claim_that_took_long_presents_once_and_a_second_try_that_took_long_does_not() {
    let settings = settings(Home::Store);
    let mut machine = stored(&live(EXPIRED), &settings);
    let ticket = machine.ticket(&Target::OWN);
    let (call, _) = swap(&mut machine, Purpose::Mark, &settings, &at(0));
    machine.swapped(call, Ok(Swapped::Stored(2)), &settings, &at(31));
    let (call, _) = swap(&mut machine, Purpose::Mark, &settings, &at(31));
    machine.swapped(call, Ok(Swapped::Stored(3)), &settings, &at(31));
    let request = presented(&mut machine, &settings, &at(31));
    machine.answered(request, Answer::Lost("cut"), &settings, &at(32));
    let (call, _) = swap(&mut machine, Purpose::Mark, &settings, &at(33));
    machine.swapped(call, Ok(Swapped::Stored(4)), &settings, &at(61));
    let (_, record) = swap(&mut machine, Purpose::Outcome, &settings, &at(61));
    assert_eq!(record, live(EXPIRED));
    assert_eq!(machine.poll(&ticket, &settings, &at(61)), Poll::Failed(Reason::Busy));
    assert_eq!(
        machine.retry_at(&Target::OWN, &settings, &at(61)),
        Some(Some(Duration::from_secs(62)))
    );
}

#[test]
fn a_second_try_needs_time_within_the_limit() {
    let settings = settings(Home::Memory);
    for (lost, tries) in [(at_millis(29_749), true), (at_millis(29_750), false)] {
        let mut machine = given(EXPIRED);
        wants(&mut machine, &settings, &at(0));
        let request = presented(&mut machine, &settings, &at(0));
        machine.take_notes();
        machine.answered(request, Answer::Lost("cut"), &settings, &lost);
        assert_eq!(machine.take_notes() == [Note::ResponseLost("cut")], tries);
    }
}

#[test]
fn a_mark_that_the_store_has_lost_is_swapped_in_again_while_the_request_is_under_way() {
    let settings = settings(Home::Store);
    let (mut machine, _) = renewing(&settings);
    machine.take_notes();
    let (call, _) = swap(&mut machine, Purpose::Mark, &settings, &at(4));
    machine.swapped(call, Ok(Swapped::Conflict(None)), &settings, &at(4));
    let (_, record) = swap(&mut machine, Purpose::Mark, &settings, &at(4));
    assert_eq!((record.state, record.generation), (State::Live(Some(EXPIRED)), 0));
    assert!(!machine.has_notes());
}

#[test]
fn a_mark_that_another_session_has_replaced_is_lost() {
    let settings = settings(Home::Store);
    let renewed = Record { generation: 1, ..live(FRESH) };
    for record in [live(EXPIRED).with_mark(mark(9)), renewed] {
        let (mut machine, request) = renewing(&settings);
        let ticket = machine.ticket(&Target::OWN);
        machine.take_notes();
        let (call, _) = swap(&mut machine, Purpose::Mark, &settings, &at(4));
        let conflict = Swapped::Conflict(Some((record.clone(), 3)));
        machine.swapped(call, Ok(conflict), &settings, &at(4));
        let notes = machine.take_notes();
        assert!(notes.contains(&Note::LeaseLost), "{notes:?}");
        assert_eq!(actions(&mut machine, &settings, &at(8)), []);
        // What the other session brought is used, and there is no second try.
        if record.generation == 1 {
            assert_eq!(machine.poll(&ticket, &settings, &at(8)), Poll::Ready(FRESH));
            machine.answered(request, Answer::Lost("cut"), &settings, &at(8));
            let notes = machine.take_notes();
            assert!(!notes.contains(&Note::ResponseLost("cut")), "{notes:?}");
        }
    }
}

#[test]
fn a_store_that_fails_does_not_end_the_request_under_way() {
    let settings = settings(Home::Store);
    let (mut machine, request) = renewing(&settings);
    machine.take_notes();
    for _ in 0..2 {
        let (call, _) = swap(&mut machine, Purpose::Mark, &settings, &at(4));
        machine.swapped(call, Err(slow()), &settings, &at(4));
    }
    assert!(!machine.has_notes());
    assert!(machine.is_current(&request));
}

#[test]
fn what_the_store_has_lost_is_written_back_with_the_mark_of_nobody() {
    let settings = settings(Home::Store);
    let mut machine = stored(&live(EXPIRED), &settings);
    let (call, _) = swap(&mut machine, Purpose::Mark, &settings, &at(0));
    machine.swapped(call, Ok(Swapped::Conflict(None)), &settings, &at(2));
    let (_, record) = swap(&mut machine, Purpose::Restore, &settings, &at(2));
    assert_eq!(record, live(EXPIRED).with_mark(nobody(2000)));
}

#[test]
fn what_no_store_has_seen_and_what_has_ended_is_written_back_without_a_mark() {
    let settings = settings(Home::Store);
    let lost = |mut machine: Tested| {
        let by_hand = machine.ticket_for_another(&Target::OWN, None, true);
        machine.poll(&by_hand, &settings, &at(2));
        let call = load(&mut machine, &settings, &at(2));
        machine.loaded(call, Ok(None), &settings, &at(2));
        swap(&mut machine, Purpose::Restore, &settings, &at(2)).1
    };
    assert_eq!(lost(given(EXPIRED)), Record { number: 0, ..live(EXPIRED) });
    let ended = Record { state: State::Ended("no"), ..live(EXPIRED) };
    let mut machine = Tested::new(7);
    machine.known = Some(ended.clone());
    assert_eq!(lost(machine), ended);
}

#[test]
fn a_session_that_asks_the_grant_first_begins_a_login_of_its_own() {
    let settings = Settings { has_grant: true, ..settings(Home::Store) };
    let mut machine = Tested::new(1 << 32 | 7);
    let now = Now { jitter: 5, ..at(3) };
    wants(&mut machine, &settings, &now);
    let call = load(&mut machine, &settings, &now);
    machine.loaded(call, Ok(None), &settings, &now);
    let (_, record) = swap(&mut machine, Purpose::Mark, &settings, &now);
    assert_eq!((record.login, record.number, record.generation), (4 << 32 | 7, 3000, 0));
}

#[test]
fn an_older_login_in_the_store_is_replaced_by_the_one_that_is_known() {
    let settings = settings(Home::Store);
    let known = Record { number: 5, ..live(EXPIRED) };
    let mut machine = stored(&known, &settings);
    let (call, _) = swap(&mut machine, Purpose::Mark, &settings, &at(0));
    let older = Record { login: 9, number: 2, ..live(FRESH) };
    let conflict = Swapped::Conflict(Some((older, 3)));
    machine.swapped(call, Ok(conflict), &settings, &at(0));
    let (_, record) = swap(&mut machine, Purpose::Restore, &settings, &at(0));
    assert_eq!(record, known.with_mark(nobody(0)));
}
