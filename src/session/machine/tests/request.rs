//! What requests get, and whoever waits for a save.

use super::super::memory::Revocation;
use super::*;

fn started(machine: &mut Tested) -> usize {
    let notes = machine.take_notes();
    notes.iter().filter(|note| matches!(note, Note::RenewalStarted { .. })).count()
}

#[test]
fn two_requests_want_one_renewal() {
    let settings = settings(Home::Memory);
    let mut machine = given(EXPIRED);
    for _ in 0..2 {
        assert_eq!(wants(&mut machine, &settings, &at(0)), Poll::Wait);
    }
    assert_eq!(started(&mut machine), 1);
    let request = presented(&mut machine, &settings, &at(0));
    assert_eq!(wants(&mut machine, &settings, &at(0)), Poll::Wait);
    machine.answered(request, Answer::Token(FRESH), &settings, &at(0));
    assert_eq!(started(&mut machine), 0);
}

/// What the store holds goes before the application's token.
#[test]
fn a_given_token_waits_until_the_store_was_read() {
    for home in [Home::Store, Home::Saver, Home::Memory] {
        let settings = settings(home);
        let mut machine = given(FRESH);
        let is_shared = home == Home::Store;
        assert_eq!(machine.awaits_store(&settings), is_shared);
        let answer = if is_shared { Poll::Wait } else { Poll::Ready(FRESH) };
        assert_eq!(wants(&mut machine, &settings, &at(0)), answer);
        let Some(Action::Load { call }) = machine.next(&settings, &at(0)) else {
            assert!(!is_shared);
            continue;
        };
        machine.loaded(call, Ok(None), &settings, &at(0));
        assert!(!machine.awaits_store(&settings));
        assert_eq!(wants(&mut machine, &settings, &at(0)), Poll::Ready(FRESH));
    }
}

#[test]
fn a_given_token_is_used_while_the_store_is_down() {
    let settings = settings(Home::Store);
    let mut machine = given(FRESH);
    let ticket = machine.ticket(&Target::OWN);
    for _ in 0..2 {
        assert_eq!(machine.poll(&ticket, &settings, &at(0)), Poll::Wait);
        let Some(Action::Load { call }) = machine.next(&settings, &at(0)) else { panic!() };
        let failure = StoreFailure { error: "down", slow: false, unreadable: None };
        machine.loaded(call, Err(failure), &settings, &at(0));
    }
    assert_eq!(machine.poll(&ticket, &settings, &at(0)), Poll::Ready(FRESH));
}

#[test]
fn a_token_that_is_due_is_used_at_once_and_renewed_in_the_background() {
    let background = settings(Home::Memory);
    let mut machine = given(DUE);
    assert_eq!(wants(&mut machine, &background, &at(0)), Poll::Ready(DUE));
    assert_eq!(started(&mut machine), 1);

    let by_hand = Settings { manual_refresh: true, ..background };
    let mut machine = given(DUE);
    assert_eq!(wants(&mut machine, &by_hand, &at(0)), Poll::Ready(DUE));
    assert_eq!(started(&mut machine), 0);
}

#[test]
fn in_the_foreground_one_attempt_is_made_for_each_call() {
    let backgrounds = [(false, 1), (true, 0)];
    for (foreground, renewals) in backgrounds {
        let settings = Settings { foreground, ..settings(Home::Memory) };
        let mut machine = given(DUE);
        let ticket = machine.ticket(&Target::OWN);
        let answer = if foreground { Poll::Wait } else { Poll::Ready(DUE) };
        assert_eq!(machine.poll(&ticket, &settings, &at(0)), answer);
        let request = presented(&mut machine, &settings, &at(0));
        let failed = Answer::Failed("down", FailureClass::Transient(None));
        machine.answered(request, failed, &settings, &at(0));
        machine.take_notes();
        // The backoff is over, and the call has not looked since.
        assert_eq!(machine.poll(&ticket, &settings, &at(60)), Poll::Ready(DUE));
        assert_eq!(started(&mut machine), renewals);
    }
}

