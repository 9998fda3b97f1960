//! A store that fails, hangs, panics, is behind, or has lost what it held.

use std::time::Duration;

use super::fleet::Fleet;
use crate::faulty_store::{Calls, Fault as StoreFault};
use crate::support::{ours, pass, polled};

#[tokio::test]
async fn a_store_that_is_down_is_not_noticed_while_the_token_is_valid() {
    let fleet = Fleet::new().await;
    fleet.signed_in(fleet.world.token()).await;
    let session = fleet.sibling();
    let token = session.token().await.unwrap();
    fleet.store.always(Calls::All, StoreFault::FailBefore);
    fleet.world.clock.forward(3500.0);
    for _ in 0..3 {
        assert_eq!(session.token().await.unwrap().access_token(), token.access_token());
        fleet.world.round_trips().await;
        pass(60).await;
    }
    fleet.world.clock.forward(100.0);
    let error = session.token().await.unwrap_err();
    assert!(error.is_store() && error.is_transient(), "{error}");
    assert_eq!(fleet.token_requests(), 0, "nothing is renewed that cannot be recorded");
    fleet.store.heal();
    pass(60).await;
    let renewed = fleet.meanwhile(session.token()).await.unwrap();
    fleet.assert_stored(&renewed);
    fleet.assert_renewals(1);
}

#[tokio::test]
async fn one_call_that_fails_is_not_noticed_while_the_token_is_valid() {
    for (calls, fault) in [
        (Calls::All, StoreFault::FailBefore),
        (Calls::All, StoreFault::FailAfter),
        (Calls::Swaps, StoreFault::FailBefore),
        (Calls::Swaps, StoreFault::FailAfter),
    ] {
        let fleet = Fleet::new().await;
        fleet.signed_in(fleet.world.token()).await;
        let session = fleet.sibling();
        let token = session.token().await.unwrap();
        fleet.world.clock.forward(3500.0);
        fleet.store.next(calls, fault, 1);
        for _ in 0..3 {
            session.token().await.unwrap();
            fleet.world.round_trips().await;
            pass(10).await;
        }
        let renewed = session.token().await.unwrap();
        assert_ne!(renewed.access_token(), token.access_token());
        fleet.assert_stored(&renewed);
        fleet.assert_renewals(1);
    }
}

#[tokio::test]
async fn a_store_that_refuses_swaps_only_is_an_error_and_no_token_request() {
    let fleet = Fleet::new().await;
    fleet.signed_in(fleet.world.expired_token()).await;
    let session = fleet.sibling();
    fleet.store.always(Calls::Swaps, StoreFault::FailBefore);
    for _ in 0..5 {
        assert!(session.token().await.unwrap_err().is_store());
        pass(30).await;
    }
    assert_eq!(fleet.token_requests(), 0);
    fleet.store.heal();
    fleet.meanwhile(session.token()).await.unwrap();
    fleet.assert_renewals(1);
}

/// Enough to tell it from trying without a pause.
const REFUSALS: usize = 200;

#[tokio::test]
async fn a_store_that_refuses_swaps_by_a_conflict_with_what_they_expect_is_an_error() {
    let fleet = Fleet::new().await;
    fleet.signed_in(fleet.world.expired_token()).await;
    let session = fleet.sibling();
    let before = fleet.store.swaps();
    fleet.store.next(Calls::Swaps, StoreFault::Refuse, REFUSALS);
    let error = session.token().await.unwrap_err();
    assert!(error.is_store() && error.is_transient(), "{error}");
    assert_eq!(fleet.store.swaps(), before + 2, "one more try at once");
    assert_eq!(fleet.token_requests(), 0);
    fleet.store.heal();
    pass(60).await;
    fleet.meanwhile(session.token()).await.unwrap();
    fleet.assert_renewals(1);
}

