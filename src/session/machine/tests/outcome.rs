//! What a token request brought, until the store has it.

use super::*;

fn nobody(at: u64) -> Option<Mark> {
    Some(Mark { holder: None, at, lease: Duration::from_secs(10) })
}

const RENEWED: Numbered = Numbered(101, Stage::Fresh);

/// A session that has got this answer, and the swap of it.
fn gained(
    answer: Answer<Numbered, &'static str>,
    settings: &Settings,
) -> (Tested, u32, Record<Numbered, &'static str>) {
    let (mut machine, request) = renewing(settings);
    machine.answered(request, answer, settings, &at(1));
    let (call, record) = swap(&mut machine, Purpose::Outcome, settings, &at(1));
    (machine, call, record)
}

#[test]
fn a_new_token_is_in_use_as_soon_as_it_is_stored() {
    let settings = settings(Home::Store);
    let (mut machine, call, record) = gained(Answer::Token(RENEWED), &settings);
    assert_eq!(record, Record { generation: 1, ..live(RENEWED) });
    assert_eq!(token_in_use(&machine), Some(&EXPIRED));
    machine.swapped(call, Ok(Swapped::Stored(3)), &settings, &at(1));
    assert_eq!(token_in_use(&machine), Some(&RENEWED));
}

#[test]
fn a_store_that_may_have_lost_the_outcome_gets_it_with_the_mark_of_nobody() {
    let settings = settings(Home::Store);
    let unreadable = || StoreFailure { unreadable: Some(3), ..slow() };
    let token = || Answer::Token(RENEWED);
    let rows = [
        (token(), None, None),
        (token(), Some(slow()), nobody(6000)),
        (token(), Some(unreadable()), None),
        (Answer::Refused("no"), Some(slow()), None),
    ];
    for (answer, failure, mark) in rows {
        let (mut machine, mut call, _) = gained(answer, &settings);
        if let Some(failure) = failure {
            machine.swapped(call, Err(failure), &settings, &at(1));
            call = swap(&mut machine, Purpose::Outcome, &settings, &at(6)).0;
        }
        machine.swapped(call, Ok(Swapped::Conflict(None)), &settings, &at(6));
        let (_, record) = swap(&mut machine, Purpose::Outcome, &settings, &at(6));
        assert_eq!(record.mark, mark);
    }
}

#[test]
fn a_token_that_came_after_a_sign_out_is_revoked_where_that_is_possible() {
    for can_revoke in [true, false] {
        let settings = Settings { can_revoke, ..settings(Home::Store) };
        let (mut machine, call, record) = gained(Answer::Token(RENEWED), &settings);
        let out = Record { login: 9, number: 5, state: State::SignedOut, ..record };
        machine.take_notes();
        machine.swapped(call, Ok(Swapped::Conflict(Some((out, 3)))), &settings, &at(1));
        let revokes = Action::Revoke { token: RENEWED };
        let expected = if can_revoke { vec![revokes] } else { vec![] };
        assert_eq!(actions(&mut machine, &settings, &at(1)), expected);
        let notes = machine.take_notes();
        assert!(notes.contains(&Note::SaveConflict));
        assert!(!notes.contains(&Note::SignedOut), "it is another session's sign-out");
        assert_eq!(machine.owes_revocation(), can_revoke);
    }
}

#[test]
fn the_end_of_a_login_is_looked_at_again_where_others_may_sign_in() {
    let store = settings(Home::Store);
    let (machine, ..) = gained(Answer::Refused("no"), &store);
    assert_eq!(machine.retry_at(&Target::OWN, &store, &at(1)), Some(Some(Duration::from_secs(2))));
    let settings = settings(Home::Memory);
    let mut machine = given(EXPIRED);
    wants(&mut machine, &settings, &at(0));
    let request = presented(&mut machine, &settings, &at(0));
    machine.answered(request, Answer::Refused("no"), &settings, &at(0));
    assert_eq!(machine.retry_at(&Target::OWN, &settings, &at(0)), Some(None));
}

