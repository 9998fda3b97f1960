//! The mark in the record: who renews, and for how long the others wait.

use std::time::Duration;

use reqwest_oauth2::testing::Fault;
use serde_json::json;

use super::fleet::Fleet;
use crate::faulty_store::{Calls, Fault as StoreFault, LOAD, SWAP};
use crate::support::{pass, polled};

/// The default.
const LEASE: f64 = 10.0;

#[tokio::test]
async fn a_mark_is_renewed_every_third_of_a_lease_while_the_provider_takes_its_time() {
    let fleet = Fleet::new().await;
    fleet.signed_in(fleet.world.expired_token()).await;
    let build = || fleet.builder().lease_ttl(Duration::from_secs(9)).build();
    let (one, other) = (build(), build());
    let hold = fleet.world.provider.pause_token_requests();
    let first = fleet.ask(&one);
    fleet.world.provider.wait_for_token_requests(1).await;
    let second = fleet.ask(&other);
    fleet.world.round_trips().await;
    let before = fleet.store.swaps();
    for renewals in 1..=5 {
        fleet.world.clock.forward(3.0);
        fleet.pass_slowly(2.75).await;
        assert_eq!(fleet.store.swaps(), before + renewals - 1);
        fleet.pass_slowly(0.3).await;
        assert_eq!(fleet.store.swaps(), before + renewals);
        assert_eq!(fleet.bookkeeping()["mark"]["at_ms"], fleet.millis());
    }
    assert_eq!(fleet.token_requests(), 1, "the sibling waits for longer than a lease");
    drop(hold);
    let renewed = fleet.meanwhile(first).await.unwrap().unwrap();
    let adopted = fleet.meanwhile(second).await.unwrap().unwrap();
    assert_eq!(adopted.access_token(), renewed.access_token());
    fleet.assert_renewals(1);
}

#[test]
fn a_process_that_dies_while_it_renews_is_superseded_after_a_lease() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (survivor, victim) = (runtime(), runtime());
    let fleet = survivor.block_on(async {
        let fleet = Fleet::new().await;
        fleet.signed_in(fleet.world.expired_token()).await;
        fleet
    });
    // It dies with its mark in the store, before it has sent anything.
    let session = fleet.sibling();
    let before = fleet.store.swaps();
    victim.block_on(async {
        while fleet.store.swaps() == before {
            assert!(polled(1, session.token()).await.is_none());
            tokio::task::yield_now().await;
        }
    });
    victim.shutdown_background();
    survivor.block_on(async {
        assert!(fleet.bookkeeping()["mark"]["holder"].is_string());
        let heir = fleet.sibling();
        let waiting = fleet.ask(&heir);
        fleet.world.round_trips().await;
        fleet.pass_slowly(LEASE - 0.1).await;
        assert_eq!(fleet.token_requests(), 0, "the lease has not ended yet");
        // The longest wait between two looks.
        fleet.pass_slowly(0.9).await;
        let token = waiting.await.unwrap().unwrap();
        assert!(fleet.world.provider.accepts_access_token(token.access_token()));
        fleet.assert_renewals(1);
    });
}

#[tokio::test]
async fn a_mark_is_dead_at_once_if_it_is_older_than_ten_leases_and_ten_minutes() {
    for (lease, age, is_dead) in
        [(10, 600, false), (10, 601, true), (120, 1200, false), (120, 1201, true)]
    {
        let fleet = Fleet::new().await;
        fleet.signed_in(fleet.world.expired_token()).await;
        let at = fleet.millis();
        fleet.edit(|kept| {
            kept["mark"] =
                json!({"holder": "00000000000000aa", "at_ms": at, "lease_ms": lease * 1000});
        });
        fleet.world.clock.forward(f64::from(age));
        let session = fleet.sibling();
        let waiting = fleet.ask(&session);
        fleet.world.round_trips().await;
        assert_eq!(fleet.token_requests(), u64::from(is_dead), "{lease} {age}");
        waiting.abort();
    }
}

