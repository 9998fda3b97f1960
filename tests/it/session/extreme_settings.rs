//! Limits and waits of nothing, and of for ever.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use reqwest_oauth2::testing::Fault;
use reqwest_oauth2::{Session, SessionBuilder, Token};

use crate::faulty_store::{Calls, Fault as StoreFault, FaultyStore};
use crate::support::{World, bounded, pass};

type Set = fn(SessionBuilder, Duration) -> SessionBuilder;

/// Each duration that can be set.
const ALL: [(&str, Set); 8] = [
    ("lease_ttl", SessionBuilder::lease_ttl),
    ("store_timeout", SessionBuilder::store_timeout),
    ("save_wait_timeout", SessionBuilder::save_wait_timeout),
    ("grant_timeout", SessionBuilder::grant_timeout),
    ("shortest backoff", |builder, time| builder.backoff(time, Duration::from_secs(30))),
    ("longest backoff", |builder, time| builder.backoff(Duration::from_secs(1), time)),
    ("refresh_lead", SessionBuilder::refresh_lead),
    ("expiry_margin", SessionBuilder::expiry_margin),
];

const EXTREMES: [Duration; 3] = [Duration::ZERO, Duration::from_nanos(1), Duration::MAX];

fn stored(world: &World) -> (SessionBuilder, FaultyStore) {
    let store = FaultyStore::default();
    (world.session().store(store.clone(), "alice"), store)
}

#[tokio::test]
async fn with_any_of_them_a_session_renews_and_saves() {
    for (name, set) in ALL {
        for time in EXTREMES {
            let world = World::new().await;
            for session in [
                set(world.saving().token(world.expired_token()), time).build(),
                set(stored(&world).0.token(world.expired_token()), time).build(),
            ] {
                let before = world.provider.counts().token_requests;
                for renewals in 1..=3 {
                    let waiting = session.clone();
                    let (seconds, token) =
                        bounded(&world, async move { waiting.token().await }).await;
                    let token = token.unwrap_or_else(|error| panic!("{name} {time:?}: {error}"));
                    assert_eq!(seconds, 0, "{name} {time:?}");
                    assert!(world.provider.accepts_access_token(token.access_token()));
                    session.shutdown().await.unwrap();
                    let counts = world.provider.counts();
                    assert_eq!(counts.token_requests - before, renewals, "{name} {time:?}");
                    assert_eq!(counts.reuse_detected, 0);
                    world.clock.forward(3600.0);
                }
            }
        }
    }
}

#[tokio::test]
async fn with_any_of_them_an_outage_is_an_error_in_time() {
    for (name, set) in ALL {
        for time in EXTREMES {
            let world = World::new().await;
            world.provider.fail_always(Fault::Status(503));
            let session = set(stored(&world).0.token(world.expired_token()), time).build();
            for _ in 0..3 {
                let waiting = session.clone();
                let (seconds, outcome) =
                    bounded(&world, async move { waiting.token().await }).await;
                assert!(outcome.unwrap_err().is_transient());
                assert_eq!(seconds, 0, "{name} {time:?}");
            }
        }
    }
}

#[tokio::test]
async fn with_any_of_them_a_store_that_hangs_is_an_error_in_time() {
    for (name, set) in ALL {
        for time in EXTREMES {
            let world = World::new().await;
            let (builder, store) = stored(&world);
            store.always(Calls::All, StoreFault::HangBefore);
            let session = set(builder.token(world.expired_token()), time).build();
            let waiting = session.clone();
            let (seconds, outcome) = bounded(&world, async move { waiting.token().await }).await;
            assert!(outcome.unwrap_err().is_transient(), "{name} {time:?}");
            let expected = match (name, time) {
                ("store_timeout", Duration::MAX) => 66,
                // The clock stands still, and timers have a grain.
                ("store_timeout", _) => 1,
                _ => 5,
            };
            assert_eq!(seconds, expected, "{name} {time:?}");
            assert_eq!(world.provider.counts().token_requests, 0);
        }
    }
}

#[tokio::test]
async fn a_token_request_without_time_is_an_error_and_one_without_a_limit_is_made() {
    let world = World::new().await;
    for (time, works) in [(Duration::ZERO, false), (Duration::MAX, true)] {
        let app = world.app().timeout(time);
        let session =
            Session::builder(app).clock(world.clock.reader()).token(world.expired_token()).build();
        let hold = world.provider.pause_token_requests();
        let waiting = tokio::spawn(async move { session.token().await });
        world.round_trips().await;
        pass(10).await;
        world.round_trips().await;
        drop(hold);
        let (_, outcome) = bounded(&world, async move { waiting.await.unwrap() }).await;
        match outcome {
            Ok(token) => {
                assert!(works && world.provider.accepts_access_token(token.access_token()))
            }
            Err(error) => assert!(!works && error.is_timeout(), "{error}"),
        }
    }
}

#[tokio::test]
async fn a_saver_that_fails_without_any_backoff_leaves_time_for_others() {
    let world = World::new().await;
    let calls = Arc::new(AtomicUsize::new(0));
    let count = calls.clone();
    let session = world
        .session()
        .backoff(Duration::ZERO, Duration::ZERO)
        .token(world.expired_token())
        .on_new_token(move |_: Token| {
            count.fetch_add(1, Ordering::SeqCst);
            async { Err::<(), _>(std::io::Error::other("disk full")) }
        })
        .build();
    let waiting = session.clone();
    let (_, token) = bounded(&world, async move { waiting.token().await }).await;
    assert!(world.provider.accepts_access_token(token.unwrap().access_token()));
    let before = calls.load(Ordering::SeqCst);
    world.round_trips().await;
    // The clock stands still: timers have a grain, so nothing is tried again before it moves.
    assert!(calls.load(Ordering::SeqCst) <= before + 1);
    let (seconds, outcome) = bounded(&world, async move { session.shutdown().await }).await;
    assert!(outcome.unwrap_err().is_save());
    assert!(seconds <= 1);
}

#[tokio::test]
async fn a_provider_that_fails_without_any_backoff_is_asked_once_by_those_who_wait_together() {
    let world = World::new().await;
    world.provider.fail_always(Fault::Status(503));
    let session = world
        .session()
        .backoff(Duration::ZERO, Duration::ZERO)
        .token(world.expired_token())
        .build();
    let all = (0..100).map(|_| session.token());
    let outcomes = futures_util::future::join_all(all).await;
    assert!(outcomes.iter().all(Result::is_err));
    assert_eq!(world.provider.counts().token_requests, 1);
}

#[tokio::test]
async fn a_client_without_a_limit_signs_out() {
    let world = World::new().await;
    let app = world.app().revocation_endpoint(world.provider.revocation_url()).unwrap();
    let app = app.timeout(Duration::MAX);
    let session = || Session::builder(app.clone()).token(world.token()).build();
    session().sign_out().await.unwrap();
    session().sign_out_locally().await.unwrap();
    assert!(world.provider.counts().revocations >= 2);
}
