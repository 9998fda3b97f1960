//! New tokens for applications that save without a saver: `TokenUpdated`, with a retrying layer outside, and
//! `TokenUpdates`.

use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, mpsc};

use async_trait::async_trait;
use http::Extensions;
use reqwest::{Request, Response};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware, Middleware, Next, Result};
use reqwest_oauth2::{Session, TokenUpdated};
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Dispatch, Event, Metadata, Subscriber};

use crate::support::{World, beside, plain_http, runtime};

/// Sends each request so often, whatever the responses, and returns the last one.
struct Attempts(Arc<AtomicU32>);

#[async_trait]
impl Middleware for Attempts {
    async fn handle(
        &self,
        request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> Result<Response> {
        for _ in 1..self.0.load(Ordering::Relaxed) {
            next.clone().run(request.try_clone().unwrap(), extensions).await?;
        }
        next.run(request, extensions).await
    }
}

fn http(world: &World, session: &Session) -> (ClientWithMiddleware, Arc<AtomicU32>) {
    let attempts = Arc::new(AtomicU32::new(3));
    let http = ClientBuilder::new(plain_http())
        .with(Attempts(attempts.clone()))
        .with(session.middleware([world.provider.origin()]).unwrap())
        .build();
    (http, attempts)
}

async fn update(world: &World, http: &ClientWithMiddleware) -> Option<String> {
    let response = http.get(world.provider.api_url()).send().await.unwrap();
    assert_eq!(response.status(), 200);
    let update = response.extensions().get::<TokenUpdated>();
    update.map(|TokenUpdated(token)| token.access_token().to_owned())
}

#[tokio::test]
async fn whichever_attempt_is_taken_its_response_shows_the_update() {
    for expired in [true, false] {
        let world = World::new().await;
        let token = if expired { world.expired_token() } else { world.token() };
        let session = world.session().token(token).build();
        let (http, attempts) = http(&world, &session);
        world.provider.revoke_access_tokens();
        for round in 1..=3 {
            attempts.store(round, Ordering::Relaxed);
            let shown = update(&world, &http).await;
            let token = session.current_token().unwrap();
            assert_eq!(shown.as_deref(), Some(token.access_token()));
            assert_eq!(update(&world, &http).await, None, "another request");
            world.clock.forward(3600.0);
        }
        assert_eq!(world.provider.counts().token_requests, 3);
    }
}

/// A renewal for another target brings a new refresh token, which is the login's.
#[tokio::test]
async fn requests_for_another_target_show_the_update_of_their_login() {
    let world = World::new().await;
    let session = world.session().token(world.token()).build();
    let mail = session.for_resource("https://mail.example/").unwrap();
    let http = world.http(&mail);
    for _ in 0..2 {
        let shown = world.http(&mail).get(world.provider.api_url()).send().await.unwrap();
        let TokenUpdated(token) = shown.extensions().get().expect("no update");
        assert_eq!(token.refresh_token(), session.current_token().unwrap().refresh_token());
        assert!(world.provider.accepts_refresh_token(token.refresh_token().unwrap()));
        // What is saved brings the target's token back.
        let saved = world.session().token(token.clone()).build();
        let of_mail = saved.for_resource("https://mail.example/").unwrap();
        assert_eq!(of_mail.header(), mail.header());
        for handle in [&http, &world.http(&session)] {
            assert_eq!(update(&world, handle).await, None, "it is shown once");
        }
        world.provider.revoke_access_tokens();
        session.refresh().await.unwrap();
    }
}

#[tokio::test]
async fn one_request_of_many_shows_the_update() {
    let world = World::new().await;
    let session = world.session().token(world.expired_token()).build();
    let (http, _) = http(&world, &session);
    let hold = world.provider.pause_token_requests();
    let updates = (0..10).map(|_| update(&world, &http));
    let all = futures_util::future::join_all(updates);
    let release = async {
        world.provider.wait_for_token_requests(1).await;
        drop(hold);
    };
    let (updates, ()) = tokio::join!(all, release);
    assert_eq!(updates.iter().flatten().count(), 1);
}

/// A log that takes its time at an event; without one it is off.
#[derive(Default)]
struct SlowLog(Option<Stop>);

struct Stop {
    event: &'static str,
    reached: mpsc::Sender<()>,
    go_on: Mutex<mpsc::Receiver<()>>,
}

impl Subscriber for SlowLog {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let Some(stop) = &self.0 else { return };
        let mut is_it = Is(stop.event, false);
        event.record(&mut is_it);
        if is_it.1 {
            stop.reached.send(()).unwrap();
            stop.go_on.lock().unwrap().recv().ok();
        }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        self.0.is_none().then_some(LevelFilter::OFF)
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// Whether it is the event of this name.
struct Is(&'static str, bool);

impl Visit for Is {
    fn record_debug(&mut self, _: &Field, _: &dyn fmt::Debug) {}

    fn record_str(&mut self, field: &Field, value: &str) {
        self.1 |= field.name() == "event" && value == self.0;
    }
}

#[test]
fn the_token_that_came_into_use_last_is_the_last_that_subscribers_get() {
    beside(World::new(), |world| {
        let session = world.session().token(world.token()).build();
        let mut updates = session.subscribe();
        let new = world.token();
        let (reached, is_reached) = mpsc::channel();
        let (go_on, may_go_on) = mpsc::channel();
        let event = "renewal_finished";
        let stop = Stop { event, reached, go_on: Mutex::new(may_go_on) };
        // If there is one log alone, tracing asks that of the thread in which an event occurs first, which may be
        // that of another test.
        let _off = Dispatch::new(SlowLog::default());
        let log = Dispatch::new(SlowLog(Some(stop)));
        std::thread::scope(|scope| {
            let go_on = go_on; // dropped if this fails, so that the other thread ends
            scope.spawn(|| {
                let _log = tracing::dispatcher::set_default(&log);
                runtime().block_on(session.refresh()).unwrap();
            });
            is_reached.recv().unwrap();
            runtime().block_on(session.set_token(new.clone())).unwrap();
            go_on.send(()).unwrap();
        });
        let newest = runtime().block_on(updates.next()).unwrap();
        assert_eq!(newest.access_token(), new.access_token());
    });
}
