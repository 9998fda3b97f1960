//! Sessions that leave nothing to the background: for programs whose runtime may end after any call.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use reqwest::Response;
use reqwest_oauth2::store::TokenKey;
use reqwest_oauth2::testing::Fault;
use reqwest_oauth2::{Session, Token};
use tokio::task::JoinHandle;

use crate::faulty_store::{Calls, Fault as StoreFault, FaultyStore};
use crate::support::{World, beside, runtime};

/// One call of a program that makes a runtime for each.
fn call<T>(work: impl Future<Output = T>) -> T {
    runtime().block_on(work)
}

#[test]
fn a_program_with_a_runtime_for_each_call_keeps_its_login() {
    beside(World::new(), |world| {
        let session = world.saving().token(world.token()).foreground().build();
        for renewals in 1..=5 {
            world.clock.forward(3400.0); // due, and not yet expired
            for _ in 0..3 {
                let token = call(session.token()).unwrap();
                assert!(world.provider.accepts_access_token(token.access_token()));
            }
            assert_eq!(world.saved.count(), renewals);
            let refresh_token = world.saved.last().refresh_token().unwrap().to_owned();
            assert!(world.provider.accepts_refresh_token(&refresh_token));
            let counts = world.provider.counts();
            assert_eq!((counts.token_requests, counts.reuse_detected), (renewals as u64, 0));
        }
    });
}

#[test]
fn the_same_with_requests_through_a_client() {
    beside(World::new(), |world| {
        let session = world.saving().token(world.token()).foreground().build();
        for renewals in 1..=3 {
            world.clock.forward(3400.0);
            for _ in 0..2 {
                // A client belongs to the runtime that it was used on.
                let status = call(async { world.get(&world.http(&session)).await.unwrap() });
                assert_eq!(status, 200);
            }
            assert_eq!(world.saved.count(), renewals);
        }
        assert_eq!(world.provider.counts().token_requests, 3);
    });
}

#[test]
fn the_same_with_a_store() {
    beside(World::new(), |world| {
        let store = FaultyStore::default();
        let session = world.session().store(store.clone(), "alice").foreground().build();
        call(session.set_token(world.token())).unwrap();
        for renewals in 1..=3 {
            world.clock.forward(3400.0);
            call(session.token()).unwrap();
            let key = TokenKey::new(&world.provider.token_url(), "foo", "alice");
            let stored = store.stored(&key).unwrap();
            let token: Token = serde_json::from_str(stored.json()).unwrap();
            assert!(world.provider.accepts_refresh_token(token.refresh_token().unwrap()));
            assert!(!stored.json().contains("mark"), "nobody waits for a lease to end");
            assert_eq!(world.provider.counts().token_requests, renewals);
        }
    });
}

#[test]
fn a_tool_that_returns_early_has_saved_what_it_renewed() {
    async fn run(world: &World, session: &Session) -> Result<(), Box<dyn std::error::Error>> {
        let http = world.http(session);
        http.get(world.provider.api_url()).send().await?.error_for_status()?;
        Err("the input is wrong")?;
        session.shutdown().await?;
        Ok(())
    }
    beside(World::new(), |world| {
        let mut token = world.expired_token();
        for runs in 1..=4 {
            // Each run is a process that begins with what the one before has saved, when that is due.
            let session = world.saving().token(token).foreground().build();
            let error = call(run(world, &session)).unwrap_err();
            assert_eq!(error.to_string(), "the input is wrong");
            drop(session);
            assert_eq!(world.saved.count(), runs);
            token = world.saved.last();
            world.clock.forward(3400.0);
            assert!(world.provider.accepts_refresh_token(token.refresh_token().unwrap()));
        }
        assert_eq!(world.provider.counts().token_requests, 4);
    });
}

#[test]
fn a_failed_renewal_leaves_no_mark_behind() {
    for lifetime in [3400.0, 3600.0] {
        beside(World::new(), |world| {
            let store = FaultyStore::default();
            let build = || world.session().store(store.clone(), "alice").foreground().build();
            let session = build();
            call(session.set_token(world.token())).unwrap();
            world.clock.forward(lifetime);
            world.provider.fail_always(Fault::Status(503));
            // Of a write that takes its time the runtime must not end before.
            store.always(Calls::Swaps, StoreFault::DelayBefore(Duration::from_millis(20)));
            let outcome = call(session.token());
            assert_eq!(outcome.is_ok(), lifetime < 3600.0, "a good token is used");
            let key = TokenKey::new(&world.provider.token_url(), "foo", "alice");
            let stored = store.stored(&key).unwrap();
            assert!(!stored.json().contains("mark") && stored.json().contains("pause"));
            // The next process need not wait for anybody.
            world.provider.clear_faults();
            world.clock.forward(200.0);
            let token = call(build().token()).unwrap();
            assert!(world.provider.accepts_access_token(token.access_token()));
            assert_eq!(world.provider.counts().tokens_issued, 1);
        });
    }
}

