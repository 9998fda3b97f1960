//! The subscriber and the recorder are the application's: they may panic, and they may look at the session.

use std::sync::{Arc, Mutex};

use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder,
    SharedString, Unit,
};
use reqwest_oauth2::Session;
use reqwest_oauth2::store::MemoryStore;
use reqwest_oauth2::testing::Fault;
use tracing::Event;
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt};

use crate::support::{World, pass};

/// Hears of every event and every metric.
#[derive(Clone)]
struct Observer(Arc<dyn Fn() + Send + Sync>);

impl Observer {
    fn new(hear: impl Fn() + Send + Sync + 'static) -> Self {
        Self(Arc::new(hear))
    }
}

impl<S: tracing::Subscriber> Layer<S> for Observer {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() == "reqwest_oauth2" {
            (self.0)();
        }
    }
}

impl CounterFn for Observer {
    fn increment(&self, _: u64) {
        (self.0)();
    }

    fn absolute(&self, _: u64) {}
}

impl GaugeFn for Observer {
    fn increment(&self, _: f64) {
        (self.0)();
    }

    fn decrement(&self, _: f64) {
        (self.0)();
    }

    fn set(&self, _: f64) {}
}

impl HistogramFn for Observer {
    fn record(&self, _: f64) {
        (self.0)();
    }
}

impl Recorder for Observer {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(Arc::new(self.clone()))
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(Arc::new(self.clone()))
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(Arc::new(self.clone()))
    }
}

/// What emits most events: renewals, one that fails, a 401, a sign-out and a new login.
async fn a_day(world: &World, session: &Session) {
    let http = world.http(session);
    session.set_token(world.expired_token()).await.unwrap();
    assert_eq!(world.get(&http).await.unwrap(), 200);
    world.provider.revoke_access_tokens();
    assert_eq!(world.get(&http).await.unwrap(), 200);
    world.provider.fail_next(Fault::Status(503));
    session.refresh().await.unwrap_err();
    pass(60).await;
    session.refresh().await.unwrap();
    session.sign_out().await.unwrap();
    session.set_token(world.token()).await.unwrap();
    assert_eq!(world.get(&http).await.unwrap(), 200);
    session.shutdown().await.unwrap();
    let counts = world.provider.counts();
    assert_eq!((counts.refreshes, counts.reuse_detected), (3, 0));
}

/// One that prints panics where standard error is a pipe that somebody has closed.
#[tokio::test]
async fn a_subscriber_and_a_recorder_that_panic_cost_no_token() {
    let observer = Observer::new(|| panic!("on purpose"));
    let subscriber = tracing_subscriber::registry().with(observer.clone());
    let _subscriber = tracing::subscriber::set_default(subscriber);
    let _recorder = metrics::set_default_local_recorder(&observer);
    let world = World::new().await;
    a_day(&world, &world.saving().build()).await;
    let world = World::new().await;
    a_day(&world, &world.session().store(MemoryStore::new(), "u").build()).await;
}

/// No lock of the session is held while they are told.
#[tokio::test]
async fn a_subscriber_and_a_recorder_may_look_at_the_session() {
    let seen: Arc<Mutex<Option<Session>>> = Arc::default();
    let looked_at = seen.clone();
    let observer = Observer::new(move || {
        let session = looked_at.lock().unwrap().clone();
        if let Some(session) = session {
            let _ = (session.save_error(), session.current_token(), session.header());
        }
    });
    let subscriber = tracing_subscriber::registry().with(observer.clone());
    let _subscriber = tracing::subscriber::set_default(subscriber);
    let _recorder = metrics::set_default_local_recorder(&observer);
    let world = World::new().await;
    let session = world.saving().build();
    *seen.lock().unwrap() = Some(session.clone());
    a_day(&world, &session).await;
    assert!(seen.lock().unwrap().take().is_some());
}
