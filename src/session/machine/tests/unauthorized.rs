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

/// A 401 of this path to the token in use, which another path has accepted since the last one; whether
/// another token may be had.
fn rejects_at(
    machine: &mut Tested,
    path: u64,
    accepted_by: impl Into<Option<u64>>,
    settings: &Settings,
    now: &Now,
) -> bool {
    let token = machine.served().unwrap().token.clone();
    let rejection = Rejection { path, accepted_by: accepted_by.into() };
    machine.rejected(&Target::OWN, &token, rejection, settings, now)
}

/// What the sender of the 401 waits with.
fn for_another(machine: &mut Tested) -> Ticket {
    let token = machine.served().unwrap().token.clone();
    machine.ticket_for_another(&Target::OWN, Some(&token), false)
}

#[test]
fn a_token_that_nothing_renews_is_used_again_if_the_store_has_no_other_one() {
    let settings = Settings { has_client: false, ..settings(Home::Store) };
    let mut machine = stored(&live(FRESH), &settings);
    machine.take_notes();
    for seconds in [1, 2] {
        let now = at(seconds);
        assert!(rejects(&mut machine, &settings, &now));
        assert!(machine.is_rejected(&Target::OWN));
        let (sender, other) = (for_another(&mut machine), machine.ticket(&Target::OWN));
        assert_eq!(machine.poll_rejected(&sender, &settings, &now), Poll::Wait);
        assert_eq!(machine.poll(&other, &settings, &now), Poll::Wait);
        let call = load(&mut machine, &settings, &now);
        machine.loaded(call, Ok(Some((live(FRESH), 1))), &settings, &now);
        assert_eq!(actions(&mut machine, &settings, &now), []);
        assert_eq!(machine.poll_rejected(&sender, &settings, &now), Poll::Ready(None));
        assert_eq!(machine.poll(&other, &settings, &now), Poll::Ready(FRESH));
        let notes = machine.take_notes();
        assert!(
            matches!(notes[2], Note::RenewalFailed { reason: Reason::NoOther, .. }),
            "{notes:?}"
        );
        assert_eq!(notes.len(), 3);
        // For a moment the store is not asked again, and the token stays in use.
        assert!(rejects(&mut machine, &settings, &now));
        let sender = for_another(&mut machine);
        assert_eq!(machine.poll_rejected(&sender, &settings, &now), Poll::Ready(None));
        assert!(!machine.is_rejected(&Target::OWN));
        assert_eq!(actions(&mut machine, &settings, &now), []);
    }
    // Then it has a new login.
    assert!(rejects(&mut machine, &settings, &at(3)));
    let sender = for_another(&mut machine);
    assert_eq!(machine.poll_rejected(&sender, &settings, &at(3)), Poll::Wait);
    let call = load(&mut machine, &settings, &at(3));
    let new = Record { login: 2, number: 2, ..live(DUE) };
    machine.loaded(call, Ok(Some((new, 2))), &settings, &at(3));
    assert_eq!(machine.poll_rejected(&sender, &settings, &at(3)), Poll::Ready(Some(DUE)));
}

#[test]
fn a_good_token_that_nothing_renews_is_not_renewed_by_hand() {
    let settings = Settings { has_client: false, ..settings(Home::Store) };
    let mut machine = stored(&live(FRESH), &settings);
    let by_hand = machine.ticket_for_another(&Target::OWN, Some(&FRESH), true);
    assert_eq!(machine.poll(&by_hand, &settings, &at(1)), Poll::Wait);
    let call = load(&mut machine, &settings, &at(1));
    machine.loaded(call, Ok(Some((live(FRESH), 1))), &settings, &at(1));
    assert_eq!(actions(&mut machine, &settings, &at(1)), []);
    let failed = Poll::Failed(Reason::NotRenewable);
    assert_eq!(machine.poll(&by_hand, &settings, &at(1)), failed);
}

#[test]
fn a_token_that_nothing_renews_is_used_while_the_store_fails() {
    let settings = Settings { has_client: false, ..settings(Home::Store) };
    let mut machine = stored(&live(FRESH), &settings);
    assert!(rejects(&mut machine, &settings, &at(1)));
    let sender = for_another(&mut machine);
    assert_eq!(machine.poll_rejected(&sender, &settings, &at(1)), Poll::Wait);
    let call = load(&mut machine, &settings, &at(1));
    machine.loaded(call, Err(slow()), &settings, &at(1));
    let down = Poll::Failed(Reason::Error("slow"));
    assert_eq!(machine.poll_rejected(&sender, &settings, &at(1)), down);
    assert_eq!(wants(&mut machine, &settings, &at(1)), Poll::Ready(FRESH));
}

