//! Sign-ins and sign-outs.

use super::*;

#[test]
fn of_two_sign_outs_neither_is_over_before_the_token_is_revoked() {
    let settings = settings(Home::Memory);
    let mut machine = given(FRESH);
    machine.set_login(2, None, &settings, &at(0));
    assert!(machine.is_busy());
    assert_eq!(actions(&mut machine, &settings, &at(0)), [Action::Revoke { token: FRESH }]);
    machine.set_login(3, None, &settings, &at(1));
    assert_eq!(machine.poll_sign_out(2), Poll::Wait);
    assert_eq!(machine.poll_sign_out(3), Poll::Wait);
    machine.revoked(Ok(()), &settings, &at(2));
    assert_eq!(actions(&mut machine, &settings, &at(2)), []);
    assert_eq!(machine.poll_sign_out(2), Poll::Ready(()));
    assert!(!machine.is_busy());
}

/// A sign-in's swap that is to be made now.
#[track_caller]
fn sign_in(
    machine: &mut Tested,
    settings: &Settings,
    now: &Now,
) -> (u32, Record<Numbered, &'static str>) {
    match actions(machine, settings, now).pop() {
        Some(Action::Swap { call, purpose: Purpose::Login, record, .. }) => (call, record),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_sign_in_that_may_have_been_stored_and_replaced_is_not_stored_again() {
    let settings = settings(Home::Store);
    let mut machine = Tested::new(7);
    machine.set_login(1, Some(FRESH), &settings, &at(10));
    let load = actions(&mut machine, &settings, &at(10));
    let [Action::Load { call }] = load[..] else { panic!("{load:?}") };
    machine.loaded(call, Ok(None), &settings, &at(10));
    // Two attempts without an answer. Between them another session signs in.
    let (call, first) = sign_in(&mut machine, &settings, &at(10));
    let failure = || StoreFailure { error: "down", slow: false, unreadable: None };
    machine.swapped(call, Err(failure()), &settings, &at(10));
    let (call, _) = sign_in(&mut machine, &settings, &at(30));
    machine.swapped(call, Err(failure()), &settings, &at(30));
    let (call, _) = sign_in(&mut machine, &settings, &at(60));
    let other = Record { login: 2, number: first.number + 1, ..first };
    let conflict = Swapped::Conflict(Some((other, 5)));
    machine.swapped(call, Ok(conflict), &settings, &at(60));
    assert_eq!(actions(&mut machine, &settings, &at(60)), []);
    assert_eq!(machine.poll_login(1, &settings), Poll::Ready(()));
}

#[test]
fn a_sign_out_is_not_stored_because_the_sign_in_before_it_is() {
    let settings = settings(Home::Store);
    let mut machine = Tested::new(7);
    machine.set_login(1, Some(FRESH), &settings, &at(0));
    let load = actions(&mut machine, &settings, &at(0));
    let [Action::Load { call }] = load[..] else { panic!("{load:?}") };
    machine.loaded(call, Ok(None), &settings, &at(0));
    let (call, _) = sign_in(&mut machine, &settings, &at(0));
    machine.set_login(2, None, &settings, &at(1));
    machine.swapped(call, Ok(Swapped::Stored(1)), &settings, &at(1));
    assert_eq!(machine.poll_sign_out(2), Poll::Wait);
    let (call, record) = sign_in(&mut machine, &settings, &at(1));
    assert_eq!((record.login, record.state), (2, State::SignedOut));
    machine.swapped(call, Ok(Swapped::Stored(2)), &settings, &at(1));
    assert_eq!(actions(&mut machine, &settings, &at(1)), [Action::Revoke { token: FRESH }]);
}

/// Another session may be renewing it.
#[test]
fn the_very_token_that_is_stored_under_a_mark_begins_no_other_login() {
    let settings = settings(Home::Store);
    let mark = Some(Mark { holder: Some(9), at: 0, lease: Duration::from_secs(10) });
    let marked = || live(EXPIRED).with_mark(mark);
    let replaced = |record: &Record<Numbered, &'static str>, token: Option<Numbered>| {
        let mut machine = stored(record, &settings);
        machine.set_login(2, token, &settings, &at(1));
        let actions = actions(&mut machine, &settings, &at(1));
        let swaps = |action| matches!(action, &Action::Swap { purpose: Purpose::Login, .. });
        let is_replaced = actions.iter().any(swaps);
        assert_eq!(is_replaced, machine.pending.is_some());
        assert_eq!(is_replaced, machine.poll_login(2, &settings) == Poll::Wait);
        is_replaced
    };
    assert!(!replaced(&marked(), Some(EXPIRED)));
    assert!(replaced(&live(EXPIRED), Some(EXPIRED)), "nobody renews it");
    assert!(replaced(&marked(), Some(FRESH)));
    assert!(replaced(&marked(), None), "a sign-out");
    // The store has lost the login that is known, and holds one before it.
    let mut machine = stored(&marked(), &settings);
    machine.known = Some(Record { login: 5, number: 5, ..live(FRESH) });
    machine.set_login(2, Some(EXPIRED), &settings, &at(1));
    swap(&mut machine, Purpose::Login, &settings, &at(1));
}

#[test]
fn a_login_that_never_had_a_token_does_not_outrank_what_the_store_has() {
    let settings = Settings { has_grant: true, ..settings(Home::Store) };
    let mut machine = Tested::new(7);
    let now = at(1000);
    wants(&mut machine, &settings, &now);
    let load = actions(&mut machine, &settings, &now);
    let [Action::Load { call }] = load[..] else { panic!("{load:?}") };
    machine.loaded(call, Ok(None), &settings, &now);
    let swap = |machine: &mut Tested, now: &Now| match actions(machine, &settings, now).pop() {
        Some(Action::Swap { call, record, .. }) => (call, record),
        other => panic!("{other:?}"),
    };
    // A first token is asked for in vain.
    let (call, _) = swap(&mut machine, &now);
    machine.swapped(call, Ok(Swapped::Stored(1)), &settings, &now);
    let request = presented(&mut machine, &settings, &now);
    let refused = Answer::Failed("no", FailureClass::Misconfigured(None));
    machine.answered(request, refused, &settings, &now);
    let (call, empty) = swap(&mut machine, &now);
    machine.swapped(call, Ok(Swapped::Stored(2)), &settings, &now);
    // The store loses that, and another session writes back what it has, which is older.
    let now = at(5000);
    let state = State::Live(Some(EXPIRED));
    let older = Record { login: 9, number: empty.number - 1, state, pause: None, ..empty };
    wants(&mut machine, &settings, &now);
    let (call, _) = swap(&mut machine, &now);
    let conflict = Swapped::Conflict(Some((older, 3)));
    machine.swapped(call, Ok(conflict), &settings, &now);
    let (call, _) = swap(&mut machine, &now);
    machine.swapped(call, Ok(Swapped::Stored(4)), &settings, &now);
    let request = presented(&mut machine, &settings, &now);
    let token = Answer::Token(Numbered(101, Stage::Fresh));
    machine.answered(request, token, &settings, &now);
    let (_, stored) = swap(&mut machine, &now);
    assert_eq!((stored.login, stored.generation), (9, 1));
}

/// A store that cannot read what it holds, under this version.
fn unreadable(version: i64) -> StoreFailure<&'static str> {
    StoreFailure { error: "unreadable", slow: false, unreadable: Some(version) }
}