#[test]
fn a_renewed_token_that_is_due_at_once_is_not_renewed_again_by_the_same_call() {
    for foreground in [false, true] {
        let settings = Settings { foreground, ..settings(Home::Memory) };
        let mut machine = given(EXPIRED);
        let ticket = machine.ticket(&Target::OWN);
        assert_eq!(machine.poll(&ticket, &settings, &at(0)), Poll::Wait);
        let request = presented(&mut machine, &settings, &at(0));
        let due = Numbered(101, Stage::Due);
        machine.answered(request, Answer::Token(due.clone()), &settings, &at(0));
        machine.take_notes();
        assert_eq!(machine.poll(&ticket, &settings, &at(0)), Poll::Ready(due.clone()));
        assert_eq!(started(&mut machine), 0);
        let answer = if foreground { Poll::Wait } else { Poll::Ready(due) };
        assert_eq!(wants(&mut machine, &settings, &at(0)), answer, "the next call");
        assert_eq!(started(&mut machine), 1);
    }
}

#[test]
fn a_failed_renewal_is_an_error_at_once_in_the_foreground_too() {
    for foreground in [false, true] {
        let settings = Settings { foreground, ..settings(Home::Memory) };
        let mut machine = given(EXPIRED);
        let ticket = machine.ticket(&Target::OWN);
        machine.poll(&ticket, &settings, &at(0));
        let request = presented(&mut machine, &settings, &at(0));
        let failed = Answer::Failed("down", FailureClass::Transient(None));
        machine.answered(request, failed, &settings, &at(0));
        let failed = Poll::Failed(Reason::Error("down"));
        assert_eq!(machine.poll(&ticket, &settings, &at(0)), failed);
        // In the foreground something that is under way is waited for first.
        machine.abandoned = 1;
        let answer = if foreground { Poll::Wait } else { failed };
        assert_eq!(machine.poll(&ticket, &settings, &at(0)), answer);
    }
}

#[test]
fn where_only_a_new_login_helps_a_session_renewed_by_hand_says_so() {
    let settings = Settings { manual_refresh: true, ..settings(Home::Memory) };
    let mut machine = given(EXPIRED);
    let by_hand = machine.ticket_for_another(&Target::OWN, Some(&EXPIRED), true);
    machine.poll(&by_hand, &settings, &at(0));
    let request = presented(&mut machine, &settings, &at(0));
    machine.answered(request, Answer::Refused("no"), &settings, &at(0));
    let ended = Reason::Ended { error: "no", lost: false };
    assert_eq!(wants(&mut machine, &settings, &at(1)), Poll::Failed(ended));
    machine.set_login(2, None, &settings, &at(2));
    assert_eq!(wants(&mut machine, &settings, &at(2)), Poll::Failed(Reason::SignedOut));
}

/// A session that renews only when told to.
fn by_hand() -> Settings {
    Settings { manual_refresh: true, ..settings(Home::Store) }
}

#[test]
fn a_session_renewed_by_hand_begins_with_the_stored_token() {
    let settings = by_hand();
    for (token, answer) in [(FRESH, Poll::Ready(FRESH)), (EXPIRED, Poll::Failed(Reason::Expired))] {
        let mut machine = Tested::new(7);
        for _ in 0..2 {
            assert_eq!(wants(&mut machine, &settings, &at(0)), Poll::Wait);
        }
        assert!(machine.is_busy());
        let call = load(&mut machine, &settings, &at(0));
        machine.loaded(call, Ok(Some((live(token), 1))), &settings, &at(0));
        assert_eq!(actions(&mut machine, &settings, &at(0)), []);
        assert!(!machine.is_busy());
        assert_eq!(wants(&mut machine, &settings, &at(0)), answer);
        assert_eq!(started(&mut machine), 0);
    }
}

#[test]
fn a_session_renewed_by_hand_reads_the_store_once_a_moment() {
    let settings = by_hand();
    let mut machine = stored(&live(EXPIRED), &settings);
    let expired = Poll::Failed(Reason::Expired);
    assert_eq!(wants(&mut machine, &settings, &before(&at(1))), expired);
    assert_eq!(actions(&mut machine, &settings, &before(&at(1))), []);
    assert_eq!(wants(&mut machine, &settings, &at(1)), Poll::Wait);
    let call = load(&mut machine, &settings, &at(1));
    // Another session has renewed it.
    let renewed = Record { generation: 1, ..live(FRESH) };
    machine.loaded(call, Ok(Some((renewed, 2))), &settings, &at(1));
    assert_eq!(wants(&mut machine, &settings, &at(1)), Poll::Ready(FRESH));
}