#[tokio::test]
async fn a_sign_in_that_is_refused_by_such_a_conflict_is_tried_again_with_pauses() {
    for is_first in [true, false] {
        let fleet = Fleet::new().await;
        if !is_first {
            fleet.signed_in(fleet.world.token()).await;
        }
        let session = fleet.builder().strict_saving().build();
        let before = fleet.store.swaps();
        fleet.store.next(Calls::Swaps, StoreFault::Refuse, REFUSALS);
        let token = fleet.world.token();
        let error = fleet.meanwhile(session.set_token(token.clone())).await.unwrap_err();
        assert!(error.is_save(), "{error}");
        assert!(fleet.store.swaps() < before + REFUSALS / 2);
        fleet.store.heal();
        pass(60).await;
        session.shutdown().await.unwrap();
        fleet.assert_stored(&token);
    }
}

#[tokio::test]
async fn an_emptied_store_that_refuses_to_be_filled_by_such_a_conflict_is_an_error() {
    let fleet = Fleet::new().await;
    fleet.signed_in(fleet.world.token()).await;
    let session = fleet.sibling();
    session.token().await.unwrap();
    fleet.store.empty();
    fleet.world.clock.forward(3600.0);
    let before = fleet.store.swaps();
    fleet.store.next(Calls::Swaps, StoreFault::Refuse, REFUSALS);
    let error = fleet.meanwhile(session.token()).await.unwrap_err();
    assert!(error.is_store(), "{error}");
    assert!(fleet.store.swaps() < before + REFUSALS / 2);
    assert_eq!(fleet.token_requests(), 0);
}

#[tokio::test]
async fn unrecorded_renewals_are_recorded_when_the_store_is_back() {
    let fleet = Fleet::new().await;
    fleet.signed_in(fleet.world.token()).await;
    let session = fleet.builder().renew_without_store().build();
    session.token().await.unwrap();
    fleet.store.always(Calls::All, StoreFault::FailBefore);
    fleet.world.clock.forward(3600.0);
    let renewed = session.token().await.unwrap();
    fleet.assert_renewals(1);
    assert!(session.save_error().unwrap().is_save());
    fleet.store.heal();
    pass(60).await;
    session.shutdown().await.unwrap();
    assert!(session.save_error().is_none());
    fleet.assert_stored(&renewed);
    assert_eq!(fleet.sibling().token().await.unwrap().access_token(), renewed.access_token());
    fleet.assert_renewals(1);
}

#[tokio::test]
async fn an_unrecorded_refusal_is_not_asked_for_again() {
    let fleet = Fleet::new().await;
    fleet.signed_in(fleet.world.token()).await;
    let session = fleet.builder().renew_without_store().build();
    session.token().await.unwrap();
    fleet.store.always(Calls::All, StoreFault::FailBefore);
    fleet.world.provider.revoke_families();
    fleet.world.clock.forward(3600.0);
    for _ in 0..3 {
        assert!(session.token().await.unwrap_err().is_reauthorization_required());
        pass(60).await;
    }
    assert_eq!(fleet.token_requests(), 1);
}

#[tokio::test]
async fn a_bad_path_takes_no_token_from_good_ones_while_the_store_is_down() {
    for renewable in [true, false] {
        let fleet = Fleet::new().await;
        let token = fleet.world.token();
        fleet.signed_in(if renewable { token } else { token.with_refresh_token("") }).await;
        let session = fleet.sibling();
        let http = fleet.world.http(&session);
        let get = async |path: &str| {
            fleet.world.provider.reject_all(path == "/bad");
            http.get(fleet.world.provider.api_url() + path).send().await
        };
        assert_eq!(get("/good").await.unwrap().status(), 200);
        fleet.store.always(Calls::All, StoreFault::FailBefore);
        for _ in 0..3 {
            assert!(ours(&get("/bad").await.unwrap_err()).is_store());
            assert_eq!(get("/good").await.unwrap().status(), 200);
            pass(60).await;
        }
        fleet.store.heal();
        assert_eq!(get("/bad").await.unwrap().status(), 401);
        fleet.assert_renewals(u64::from(renewable));
    }
}