#[test]
fn a_sign_in_replaces_what_cannot_be_read_and_waits_if_that_changes_meanwhile() {
    let settings = settings(Home::Store);
    let mut machine = Tested::new(7);
    machine.set_login(1, Some(FRESH), &settings, &at(10));
    let load = actions(&mut machine, &settings, &at(10));
    let [Action::Load { call }] = load[..] else { panic!("{load:?}") };
    machine.loaded(call, Err(unreadable(4)), &settings, &at(10));
    let swap = |machine: &mut Tested, now: &Now| match &actions(machine, &settings, now)[..] {
        [Action::Swap { call, purpose: Purpose::Login, expected, unreadable: true, record }] => {
            (*call, *expected, record.clone())
        }
        other => panic!("{other:?}"),
    };
    let (call, expected, first) = swap(&mut machine, &at(10));
    assert_eq!(expected, Some(4));
    machine.swapped(call, Err(unreadable(5)), &settings, &at(10));
    assert_eq!(actions(&mut machine, &settings, &at(10)), [], "not again and again");
    let (call, expected, _) = swap(&mut machine, &at(600));
    assert_eq!(expected, Some(5));
    // Somebody fixes it meanwhile. What they wrote has a higher number than the first attempt, which
    // changed nothing.
    let mended = Record { login: 9, number: first.number + 1, ..first };
    let conflict = Swapped::Conflict(Some((mended, 6)));
    machine.swapped(call, Ok(conflict), &settings, &at(600));
    let (call, record) = sign_in(&mut machine, &settings, &at(600));
    assert_eq!(record.login, 1, "it does not give way");
    machine.swapped(call, Ok(Swapped::Stored(7)), &settings, &at(600));
    assert_eq!(machine.poll_login(1, &settings), Poll::Ready(()));
    assert_eq!(actions(&mut machine, &settings, &at(600)), []);
}

