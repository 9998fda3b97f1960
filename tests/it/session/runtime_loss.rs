//! Runtimes that go away, or were never there.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use reqwest_oauth2::store::TokenKey;
use reqwest_oauth2::testing::ProviderBuilder;
use reqwest_oauth2::{Session, Token, UserSessions};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::faulty_store::{Calls, Fault as StoreFault, FaultyStore};
use crate::support::{World, beside, pass, polled};

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

/// Though its token is fresh, and was in use already.
#[test]
fn a_save_that_was_cut_off_is_made_again_after_the_next_request() {
    beside(World::new(), |world| {
        let (calls, again) = (Arc::new(AtomicU32::new(0)), Arc::new(Notify::new()));
        let (count, done, saved) = (calls.clone(), again.clone(), world.saved.clone());
        let session = world
            .session()
            .save_wait_timeout(Duration::ZERO)
            .backoff(Duration::ZERO, Duration::ZERO)
            .token(world.expired_token())
            .on_new_token(move |token: Token| {
                let is_first = count.fetch_add(1, Ordering::SeqCst) == 0;
                let (done, saved) = (done.clone(), saved.clone());
                async move {
                    if is_first {
                        std::future::pending::<()>().await;
                    }
                    saved.push(token);
                    done.notify_one();
                    Ok::<(), std::io::Error>(())
                }
            })
            .build();
        let renewed = runtime().block_on(session.token()).unwrap();
        assert_eq!((calls.load(Ordering::SeqCst), world.saved.count()), (1, 0));
        runtime().block_on(async {
            let token = session.token().await.unwrap();
            assert_eq!(token.access_token(), renewed.access_token());
            let waits = tokio::time::timeout(Duration::from_secs(60), again.notified());
            waits.await.expect("nothing is saved");
            assert_eq!(world.saved.access_tokens(), [renewed.access_token()]);
        });
        runtime().block_on(session.shutdown()).unwrap();
        assert!(session.header().is_some(), "it is used at once again");
        assert_eq!(world.provider.counts().token_requests, 1);
    });
}

#[test]
fn a_sign_in_that_was_cut_off_is_stored_after_the_next_request() {
    beside(World::new(), |world| {
        let store = FaultyStore::default();
        let session = world.session().store(store.clone(), "alice").build();
        runtime().block_on(session.set_token(world.token())).unwrap();
        let new = world.token();
        runtime()
            .block_on(async { assert!(polled(1, session.set_token(new.clone())).await.is_none()) });
        assert!(session.header().is_none());
        runtime().block_on(async {
            session.token().await.unwrap();
            world.plain_turns().await;
            assert_eq!(session.token().await.unwrap().access_token(), new.access_token());
        });
        let key = TokenKey::new(&world.provider.token_url(), "foo", "alice");
        assert!(store.stored(&key).unwrap().json().contains(new.access_token()));
    });
}

/// A renewal whose runtime ends while the provider has its request, and then answers it; and what comes next.
fn after_a_renewal_died(provider: &Runtime, world: &World, session: &Session, next: impl FnOnce()) {
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
        next();
        stop.send(()).unwrap();
    });
}

#[test]
fn a_renewal_that_died_with_its_request_under_way_is_remembered_as_a_lost_answer() {
    let provider = runtime();
    let world = provider.block_on(World::new());
    let session = world.saving().token(world.expired_token()).build();
    after_a_renewal_died(&provider, &world, &session, || {
        let error = runtime().block_on(session.token()).unwrap_err();
        assert!(error.is_reauthorization_required() && error.is_response_lost(), "{error}");
    });
    assert_eq!(world.saved.count(), 0);
}

/// The provider takes a replaced refresh token again, for longer than a session stands still.
fn with_grace(provider: ProviderBuilder) -> ProviderBuilder {
    provider.grace_period(Duration::from_secs(300))
}