#[test]
fn a_session_renewed_by_hand_says_what_it_has_read() {
    let settings = by_hand();
    let grant = Settings { has_grant: true, ..settings };
    let ended = Record { state: State::Ended("no"), ..live(EXPIRED) };
    let out = Record { state: State::SignedOut, ..live(EXPIRED) };
    for (settings, found, reason) in [
        (settings, None, Reason::NoStoredToken),
        (grant, None, Reason::Expired),
        (settings, Some(ended), Reason::Ended { error: "no", lost: false }),
        (settings, Some(out), Reason::SignedOut),
    ] {
        let mut machine = Tested::new(7);
        wants(&mut machine, &settings, &at(0));
        let call = load(&mut machine, &settings, &at(0));
        let found = found.map(|record| (record, 1));
        machine.loaded(call, Ok(found), &settings, &at(0));
        assert_eq!(wants(&mut machine, &settings, &at(0)), Poll::Failed(reason));
    }
}

#[test]
fn a_session_renewed_by_hand_does_not_know_its_token_while_the_store_fails() {
    let settings = by_hand();
    let mut machine = Tested::new(7);
    wants(&mut machine, &settings, &at(0));
    let call = load(&mut machine, &settings, &at(0));
    machine.loaded(call, Err(slow()), &settings, &at(0));
    assert!(!machine.is_busy());
    for now in [at(0), before(&at(1))] {
        assert_eq!(wants(&mut machine, &settings, &now), Poll::Failed(Reason::Error("slow")));
        assert_eq!(actions(&mut machine, &settings, &now), []);
    }
    assert_eq!(wants(&mut machine, &settings, &at(1)), Poll::Wait);
    load(&mut machine, &settings, &at(1));

    // A refresh by hand would help.
    let settings = Settings { renew_without_store: true, ..settings };
    let mut machine = stored(&live(EXPIRED), &settings);
    machine.store.error = Some("slow");
    machine.store.retry_at = Some(Duration::from_secs(9));
    assert_eq!(wants(&mut machine, &settings, &at(5)), Poll::Failed(Reason::Expired));
    assert_eq!(wants(&mut machine, &settings, &at(9)), Poll::Wait);
}

#[test]
fn a_session_renewed_by_hand_reads_nothing_while_it_signs_out() {
    let settings = by_hand();
    let mut machine = stored(&live(EXPIRED), &settings);
    machine.set_login(2, None, &settings, &at(5));
    assert_eq!(wants(&mut machine, &settings, &at(5)), Poll::Failed(Reason::SignedOut));
}

#[test]
fn without_a_store_a_session_renewed_by_hand_knows_that_it_has_no_token() {
    let settings = Settings { home: Home::Memory, ..by_hand() };
    let mut machine = Tested::new(7);
    assert_eq!(wants(&mut machine, &settings, &at(0)), Poll::Failed(Reason::NoToken));
}

fn unsaved(late: bool) -> Unsaved<Numbered, &'static str> {
    let at = Duration::from_secs(9);
    Unsaved { late, retry_at: at, ..Unsaved::since(&super::at(0)) }
}

fn call(swap: bool) -> StoreCall<Numbered, &'static str> {
    let swap = swap.then(|| (Purpose::Mark, live(FRESH)));
    StoreCall { id: 1, sent: (Duration::ZERO, UNIX_EPOCH), swap }
}

fn attempt() -> Attempt {
    let (try_at, until) = (Duration::from_secs(90), Duration::from_secs(99));
    Attempt { confirmed: None, tries: 1, try_at, until }
}