/// Renews for whoever waits, and gets this answer.
fn answered(machine: &mut Tested, answer: Answer<Numbered, &'static str>, settings: &Settings) {
    let ticket = for_another(machine);
    assert_eq!(machine.poll(&ticket, settings, &at(0)), Poll::Wait);
    let request = presented(machine, settings, &at(0));
    machine.answered(request, answer, settings, &at(0));
}

fn down() -> Answer<Numbered, &'static str> {
    Answer::Failed("down", FailureClass::Transient(None))
}

#[test]
fn a_token_that_another_path_has_accepted_is_used_again_if_the_renewal_fails() {
    let settings = settings(Home::Memory);
    let failed = Poll::Failed(Reason::Error("down"));
    for (accepted_by, answer) in [
        (Some(6), Poll::Ready(FRESH)),
        // The path that rejects it now had accepted it, or none is known to.
        (Some(5), failed.clone()),
        (None, failed.clone()),
    ] {
        let mut machine = given(FRESH);
        assert!(rejects_at(&mut machine, 5, accepted_by, &settings, &at(0)));
        assert!(machine.is_rejected(&Target::OWN));
        answered(&mut machine, down(), &settings);
        assert_eq!(wants(&mut machine, &settings, &at(0)), answer, "{accepted_by:?}");
    }
    // Of two paths in a row no one doubts that the token is at fault, whether it is out of use or not.
    for comes_first in [true, false] {
        let mut machine = given(FRESH);
        assert!(rejects_at(&mut machine, 5, 6, &settings, &at(0)));
        if comes_first {
            assert!(rejects_at(&mut machine, 7, None, &settings, &at(0)));
        }
        answered(&mut machine, down(), &settings);
        if !comes_first {
            assert!(rejects_at(&mut machine, 7, None, &settings, &at(0)));
        }
        assert_eq!(wants(&mut machine, &settings, &at(0)), failed, "{comes_first}");
    }
}

#[test]
fn while_no_renewal_is_permitted_a_doubted_path_takes_no_token_out_of_use() {
    let settings = settings(Home::Memory);
    let mut machine = given(FRESH);
    assert!(rejects_at(&mut machine, 5, 6, &settings, &at(0)));
    answered(&mut machine, down(), &settings);
    machine.take_notes();
    for accepted_by in [None, None, Some(6)] {
        assert!(rejects_at(&mut machine, 5, accepted_by, &settings, &before(&at(1))));
        let sender = for_another(&mut machine);
        let failed = Poll::Failed(Reason::Error("down"));
        assert_eq!(machine.poll_rejected(&sender, &settings, &before(&at(1))), failed);
        assert_eq!(wants(&mut machine, &settings, &before(&at(1))), Poll::Ready(FRESH));
    }
    assert_eq!(machine.take_notes(), []);
    // Then it may try again.
    assert!(rejects_at(&mut machine, 5, None, &settings, &at(1)));
    assert!(machine.is_rejected(&Target::OWN));
}

#[test]
fn a_login_that_has_ended_has_no_token_that_was_rejected() {
    let settings = settings(Home::Memory);
    let ended = Poll::Failed(Reason::Ended { error: "no", lost: false });
    let mut machine = given(FRESH);
    assert!(rejects_at(&mut machine, 5, 6, &settings, &at(0)));
    answered(&mut machine, Answer::Refused("no"), &settings);
    assert_eq!(wants(&mut machine, &settings, &at(0)), ended);
    // Also where that was known before the 401.
    let mut machine = given(DUE);
    wants(&mut machine, &settings, &at(0));
    let request = presented(&mut machine, &settings, &at(0));
    machine.answered(request, Answer::Refused("no"), &settings, &at(0));
    assert_eq!(wants(&mut machine, &settings, &at(0)), Poll::Ready(DUE));
    assert!(rejects_at(&mut machine, 5, 6, &settings, &at(0)));
    assert_eq!(wants(&mut machine, &settings, &at(0)), ended);
    // Or where the store cannot say whether there is another login.
    let settings = super::settings(Home::Store);
    let mut machine = stored(&live(FRESH), &settings);
    let record = Record { state: State::Ended("no"), ..live(FRESH) };
    machine.known = Some(record.clone());
    machine.seen.as_mut().unwrap().record = Some(record);
    assert!(rejects(&mut machine, &settings, &at(1)));
    assert_eq!(wants(&mut machine, &settings, &at(1)), Poll::Wait);
    let call = load(&mut machine, &settings, &at(1));
    machine.loaded(call, Err(slow()), &settings, &at(1));
    assert!(machine.is_rejected(&Target::OWN));
}

