//! Calls of the saver.

use super::*;

#[test]
fn a_token_that_is_due_renews_nothing_while_a_newer_one_is_being_saved() {
    let settings = settings(Home::Saver);
    let mut machine = given(DUE);
    machine.set_login(2, Some(FRESH), &settings, &at(0));
    save(&mut machine, &settings, &at(0));
    assert_eq!(wants(&mut machine, &settings, &at(1)), Poll::Ready(DUE));
    assert_eq!(actions(&mut machine, &settings, &at(1)), []);
}

/// A session whose saver has been at work on a renewed token since second 0.
fn saving(settings: &Settings) -> (Tested, u32) {
    let mut machine = given(EXPIRED);
    wants(&mut machine, settings, &at(0));
    let request = presented(&mut machine, settings, &at(0));
    let token = Numbered(101, Stage::Fresh);
    machine.answered(request, Answer::Token(token), settings, &at(0));
    let call = save(&mut machine, settings, &at(0));
    (machine, call)
}

#[test]
fn a_save_that_is_set_aside_says_nothing_of_a_newer_token() {
    let settings = settings(Home::Saver);
    let (mut machine, _) = saving(&settings);
    let (ticket, than) = (machine.ticket(&Target::OWN), Some(Numbered(101, Stage::Fresh)));
    actions(&mut machine, &settings, &at(10));
    let by_hand = machine.ticket_for_another(&Target::OWN, than.as_ref(), true);
    assert_eq!(machine.poll(&by_hand, &settings, &at(58)), Poll::Wait);
    let request = presented(&mut machine, &settings, &at(58));
    let newer = Answer::Token(Numbered(102, Stage::Fresh));
    machine.answered(request, newer, &settings, &at(58));
    // The call for the token before is set aside; the newer one has not been tried yet.
    save(&mut machine, &settings, &at(60));
    assert_eq!(machine.save_error(), None);
    let before = Poll::Ready(Numbered(101, Stage::Fresh));
    assert_eq!(machine.poll(&ticket, &settings, &at(60)), before);
}

#[test]
fn a_shutdown_does_not_wait_for_a_save_that_was_set_aside() {
    let settings = settings(Home::Saver);
    let (mut machine, _) = saving(&settings);
    assert_eq!(actions(&mut machine, &settings, &at(60)), []);
    let second = save(&mut machine, &settings, &at(62));
    let flush = machine.flush(&at(63));
    assert_eq!(machine.poll_flush(&flush), Poll::Wait);
    machine.saved(second, Ok(()), &settings, &at(64));
    assert_eq!(machine.poll_flush(&flush), Poll::Ready(()));
    assert!(machine.is_busy(), "the worker stays for the end of the call");
}

#[test]
fn in_the_foreground_a_saver_that_hangs_is_waited_for_no_longer_than_elsewhere() {
    let settings = Settings { foreground: true, ..settings(Home::Saver) };
    let (mut machine, _) = saving(&settings);
    actions(&mut machine, &settings, &at(4));
    assert_eq!(wants(&mut machine, &settings, &at(4)), Poll::Wait);
    actions(&mut machine, &settings, &at(5));
    let token = Numbered(101, Stage::Fresh);
    assert_eq!(wants(&mut machine, &settings, &at(5)), Poll::Ready(token));
}