#[test]
fn a_new_refresh_token_alone_is_kept_and_the_renewal_has_failed() {
    let rotated = Numbered(4, Stage::Expired);
    let answer = || Answer::Rotated(rotated.clone(), "page", None);
    let late = Now { jitter: u32::MAX, ..at(1) };

    let memory = settings(Home::Memory);
    let mut machine = given(EXPIRED);
    wants(&mut machine, &memory, &at(0));
    let request = presented(&mut machine, &memory, &at(0));
    machine.answered(request, answer(), &memory, &late);
    assert_eq!(machine.retry_at(&Target::OWN, &memory, &at(1)), Some(Some(Duration::from_secs(3))));
    assert_eq!(wants(&mut machine, &memory, &at(3)), Poll::Wait);
    let request = presented(&mut machine, &memory, &at(3));
    assert_eq!((request.generation, request.token), (1, Some(rotated.clone())));

    let store = settings(Home::Store);
    let (mut machine, request) = renewing(&store);
    machine.answered(request, answer(), &store, &late);
    // The pause in the record is longer than this session's own.
    assert_eq!(machine.retry_at(&Target::OWN, &store, &at(1)), Some(Some(Duration::from_secs(2))));
    let (_, record) = swap(&mut machine, Purpose::Outcome, &store, &at(1));
    let pause = Pause { until: 3000, wait: Duration::from_secs(2), error: "page", attempts: 1 };
    let expected = Record { generation: 1, pause: Some(pause), ..live(rotated.clone()) };
    assert_eq!(record, expected);

    // Not before the provider says.
    let (mut machine, request) = renewing(&store);
    let later = Answer::Rotated(rotated.clone(), "later", Some(Duration::from_secs(120)));
    machine.answered(request, later, &store, &at(1));
    let (_, record) = swap(&mut machine, Purpose::Outcome, &store, &at(1));
    let wait = Duration::from_secs(120);
    let pause = Pause { until: 121_000, wait, error: "later", attempts: 1 };
    assert_eq!(record, Record { generation: 1, pause: Some(pause), ..live(rotated.clone()) });

    // Another session was faster: nothing of it counts.
    let (mut machine, request) = renewing(&store);
    let (call, _) = swap(&mut machine, Purpose::Mark, &store, &at(4));
    let newer = Record { generation: 5, ..live(FRESH) };
    let conflict = Swapped::Conflict(Some((newer, 3)));
    machine.swapped(call, Ok(conflict), &store, &at(4));
    machine.answered(request, answer(), &store, &at(5));
    assert_eq!(machine.retry_at(&Target::OWN, &store, &at(1)), None);
}

/// A session whose runtime has ended, and the request whose answer comes late.
fn ended(settings: &Settings) -> (Tested, Presented<Numbered>) {
    let (mut machine, request) = renewing(settings);
    machine.calls_lost(&"end", true, settings, &at(0));
    (machine, request)
}

#[test]
fn a_late_answer_does_not_replace_a_newer_one() {
    let settings = settings(Home::Store);
    let (mut machine, late) = ended(&settings);
    let (call, _) = swap(&mut machine, Purpose::Mark, &settings, &at(1));
    machine.swapped(call, Ok(Swapped::Stored(3)), &settings, &at(1));
    let request = presented(&mut machine, &settings, &at(1));
    machine.answered(request, Answer::Token(RENEWED), &settings, &at(1));
    machine.answered(late, Answer::Token(Numbered(102, Stage::Fresh)), &settings, &at(1));
    let (_, record) = swap(&mut machine, Purpose::Outcome, &settings, &at(1));
    assert_eq!(record.token(), Some(&RENEWED));
}

#[test]
fn a_late_token_is_kept_while_the_mark_is_being_cleared() {
    let settings = settings(Home::Store);
    let (mut machine, late) = ended(&settings);
    let (call, _) = swap(&mut machine, Purpose::Mark, &settings, &at(1));
    machine.swapped(call, Ok(Swapped::Stored(3)), &settings, &at(1));
    let request = presented(&mut machine, &settings, &at(1));
    machine.answered(request, Answer::Lost("cut"), &settings, &at(1));
    let (call, _) = swap(&mut machine, Purpose::Outcome, &settings, &at(1));
    machine.answered(late, Answer::Token(RENEWED), &settings, &at(1));
    machine.swapped(call, Ok(Swapped::Stored(4)), &settings, &at(1));
    let (_, record) = swap(&mut machine, Purpose::Outcome, &settings, &at(1));
    assert_eq!((record.generation, record.token()), (1, Some(&RENEWED)));
}

#[test]
fn a_late_refusal_is_the_reason_once_the_store_fails() {
    let settings = settings(Home::Store);
    let (mut machine, late) = ended(&settings);
    let ticket = machine.ticket(&Target::OWN);
    machine.take_notes();
    machine.answered(late, Answer::Refused("no"), &settings, &at(0));
    assert_eq!(machine.take_notes(), [Note::RenewalDiscarded]);
    // The first failure is tried again at once.
    for _ in 0..2 {
        let (call, _) = swap(&mut machine, Purpose::Outcome, &settings, &at(0));
        machine.swapped(call, Err(slow()), &settings, &at(0));
    }
    let ended = Reason::Ended { error: "no", lost: true };
    assert_eq!(machine.poll(&ticket, &settings, &at(0)), Poll::Failed(ended));
}

#[test]
fn a_late_token_of_an_earlier_login_does_not_save_the_sign_in() {
    let settings = Settings { strict_saving: true, ..settings(Home::Store) };
    let (mut machine, request) = renewing(&settings);
    machine.set_login(2, Some(FRESH), &settings, &at(1));
    let (call, _) = swap(&mut machine, Purpose::Login, &settings, &at(1));
    machine.swapped(call, Err(slow()), &settings, &at(1));
    let failed = Poll::Failed(Reason::NotSaved("slow"));
    assert_eq!(machine.poll_login(2, &settings), failed);
    machine.answered(request, Answer::Token(RENEWED), &settings, &at(1));
    assert_eq!(machine.poll_login(2, &settings), failed);
}