#[test]
fn a_save_that_failed_is_made_again_by_the_next_call() {
    beside(World::new(), |world| {
        let calls = Arc::new(AtomicUsize::new(0));
        let (count, saved) = (calls.clone(), world.saved.clone());
        let session = world
            .session()
            .backoff(Duration::ZERO, Duration::ZERO)
            .token(world.token())
            .foreground()
            .on_new_token(move |token: Token| {
                let (call, saved) = (count.fetch_add(1, Ordering::SeqCst), saved.clone());
                async move {
                    if call == 0 {
                        return Err(std::io::Error::other("disk full"));
                    }
                    saved.push(token);
                    Ok(())
                }
            })
            .build();
        world.clock.forward(3400.0);
        let renewed = call(session.token()).unwrap();
        // The shortest backoff is over.
        std::thread::sleep(Duration::from_millis(10));
        // The token is fresh now; the call that sends it saves it first.
        let status = call(async { world.get(&world.http(&session)).await.unwrap() });
        assert_eq!(status, 200);
        assert_eq!(world.saved.access_tokens(), [renewed.access_token()]);
        assert!(session.save_error().is_none());
        assert_eq!(calls.load(Ordering::SeqCst), 2);
    });
}

#[tokio::test]
async fn a_token_that_is_due_when_it_arrives_is_not_renewed_again_by_the_same_call() {
    let world = World::with(|provider| provider.lifetime(Duration::from_secs(100))).await;
    let session = world.saving().token(world.expired_token()).foreground().build();
    let hold = world.provider.pause_token_requests();
    let waiting = tokio::spawn({
        let session = session.clone();
        async move { session.token().await }
    });
    world.provider.wait_for_token_requests(1).await;
    // The provider takes so long that little is left of what it gives.
    world.clock.forward(87.0);
    drop(hold);
    let token = waiting.await.unwrap().unwrap();
    assert_eq!(world.saved.access_tokens(), [token.access_token()]);
    assert_eq!(world.provider.counts().token_requests, 1);
    session.token().await.unwrap();
    assert_eq!(world.provider.counts().token_requests, 2, "the next call renews it");
}

/// A request whose own time ends while the provider does not answer.
async fn waiting_in_vain(
    world: &World,
    session: &Session,
) -> JoinHandle<reqwest_middleware::Result<Response>> {
    let request = world.http(session).get(world.provider.api_url());
    let request = tokio::spawn(request.timeout(Duration::from_secs(3)).send());
    world.provider.wait_for_token_requests(1).await;
    crate::support::pass(3).await;
    request
}

#[tokio::test]
async fn a_request_with_a_limit_of_its_own_goes_on_with_the_token_that_is_still_good() {
    let world = World::new().await;
    let session = world.saving().token(world.token()).foreground().build();
    world.clock.forward(3400.0);
    let hold = world.provider.pause_token_requests();
    let request = waiting_in_vain(&world, &session).await;
    assert_eq!(request.await.unwrap().unwrap().status(), 200);
    drop(hold);
    session.shutdown().await.unwrap();
    assert_eq!(world.saved.count(), 1);
}

/// Where it is not the first sending that succeeds.
#[tokio::test]
async fn a_request_that_has_waited_in_vain_has_its_time_anew_for_all_its_sendings() {
    let world = World::new().await;
    let session = world.saving().token(world.token()).foreground().build();
    world.clock.forward(3400.0);
    world.provider.revoke_access_tokens();
    let hold = world.provider.pause_token_requests();
    let request = waiting_in_vain(&world, &session).await;
    while world.provider.counts().api_requests == 0 {
        world.round_trips().await;
    }
    // The token was rejected, and the request waits for the renewal that is under way.
    drop(hold);
    assert_eq!(request.await.unwrap().unwrap().status(), 200);
    assert_eq!(world.provider.counts().token_requests, 1);
}

#[tokio::test]
async fn a_saver_that_hangs_delays_each_call_up_to_the_bound_only() {
    let world = World::new().await;
    let session = world
        .session()
        .on_new_token(|_| std::future::pending::<Result<(), std::io::Error>>())
        .token(world.token())
        .foreground()
        .build();
    world.clock.forward(3400.0);
    let waiting = tokio::spawn({
        let session = session.clone();
        async move { session.token().await }
    });
    world.provider.wait_for_token_requests(1).await;
    world.round_trips().await;
    crate::support::pass(4).await;
    world.round_trips().await;
    assert!(!waiting.is_finished());
    crate::support::pass(1).await;
    world.round_trips().await;
    let token = waiting.await.unwrap().unwrap();
    // And the next one not at all.
    let again = session.token();
    tokio::pin!(again);
    let again = tokio::select! {
        again = &mut again => again.unwrap(),
        () = world.round_trips() => panic!("it waits for the saver again"),
    };
    assert_eq!(again.access_token(), token.access_token());
}

/// The token may be used once the store has failed; the next call stores it.
#[tokio::test]
async fn a_store_that_fails_after_the_answer_delays_no_call() {
    let world = World::new().await;
    let store = FaultyStore::default();
    let session = world.session().store(store.clone(), "alice").foreground().build();
    session.set_token(world.token()).await.unwrap();
    world.clock.forward(3600.0);
    let pause = world.provider.pause_token_requests();
    let waiting = tokio::spawn({
        let session = session.clone();
        async move { session.token().await }
    });
    world.provider.wait_for_token_requests(1).await;
    store.always(Calls::All, StoreFault::FailBefore);
    drop(pause);
    world.round_trips().await;
    assert!(waiting.is_finished());
    let token = waiting.await.unwrap().unwrap();
    assert!(session.save_error().is_some());
    store.heal();
    session.shutdown().await.unwrap();
    let key = TokenKey::new(&world.provider.token_url(), "foo", "alice");
    assert!(store.stored(&key).unwrap().json().contains(token.access_token()));
    assert_eq!(world.provider.counts().token_requests, 1);
}