#[test]
fn nothing_but_a_sign_in_replaces_what_cannot_be_read() {
    let settings = Settings { has_grant: true, ..settings(Home::Store) };
    let mut machine = Tested::new(7);
    machine.set_login(1, Some(EXPIRED), &settings, &at(0));
    let load = actions(&mut machine, &settings, &at(0));
    let [Action::Load { call }] = load[..] else { panic!("{load:?}") };
    machine.loaded(call, Ok(None), &settings, &at(0));
    let (call, _) = sign_in(&mut machine, &settings, &at(0));
    machine.swapped(call, Ok(Swapped::Stored(1)), &settings, &at(0));
    // A renewal meets it when it claims, and goes on to expect what it knows.
    wants(&mut machine, &settings, &at(10));
    for seconds in [10, 10, 600, 1200] {
        match &actions(&mut machine, &settings, &at(seconds))[..] {
            [Action::Swap { call, purpose: Purpose::Mark, expected, unreadable: false, .. }] => {
                assert_eq!(*expected, Some(1));
                machine.swapped(*call, Err(unreadable(4)), &settings, &at(seconds));
            }
            other => panic!("{seconds}: {other:?}"),
        }
        if seconds >= 10 && machine.retry_at(&Target::OWN, &settings, &at(seconds)).is_some() {
            wants(&mut machine, &settings, &at(seconds + 590));
        }
    }
}

#[test]
fn a_sign_out_revokes_once_no_token_request_is_under_way_any_more() {
    let settings = settings(Home::Memory);
    let mut machine = given(EXPIRED);
    wants(&mut machine, &settings, &at(0));
    let request = presented(&mut machine, &settings, &at(0));
    machine.set_login(2, None, &settings, &at(1));
    assert_eq!(actions(&mut machine, &settings, &at(1)), []);
    let late = Numbered(101, Stage::Fresh);
    machine.answered(request, Answer::Token(late.clone()), &settings, &at(2));
    for token in [EXPIRED, late] {
        assert_eq!(actions(&mut machine, &settings, &at(2)), [Action::Revoke { token }]);
        machine.revoked(Ok(()), &settings, &at(2));
    }
    assert_eq!(actions(&mut machine, &settings, &at(2)), []);
    assert_eq!(machine.poll_sign_out(2), Poll::Ready(()));
}

#[test]
fn a_token_request_for_an_earlier_login_is_waited_for_and_says_nothing() {
    let settings = settings(Home::Memory);
    for answer in [
        Answer::TargetRefused("no", None),
        Answer::Failed("no", FailureClass::Misconfigured(None)),
        Answer::Lost("cut"),
    ] {
        let mut machine = given(EXPIRED);
        wants(&mut machine, &settings, &at(0));
        let request = presented(&mut machine, &settings, &at(0));
        machine.set_login(2, Some(FRESH), &settings, &at(1));
        machine.take_notes();
        let flush = machine.flush(&at(1));
        assert!(machine.is_busy());
        assert!(!machine.has_notes());
        assert_eq!(machine.poll_flush(&flush), Poll::Wait);
        machine.answered(request, answer, &settings, &at(2));
        assert_eq!(machine.take_notes(), []);
        assert_eq!(machine.retry_at(&Target::OWN, &settings, &at(2)), None);
        assert!(!machine.is_busy());
        assert_eq!(machine.poll_flush(&flush), Poll::Ready(()));
    }
}