#[test]
fn the_second_try_has_its_whole_time_however_late_the_next_runtime_comes() {
    let provider = runtime();
    let world = provider.block_on(World::with(with_grace));
    let session = world.saving().token(world.expired_token()).build();
    after_a_renewal_died(&provider, &world, &session, || {
        runtime().block_on(async {
            // More than a token request may take.
            tokio::time::pause();
            tokio::time::advance(Duration::from_secs(31)).await;
            tokio::time::resume();
            session.token().await.unwrap();
        });
    });
    let counts = world.provider.counts();
    assert_eq!((counts.token_requests, counts.reuse_detected), (2, 0));
}

#[test]
fn whoever_asks_long_after_a_runtime_has_ended_waits_for_no_other_process() {
    for is_swapping in [false, true] {
        let second = runtime();
        let world = second.block_on(World::new());
        let store = FaultyStore::default();
        let session = world.session().store(store.clone(), "alice").build();
        second.block_on(session.set_token(world.expired_token())).unwrap();
        let first = runtime();
        first.block_on(async {
            store.next(Calls::Swaps, StoreFault::HangBefore, usize::from(is_swapping));
            let swaps = store.swaps();
            let waiting = session.token();
            tokio::pin!(waiting);
            assert!(polled(1, &mut waiting).await.is_none());
            while is_swapping && store.swaps() == swaps {
                tokio::task::yield_now().await;
            }
        });
        drop(first);
        second.block_on(async {
            // More than a session waits for other processes.
            pass(70).await;
            session.token().await.unwrap();
        });
        assert_eq!(world.provider.counts().token_requests, 1, "{is_swapping}");
    }
}

#[test]
fn a_save_that_nobody_has_made_was_not_slow() {
    let second = runtime();
    let world = second.block_on(World::new());
    let store = FaultyStore::default();
    let session = world.session().store(store.clone(), "alice").strict_saving().build();
    let (first, token) = (runtime(), world.token());
    first.block_on(async {
        assert!(polled(1, session.set_token(token.clone())).await.is_none());
    });
    drop(first);
    second.block_on(async {
        // More than a save may take; the one that is made now takes its time.
        pass(6).await;
        store.next(Calls::Swaps, StoreFault::DelayBefore(Duration::from_secs(4)), 1);
        let passing = async {
            world.round_trips().await;
            pass(4).await;
        };
        let (found, ()) = tokio::join!(session.token(), passing);
        assert_eq!(found.unwrap().access_token(), token.access_token());
    });
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

/// Runs a future on the runtime, whose clock stands still from then on. What the clock shows.
fn on_stopped_clock(runtime: &Runtime, future: impl Future<Output = ()>) -> Instant {
    runtime.block_on(async {
        tokio::time::pause();
        future.await;
        Instant::now()
    })
}

/// Moves the present runtime's clock, which stands still, on to this.
async fn catch_up(other: Instant) {
    tokio::time::advance(other.saturating_duration_since(Instant::now())).await;
}

/// Seconds until the future is done, on the clock of a runtime that stands still otherwise.
async fn seconds_until<T>(world: &World, waiting: tokio::task::JoinHandle<T>) -> (u64, T) {
    for seconds in 0..200 {
        world.round_trips().await;
        if waiting.is_finished() {
            return (seconds, waiting.await.unwrap());
        }
        pass(1).await;
    }
    panic!("it hangs");
}

#[test]
fn a_waiter_takes_over_from_a_runtime_that_nobody_drives() {
    for is_shutdown in [false, true] {
        let (first, second) = (runtime(), runtime());
        let world = second.block_on(World::new());
        let session = world.saving().token(world.expired_token()).build();
        // The renewal is to run on the first runtime, which is there and stands still.
        let then = on_stopped_clock(&first, async {
            assert!(polled(1, session.token()).await.is_none());
        });
        second.block_on(async {
            catch_up(then).await;
            let waiting = tokio::spawn({
                let session = session.clone();
                async move {
                    if is_shutdown {
                        session.shutdown().await
                    } else {
                        session.token().await.map(drop)
                    }
                }
            });
            let (seconds, outcome) = seconds_until(&world, waiting).await;
            outcome.unwrap();
            // The slack of a worker.
            assert_eq!(seconds, 5);
        });
        assert_eq!(world.saved.count(), 1);
        // When the first runtime is driven again, nothing is presented a second time.
        first.block_on(async {
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
        });
        second.block_on(world.round_trips());
        let counts = world.provider.counts();
        assert_eq!((counts.token_requests, counts.reuse_detected), (1, 0));
    }
}

/// What an application may wait for while the work is on a runtime that nobody drives.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Call {
    Refresh,
    SetToken,
    SignOut,
    SignOutLocally,
    /// Of all users.
    Shutdown,
}