#[tokio::test]
async fn a_mark_is_watched_for_the_longer_of_both_leases() {
    for (ours, theirs, watched) in [(10, 20, 20.0), (20, 10, 20.0), (1, 1, 1.0), (10, 0, 10.0)] {
        let fleet = Fleet::new().await;
        fleet.signed_in(fleet.world.expired_token()).await;
        let at = fleet.millis();
        fleet.edit(|kept| {
            kept["mark"] =
                json!({"holder": "00000000000000aa", "at_ms": at, "lease_ms": theirs * 1000});
        });
        let session = fleet.builder().lease_ttl(Duration::from_secs(ours)).build();
        let waiting = fleet.ask(&session);
        fleet.world.round_trips().await;
        fleet.pass_slowly(watched - 0.1).await;
        assert_eq!(fleet.token_requests(), 0, "{ours} {theirs}");
        fleet.pass_slowly(0.9).await;
        assert_eq!(fleet.token_requests(), 1, "{ours} {theirs}");
        waiting.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_mark_that_changes_for_ever_is_an_error_in_the_end() {
    let fleet = Fleet::new().await;
    fleet.signed_in(fleet.world.expired_token()).await;
    let session = fleet.builder().lease_ttl(Duration::from_secs(1)).build();
    let mark = |n: u64| {
        let at = fleet.millis();
        fleet.edit(|kept| {
            kept["mark"] = json!({"holder": "00000000000000aa", "at_ms": at + n, "lease_ms": 1000});
        });
    };
    mark(0);
    let waiting = fleet.ask(&session);
    // All that a renewal may take (30 s), the wait for a save (5 s), and three leases.
    for n in 1..=77 {
        assert!(!waiting.is_finished(), "after {n} half seconds");
        fleet.pass_slowly(0.5).await;
        mark(n);
    }
    fleet.pass_slowly(0.5).await;
    assert!(waiting.is_finished());
    let error = waiting.await.unwrap().unwrap_err();
    assert!(error.is_transient(), "{error}");
    assert!(error.to_string().contains("another process"), "{error}");
    assert_eq!(fleet.token_requests(), 0);
    // It is over at last.
    fleet.edit(|kept| kept["mark"] = json!(null));
    pass(1).await;
    fleet.meanwhile(session.token()).await.unwrap();
    fleet.assert_renewals(1);
}

#[tokio::test]
async fn a_machine_that_slept_for_half_a_lease_makes_its_mark_again_before_it_presents_anything() {
    for (slept, swaps) in [(4.9, 2), (5.0, 3)] {
        let fleet = Fleet::new().await;
        fleet.signed_in(fleet.world.expired_token()).await;
        let session = fleet.sibling();
        fleet.store.next(Calls::Swaps, StoreFault::HangAfter, 1);
        let waiting = fleet.ask(&session);
        fleet.world.round_trips().await;
        let before = fleet.store.swaps();
        // The monotonic clock stands still meanwhile.
        fleet.world.clock.forward(slept);
        fleet.store.heal();
        fleet.meanwhile(waiting).await.unwrap().unwrap();
        assert_eq!(fleet.store.swaps() - before + 1, swaps, "{slept}");
        fleet.assert_renewals(1);
    }
}

#[tokio::test]
async fn a_mark_that_is_not_confirmed_within_half_a_lease_is_not_used() {
    let fleet = Fleet::new().await;
    fleet.signed_in(fleet.world.expired_token()).await;
    let session = fleet.builder().store_timeout(Duration::from_secs(60)).build();
    fleet.store.next(Calls::Swaps, StoreFault::DelayAfter(Duration::from_secs(6)), 1);
    let error = fleet.meanwhile(session.token()).await.unwrap_err();
    assert!(error.is_store() && error.is_transient(), "{error}");
    assert_eq!(fleet.token_requests(), 0);
    pass(2).await;
    fleet.meanwhile(session.token()).await.unwrap();
    fleet.assert_renewals(1);
}

#[tokio::test]
async fn only_a_confirmed_mark_is_used() {
    for (fault, calls_expected) in [
        // The claim was not made: it is made again.
        (StoreFault::FailBefore, vec![LOAD, SWAP, SWAP, SWAP]),
        // It was made, and the answer was lost: the next swap meets it, and a third one confirms it.
        (StoreFault::FailAfter, vec![LOAD, SWAP, SWAP, SWAP, SWAP]),
    ] {
        let fleet = Fleet::new().await;
        fleet.signed_in(fleet.world.expired_token()).await;
        let calls = fleet.store.calls_from_here();
        fleet.store.next(Calls::Swaps, fault, 1);
        fleet.sibling().token().await.unwrap();
        assert_eq!(calls(), calls_expected, "{fault:?}");
        fleet.assert_renewals(1);
    }
}

#[tokio::test]
async fn a_provider_that_is_down_is_asked_by_one_session_a_step() {
    let fleet = Fleet::new().await;
    fleet.signed_in(fleet.world.expired_token()).await;
    fleet.world.provider.fail_always(Fault::Status(503));
    let sessions: Vec<_> = (0..10).map(|_| fleet.sibling()).collect();
    for step in 1..=3 {
        for session in &sessions {
            let error = fleet.meanwhile(session.token()).await.unwrap_err();
            assert!(error.is_transient(), "{error}");
            assert_eq!(error.status().unwrap(), 503, "{error}");
        }
        assert_eq!(fleet.token_requests(), step);
        assert_eq!(fleet.bookkeeping()["pause"]["attempts"], step);
        assert!(fleet.bookkeeping()["mark"].is_null(), "nobody waits for a lease to end");
        // Longer than this backoff, which is 5 seconds at most.
        fleet.world.clock.forward(5.0);
        pass(5).await;
    }
    fleet.world.provider.clear_faults();
    let renewed = fleet.meanwhile(sessions[3].token()).await.unwrap();
    pass(1).await;
    for session in &sessions {
        let token = fleet.meanwhile(session.token()).await.unwrap();
        assert_eq!(token.access_token(), renewed.access_token());
    }
    assert_eq!(fleet.token_requests(), 4);
    assert!(fleet.bookkeeping()["pause"].is_null());
}

#[tokio::test]
async fn siblings_honour_the_retry_after_that_one_was_told() {
    let fleet = Fleet::new().await;
    fleet.signed_in(fleet.world.expired_token()).await;
    fleet.world.provider.fail_next(Fault::TooManyRequests { retry_after: "300".to_owned() });
    assert!(fleet.sibling().token().await.is_err());
    for _ in 0..2 {
        let sibling = fleet.sibling();
        let error = sibling.token().await.unwrap_err();
        assert!(error.is_transient(), "{error}");
        assert_eq!(error.retry_after().unwrap().as_secs(), 300);
        assert_eq!(fleet.token_requests(), 1);
        fleet.world.clock.forward(149.0);
    }
    fleet.world.clock.forward(1.0);
    assert!(fleet.sibling().token().await.is_err(), "after 299 seconds");
    // The jitter on top is a second at most.
    fleet.world.clock.forward(2.0);
    fleet.sibling().token().await.unwrap();
    fleet.assert_renewals(2);
}

#[tokio::test]
async fn a_store_that_has_lost_the_mark_gets_it_back_from_its_holder() {
    let fleet = Fleet::new().await;
    fleet.signed_in(fleet.world.expired_token()).await;
    let (one, other) = (fleet.sibling(), fleet.sibling());
    // The other session has the old token in memory.
    fleet.world.clock.back(600.0);
    other.token().await.unwrap();
    fleet.world.clock.forward(600.0);
    let hold = fleet.world.provider.pause_token_requests();
    let renewal = fleet.ask(&one);
    fleet.world.provider.wait_for_token_requests(1).await;
    fleet.store.remove(&fleet.key());
    let waiting = fleet.ask(&other);
    fleet.world.round_trips().await;
    assert_eq!(fleet.bookkeeping()["mark"]["holder"], json!(null), "written back, of nobody");
    fleet.pass_slowly(15.0).await;
    assert!(fleet.bookkeeping()["mark"]["holder"].is_string(), "the holder has marked it anew");
    assert_eq!(fleet.token_requests(), 1, "the holder still waits for its answer");
    drop(hold);
    let renewed = fleet.meanwhile(renewal).await.unwrap().unwrap();
    let adopted = fleet.meanwhile(waiting).await.unwrap().unwrap();
    assert_eq!(adopted.access_token(), renewed.access_token());
    fleet.assert_renewals(1);
}

#[tokio::test]
async fn a_store_that_was_emptied_is_written_back_at_once_and_renewed_after_a_lease() {
    let fleet = Fleet::new().await;
    let old = fleet.world.token();
    fleet.signed_in(old.clone()).await;
    let session = fleet.sibling();
    session.token().await.unwrap();
    fleet.store.empty();
    fleet.world.clock.forward(3600.0);
    let calls = fleet.store.calls_from_here();
    let waiting = fleet.ask(&session);
    fleet.world.round_trips().await;
    assert_eq!(calls(), [SWAP, SWAP], "a claim, and the record written back");
    fleet.assert_stored(&old);
    let mark = fleet.bookkeeping()["mark"].clone();
    assert_eq!((&mark["holder"], &mark["lease_ms"]), (&json!(null), &json!(10_000)));
    fleet.pass_slowly(LEASE - 0.1).await;
    assert_eq!(fleet.token_requests(), 0);
    fleet.pass_slowly(0.9).await;
    let renewed = waiting.await.unwrap().unwrap();
    fleet.assert_stored(&renewed);
    fleet.assert_renewals(1);
}