#[tokio::test]
async fn a_sign_in_that_waits_for_the_store_keeps_nobody_waiting() {
    let fleet = Fleet::new().await;
    fleet.signed_in(fleet.world.token()).await;
    for renews in [false, true] {
        let builder = fleet.builder();
        let session = if renews { builder.renew_without_store() } else { builder }.build();
        session.token().await.unwrap();
        fleet.store.always(Calls::All, StoreFault::FailBefore);
        session.set_token(fleet.world.expired_token()).await.unwrap();
        for _ in 0..3 {
            let error = fleet.meanwhile(session.token()).await.unwrap_err();
            assert!(error.is_save() && error.is_transient(), "{error}");
            pass(60).await;
        }
        assert_eq!(fleet.token_requests(), u64::from(renews));
        fleet.store.heal();
        pass(60).await;
        let token = fleet.meanwhile(session.token()).await.unwrap();
        fleet.assert_stored(&token);
        fleet.assert_renewals(1 + u64::from(renews));
    }
}

#[tokio::test]
async fn a_session_that_cannot_look_for_the_next_login_asks_for_none() {
    let fleet = Fleet::new().await;
    fleet.signed_in(fleet.world.expired_token()).await;
    let session = fleet.sibling();
    fleet.world.provider.revoke_families();
    assert!(session.token().await.unwrap_err().is_reauthorization_required());
    // The user has signed in again, at another session.
    let new = fleet.world.token();
    fleet.signed_in(new.clone()).await;
    fleet.store.always(Calls::Loads, StoreFault::FailBefore);
    for _ in 0..3 {
        pass(60).await;
        let error = session.token().await.unwrap_err();
        assert!(error.is_store() && error.is_transient(), "{error}");
    }
    fleet.store.heal();
    pass(60).await;
    assert_eq!(session.token().await.unwrap().access_token(), new.access_token());
}

#[tokio::test]
async fn unrecorded_renewals_one_after_the_other_leave_the_last_one_recorded() {
    let fleet = Fleet::new().await;
    fleet.signed_in(fleet.world.token()).await;
    let session = fleet.builder().renew_without_store().build();
    session.token().await.unwrap();
    fleet.store.always(Calls::All, StoreFault::FailBefore);
    session.refresh().await.unwrap();
    let hold = fleet.world.provider.pause_token_requests();
    let second = tokio::spawn({
        let session = session.clone();
        async move { session.refresh().await }
    });
    fleet.world.provider.wait_for_token_requests(2).await;
    // The first is recorded while the second is on its way.
    fleet.store.heal();
    pass(8).await; // the next attempt at saving, and not the end of the token request
    fleet.world.round_trips().await;
    drop(hold);
    let last = fleet.meanwhile(second).await.unwrap().unwrap();
    session.shutdown().await.unwrap();
    fleet.assert_stored(&last);
    fleet.assert_renewals(2);
}

#[tokio::test]
async fn a_token_that_cannot_be_recorded_serves_and_is_recorded_before_the_next_renewal() {
    let fleet = Fleet::new().await;
    fleet.signed_in(fleet.world.token()).await;
    let (one, other) = (fleet.sibling(), fleet.sibling());
    one.token().await.unwrap();
    other.token().await.unwrap();
    let hold = fleet.world.provider.pause_token_requests();
    let refresh = tokio::spawn({
        let one = one.clone();
        async move { one.refresh().await }
    });
    fleet.world.provider.wait_for_token_requests(1).await;
    fleet.store.always(Calls::Swaps, StoreFault::FailBefore);
    drop(hold);
    let renewed = fleet.meanwhile(refresh).await.unwrap().unwrap();
    assert_eq!(one.token().await.unwrap().access_token(), renewed.access_token());
    let error = one.save_error().unwrap();
    assert!(error.is_save() && error.is_transient(), "{error}");
    let error = fleet.meanwhile(one.refresh()).await.unwrap_err();
    assert!(error.is_save() || error.is_store(), "{error}");
    fleet.assert_renewals(1);
    fleet.store.heal();
    pass(60).await;
    let newest = fleet.meanwhile(one.refresh()).await.unwrap();
    fleet.assert_stored(&newest);
    fleet.assert_renewals(2);
    fleet.world.clock.forward(3500.0);
    other.token().await.unwrap();
    fleet.world.round_trips().await;
    fleet.assert_renewals(2);
}