#[test]
fn a_token_whose_refresh_token_has_expired_is_used_by_all_but_the_sender() {
    use super::login_expiry::{Ending, EndingMachine};
    for home in [Home::Memory, Home::Store] {
        let settings = settings(home);
        let token = Ending(FRESH, 100);
        let mut machine = EndingMachine::with_token(7, 1, token.clone());
        for _ in 0..2 {
            let now = at(100);
            assert!(machine.rejected(&Target::OWN, &token, REJECTION, &settings, &now));
            let sender = machine.ticket_for_another(&Target::OWN, Some(&token), false);
            if machine.poll_rejected(&sender, &settings, &now) == Poll::Wait {
                let Some(Action::Load { call }) = machine.next(&settings, &now) else { panic!() };
                let state = State::Live(Some(token.clone()));
                let (mark, pause) = (None, None);
                let record = Record { login: 1, number: 1, generation: 0, state, mark, pause };
                machine.loaded(call, Ok(Some((record, 1))), &settings, &now);
                assert_eq!(machine.next(&settings, &now), None);
            }
            let expired = Poll::Failed(Reason::LoginExpired);
            assert_eq!(machine.poll_rejected(&sender, &settings, &now), expired);
            assert_eq!(wants(&mut machine, &settings, &now), Poll::Ready(token.clone()));
        }
    }
}

#[test]
fn a_refused_target_has_its_token_in_use_if_its_path_is_doubted() {
    let settings = settings(Home::Memory);
    for (accepted_by, again) in [(Some(6), true), (None, false)] {
        let (target, mut machine) = (Target::other("a"), given(FRESH));
        machine.ticket(&target);
        let rejection = Rejection { path: 5, accepted_by };
        assert!(machine.rejected(&target, &FRESH, rejection, &settings, &at(0)));
        let ticket = machine.ticket(&target);
        assert_eq!(machine.poll(&ticket, &settings, &at(0)), Poll::Wait);
        let request = presented(&mut machine, &settings, &at(0));
        machine.answered(request, Answer::TargetRefused("no", None), &settings, &at(0));
        assert_eq!(machine.is_rejected(&target), !again);
    }
}

#[test]
fn nobody_doubts_a_path_that_rejects_the_next_token() {
    let settings = settings(Home::Memory);
    let mut machine = given(FRESH);
    assert!(rejects_at(&mut machine, 5, 6, &settings, &at(0)));
    assert!(machine.own.paths.is_doubtful());
    answered(&mut machine, Answer::Token(Numbered(101, Stage::Fresh)), &settings);
    assert!(!machine.own.paths.is_doubtful());
    assert!(rejects_at(&mut machine, 7, 6, &settings, &at(0)));
    machine.unserve();
    assert!(!machine.own.paths.is_doubtful());
}

#[test]
fn which_tokens_are_used_again_after_which_failure() {
    let ended = Reason::Ended { error: "no", lost: false };
    for (reason, doubted, again) in [
        (Reason::NoOther, false, true),
        (Reason::LoginExpired, false, true),
        (Reason::Error("down"), false, false),
        (Reason::Error("down"), true, true),
        (Reason::Busy, true, true),
        (ended.clone(), true, false),
        (ended, false, false),
    ] {
        let settings = settings(Home::Memory);
        let mut machine = given(FRESH);
        let accepted_by = doubted.then_some(6);
        assert!(rejects_at(&mut machine, 5, accepted_by, &settings, &at(0)));
        machine.use_rejected(&reason);
        assert_eq!(machine.is_rejected(&Target::OWN), !again, "{reason:?} {doubted}");
    }
}
