//! Access tokens for several targets of one login.

use super::*;

/// An access token for each of some targets.
#[derive(Clone, Debug, PartialEq)]
struct Several(Vec<(Target, Numbered)>);

impl Several {
    fn of(&self, target: &Target) -> Option<&Numbered> {
        self.0.iter().find(|(other, _)| other == target).map(|(_, token)| token)
    }
}

impl Credential for Several {
    fn stage(&self, target: &Target, _: SystemTime) -> Stage {
        self.of(target).map_or(Stage::Expired, |token| token.1)
    }

    fn can_refresh(&self) -> bool {
        true
    }

    fn is_same(&self, target: &Target, other: &Self) -> bool {
        self.of(target).zip(other.of(target)).is_some_and(|(one, other)| one.0 == other.0)
    }
}

type SeveralMachine = Machine<Several, &'static str>;

fn other(name: &str) -> Target {
    Target::other(name)
}

fn own(token: Numbered) -> Several {
    Several(vec![(Target::OWN, token)])
}

fn two(token: Numbered) -> Several {
    Several(vec![(Target::OWN, FRESH), (other("a"), token)])
}

#[track_caller]
fn requested(machine: &mut SeveralMachine, settings: &Settings, now: &Now) -> Presented<Several> {
    match machine.next(settings, now) {
        Some(Action::Present { request, .. }) => request,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_refused_target_is_asked_for_again_after_one_minute_and_then_two() {
    let settings = settings(Home::Memory);
    let mut machine = SeveralMachine::with_token(7, 1, own(FRESH));
    let a = other("a");
    for (attempt, wanted, failed, again) in [(1, 0, 10, 70), (2, 70, 71, 191)] {
        let ticket = machine.ticket(&a);
        assert_eq!(machine.poll(&ticket, &settings, &at(wanted)), Poll::Wait);
        let request = requested(&mut machine, &settings, &at(wanted));
        machine.take_notes();
        machine.answered(request, Answer::TargetRefused("no", None), &settings, &at(failed));
        let reason = Reason::Error("no");
        let took = Duration::from_secs(failed - wanted);
        let note = Note::TargetRefused { target: a.clone(), error: "no", attempt, took };
        assert_eq!(machine.take_notes(), [note]);
        assert_eq!(machine.poll(&ticket, &settings, &at(failed)), Poll::Failed(reason.clone()));
        assert_eq!(
            machine.retry_at(&a, &settings, &at(failed)),
            Some(Some(Duration::from_secs(again)))
        );
        let later = machine.ticket(&a);
        let failed = Poll::Failed(reason);
        assert_eq!(machine.poll(&later, &settings, &before(&at(again))), failed);
        // Another target has nothing to do with it.
        assert_eq!(machine.retry_at(&Target::OWN, &settings, &at(again)), None);
    }
}

#[test]
fn a_refused_target_is_left_alone_for_as_long_as_the_provider_says() {
    let settings = settings(Home::Memory);
    let mut machine = SeveralMachine::with_token(7, 1, own(FRESH));
    let a = other("a");
    let ticket = machine.ticket(&a);
    machine.poll(&ticket, &settings, &at(0));
    let request = requested(&mut machine, &settings, &at(0));
    let refused = Answer::TargetRefused("no", Some(Duration::from_secs(300)));
    machine.answered(request, refused, &settings, &at(0));
    let until = Some(Some(Duration::from_secs(300)));
    assert_eq!(machine.retry_at(&a, &settings, &at(0)), until);
}

#[test]
fn a_refused_target_is_left_alone_after_the_backoff_of_a_failure_before_that() {
    let settings = settings(Home::Memory);
    let mut machine = SeveralMachine::with_token(7, 1, own(FRESH));
    let a = other("a");
    let failed = Answer::Failed("down", FailureClass::Transient(None));
    for (answer, seconds) in [(failed, 0), (Answer::TargetRefused("no", None), 2)] {
        let ticket = machine.ticket(&a);
        assert_eq!(machine.poll(&ticket, &settings, &at(seconds)), Poll::Wait);
        let request = requested(&mut machine, &settings, &at(seconds));
        machine.answered(request, answer, &settings, &at(seconds));
    }
    let until = |seconds| Some(Some(Duration::from_secs(seconds)));
    assert_eq!(machine.retry_at(&a, &settings, &at(2)), until(62));
    assert_eq!(machine.retry_at(&Target::OWN, &settings, &at(2)), until(1), "that is over");
}

#[test]
fn after_a_refused_target_another_one_has_all_its_time_and_its_second_try() {
    let settings = settings(Home::Memory);
    let mut machine = SeveralMachine::with_token(7, 1, two(EXPIRED));
    let (a, b) = (other("a"), other("b"));
    let [refused, waits] = [&b, &a].map(|target| {
        let ticket = machine.ticket(target);
        assert_eq!(machine.poll(&ticket, &settings, &at(0)), Poll::Wait);
        ticket
    });
    let request = requested(&mut machine, &settings, &at(0));
    assert_eq!(request.target, b);
    machine.answered(request, Answer::TargetRefused("no", None), &settings, &at(20));
    assert_eq!(machine.poll(&refused, &settings, &at(20)), Poll::Failed(Reason::Error("no")));
    let Some(Action::Present { request, limit }) = machine.next(&settings, &at(20)) else {
        panic!("the other target is wanted");
    };
    assert_eq!((&request.target, limit), (&a, settings.refresh_limit));
    machine.answered(request, Answer::Lost("cut"), &settings, &at(21));
    assert_eq!(machine.poll(&waits, &settings, &at(21)), Poll::Wait);
    assert_eq!(requested(&mut machine, &settings, &at(23)).target, a);
}

fn refuse(machine: &mut SeveralMachine, target: &Target, settings: &Settings) {
    let ticket = machine.ticket(target);
    machine.poll(&ticket, settings, &at(0));
    let request = requested(machine, settings, &at(0));
    machine.answered(request, Answer::TargetRefused("no", None), settings, &at(0));
}

#[test]
fn of_32_targets_the_first_that_nothing_is_known_of_is_forgotten() {
    let settings = settings(Home::Memory);
    let mut machine = SeveralMachine::with_token(7, 1, own(FRESH));
    let numbered = |number: usize| other(&number.to_string());
    refuse(&mut machine, &numbered(0), &settings);
    machine.access_mut(&numbered(1)).rejected = true;
    machine.access_mut(&numbered(2)).wanted = Some(Duration::ZERO);
    for number in 3..34 {
        machine.ticket(&numbered(number));
    }
    for forgotten in [3, 4] {
        assert!(machine.access(&numbered(forgotten)).is_some());
        machine.ticket(&numbered(forgotten + 31));
        assert_eq!(machine.access(&numbered(forgotten)), None);
    }
    for kept in [0, 1, 2, 5, 34, 35] {
        assert!(machine.access(&numbered(kept)).is_some(), "{kept}");
    }
}

#[test]
fn targets_that_are_refused_take_no_room_from_others() {
    let settings = settings(Home::Memory);
    let mut machine = SeveralMachine::with_token(7, 1, own(FRESH));
    let numbered = |number: usize| other(&number.to_string());
    for number in 0..40 {
        refuse(&mut machine, &numbered(number), &settings);
    }
    for number in 40..72 {
        machine.ticket(&numbered(number));
    }
    assert!((0..72).all(|number| machine.access(&numbered(number)).is_some()));
}

#[test]
fn of_256_targets_that_are_refused_the_first_is_forgotten() {
    let settings = settings(Home::Memory);
    let mut machine = SeveralMachine::with_token(7, 1, own(FRESH));
    let numbered = |number: usize| other(&number.to_string());
    for number in 0..256 {
        refuse(&mut machine, &numbered(number), &settings);
    }
    assert!(machine.access(&numbered(0)).is_some());
    refuse(&mut machine, &numbered(256), &settings);
    assert_eq!(machine.access(&numbered(0)), None);
    assert!(machine.access(&numbered(1)).is_some());
}

#[test]
fn tokens_in_use_are_counted_target_by_target() {
    let settings = settings(Home::Memory);
    let mut machine = SeveralMachine::with_token(7, 1, two(FRESH));
    let a = other("a");
    assert_eq!(machine.ticket(&Target::OWN).in_use, 1);
    assert_eq!(machine.ticket(&a).in_use, 2);
    assert_eq!(machine.ticket(&other("b")).in_use, 0);
    let by_hand = machine.ticket_for_another(&a, Some(&two(FRESH)), true);
    assert_eq!(machine.poll(&by_hand, &settings, &at(0)), Poll::Wait);
    let started = Note::RenewalStarted { target: a.clone(), cause: Cause::Manual, serial: 2 };
    assert_eq!(machine.take_notes(), [started]);
    // The login's own has been wanted for less long, so it is next.
    let by_hand = machine.ticket_for_another(&Target::OWN, Some(&two(FRESH)), true);
    assert_eq!(machine.poll(&by_hand, &settings, &at(3)), Poll::Wait);
    let request = requested(&mut machine, &settings, &at(3));
    assert_eq!(request.target, a);
    machine.take_notes();
    let token = two(Numbered(101, Stage::Fresh));
    machine.answered(request, Answer::Token(token), &settings, &at(5));
    let in_use = |target: &Target, serial, took| {
        let (target, took) = (target.clone(), Duration::from_secs(took));
        [Note::TokenInUse { target, serial, took }]
    };
    assert_eq!(machine.take_notes(), in_use(&a, 3, 5));
    let request = requested(&mut machine, &settings, &at(5));
    assert_eq!(request.target, Target::OWN);
    let mut token = two(Numbered(101, Stage::Fresh));
    token.0[0].1 = Numbered(102, Stage::Fresh);
    machine.answered(request, Answer::Token(token), &settings, &at(9));
    assert_eq!(machine.take_notes(), in_use(&Target::OWN, 4, 4));
}

#[test]
fn a_target_that_a_new_login_has_no_token_for_has_none_in_use() {
    let settings = settings(Home::Memory);
    let mut machine = SeveralMachine::with_token(7, 1, two(FRESH));
    let a = other("a");
    machine.ticket(&a);
    machine.set_login(2, Some(own(FRESH)), &settings, &at(0));
    assert_eq!(machine.ticket(&a).in_use, 0);
}

#[test]
fn a_target_that_is_wanted_while_another_is_being_renewed_is_next() {
    let settings = settings(Home::Memory);
    let mut machine = SeveralMachine::with_token(7, 1, own(EXPIRED));
    assert_eq!(wants(&mut machine, &settings, &at(0)), Poll::Wait);
    let request = requested(&mut machine, &settings, &at(0));
    let a = other("a");
    let ticket = machine.ticket(&a);
    machine.take_notes();
    assert_eq!(machine.poll(&ticket, &settings, &at(1)), Poll::Wait);
    let started = Note::RenewalStarted { target: a.clone(), cause: Cause::NoToken, serial: 0 };
    assert_eq!(machine.take_notes(), [started]);
    machine.answered(request, Answer::Token(own(FRESH)), &settings, &at(2));
    assert_eq!(requested(&mut machine, &settings, &at(2)).target, a);
}

#[test]
fn a_target_is_under_way_until_its_token_is_in_use() {
    let settings = settings(Home::Saver);
    let mut machine = SeveralMachine::with_token(7, 1, own(FRESH));
    let a = other("a");
    assert_eq!(machine.target_under_way(), Target::OWN);
    let ticket = machine.ticket(&a);
    machine.poll(&ticket, &settings, &at(0));
    assert_eq!(machine.target_under_way(), a);
    let request = requested(&mut machine, &settings, &at(0));
    assert_eq!(machine.target_under_way(), a);
    machine.answered(request, Answer::Token(two(FRESH)), &settings, &at(1));
    assert_eq!(machine.target_under_way(), a);
    let Some(Action::Save { call, .. }) = machine.next(&settings, &at(1)) else { panic!() };
    machine.saved(call, Ok(()), &settings, &at(1));
    assert_eq!(machine.target_under_way(), Target::OWN);
}

#[test]
fn what_was_learned_of_a_login_does_not_count_for_the_next_one_in_the_store() {
    let settings = settings(Home::Store);
    let mut machine = SeveralMachine::with_token(7, 1, own(FRESH));
    let a = other("a");
    let rejection = Rejection { path: 1, accepted_by: None };
    assert!(machine.rejected(&Target::OWN, &own(FRESH), rejection, &settings, &at(0)));
    let retry_at = Some(Duration::from_secs(60));
    let refusal =
        Failure { reason: Reason::Error("no"), attempts: 1, retry_at, of: FailureOf::Login };
    machine.access_mut(&a).refusal = Some(refusal);
    for (login, number, counts) in [(1, 1, true), (2, 2, false)] {
        let state = State::Live(Some(own(DUE)));
        let record = Record { login, number, generation: 1, state, mark: None, pause: None };
        machine.see(Some((record, 1)), &at(0));
        assert_eq!(machine.retry_at(&a, &settings, &at(0)).is_some(), counts, "{login}");
        assert_eq!(machine.own.paths.is_empty(), !counts, "{login}");
    }
}