#[test]
fn a_foreground_request_waits_for_what_the_end_of_the_runtime_would_cut_off() {
    type Change = fn(&mut Tested);
    let saving = |machine: &mut Tested| {
        machine.saving =
            Some(SaveCall { id: 1, login: 1, generation: 0, since: Duration::ZERO, again: false });
    };
    let rows: [(&str, Home, bool, Vec<Change>); 16] = [
        ("nothing", Home::Store, false, vec![]),
        ("a load", Home::Store, true, vec![|m| m.call = Some(call(false))]),
        ("another login's request", Home::Store, true, vec![|m| m.abandoned = 1]),
        ("an outcome", Home::Store, true, vec![|m| m.outcome = Some(Outcome::Nothing(None))]),
        (
            "a sign-in",
            Home::Store,
            true,
            vec![|m| {
                m.pending = Some(Pending {
                    login: 1,
                    token: Some(FRESH),
                    replaced: None,
                    owed: vec![],
                    unanswered: None,
                });
            }],
        ),
        ("a claim", Home::Store, true, vec![|m| m.attempt = Some(attempt())]),
        (
            "a claim while the store fails",
            Home::Store,
            false,
            vec![|m| m.attempt = Some(attempt()), |m| {
                m.store.retry_at = Some(Duration::from_secs(9))
            }],
        ),
        ("a second try", Home::Memory, true, vec![|m| m.attempt = Some(attempt())]),
        (
            "a second try without a store",
            Home::Memory,
            true,
            vec![|m| m.attempt = Some(attempt()), |m| {
                m.store.retry_at = Some(Duration::from_secs(9))
            }],
        ),
        ("a save", Home::Saver, true, vec![saving, |m| m.unsaved = Some(unsaved(false))]),
        ("a late save", Home::Saver, false, vec![saving, |m| m.unsaved = Some(unsaved(true))]),
        ("a save that saves nothing new", Home::Saver, false, vec![saving]),
        ("a save later", Home::Saver, false, vec![|m| m.unsaved = Some(unsaved(true))]),
        (
            "a save now",
            Home::Saver,
            true,
            vec![|m| {
                m.unsaved = Some(Unsaved { retry_at: Duration::from_secs(8), ..unsaved(true) });
            }],
        ),
        (
            "a swap that failed",
            Home::Store,
            false,
            vec![|m| {
                m.unsaved = Some(Unsaved { retry_at: Duration::ZERO, ..unsaved(true) });
            }],
        ),
        (
            "a revocation that failed",
            Home::Memory,
            false,
            vec![|m| {
                m.revocation =
                    Some(Revocation { tokens: vec![], under_way: false, error: Some("down") });
            }],
        ),
    ];
    for (name, home, waits, changes) in rows {
        for foreground in [true, false] {
            let settings = Settings { foreground, ..settings(home) };
            let mut machine = given(FRESH);
            machine.is_given = false;
            changes.iter().for_each(|change| change(&mut machine));
            let answer = if waits && foreground { Poll::Wait } else { Poll::Ready(FRESH) };
            assert_eq!(wants(&mut machine, &settings, &at(8)), answer, "{name}");
        }
    }
}

#[test]
fn a_request_waits_for_the_token_that_is_being_saved_and_renews_nothing() {
    for strict_saving in [false, true] {
        let settings = Settings { strict_saving, ..settings(Home::Saver) };
        let mut machine = given(EXPIRED);
        machine.set_login(2, Some(FRESH), &settings, &at(0));
        machine.take_notes();
        let call = save(&mut machine, &settings, &at(0));
        assert_eq!(wants(&mut machine, &settings, &at(0)), Poll::Wait);
        assert_eq!(started(&mut machine), 0);
        let mut failed = machine.clone();
        failed.saved(call, Err("full"), &settings, &at(1));
        actions(&mut machine, &settings, &at(5));
        let (late, full) = if strict_saving {
            let reasons = [Reason::SaveSlow, Reason::Error("full")];
            let [late, full] = reasons.map(Poll::Failed);
            (late, full)
        } else {
            (Poll::Ready(FRESH), Poll::Ready(FRESH))
        };
        assert_eq!(wants(&mut machine, &settings, &at(5)), late);
        assert_eq!(wants(&mut failed, &settings, &at(1)), full);
    }
}