#[test]
fn a_session_asks_again_when_a_save_is_late_or_overdue_or_its_wait_is_over() {
    let settings = settings(Home::Saver);
    let (mut machine, first) = saving(&settings);
    let seconds = |seconds| Some(Duration::from_secs(seconds));
    machine.take_notes();
    assert_eq!(machine.wake_at(&settings), seconds(5));
    assert_eq!(actions(&mut machine, &settings, &at(5)), []);
    let took = Duration::from_secs(5);
    let in_use = Note::TokenInUse { target: Target::OWN, serial: 2, took };
    assert_eq!(machine.take_notes(), [Note::SaveSlow, in_use]);
    assert_eq!(machine.wake_at(&settings), seconds(60));
    assert_eq!(actions(&mut machine, &settings, &before(&at(60))), []);
    assert!(!machine.has_notes());
    assert_eq!(actions(&mut machine, &settings, &at(60)), []);
    let overdue = |attempt| Note::SaveFailed { reason: Reason::SaveOverdue, attempt };
    assert_eq!(machine.take_notes(), [overdue(1)]);
    assert_eq!(machine.wake_at(&settings), seconds(61));
    save(&mut machine, &settings, &at(61));
    assert_eq!(machine.wake_at(&settings), seconds(121));
    assert_eq!(actions(&mut machine, &settings, &at(121)), []);
    assert_eq!(machine.take_notes(), [overdue(2)]);
    save(&mut machine, &settings, &at(122));
    // Two are set aside, so the third is waited for.
    assert_eq!(machine.wake_at(&settings), None);
    assert_eq!(actions(&mut machine, &settings, &at(600)), []);
    machine.saved(first, Ok(()), &settings, &at(600));
    assert_eq!(machine.wake_at(&settings), seconds(182));
}

#[test]
fn a_token_whose_save_fails_is_used_at_once_unless_saving_is_strict() {
    let renewed = Numbered(101, Stage::Fresh);
    for (strict_saving, in_use) in [(false, &renewed), (true, &EXPIRED)] {
        let settings = Settings { strict_saving, ..settings(Home::Saver) };
        let (mut machine, call) = saving(&settings);
        assert_eq!(token_in_use(&machine), Some(&EXPIRED));
        machine.take_notes();
        machine.saved(call, Err("full"), &settings, &at(1));
        assert_eq!(token_in_use(&machine), Some(in_use));
        let failed = Note::SaveFailed { reason: Reason::Error("full"), attempt: 1 };
        assert_eq!(machine.take_notes()[0], failed);
        // It is no longer news that saving takes long.
        actions(&mut machine, &settings, &at(10));
        assert!(!machine.has_notes());
    }
}

#[test]
fn with_strict_saving_the_token_before_a_sign_in_goes_out_of_use_once_saving_fails_or_is_slow() {
    let settings = Settings { strict_saving: true, ..settings(Home::Saver) };
    for fails in [true, false] {
        let mut machine = given(FRESH);
        machine.set_login(2, Some(DUE), &settings, &at(0));
        let call = save(&mut machine, &settings, &at(0));
        assert_eq!(token_in_use(&machine), Some(&FRESH));
        if fails {
            machine.saved(call, Err("full"), &settings, &at(1));
        } else {
            actions(&mut machine, &settings, &before(&at(5)));
            assert_eq!(token_in_use(&machine), Some(&FRESH));
            actions(&mut machine, &settings, &at(5));
        }
        assert_eq!(token_in_use(&machine), None, "{fails}");
    }
}

#[test]
fn after_a_call_that_was_set_aside_the_newest_token_is_saved_once_more() {
    let settings = settings(Home::Saver);
    let (mut machine, first) = saving(&settings);
    actions(&mut machine, &settings, &at(60));
    // It ends while the next call waits for its time, which stays the same.
    let mut early = machine.clone();
    early.saved(first, Ok(()), &settings, &at_millis(60_500));
    assert_eq!(early.wake_at(&settings), Some(Duration::from_secs(61)));
    assert_eq!(early.save_error(), Some(Reason::SaveOverdue));
    let second = save(&mut machine, &settings, &at(61));
    machine.saved(second, Ok(()), &settings, &at(62));
    assert!(!machine.is_unsaved());
    let mut lost = machine.clone();
    machine.saved(first, Ok(()), &settings, &at(63));
    save(&mut machine, &settings, &at(63));
    // The same if the runtime ends, and the call with it.
    lost.calls_lost(&"end", false, &settings, &at(63));
    save(&mut lost, &settings, &at(63));
    let (mut idle, call) = saving(&settings);
    idle.saved(call, Ok(()), &settings, &at(1));
    idle.calls_lost(&"end", false, &settings, &at(2));
    assert_eq!(actions(&mut idle, &settings, &at(2)), []);
}