#[test]
fn the_number_of_a_login_is_never_that_of_a_record_without_one() {
    let settings = settings(Home::Store);
    let highest = Record { number: UNNUMBERED - 1, ..live(EXPIRED) };
    let mut machine = stored(&highest, &settings);
    machine.set_login(2, Some(FRESH), &settings, &at(0));
    let (_, record) = sign_in(&mut machine, &settings, &at(0));
    assert_eq!(record.number, UNNUMBERED - 1);
}

#[test]
fn a_session_is_vacant_while_it_has_no_token_and_does_nothing() {
    let settings = settings(Home::Store);
    let mut machine = Tested::new(7);
    assert!(machine.is_vacant());
    wants(&mut machine, &settings, &at(0));
    assert!(!machine.is_vacant());
    assert!(!given(FRESH).is_vacant());
}

#[test]
fn only_the_token_that_was_rejected_stays_rejected_in_another_login() {
    let settings = settings(Home::Memory);
    let rejection = Rejection { path: 5, accepted_by: None };
    for (token, is_rejected) in [(Some(FRESH), true), (Some(DUE), false), (None, false)] {
        let mut machine = given(FRESH);
        assert!(!machine.has_notes());
        assert!(machine.rejected(&Target::OWN, &FRESH, rejection, &settings, &at(0)));
        assert!(machine.has_notes());
        assert_eq!(machine.take_notes(), [Note::TokenRejected { target: Target::OWN, serial: 1 }]);
        assert!(machine.is_rejected(&Target::OWN));
        machine.set_login(2, token.clone(), &settings, &at(1));
        assert_eq!(machine.is_rejected(&Target::OWN), is_rejected, "{token:?}");
    }
}

#[test]
fn a_revocation_waits_for_the_token_request_of_the_next_login() {
    let settings = settings(Home::Memory);
    let mut machine = given(FRESH);
    machine.set_login(2, None, &settings, &at(0));
    machine.set_login(3, Some(EXPIRED), &settings, &at(0));
    wants(&mut machine, &settings, &at(0));
    let request = presented(&mut machine, &settings, &at(0));
    machine.answered(request, Answer::Token(DUE), &settings, &at(0));
    assert_eq!(actions(&mut machine, &settings, &at(0)), [Action::Revoke { token: FRESH }]);
}

#[test]
fn a_sign_out_revokes_the_newest_token_though_it_is_not_in_use_yet() {
    let settings = settings(Home::Saver);
    let mut machine = given(EXPIRED);
    wants(&mut machine, &settings, &at(0));
    let request = presented(&mut machine, &settings, &at(0));
    let newest = Numbered(101, Stage::Fresh);
    machine.answered(request, Answer::Token(newest.clone()), &settings, &at(0));
    assert_eq!(token_in_use(&machine), Some(&EXPIRED));
    let first = actions(&mut machine, &settings, &at(0));
    let [Action::Save { call, token }] = &first[..] else { panic!("{first:?}") };
    assert_eq!(*token, newest);
    machine.set_login(2, None, &settings, &at(0));
    machine.take_notes();
    assert_eq!(actions(&mut machine, &settings, &at(0)), [Action::Revoke { token: newest }]);
    // The call that was under way ends, and says nothing of the sign-out.
    machine.saved(*call, Ok(()), &settings, &at(0));
    assert_eq!(machine.take_notes(), [Note::Saved]);
    let last = actions(&mut machine, &settings, &at(0));
    let [Action::Delete { call }] = last[..] else { panic!("{last:?}") };
    machine.saved(call, Ok(()), &settings, &at(0));
    assert_eq!(machine.take_notes(), [Note::Deleted]);
}

#[test]
fn of_one_token_with_more_targets_the_latest_is_revoked_unless_that_is_under_way() {
    let settings = settings(Home::Memory);
    // The same token, which the second has more of.
    let (less, more) = (FRESH, Numbered(1, Stage::Due));
    let revoked = |machine: &mut Tested| match &actions(machine, &settings, &at(0))[..] {
        [Action::Revoke { token }] => token.clone(),
        other => panic!("{other:?}"),
    };
    let mut machine = given(FRESH);
    machine.revoke(Some(less.clone()), &settings);
    machine.revoke(Some(more.clone()), &settings);
    assert_eq!(revoked(&mut machine), more);
    machine.revoke(Some(less), &settings);
    machine.revoke(Some(EXPIRED), &settings);
    machine.revoke(Some(Numbered(3, Stage::Due)), &settings);
    machine.revoked(Err("down"), &settings, &at(0));
    machine.revoke(None, &settings);
    // The first of three is under way.
    assert_eq!(revoked(&mut machine), Numbered(3, Stage::Due));
    machine.revoke(Some(DUE), &settings);
    machine.revoke(Some(Numbered(2, Stage::Fresh)), &settings);
    for next in [more, Numbered(2, Stage::Fresh)] {
        machine.revoked(Ok(()), &settings, &at(0));
        assert_eq!(revoked(&mut machine), next);
    }
}

