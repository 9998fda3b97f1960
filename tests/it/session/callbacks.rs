//! Savers, grants and subscribers that call back into their session.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, mpsc};
use std::time::Duration;

use futures_util::FutureExt as _;
use reqwest_oauth2::store::TokenKey;
use reqwest_oauth2::testing::Fault;
use reqwest_oauth2::{Error, Session, Token};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use crate::faulty_store::{Calls, Fault as StoreFault, FaultyStore};
use crate::support::{World, bounded, pass, runtime};

/// What a callback does with its session.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Call {
    Token,
    Refresh,
    SetToken,
    Shutdown,
    SignOut,
}

const CALLS: [Call; 5] =
    [Call::Token, Call::Refresh, Call::SetToken, Call::Shutdown, Call::SignOut];

/// Calls back, the first time.
#[derive(Clone)]
struct CallBack {
    call: Call,
    session: Arc<OnceLock<Session>>,
    has_called: Arc<AtomicBool>,
    set: Token,
}

impl CallBack {
    fn new(world: &World, call: Call) -> Self {
        Self { call, session: Arc::default(), has_called: Arc::default(), set: world.token() }
    }

    async fn run(&self) -> Result<(), Error> {
        if self.has_called.swap(true, Ordering::SeqCst) {
            return Ok(());
        }
        let session = self.session.get().unwrap();
        match self.call {
            Call::Token => session.token().await.map(drop),
            Call::Refresh => session.refresh().await.map(drop),
            Call::SetToken => session.set_token(self.set.clone()).await,
            Call::Shutdown => session.shutdown().await,
            Call::SignOut => session.sign_out().await,
        }
    }
}

#[tokio::test]
async fn a_saver_that_calls_back_waits_no_longer_than_the_save_does() {
    for call in CALLS {
        for strict in [false, true] {
            let world = World::new().await;
            let call_back = CallBack::new(&world, call);
            let (inner, saved) = (call_back.clone(), world.saved.clone());
            let builder =
                world.session().token(world.expired_token()).on_new_token(move |token: Token| {
                    let (inner, saved) = (inner.clone(), saved.clone());
                    async move {
                        // What comes of it is not the saver's concern.
                        let _ = inner.run().await;
                        saved.push(token);
                        Ok::<(), std::io::Error>(())
                    }
                });
            let session = if strict { builder.strict_saving().build() } else { builder.build() };
            call_back.session.set(session.clone()).unwrap();
            let (seconds, outcome) = bounded(&world, {
                let session = session.clone();
                async move { session.token().await }
            })
            .await;
            assert!(seconds <= 5, "{call:?} {strict}: {seconds}");
            if let Err(error) = outcome {
                assert!(error.is_save() || error.is_reauthorization_required(), "{error}");
            }
            // All of it comes to its end, and the session works.
            for _ in 0..2 {
                let session = session.clone();
                bounded(&world, async move { session.shutdown().await }).await.1.ok();
            }
            assert!(session.save_error().is_none(), "{call:?} {strict}");
            let now = session.token().await;
            if call == Call::SignOut {
                assert!(now.unwrap_err().is_reauthorization_required());
                continue;
            }
            let now = now.unwrap();
            assert_eq!(world.saved.last().access_token(), now.access_token(), "{call:?} {strict}");
            if call == Call::SetToken {
                assert_eq!(now.access_token(), call_back.set.access_token());
            }
            assert!(world.provider.accepts_refresh_token(now.refresh_token().unwrap()));
            assert_eq!(world.provider.counts().reuse_detected, 0);
        }
    }
}

#[tokio::test]
async fn a_grant_that_calls_back_is_given_up_when_its_time_is_over() {
    for call in CALLS {
        let world = World::new().await;
        let call_back = CallBack::new(&world, call);
        let (inner, provider) = (call_back.clone(), world.provider.clone());
        let session = Session::from_grant(move || {
            let (inner, issued) = (inner.clone(), provider.log_in());
            async move {
                let _ = inner.run().await;
                Token::new(issued["access_token"].as_str().unwrap())
            }
        })
        .clock(world.clock.reader())
        .build();
        call_back.session.set(session.clone()).unwrap();
        let (seconds, outcome) = bounded(&world, {
            let session = session.clone();
            async move { session.token().await }
        })
        .await;
        // The grant's own limit; what it waits for is itself.
        let expected = match call {
            Call::Token | Call::Refresh | Call::Shutdown => 60,
            Call::SetToken | Call::SignOut => 0,
        };
        assert_eq!(seconds, expected, "{call:?}");
        match call {
            Call::SetToken => {
                assert_eq!(outcome.unwrap().access_token(), call_back.set.access_token());
            }
            Call::SignOut => assert!(outcome.unwrap_err().is_reauthorization_required()),
            _ => assert!(outcome.unwrap_err().is_timeout(), "{call:?}"),
        }
        if call == Call::SignOut {
            continue;
        }
        pass(2).await;
        let token = session.token().await.unwrap();
        assert!(world.provider.accepts_access_token(token.access_token()), "{call:?}");
    }
}