#[test]
fn a_token_that_is_due_is_not_renewed_while_a_newer_one_is_being_saved() {
    let settings = settings(Home::Saver);
    let mut machine = given(DUE);
    machine.set_login(2, Some(FRESH), &settings, &at(0));
    machine.take_notes();
    assert_eq!(wants(&mut machine, &settings, &at(0)), Poll::Ready(DUE));
    assert_eq!(started(&mut machine), 0);
    // A login that has ended has no newer token: the grant is asked.
    let settings = Settings { has_grant: true, ..settings };
    let mut machine = given(DUE);
    machine.known = Some(Record { generation: 1, state: State::Ended("no"), ..live(DUE) });
    assert_eq!(wants(&mut machine, &settings, &at(0)), Poll::Ready(DUE));
    assert_eq!(started(&mut machine), 1);
}

/// What is not saved yet since second 0, and may have failed.
fn sign_in(error: bool, late: bool, signs_out: bool) -> Tested {
    let settings = settings(Home::Saver);
    let mut machine = given(DUE);
    machine.set_login(2, (!signs_out).then_some(FRESH), &settings, &at(0));
    let error = error.then_some(Reason::Error("full"));
    machine.unsaved = Some(Unsaved { error, ..unsaved(late) });
    machine
}

#[test]
fn a_sign_in_waits_until_it_is_saved_or_saving_is_slow() {
    let full = || Poll::Failed(Reason::Error("full"));
    let rows = [
        (false, false, false, Poll::Wait),
        (false, false, true, Poll::Wait),
        (false, true, false, Poll::Ready(())),
        (false, true, true, Poll::Failed(Reason::SaveSlow)),
        (true, false, false, Poll::Ready(())),
        (true, true, false, Poll::Ready(())),
        (true, false, true, full()),
        (true, true, true, full()),
    ];
    for (error, late, strict_saving, answer) in rows {
        let settings = Settings { strict_saving, ..settings(Home::Saver) };
        let machine = sign_in(error, late, false);
        assert_eq!(machine.poll_login(2, &settings), answer, "{error} {late} {strict_saving}");
        assert_eq!(machine.poll_login(1, &settings), Poll::Ready(()));
    }
}

#[test]
fn why_a_token_is_not_saved_yet() {
    assert_eq!(sign_in(false, false, false).save_error(), None);
    assert_eq!(sign_in(false, true, false).save_error(), Some(Reason::SaveSlow));
    assert_eq!(sign_in(true, true, false).save_error(), Some(Reason::Error("full")));
    assert!(sign_in(false, false, false).is_unsaved());
    assert!(!given(FRESH).is_unsaved());
    assert_eq!(given(FRESH).save_error(), None);
}

#[test]
fn a_sign_out_waits_until_it_is_saved_and_revoked() {
    let revocation = |error| Some(Revocation { tokens: vec![DUE], under_way: false, error });
    let (full, slow) = (Reason::Error("full"), Reason::SaveSlow);
    let pending = Pending { login: 2, token: None, replaced: None, owed: vec![], unanswered: None };
    // What is wrong with the save, whether it waits for the store, and the revocation.
    let rows = [
        (None, false, None, Poll::Ready(()), Poll::Ready(())),
        (None, false, revocation(None), Poll::Wait, Poll::Ready(())),
        (
            None,
            false,
            revocation(Some("down")),
            Poll::Failed(Reason::Error("down")),
            Poll::Ready(()),
        ),
        (Some((false, false)), false, revocation(None), Poll::Wait, Poll::Wait),
        (Some((false, false)), true, None, Poll::Wait, Poll::Wait),
        (Some((false, true)), true, None, Poll::Failed(slow.clone()), Poll::Failed(slow.clone())),
        (
            Some((false, true)),
            true,
            revocation(None),
            Poll::Failed(slow.clone()),
            Poll::Failed(slow.clone()),
        ),
        (
            Some((true, false)),
            true,
            revocation(None),
            Poll::Failed(full.clone()),
            Poll::Failed(full.clone()),
        ),
        (Some((false, true)), false, None, Poll::Failed(slow.clone()), Poll::Failed(slow.clone())),
        (Some((true, false)), false, None, Poll::Failed(full.clone()), Poll::Failed(full.clone())),
        (Some((true, false)), false, revocation(None), Poll::Wait, Poll::Failed(full)),
        (Some((false, true)), false, revocation(None), Poll::Wait, Poll::Failed(slow)),
    ];
    for (number, (wrong, is_pending, revocation, both, here)) in rows.into_iter().enumerate() {
        let mut machine = sign_in(false, false, true);
        machine.unsaved = wrong.map(|(error, late)| {
            let error = error.then_some(Reason::Error("full"));
            Unsaved { error, ..unsaved(late) }
        });
        machine.pending = is_pending.then(|| pending.clone());
        let (owes, revokes) =
            (revocation.is_some(), revocation.as_ref().is_some_and(|r| r.error.is_none()));
        machine.revocation = revocation;
        assert_eq!(machine.owes_revocation(), owes);
        assert_eq!(machine.poll_sign_out(2), both, "{number}");
        assert_eq!(machine.poll_sign_out_here(2, &settings(Home::Saver)), here, "{number}");
        let foreground = Settings { foreground: true, ..settings(Home::Saver) };
        let here = if revokes { Poll::Wait } else { here };
        assert_eq!(machine.poll_sign_out_here(2, &foreground), here, "{number}");
    }
}