#[test]
fn no_call_waits_for_a_runtime_that_nobody_drives() {
    for call in [Call::Refresh, Call::SetToken, Call::SignOut, Call::SignOutLocally, Call::Shutdown]
    {
        let (first, second) = (runtime(), runtime());
        let world = second.block_on(World::new());
        let (store, clock) = (FaultyStore::default(), world.clock.reader());
        let sessions = UserSessions::builder(world.app())
            .configure_sessions(|session| session.clock(clock))
            .store(store.clone())
            .build();
        let session = sessions.for_user("alice");
        second.block_on(session.set_token(world.expired_token())).unwrap();
        // The mark is to be swapped in, and nobody does it.
        let then = on_stopped_clock(&first, async {
            assert!(polled(1, session.token()).await.is_none());
        });
        let new = world.token();
        second.block_on(async {
            catch_up(then).await;
            let waiting = tokio::spawn({
                let (session, sessions, new) = (session.clone(), sessions.clone(), new.clone());
                async move {
                    match call {
                        Call::Refresh => session.refresh().await.map(drop),
                        Call::SetToken => session.set_token(new).await,
                        Call::SignOut => session.sign_out().await,
                        Call::SignOutLocally => session.sign_out_locally().await,
                        Call::Shutdown => sessions.shutdown().await,
                    }
                }
            });
            let (seconds, outcome) = seconds_until(&world, waiting).await;
            // As above.
            assert_eq!(seconds, 5, "{call:?}");
            let signs_out = matches!(call, Call::SignOut | Call::SignOutLocally);
            if signs_out {
                // The store has had the time that a save may take, and goes on.
                let error = outcome.unwrap_err().to_string();
                assert_eq!(error, "what was saved could not be deleted; it is tried again");
                session.shutdown().await.unwrap();
            } else {
                outcome.unwrap();
            }
            let now = session.token().await;
            assert_eq!(now.is_err(), signs_out, "{call:?}");
            if call == Call::SetToken {
                assert_eq!(now.unwrap().access_token(), new.access_token());
            }
        });
        // When the first runtime is driven again, nothing is presented, and nothing is stored.
        let key = TokenKey::new(&world.provider.token_url(), "foo", "alice");
        let stored = store.history(&key).len();
        first.block_on(async {
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
        });
        second.block_on(world.round_trips());
        assert_eq!(store.history(&key).len(), stored, "{call:?}");
        let renewals = u64::from(matches!(call, Call::Refresh | Call::Shutdown));
        let counts = world.provider.counts();
        assert_eq!((counts.token_requests, counts.reuse_detected), (renewals, 0), "{call:?}");
    }
}

