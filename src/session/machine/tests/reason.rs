//! Why a request gets no token.

use super::login_expiry::{Ending, EndingMachine};
use super::*;

#[test]
fn without_a_token_the_reason_says_where_one_is_missing() {
    let mut machine = Tested::new(7);
    let no_token = Poll::Failed(Reason::NoToken);
    assert_eq!(wants(&mut machine, &settings(Home::Memory), &at(0)), no_token);

    let settings = settings(Home::Store);
    let mut machine = Tested::new(7);
    let ticket = machine.ticket(&Target::OWN);
    assert_eq!(machine.poll(&ticket, &settings, &at(0)), Poll::Wait);
    let call = load(&mut machine, &settings, &at(0));
    machine.loaded(call, Ok(None), &settings, &at(0));
    assert_eq!(actions(&mut machine, &settings, &at(0)), []);
    assert_eq!(machine.poll(&ticket, &settings, &at(0)), Poll::Failed(Reason::NoStoredToken));
}

#[test]
fn after_a_sign_out_the_grant_is_not_asked() {
    let settings = Settings { has_grant: true, ..settings(Home::Memory) };
    let mut machine = given(EXPIRED);
    machine.set_login(2, None, &settings, &at(0));
    assert_eq!(wants(&mut machine, &settings, &at(0)), Poll::Failed(Reason::SignedOut));
}

/// What a request gets whose token has expired, where the refresh token expires at second 100.
fn expired(settings: &Settings, seconds: u64) -> Poll<Ending, &'static str> {
    let mut machine = EndingMachine::with_token(7, 1, Ending(EXPIRED, 100));
    wants(&mut machine, settings, &at(seconds))
}

#[test]
fn an_expired_token_that_nothing_renews_has_the_reason_that_helps() {
    let client = settings(Home::Memory);
    let no_client = Settings { has_client: false, ..client };
    let grant = Settings { has_grant: true, ..client };
    assert_eq!(expired(&client, 99), Poll::Wait);
    assert_eq!(expired(&client, 100), Poll::Failed(Reason::LoginExpired));
    assert_eq!(expired(&no_client, 99), Poll::Failed(Reason::NotRenewable));
    assert_eq!(expired(&no_client, 100), Poll::Failed(Reason::NotRenewable));
    assert_eq!(expired(&grant, 100), Poll::Wait);
    let by_hand = |settings| Settings { manual_refresh: true, ..settings };
    assert_eq!(expired(&by_hand(client), 99), Poll::Failed(Reason::Expired));
    assert_eq!(expired(&by_hand(client), 100), Poll::Failed(Reason::LoginExpired));
    assert_eq!(expired(&by_hand(no_client), 99), Poll::Failed(Reason::Expired));
    assert_eq!(expired(&by_hand(grant), 100), Poll::Failed(Reason::Expired));
}

#[test]
fn final_reasons_are_known_the_second_time() {
    let ended = Reason::Ended { error: "no", lost: false };
    for reason in [
        Reason::NoStoredToken,
        Reason::NoToken,
        Reason::NotRenewable,
        Reason::SignedOut,
        ended,
        Reason::LoginExpired,
    ] {
        assert!(reason.is_final(), "{reason:?}");
    }
    for reason in [
        Reason::Error("down"),
        Reason::Expired,
        Reason::NoOther,
        Reason::NotSaved("down"),
        Reason::Busy,
    ] {
        assert!(!reason.is_final(), "{reason:?}");
    }
    let mut machine = given(EXPIRED);
    let mut known_before = |reason| {
        machine.fail(&Target::OWN, reason, None, FailureOf::Login, &at(0));
        match machine.take_notes()[..] {
            [Note::RenewalFailed { known_before, .. }] => known_before,
            ref other => panic!("{other:?}"),
        }
    };
    assert!(!known_before(Reason::NoStoredToken));
    assert!(known_before(Reason::NoStoredToken));
    assert!(known_before(Reason::Error("down")));
    assert!(!known_before(Reason::NoStoredToken));
}

#[test]
fn a_login_that_has_expired_is_looked_at_again_since_the_clock_may_be_set_right() {
    let settings = settings(Home::Memory);
    let mut machine = EndingMachine::with_token(7, 1, Ending(EXPIRED, 100));
    wants(&mut machine, &settings, &at(100));
    assert_eq!(
        machine.retry_at(&Target::OWN, &settings, &at(100)),
        Some(Some(Duration::from_secs(130)))
    );
    let settings = Settings { has_client: false, ..settings };
    assert_eq!(Reason::NotRenewable::<()>.retry_at(&settings, &at(100)), None);
}