#[test]
fn a_sign_in_gives_way_to_a_higher_number_alone() {
    let settings = settings(Home::Store);
    for (more, gives_way) in [(0, false), (1, true)] {
        let mut machine = Tested::new(7);
        machine.set_login(1, Some(FRESH), &settings, &at(10));
        let call = load(&mut machine, &settings, &at(10));
        machine.loaded(call, Ok(None), &settings, &at(10));
        let (call, first) = sign_in(&mut machine, &settings, &at(10));
        machine.swapped(call, Err(slow()), &settings, &at(10));
        let (call, _) = sign_in(&mut machine, &settings, &at(20));
        machine.take_notes();
        let other = Record { login: 2, number: first.number + more, ..first };
        let conflict = Swapped::Conflict(Some((other, 5)));
        machine.swapped(call, Ok(conflict), &settings, &at(20));
        if gives_way {
            assert_eq!(actions(&mut machine, &settings, &at(20)), []);
            assert!(machine.take_notes().contains(&Note::SaveConflict));
        } else {
            let (call, _) = sign_in(&mut machine, &settings, &at(20));
            machine.swapped(call, Ok(Swapped::Stored(6)), &settings, &at(20));
            assert!(machine.take_notes().contains(&Note::Saved));
        }
    }
}

/// A session that has read FRESH, which is in use.
fn idle(settings: &Settings) -> Tested {
    let mut machine = stored(&live(FRESH), settings);
    actions(&mut machine, settings, &at(0));
    machine
}

/// The swap of a sign-in or sign-out fails, until there is a wait.
#[track_caller]
fn fail(machine: &mut Tested, settings: &Settings) {
    while machine.store.retry_at.is_none() {
        let (call, _) = sign_in(machine, settings, &at(0));
        let failure = StoreFailure { error: "down", slow: false, unreadable: None };
        machine.swapped(call, Err(failure), settings, &at(0));
    }
}

/// The swap of a sign-in or sign-out is stored; what is revoked then.
#[track_caller]
fn succeed(machine: &mut Tested, settings: &Settings) -> Vec<Numbered> {
    let (call, _) = sign_in(machine, settings, &at(60));
    machine.swapped(call, Ok(Swapped::Stored(9)), settings, &at(60));
    let mut revoked = Vec::new();
    while let Some(Action::Revoke { token }) = actions(machine, settings, &at(60)).pop() {
        revoked.push(token);
        machine.revoked(Ok(()), settings, &at(60));
    }
    assert!(!machine.is_busy());
    revoked
}

#[test]
fn what_the_store_never_had_of_a_sign_out_is_revoked_with_the_next_login() {
    let settings = settings(Home::Store);
    for (next, revoked) in [(None, vec![FRESH]), (Some(DUE), vec![FRESH]), (Some(FRESH), vec![])] {
        let mut machine = idle(&settings);
        machine.set_login(2, None, &settings, &at(0));
        fail(&mut machine, &settings);
        assert_eq!(machine.poll_sign_out(2), Poll::Failed(Reason::NotSaved("down")));
        machine.set_login(3, next.clone(), &settings, &at(0));
        assert_eq!(machine.poll_sign_out(2), Poll::Wait, "{next:?}");
        assert_eq!(succeed(&mut machine, &settings), revoked, "{next:?}");
        assert_eq!(machine.poll_sign_out(2), Poll::Ready(()));
    }
}

