//! Runtimes that go away, or were never there.

use futures_util::FutureExt;
use reqwest_oauth2::{Session, Token};
use tokio::runtime::{Builder, Runtime};

use crate::support::{World, polled};

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

#[test]
fn a_renewal_cut_off_with_its_runtime_is_made_anew_on_the_next() {
    let provider = runtime();
    let world = provider.block_on(World::new());
    let session = world.saving().token(world.expired_token()).build();
    let first = runtime();
    // The renewal is launched, and the runtime ends before it has sent anything.
    first.block_on(async { assert!(polled(1, session.token()).await.is_none()) });
    drop(first);
    provider.block_on(async {
        session.token().await.unwrap();
        assert_eq!(world.provider.counts().token_requests, 1);
    });
    assert_eq!(world.saved.count(), 1);
}

#[test]
fn a_waiter_on_another_runtime_begins_anew_when_the_renewal_is_cut_off() {
    let second = runtime();
    let world = second.block_on(World::new());
    let session = world.session().token(world.expired_token()).build();
    let first = runtime();
    first.block_on(async { assert!(polled(1, session.token()).await.is_none()) });
    second.block_on(async {
        let waiting = session.token();
        tokio::pin!(waiting);
        // It has joined the renewal of the first runtime, which then ends.
        assert!(polled(1, &mut waiting).await.is_none());
        first.shutdown_background();
        assert!(world.provider.accepts_access_token(waiting.await.unwrap().access_token()));
        assert_eq!(world.provider.counts().token_requests, 1);
    });
}

#[test]
fn a_token_received_before_the_runtime_went_away_is_saved_and_used_by_the_next() {
    let provider = runtime();
    let world = provider.block_on(World::new());
    let gate = std::sync::Arc::new(tokio::sync::Semaphore::new(0));
    let (saved, entered) = (world.saved.clone(), std::sync::Arc::new(tokio::sync::Notify::new()));
    let (saver_gate, saver_entered) = (gate.clone(), entered.clone());
    let session = world
        .session()
        .token(world.expired_token())
        .on_new_token(move |token: Token| {
            let (gate, entered, saved) = (saver_gate.clone(), saver_entered.clone(), saved.clone());
            async move {
                entered.notify_one();
                gate.acquire().await.unwrap().forget();
                saved.push(token);
                Ok::<(), std::io::Error>(())
            }
        })
        .build();
    // The provider runs on a thread of its own, so that the session's runtime can go.
    std::thread::scope(|scope| {
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        scope.spawn(|| provider.block_on(stopped));
        let first = runtime();
        first.block_on(async {
            let renewal = tokio::spawn({
                let session = session.clone();
                async move { session.token().await }
            });
            entered.notified().await;
            assert!(!renewal.is_finished());
        });
        drop(first);
        assert_eq!(world.saved.count(), 0);
        gate.add_permits(10);
        runtime().block_on(async {
            let token = session.token().await.unwrap();
            session.shutdown().await.unwrap();
            assert_eq!(world.saved.last().access_token(), token.access_token());
        });
        stop.send(()).unwrap();
    });
    let counts = world.provider.counts();
    assert_eq!((counts.token_requests, counts.reuse_detected), (1, 0));
}

#[test]
fn a_renewal_that_died_with_its_request_under_way_is_remembered_as_a_lost_answer() {
    let provider = runtime();
    let world = provider.block_on(World::new());
    let session = world.saving().token(world.expired_token()).build();
    let hold = world.provider.pause_token_requests();
    std::thread::scope(|scope| {
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        scope.spawn(|| provider.block_on(stopped));
        let first = runtime();
        first.block_on(async {
            assert!(polled(1, session.token()).await.is_none());
            world.provider.wait_for_token_requests(1).await;
        });
        drop(first);
        // The provider serves the request to its end, and rotates.
        drop(hold);
        while world.provider.counts().tokens_issued == 0 {
            std::thread::yield_now();
        }
        runtime().block_on(async {
            let error = session.token().await.unwrap_err();
            assert!(error.is_reauthorization_required() && error.is_response_lost(), "{error}");
        });
        stop.send(()).unwrap();
    });
    assert_eq!(world.saved.count(), 0);
}

#[test]
fn waiters_of_a_runtime_that_ends_are_not_left_hanging() {
    let provider = runtime();
    let world = provider.block_on(World::new());
    let session = world.session().token(world.expired_token()).build();
    let first = runtime();
    first.block_on(async { assert!(polled(1, session.token()).await.is_none()) });
    // Launching on a runtime that has ended drops the task at once.
    let handle = first.handle().clone();
    drop(first);
    let _entered = handle.enter();
    let error = session.token().now_or_never().expect("it hangs").unwrap_err();
    assert!(error.to_string().contains("Tokio runtime") && error.is_transient(), "{error}");
}

#[test]
fn without_a_runtime_it_is_an_error_and_no_panic() {
    let session = Session::from_grant(|| async { Token::new("abc") }).build();
    let error = session.token().now_or_never().unwrap().unwrap_err();
    assert_eq!(
        error.to_string(),
        "no Tokio runtime: none is running, or it is shutting down; call from within a running runtime"
    );
    assert!(session.keep_fresh().is_err());
    assert!(session.set_token(Token::new("a").unwrap()).now_or_never().unwrap().is_err());
    // A valid token needs none.
    let session =
        Session::from_grant(|| async { Token::new("abc") }).token(Token::new("a").unwrap()).build();
    assert_eq!(session.token().now_or_never().unwrap().unwrap().access_token(), "a");
}
