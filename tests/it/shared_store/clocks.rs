//! Clocks that jump, in either direction.

use std::time::Duration;

use reqwest_oauth2::testing::Fault;
use serde_json::json;

use super::fleet::Fleet;
use crate::support::{World, pass};

const HOUR: f64 = 3600.0;

#[tokio::test]
async fn a_clock_that_was_ahead_when_the_backoff_was_recorded_keeps_nobody_longer_than_the_backoff()
{
    let fleet = Fleet::new().await;
    fleet.signed_in(fleet.world.expired_token()).await;
    fleet.world.clock.forward(300.0);
    fleet.world.provider.fail_next(Fault::TooManyRequests { retry_after: "30".to_owned() });
    let session = fleet.sibling();
    assert!(session.token().await.is_err());
    // It is set right.
    fleet.world.clock.back(299.0);
    let sibling = fleet.sibling();
    for session in [&session, &sibling] {
        assert!(session.token().await.is_err());
    }
    for _ in 0..28 {
        pass(1).await;
        fleet.world.clock.forward(1.0);
        for session in [&session, &sibling] {
            assert!(session.token().await.is_err());
        }
    }
    assert_eq!(fleet.token_requests(), 1);
    pass(3).await;
    fleet.world.clock.forward(3.0);
    session.token().await.unwrap();
    fleet.assert_renewals(2);
}

#[tokio::test]
async fn a_clock_that_jumps_ahead_renews_once_and_back_again_uses_what_it_has() {
    let fleet = Fleet::new().await;
    fleet.signed_in(fleet.world.token()).await;
    let sessions = [fleet.sibling(), fleet.sibling()];
    for session in &sessions {
        session.token().await.unwrap();
    }
    for renewals in 1..=3 {
        fleet.world.clock.forward(10.0 * HOUR);
        for session in &sessions {
            fleet.meanwhile(session.token()).await.unwrap();
        }
        fleet.assert_renewals(renewals);
        fleet.world.clock.back(10.0 * HOUR);
        for session in &sessions {
            fleet.meanwhile(session.token()).await.unwrap();
        }
        fleet.assert_renewals(renewals);
        fleet.world.clock.forward(10.0 * HOUR);
    }
}

#[tokio::test]
async fn a_clock_that_jumps_while_the_provider_answers_presents_nothing_twice() {
    for jump in [10.0 * HOUR, -10.0 * HOUR] {
        let fleet = Fleet::new().await;
        fleet.signed_in(fleet.world.expired_token()).await;
        let session = fleet.sibling();
        let hold = fleet.world.provider.pause_token_requests();
        let waiting = fleet.ask(&session);
        fleet.world.provider.wait_for_token_requests(1).await;
        if jump > 0.0 {
            fleet.world.clock.forward(jump)
        } else {
            fleet.world.clock.back(-jump)
        }
        fleet.pass_slowly(8.0).await;
        drop(hold);
        let _ = fleet.meanwhile(waiting).await.unwrap();
        let token = fleet.meanwhile(session.token()).await.unwrap();
        fleet.assert_stored(&token);
        assert_eq!(fleet.world.provider.counts().reuse_detected, 0, "{jump}");
    }
}

#[tokio::test]
async fn a_login_that_begins_while_the_clock_is_behind_is_above_the_one_before() {
    let fleet = Fleet::new().await;
    fleet.signed_in(fleet.world.token()).await;
    let reader = fleet.sibling();
    reader.token().await.unwrap();
    let before = fleet.bookkeeping()["number"].as_u64().unwrap();
    fleet.world.clock.back(1000.0 * HOUR);
    let new = fleet.world.token();
    fleet.signed_in(new.clone()).await;
    assert_eq!(fleet.bookkeeping()["number"], before + 1);
    fleet.world.clock.forward(1001.0 * HOUR);
    let token = fleet.meanwhile(reader.token()).await.unwrap();
    fleet.assert_stored(&token);
    fleet.assert_renewals(1);
    assert!(fleet.world.provider.token_requests()[0].param("refresh_token") == new.refresh_token());
}

#[tokio::test]
async fn a_clock_before_1970_is_an_old_clock_and_no_panic() {
    let fleet = Fleet::new().await;
    let ancient = || std::time::UNIX_EPOCH - Duration::from_secs(1);
    let build = || fleet.builder().clock(ancient).build();
    let token = fleet.world.token();
    build().set_token(token.clone()).await.unwrap();
    let session = build();
    assert_eq!(session.token().await.unwrap().access_token(), token.access_token());
    session.refresh().await.unwrap();
    session.sign_out().await.unwrap();
    assert_eq!(fleet.bookkeeping()["state"], "signed_out");
}

#[tokio::test]
async fn a_mark_from_the_future_is_watched_for_one_lease() {
    let fleet = Fleet::new().await;
    fleet.signed_in(fleet.world.expired_token()).await;
    for at in [fleet.millis() + 3_600_000, u64::MAX] {
        fleet.edit(|kept| {
            kept["mark"] = json!({"holder": "00000000000000aa", "at_ms": at, "lease_ms": 10_000});
        });
        let before = fleet.token_requests();
        let session = fleet.sibling();
        let waiting = fleet.ask(&session);
        fleet.world.round_trips().await;
        fleet.pass_slowly(9.9).await;
        assert_eq!(fleet.token_requests(), before);
        fleet.pass_slowly(0.9).await;
        waiting.await.unwrap().unwrap();
        fleet.assert_renewals(before + 1);
        fleet.world.clock.forward(HOUR);
    }
}

#[tokio::test]
async fn a_runtime_whose_clock_is_behind_the_first_one_waits_no_longer_for_that() {
    let run = |fault: Fault, ahead: u64| {
        // A thread of its own: `World` freezes one runtime a thread.
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(async {
                let world = World::new().await;
                pass(ahead).await;
                world.provider.fail_next(fault);
                let session = world.saving().token(world.expired_token()).build();
                assert!(session.token().await.is_err());
                assert!(session.token().await.is_err());
                pass(2).await;
                session.token().await.unwrap();
                assert_eq!(world.provider.counts().token_requests, 2);
            });
        });
        thread.join().unwrap();
    };
    run(Fault::Status(503), 100_000);
    run(Fault::Status(503), 0);
}