#[test]
fn a_sign_out_that_another_login_follows_fails_like_that_one() {
    let settings = settings(Home::Store);
    let mut machine = idle(&settings);
    machine.set_login(2, None, &settings, &at(0));
    machine.set_login(3, Some(DUE), &settings, &at(0));
    fail(&mut machine, &settings);
    let failed = Poll::Failed(Reason::NotSaved("down"));
    assert_eq!(machine.poll_sign_out(2), failed);
    assert_eq!(machine.poll_sign_out_here(2, &settings), failed);
}

#[test]
fn a_sign_out_revokes_the_token_of_a_sign_in_that_the_store_never_had() {
    let settings = settings(Home::Store);
    let mut machine = idle(&settings);
    machine.set_login(2, Some(DUE), &settings, &at(0));
    fail(&mut machine, &settings);
    machine.set_login(3, None, &settings, &at(0));
    assert_eq!(succeed(&mut machine, &settings), [DUE, FRESH]);
}

#[test]
fn a_sign_in_revokes_nothing_of_an_earlier_one() {
    let settings = settings(Home::Store);
    let mut machine = idle(&settings);
    machine.set_login(2, Some(DUE), &settings, &at(0));
    machine.set_login(3, Some(Numbered(4, Stage::Fresh)), &settings, &at(0));
    assert_eq!(succeed(&mut machine, &settings), []);
}

#[test]
fn a_token_that_is_not_stored_yet_is_revoked_if_a_sign_in_follows_the_sign_out() {
    let settings = settings(Home::Store);
    let (mut machine, request) = renewing(&settings);
    let newest = Numbered(101, Stage::Fresh);
    machine.answered(request, Answer::Token(newest.clone()), &settings, &at(0));
    let (call, _) = swap(&mut machine, Purpose::Outcome, &settings, &at(0));
    machine.set_login(2, None, &settings, &at(0));
    machine.swapped(call, Err(slow()), &settings, &at(0));
    // The store still shows the token before it.
    fail(&mut machine, &settings);
    machine.set_login(3, Some(FRESH), &settings, &at(0));
    assert_eq!(succeed(&mut machine, &settings), [EXPIRED, newest]);
}

#[test]
fn a_token_that_is_signed_in_again_is_not_revoked_unless_that_has_begun() {
    let settings = settings(Home::Memory);
    for has_begun in [false, true] {
        let mut machine = given(FRESH);
        machine.abandoned = u32::from(!has_begun);
        machine.set_login(2, None, &settings, &at(0));
        let revokes = [Action::Revoke { token: FRESH }];
        let revokes = if has_begun { &revokes[..] } else { &[] };
        assert_eq!(actions(&mut machine, &settings, &at(0)), revokes);
        machine.revoke(Some(FRESH), &settings);
        machine.revoke(Some(DUE), &settings);
        machine.set_login(3, Some(FRESH), &settings, &at(0));
        machine.abandoned = 0;
        if has_begun {
            machine.revoked(Ok(()), &settings, &at(0));
        }
        assert_eq!(actions(&mut machine, &settings, &at(0)), [Action::Revoke { token: DUE }]);
    }
}

#[test]
fn a_revocation_that_failed_is_over_if_its_token_is_signed_in_again() {
    let settings = settings(Home::Memory);
    for others in [false, true] {
        let mut machine = given(FRESH);
        machine.set_login(2, None, &settings, &at(0));
        machine.revoke(others.then_some(DUE), &settings);
        actions(&mut machine, &settings, &at(0));
        machine.revoked(Err("down"), &settings, &at(0));
        machine.set_login(3, Some(FRESH), &settings, &at(0));
        assert_eq!(actions(&mut machine, &settings, &at(0)), []);
        assert_eq!(machine.owes_revocation(), others);
    }
}

#[test]
fn a_token_that_comes_late_for_a_login_that_another_one_has_replaced_is_not_revoked() {
    let late = || Answer::Token(Numbered(101, Stage::Fresh));
    let memory = settings(Home::Memory);
    let mut machine = given(EXPIRED);
    wants(&mut machine, &memory, &at(0));
    let request = presented(&mut machine, &memory, &at(0));
    machine.set_login(3, Some(FRESH), &memory, &at(0));
    machine.answered(request, late(), &memory, &at(0));
    assert_eq!(actions(&mut machine, &memory, &at(0)), []);

    let store = settings(Home::Store);
    let (mut machine, request) = renewing(&store);
    machine.set_login(3, Some(FRESH), &store, &at(0));
    machine.answered(request, late(), &store, &at(0));
    assert_eq!(succeed(&mut machine, &store), []);
}