#[tokio::test]
async fn a_swap_whose_answer_is_lost_is_known_again() {
    let fleet = Fleet::new().await;
    fleet.signed_in(fleet.world.expired_token()).await;
    for (renewals, strict) in [(1, false), (2, true)] {
        let builder = fleet.builder();
        let session = if strict { builder.strict_saving().build() } else { builder.build() };
        let hold = fleet.world.provider.pause_token_requests();
        let waiting = fleet.ask(&session);
        fleet.world.provider.wait_for_token_requests(renewals).await;
        let swaps = fleet.store.swaps();
        fleet.store.next(Calls::Swaps, StoreFault::FailAfter, 1);
        drop(hold);
        let token = waiting.await.unwrap().unwrap();
        assert_eq!(fleet.store.swaps(), swaps + 2, "the second one meets the first");
        assert!(session.save_error().is_none());
        fleet.assert_stored(&token);
        fleet.assert_renewals(renewals);
        fleet.world.clock.forward(3600.0);
    }
}

#[tokio::test]
async fn a_store_whose_answers_are_all_lost_ends_no_login() {
    let fleet = Fleet::new().await;
    fleet.signed_in(fleet.world.expired_token()).await;
    let sessions = [fleet.sibling(), fleet.sibling()];
    fleet.store.always(Calls::Swaps, StoreFault::FailAfter);
    for _ in 0..5 {
        for session in &sessions {
            let _ = fleet.meanwhile(session.token()).await;
        }
        pass(7).await;
    }
    fleet.store.heal();
    pass(60).await;
    for session in &sessions {
        let token = fleet.meanwhile(session.token()).await.unwrap();
        fleet.assert_stored(&token);
    }
    fleet.assert_renewals(1);
}

#[tokio::test]
async fn a_store_that_has_lost_its_content_gets_it_back() {
    let fleet = Fleet::new().await;
    fleet.signed_in(fleet.world.token()).await;
    let (one, other) = (fleet.sibling(), fleet.sibling());
    one.token().await.unwrap();
    other.token().await.unwrap();
    fleet.store.remove(&fleet.key());
    fleet.world.clock.forward(3600.0);
    let both = async { tokio::join!(one.token(), other.token()) };
    let (renewed, adopted) = fleet.meanwhile(both).await;
    let renewed = renewed.unwrap();
    assert_eq!(adopted.unwrap().access_token(), renewed.access_token());
    fleet.assert_stored(&renewed);
    fleet.assert_renewals(1);
}

#[tokio::test]
async fn a_store_that_loses_its_content_amid_a_renewal_gets_the_new_token() {
    let fleet = Fleet::new().await;
    fleet.signed_in(fleet.world.expired_token()).await;
    let (one, other) = (fleet.sibling(), fleet.sibling());
    let hold = fleet.world.provider.pause_token_requests();
    let renewal = fleet.ask(&one);
    fleet.world.provider.wait_for_token_requests(1).await;
    fleet.store.remove(&fleet.key());
    drop(hold);
    let renewed = fleet.meanwhile(renewal).await.unwrap().unwrap();
    fleet.assert_stored(&renewed);
    assert_eq!(other.token().await.unwrap().access_token(), renewed.access_token());
    fleet.assert_renewals(1);
}

#[tokio::test]
async fn a_store_that_was_away_for_longer_than_a_lease_gets_the_new_token_first() {
    let fleet = Fleet::new().await;
    fleet.signed_in(fleet.world.expired_token()).await;
    let (one, other) = (fleet.sibling(), fleet.sibling());
    let hold = fleet.world.provider.pause_token_requests();
    let renewal = fleet.ask(&one);
    fleet.world.provider.wait_for_token_requests(1).await;
    fleet.store.always(Calls::All, StoreFault::FailBefore);
    drop(hold);
    let renewed = fleet.meanwhile(renewal).await.unwrap().unwrap();
    assert!(other.token().await.unwrap_err().is_store());
    fleet.pass_slowly(40.0).await;
    fleet.store.heal();
    // It is the first to ask.
    let adopted = fleet.meanwhile(other.token()).await.unwrap();
    assert_eq!(adopted.access_token(), renewed.access_token());
    fleet.assert_renewals(1);
}