#[test]
fn a_sign_out_is_over_once_somebody_signs_in() {
    let settings = settings(Home::Saver);
    let mut machine = sign_in(true, false, true);
    assert_ne!(machine.poll_sign_out(2), Poll::Ready(()));
    // Another sign-out continues it.
    machine.set_login(3, None, &settings, &at(0));
    for login in [2, 3] {
        assert_eq!(machine.poll_sign_out(login), Poll::Wait);
        assert_eq!(machine.poll_sign_out_here(login, &settings), Poll::Wait);
    }
    machine.set_login(4, Some(FRESH), &settings, &at(0));
    assert_eq!(machine.poll_sign_out_here(3, &settings), Poll::Ready(()));
    // Here, but not at the provider.
    assert_eq!(machine.poll_sign_out(3), Poll::Wait);
    assert_eq!(machine.next_revocation(), Some(Action::Revoke { token: DUE }));
    machine.revoked(Ok(()), &settings, &at(0));
    assert_eq!(machine.next_revocation(), None);
    assert_eq!(machine.poll_sign_out(3), Poll::Ready(()));
}

#[test]
fn a_flush_cuts_the_backoff_of_what_is_not_stored_yet() {
    type Change = fn(&mut Tested);
    let pending: Change = |machine| {
        let (token, replaced) = (Some(FRESH), None);
        machine.pending =
            Some(Pending { login: 2, token, replaced, owed: vec![], unanswered: None });
    };
    let outcome: Change = |machine| machine.outcome = Some(Outcome::Nothing(None));
    for (change, is_cut) in [(pending, true), (outcome, true), ((|_| ()) as Change, false)] {
        let mut machine = given(FRESH);
        let later = Duration::from_secs(9);
        machine.store.retry_at = Some(later);
        machine.unsaved = Some(unsaved(false));
        change(&mut machine);
        machine.flush(&at(3));
        assert_eq!(machine.store.retry_at, (!is_cut).then_some(later));
        assert_eq!(machine.unsaved.unwrap().retry_at, Duration::from_secs(3));
    }
}

#[test]
fn a_flush_ends_with_the_first_failure_after_it() {
    let mut machine = sign_in(true, false, false);
    machine.unsaved.as_mut().unwrap().failures = 1;
    let flush = machine.flush(&at(0));
    assert_eq!(machine.poll_flush(&flush), Poll::Wait);
    machine.unsaved.as_mut().unwrap().failures = 2;
    assert_eq!(machine.poll_flush(&flush), Poll::Failed(Reason::Error("full")));

    // A mark that cannot be cleared is waited for until the store fails, a sign-in until it is stored.
    let mut machine = given(FRESH);
    machine.outcome = Some(Outcome::Nothing(None));
    machine.store.failures = 1;
    let flush = machine.flush(&at(0));
    assert_eq!(machine.poll_flush(&flush), Poll::Wait);
    machine.store.failures = 2;
    assert_eq!(machine.poll_flush(&flush), Poll::Ready(()));
    let (token, replaced) = (Some(FRESH), None);
    machine.pending = Some(Pending { login: 2, token, replaced, owed: vec![], unanswered: None });
    assert_eq!(machine.poll_flush(&flush), Poll::Wait);
    machine.outcome = None;
    assert_eq!(machine.poll_flush(&flush), Poll::Wait);
}