#[test]
fn a_token_that_comes_late_for_a_login_that_was_signed_out_is_revoked_after_a_sign_in() {
    let late = Numbered(101, Stage::Fresh);
    let memory = settings(Home::Memory);
    let mut machine = given(EXPIRED);
    wants(&mut machine, &memory, &at(0));
    let request = presented(&mut machine, &memory, &at(0));
    machine.set_login(2, None, &memory, &at(0));
    machine.set_login(3, Some(FRESH), &memory, &at(0));
    machine.answered(request, Answer::Token(late.clone()), &memory, &at(0));
    for token in [EXPIRED, late.clone()] {
        assert_eq!(actions(&mut machine, &memory, &at(0)), [Action::Revoke { token }]);
        machine.revoked(Ok(()), &memory, &at(0));
    }
    assert_eq!(token_in_use(&machine), Some(&FRESH));

    let store = settings(Home::Store);
    for answer in [Answer::Token(late.clone()), Answer::Rotated(late.clone(), "page", None)] {
        let (mut machine, request) = renewing(&store);
        machine.set_login(2, None, &store, &at(0));
        machine.set_login(3, Some(FRESH), &store, &at(0));
        machine.take_notes();
        machine.answered(request, answer, &store, &at(0));
        assert_eq!(machine.take_notes(), [Note::RenewalDiscarded]);
        assert_eq!(succeed(&mut machine, &store), [EXPIRED, late.clone()]);
    }
}

/// Another session has renewed the login meanwhile, or the sign-out is known already.
#[test]
fn a_token_that_comes_too_late_amid_a_sign_out_is_revoked() {
    let late = Numbered(101, Stage::Fresh);
    let store = settings(Home::Store);
    let (mut machine, request) = renewing(&store);
    machine.known = Some(Record { generation: 2, ..live(DUE) });
    machine.seen.as_mut().unwrap().record = machine.known.clone();
    machine.set_login(2, None, &store, &at(0));
    machine.answered(request, Answer::Token(late.clone()), &store, &at(0));
    let (call, record) = sign_in(&mut machine, &store, &at(0));
    assert_eq!(record.state, State::SignedOut);
    machine.swapped(call, Ok(Swapped::Stored(9)), &store, &at(0));
    let memory = settings(Home::Memory);
    let mut other = given(EXPIRED);
    wants(&mut other, &memory, &at(0));
    let request = presented(&mut other, &memory, &at(0));
    other.set_login(2, None, &memory, &at(0));
    other.answered(request, Answer::Token(late.clone()), &memory, &at(0));
    for (machine, settings, before) in [(machine, store, DUE), (other, memory, EXPIRED)] {
        let (mut machine, mut revoked) = (machine, Vec::new());
        while let Some(Action::Revoke { token }) = actions(&mut machine, &settings, &at(0)).pop() {
            revoked.push(token);
            machine.revoked(Ok(()), &settings, &at(0));
        }
        revoked.sort_by_key(|token| token.0);
        assert_eq!(revoked, [before, late.clone()]);
    }
}

#[test]
fn the_same_token_again_amid_its_renewal_begins_no_other_login() {
    let settings = settings(Home::Saver);
    for (token, is_same) in [(Some(EXPIRED), true), (Some(DUE), false), (None, false)] {
        let mut machine = given(EXPIRED);
        assert_eq!(wants(&mut machine, &settings, &at(0)), Poll::Wait);
        let request = presented(&mut machine, &settings, &at(0));
        machine.set_login(2, token.clone(), &settings, &at(1));
        assert_eq!(machine.is_current(&request), is_same, "{token:?}");
        assert_eq!(machine.poll_login(2, &settings) == Poll::Ready(()), is_same, "{token:?}");
        let renewed = Numbered(101, Stage::Fresh);
        machine.answered(request, Answer::Token(renewed.clone()), &settings, &at(2));
        let is_renewed = actions(&mut machine, &settings, &at(2))
            .iter()
            .any(|action| matches!(action, Action::Save { token, .. } if *token == renewed));
        assert_eq!(is_renewed, is_same, "{token:?}");
    }
    // While nothing renews it, it does.
    let mut machine = given(EXPIRED);
    machine.set_login(2, Some(EXPIRED), &settings, &at(0));
    assert_eq!(machine.known.unwrap().login, 2);
}