#[tokio::test]
async fn a_sibling_that_watched_the_mark_before_the_outage_begins_to_watch_anew() {
    for calls in [Calls::All, Calls::Swaps] {
        let fleet = Fleet::new().await;
        fleet.signed_in(fleet.world.expired_token()).await;
        let (one, other) = (fleet.sibling(), fleet.sibling());
        let hold = fleet.world.provider.pause_token_requests();
        let renewal = fleet.ask(&one);
        fleet.world.provider.wait_for_token_requests(1).await;
        let waiting = fleet.ask(&other);
        fleet.world.round_trips().await;
        fleet.store.always(calls, StoreFault::FailBefore);
        drop(hold);
        let renewed = fleet.meanwhile(renewal).await.unwrap().unwrap();
        fleet.pass_slowly(40.0).await;
        // The holder is not there at the moment when the store is back.
        let _ = fleet.meanwhile(waiting).await.unwrap();
        let again = fleet.ask(&other);
        fleet.store.heal();
        let adopted = fleet.meanwhile(again).await.unwrap();
        if let Ok(adopted) = adopted {
            assert_eq!(adopted.access_token(), renewed.access_token(), "{calls:?}");
        }
        fleet.pass_slowly(6.0).await;
        let adopted = fleet.meanwhile(other.token()).await.unwrap();
        assert_eq!(adopted.access_token(), renewed.access_token(), "{calls:?}");
        fleet.assert_renewals(1);
    }
}

#[tokio::test]
async fn what_cannot_be_read_is_an_error_and_stays_as_it_is() {
    let fleet = Fleet::new().await;
    for json in [
        "",
        "[]",
        "null",
        "{}",
        "{\"access_token\":5}",
        "\"secret-of-alice\"",
        "{\"access_token\":\"secret-of-alice\"",
    ] {
        fleet.store.put(&fleet.key(), json);
        let session = fleet.sibling();
        let error = session.token().await.unwrap_err();
        assert!(error.is_store() && !error.is_transient(), "{json}: {error}");
        assert!(!format!("{error:?}").contains("secret-of-alice"), "{error:?}");
        assert_eq!(fleet.store.stored(&fleet.key()).unwrap().json(), json);
    }
    assert_eq!((fleet.token_requests(), fleet.store.swaps()), (0, 0));
}

#[tokio::test]
async fn a_store_that_never_answers_delays_up_to_the_bound_only() {
    let fleet = Fleet::new().await;
    fleet.signed_in(fleet.world.expired_token()).await;
    let session = fleet.sibling();
    fleet.store.always(Calls::All, StoreFault::HangBefore);
    let waiting = fleet.ask(&session);
    fleet.world.round_trips().await;
    pass(4).await;
    fleet.world.round_trips().await;
    assert!(!waiting.is_finished());
    pass(1).await;
    assert!(waiting.await.unwrap().unwrap_err().is_store());
    fleet.store.heal();
    pass(60).await;
    fleet.meanwhile(session.token()).await.unwrap();
    fleet.assert_renewals(1);
}

#[tokio::test]
async fn a_store_that_panics_is_a_store_that_fails() {
    for fault in [StoreFault::PanicBefore, StoreFault::PanicAfter] {
        let fleet = Fleet::new().await;
        fleet.signed_in(fleet.world.expired_token()).await;
        let session = fleet.sibling();
        fleet.store.always(Calls::All, fault);
        let error = session.token().await.unwrap_err();
        assert!(error.is_store() && error.is_transient(), "{error}");
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert_eq!(source, "the store panicked; see the panic message on stderr");
        fleet.store.heal();
        pass(60).await;
        let token = fleet.meanwhile(session.token()).await.unwrap();
        fleet.assert_stored(&token);
        fleet.assert_renewals(1);
    }
}