#[test]
fn a_waiter_gives_a_request_on_a_runtime_that_nobody_drives_its_time_and_asks_again() {
    for is_shutdown in [false, true] {
        let second = runtime();
        let world = second.block_on(World::with(with_grace));
        let first = runtime();
        let session = world.saving().token(world.expired_token()).build();
        let hold = world.provider.pause_token_requests();
        let then = on_stopped_clock(&first, async {
            assert!(polled(1, session.token()).await.is_none());
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
        });
        second.block_on(async {
            catch_up(then).await;
            // The request has been sent; its answer comes, and nobody reads it.
            world.provider.wait_for_token_requests(1).await;
            drop(hold);
            let waiting = tokio::spawn({
                let session = session.clone();
                async move {
                    if is_shutdown {
                        session.shutdown().await
                    } else {
                        session.token().await.map(drop)
                    }
                }
            });
            // All that a token request may take (30 s), and the slack of a worker.
            for _ in 0..35 {
                world.round_trips().await;
                assert_eq!(world.provider.counts().token_requests, 1);
                pass(1).await;
            }
            world.round_trips().await;
            assert!(!waiting.is_finished());
            // The longest wait before the second try.
            tokio::time::advance(Duration::from_millis(751)).await;
            waiting.await.unwrap().unwrap();
        });
        let counts = world.provider.counts();
        assert_eq!((counts.token_requests, counts.reuse_detected), (2, 0), "{is_shutdown}");
        assert_eq!(world.saved.count(), 1);
    }
}

#[tokio::test]
async fn a_token_request_that_takes_its_time_is_not_given_up_by_those_who_wait() {
    let world = World::new().await;
    let session = world.saving().token(world.expired_token()).build();
    let hold = world.provider.pause_token_requests();
    let waiting = tokio::spawn({
        let session = session.clone();
        async move { session.token().await }
    });
    world.provider.wait_for_token_requests(1).await;
    for _ in 0..29 {
        world.round_trips().await;
        pass(1).await;
    }
    assert_eq!(world.provider.counts().token_requests, 1);
    drop(hold);
    waiting.await.unwrap().unwrap();
    let counts = world.provider.counts();
    assert_eq!((counts.token_requests, counts.reuse_detected), (1, 0));
}

#[tokio::test]
async fn a_revocation_that_takes_its_time_is_not_given_up_by_the_sign_out() {
    let world = World::new().await;
    // A server that takes twenty seconds for its answer.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/revoke", listener.local_addr().unwrap());
    let answer = tokio::spawn(async move {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let (mut stream, _) = listener.accept().await.unwrap();
        // One for each of both tokens.
        for _ in 0..2 {
            let mut request = vec![0; 4096];
            assert!(stream.read(&mut request).await.unwrap() > 0);
            tokio::time::sleep(Duration::from_secs(20)).await;
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await.unwrap();
        }
    });
    let app = world.app().revocation_endpoint(url).unwrap();
    let session = Session::builder(app).clock(world.clock.reader()).token(world.token()).build();
    let signing_out = tokio::spawn(async move { session.sign_out().await });
    let (seconds, outcome) = seconds_until(&world, signing_out).await;
    outcome.unwrap();
    assert_eq!(seconds, 40);
    answer.await.unwrap();
}

#[test]
fn whoever_waits_without_a_runtime_gets_an_error_or_the_token() {
    let first = runtime();
    let world = first.block_on(World::new());
    let session = world.session().token(world.expired_token()).build();
    first.block_on(async { assert!(polled(1, session.token()).await.is_none()) });
    // There is a worker, and no runtime here whose timers could bound the wait for it.
    let error = session.token().now_or_never().expect("it hangs").unwrap_err();
    assert!(error.to_string().contains("Tokio runtime"), "{error}");
    first.block_on(async { session.token().await.unwrap() });
    assert!(session.token().now_or_never().unwrap().is_ok());
    assert_eq!(world.provider.counts().token_requests, 1);
}

#[test]
fn a_request_takes_no_connection_of_a_runtime_that_nobody_drives() {
    beside(World::new(), |world| {
        let app = world.app();
        let ask = || async { app.token_request("client_credentials").send().await };
        let (first, second) = (runtime(), runtime());
        first.block_on(async {
            ask().await.unwrap();
            // The connection goes back to where other requests find it.
            world.plain_turns().await;
        });
        // Its answer would come to the first runtime, and nobody would read it.
        second.block_on(ask()).unwrap();
        drop(first);
    });
}