#[test]
fn a_token_that_the_provider_does_not_revoke_keeps_no_other_one_from_being_revoked() {
    let settings = settings(Home::Memory);
    let revoke = |machine: &mut Tested, token: Numbered, outcome: Result<(), &'static str>| {
        assert_eq!(actions(machine, &settings, &at(0)), [Action::Revoke { token }]);
        machine.revoked(outcome, &settings, &at(0));
    };
    let mut machine = given(FRESH);
    machine.set_login(2, None, &settings, &at(0));
    revoke(&mut machine, FRESH, Err("no"));
    // The next login is revoked first.
    machine.set_login(3, Some(DUE), &settings, &at(0));
    machine.set_login(4, None, &settings, &at(0));
    revoke(&mut machine, DUE, Ok(()));
    revoke(&mut machine, FRESH, Err("no"));
    assert_eq!(machine.poll_sign_out(4), Poll::Failed(Reason::Error("no")));
    // What is refused is tried after the others.
    machine.set_login(5, Some(EXPIRED), &settings, &at(0));
    machine.set_login(6, None, &settings, &at(0));
    revoke(&mut machine, EXPIRED, Err("later"));
    machine.set_login(7, None, &settings, &at(0));
    revoke(&mut machine, FRESH, Ok(()));
    revoke(&mut machine, EXPIRED, Ok(()));
    assert_eq!(machine.poll_sign_out(7), Poll::Wait);
    assert_eq!(actions(&mut machine, &settings, &at(0)), []);
    assert_eq!(machine.poll_sign_out(7), Poll::Ready(()));
}

/// Whoever reads what is saved finds it there.
#[test]
fn the_token_that_is_saved_still_begins_no_login_if_it_is_set_again() {
    let new = |number| Answer::Token(Numbered(number, Stage::Fresh));
    let settings = settings(Home::Saver);
    let mut machine = given(EXPIRED);
    wants(&mut machine, &settings, &at(0));
    let request = presented(&mut machine, &settings, &at(0));
    machine.answered(request, new(101), &settings, &at(0));
    let call = save(&mut machine, &settings, &at(0));
    machine.set_login(2, Some(EXPIRED), &settings, &at(0));
    machine.saved(call, Err("disk full"), &settings, &at(0));
    machine.set_login(3, Some(EXPIRED), &settings, &at(0));
    assert_eq!(token_in_use(&machine), Some(&Numbered(101, Stage::Fresh)));
    // One more renewal, and the first token is saved still.
    let ticket = machine.ticket_for_another(&Target::OWN, Some(&Numbered(101, Stage::Fresh)), true);
    assert_eq!(machine.poll(&ticket, &settings, &at(0)), Poll::Wait);
    let request = presented(&mut machine, &settings, &at(0));
    machine.answered(request, new(102), &settings, &at(0));
    machine.set_login(4, Some(EXPIRED), &settings, &at(0));
    let call = save(&mut machine, &settings, &at(1));
    machine.saved(call, Ok(()), &settings, &at(1));
    assert_eq!(token_in_use(&machine), Some(&Numbered(102, Stage::Fresh)));
    // From then on it is the application's own.
    machine.set_login(5, Some(EXPIRED), &settings, &at(2));
    let call = save(&mut machine, &settings, &at(2));
    machine.saved(call, Ok(()), &settings, &at(2));
    assert_eq!(token_in_use(&machine), Some(&EXPIRED));
}

#[test]
fn the_token_that_is_stored_still_begins_no_login_if_it_is_set_again() {
    let settings = settings(Home::Store);
    let (mut machine, request) = renewing(&settings);
    machine.answered(request, Answer::Token(Numbered(101, Stage::Fresh)), &settings, &at(0));
    let (call, record) = swap(&mut machine, Purpose::Outcome, &settings, &at(0));
    machine.set_login(2, Some(EXPIRED), &settings, &at(0));
    machine.swapped(call, Ok(Swapped::Stored(3)), &settings, &at(0));
    assert_eq!(actions(&mut machine, &settings, &at(0)), []);
    assert_eq!((record.login, token_in_use(&machine)), (1, record.token()));
}