#[tokio::test]
async fn stale_loads_for_a_while_end_no_login() {
    let fleet = Fleet::new().await;
    fleet.signed_in(fleet.world.token()).await;
    let sessions = [fleet.sibling(), fleet.sibling(), fleet.sibling()];
    for session in &sessions {
        session.token().await.unwrap();
    }
    for behind in 1..=6 {
        fleet.store.always(Calls::Loads, StoreFault::Stale(behind));
        fleet.world.clock.forward(3600.0);
        let all = futures_util::future::join_all(sessions.iter().map(|session| session.token()));
        for token in fleet.meanwhile(all).await {
            let token = token.unwrap();
            assert!(fleet.world.provider.accepts_access_token(token.access_token()), "{behind}");
        }
        fleet.store.heal();
        fleet.assert_renewals(behind as u64);
    }
}

#[tokio::test]
async fn a_caller_dropped_at_any_await_point_loses_nothing() {
    for polls in 1.. {
        let fleet = Fleet::new().await;
        fleet.signed_in(fleet.world.expired_token()).await;
        let session = fleet.sibling();
        let done = polled(polls, session.token()).await.is_some();
        fleet.meanwhile(session.shutdown()).await.unwrap();
        let token = fleet.meanwhile(session.token()).await.unwrap();
        fleet.assert_stored(&token);
        fleet.assert_renewals(1);
        if done {
            assert!(polls > 1, "the caller was never dropped");
            return;
        }
    }
}

#[tokio::test]
async fn one_mark_renewal_that_hangs_presents_nothing_twice() {
    for lease in [1, 3, 10] {
        for fault in [StoreFault::HangBefore, StoreFault::HangAfter] {
            let fleet = Fleet::new().await;
            fleet.signed_in(fleet.world.expired_token()).await;
            let build = || fleet.builder().lease_ttl(Duration::from_secs(lease)).build();
            let (one, other) = (build(), build());
            let hold = fleet.world.provider.pause_token_requests();
            let renewal = fleet.ask(&one);
            fleet.world.provider.wait_for_token_requests(1).await;
            let waiting = fleet.ask(&other);
            fleet.world.round_trips().await;
            fleet.store.next(Calls::Swaps, fault, 1);
            fleet.pass_slowly(20.0).await;
            assert_eq!(fleet.token_requests(), 1, "{lease} {fault:?}");
            drop(hold);
            let renewed = fleet.meanwhile(renewal).await.unwrap().unwrap();
            let adopted = fleet.meanwhile(waiting).await.unwrap().unwrap();
            assert_eq!(adopted.access_token(), renewed.access_token());
            fleet.assert_renewals(1);
            fleet.assert_stored(&renewed);
        }
    }
}

#[tokio::test]
async fn one_hanging_swap_of_the_new_token_presents_nothing_twice() {
    for lease in [1, 3, 10] {
        for fault in [StoreFault::HangBefore, StoreFault::HangAfter] {
            let fleet = Fleet::new().await;
            fleet.signed_in(fleet.world.expired_token()).await;
            let build = || fleet.builder().lease_ttl(Duration::from_secs(lease)).build();
            let (one, other) = (build(), build());
            let hold = fleet.world.provider.pause_token_requests();
            let renewal = fleet.ask(&one);
            fleet.world.provider.wait_for_token_requests(1).await;
            let waiting = fleet.ask(&other);
            fleet.world.round_trips().await;
            fleet.store.next(Calls::Swaps, fault, 1);
            drop(hold);
            let renewed = fleet.meanwhile(renewal).await.unwrap().unwrap();
            let adopted = fleet.meanwhile(waiting).await.unwrap().unwrap();
            assert_eq!(adopted.access_token(), renewed.access_token(), "{lease} {fault:?}");
            fleet.assert_renewals(1);
            fleet.assert_stored(&renewed);
        }
    }
}