/// As the one above, with a store; then the grant's mark is in it.
#[tokio::test]
async fn a_grant_that_calls_back_keeps_no_mark_in_the_store() {
    for call in CALLS {
        let world = World::new().await;
        let store = FaultyStore::default();
        let call_back = CallBack::new(&world, call);
        let (inner, provider) = (call_back.clone(), world.provider.clone());
        let grant = move || {
            let (inner, issued) = (inner.clone(), provider.log_in());
            async move {
                let _ = inner.run().await;
                Token::new(issued["access_token"].as_str().unwrap())
            }
        };
        let session = world.session().grant(grant).store(store.clone(), "alice").build();
        call_back.session.set(session.clone()).unwrap();
        let (seconds, outcome) = bounded(&world, {
            let session = session.clone();
            async move { session.token().await }
        })
        .await;
        let expected = match call {
            Call::Token | Call::Refresh | Call::Shutdown => 60,
            Call::SetToken | Call::SignOut => 0,
        };
        assert_eq!(seconds, expected, "{call:?}");
        let ending = session.clone();
        let (seconds, ended) = bounded(&world, async move { ending.shutdown().await }).await;
        ended.unwrap();
        // A sign-out waits for the token request under way, which is the grant that waits for it.
        assert_eq!(seconds, if call == Call::SignOut { 60 } else { 0 }, "{call:?}");
        let key = TokenKey::new(&world.provider.token_url(), "foo", "alice");
        let stored = store.stored(&key).unwrap();
        assert!(!stored.json().contains("mark"), "{call:?}");
        match call {
            Call::SetToken => {
                let set = call_back.set.access_token();
                assert_eq!(outcome.unwrap().access_token(), set);
                assert!(stored.json().contains(set));
            }
            Call::SignOut => {
                assert!(outcome.unwrap_err().is_reauthorization_required());
                assert!(stored.json().contains("signed_out"));
                continue;
            }
            _ => assert!(outcome.unwrap_err().is_timeout(), "{call:?}"),
        }
        pass(2).await;
        let token = session.token().await.unwrap();
        assert!(world.provider.accepts_access_token(token.access_token()), "{call:?}");
    }
}

/// A subscriber that asks a session for all that takes no wait, at each event and each step of a span.
struct Asks {
    session: Arc<OnceLock<Session>>,
    is_asking: AtomicBool,
}

impl Asks {
    fn ask(&self) {
        let Some(session) = self.session.get() else { return };
        if self.is_asking.swap(true, Ordering::SeqCst) {
            return;
        }
        for handle in [session, &session.for_resource("https://a.example/").unwrap()] {
            let _ = (handle.header(), handle.save_error(), handle.login_expires_at());
            let _ = (format!("{handle:?}"), handle.subscribe());
            let _ = handle.current_token().map(|token| handle.mark_rejected(&token));
            let _ = handle.token().now_or_never();
            let _ = handle.keep_fresh().map(drop);
        }
        self.is_asking.store(false, Ordering::SeqCst);
    }
}

impl Subscriber for Asks {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        self.ask();
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        if event.metadata().target() == "reqwest_oauth2" {
            self.ask();
        }
    }

    fn enter(&self, _: &Id) {
        self.ask();
    }

    fn exit(&self, _: &Id) {
        self.ask();
    }

    fn try_close(&self, _: Id) -> bool {
        self.ask();
        true
    }
}

#[test]
fn a_subscriber_may_ask_the_session_whose_event_it_gets() {
    // A thread that waits for itself ends no test.
    let (done, ended) = mpsc::channel();
    std::thread::spawn(move || {
        for has_store in [false, true] {
            runtime().block_on(async {
                let world = World::new().await;
                let url = world.provider.revocation_url();
                let app = world.app().revocation_endpoint(url).unwrap();
                let builder = Session::builder(app).clock(world.clock.reader());
                let store = FaultyStore::default();
                let session = match has_store {
                    true => builder.store(store.clone(), "alice").build(),
                    false => builder.on_new_token(|_| async { Ok::<(), Error>(()) }).build(),
                };
                let slot = Arc::new(OnceLock::from(session.clone()));
                let asks = Asks { session: slot, is_asking: AtomicBool::new(false) };
                let _guard = tracing::subscriber::set_default(asks);
                session.set_token(world.expired_token()).await.unwrap();
                session.token().await.unwrap();
                world.provider.fail_next(Fault::Status(503));
                let _ = session.refresh().await;
                pass(60).await;
                store.next(Calls::Swaps, StoreFault::FailBefore, 3);
                let _ = session.refresh().await;
                let _ = session.sign_out().await;
                session.shutdown().await.unwrap();
                assert_eq!(world.provider.counts().reuse_detected, 0);
            });
        }
        done.send(()).unwrap();
    });
    ended.recv_timeout(Duration::from_secs(60)).expect("it waits for itself");
}
