//! What the tests share: a wall clock that they turn, a saver that remembers, a client with the
//! layer.

pub mod provider_requests;
pub mod site;

use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use reqwest::StatusCode;
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};
use reqwest_oauth2::testing::{Provider, ProviderBuilder};
use reqwest_oauth2::{OAuthClient, Session, SessionBuilder, Token};
use tokio::runtime::{Builder, Runtime};

/// A wall clock that only a test moves. The provider and the session read the same one.
#[derive(Clone)]
pub struct WallClock(Arc<Mutex<SystemTime>>);

impl WallClock {
    pub fn new() -> Self {
        Self(Arc::new(Mutex::new(UNIX_EPOCH + Duration::from_secs(1_800_000_000))))
    }

    pub fn now(&self) -> SystemTime {
        *self.0.lock().unwrap()
    }

    pub fn forward(&self, seconds: f64) {
        *self.0.lock().unwrap() += Duration::from_secs_f64(seconds);
    }

    pub fn back(&self, seconds: f64) {
        *self.0.lock().unwrap() -= Duration::from_secs_f64(seconds);
    }

    pub fn reader(&self) -> impl Fn() -> SystemTime + Send + Sync + 'static + use<> {
        let clock = self.clone();
        move || clock.now()
    }
}

/// The tokens that a saver was given, in order.
#[derive(Clone, Default)]
pub struct Saved(Arc<Mutex<Vec<Token>>>);

impl Saved {
    pub fn push(&self, token: Token) {
        self.0.lock().unwrap().push(token);
    }

    pub fn access_tokens(&self) -> Vec<String> {
        self.0.lock().unwrap().iter().map(|token| token.access_token().to_owned()).collect()
    }

    pub fn count(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    pub fn last(&self) -> Token {
        self.0.lock().unwrap().last().cloned().expect("nothing was saved")
    }
}

/// While it lives, the runtime's timers stand still and I/O goes on; [`pass`] moves them. A machine
/// that is slow can so not make a backoff or a time-out pass by itself.
struct Frozen(Option<std::sync::mpsc::Sender<()>>);

thread_local! {
    static FROZEN: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

impl Frozen {
    /// Only a runtime of one thread can be frozen.
    fn new() -> Self {
        let flavor = tokio::runtime::Handle::current().runtime_flavor();
        if flavor != tokio::runtime::RuntimeFlavor::CurrentThread || FROZEN.replace(true) {
            return Self(None);
        }
        tokio::time::pause();
        // A paused clock jumps to the next timer when there is nothing else to do, but not while a
        // blocking task runs.
        let (end, ended) = std::sync::mpsc::channel();
        tokio::task::spawn_blocking(move || ended.recv());
        Self(Some(end))
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        if self.0.take().is_some() {
            FROZEN.set(false);
            if tokio::runtime::Handle::try_current().is_ok() {
                tokio::time::resume();
            }
        }
    }
}

/// A provider, the clock that it and its sessions live by, and what the saver was given.
pub struct World {
    pub provider: Provider,
    pub clock: WallClock,
    pub saved: Saved,
    plain: reqwest::Client,
    /// Of two worlds in a test the first holds the time.
    _frozen: Frozen,
}

impl World {
    pub async fn new() -> Self {
        Self::with(|provider| provider).await
    }

    /// Tokens live an hour unless the provider is set up otherwise.
    pub async fn with(set_up: impl FnOnce(ProviderBuilder) -> ProviderBuilder) -> Self {
        let clock = WallClock::new();
        let builder = set_up(Provider::builder().clock(clock.reader()));
        let provider = builder.start().await.unwrap();
        let (saved, plain) = (Saved::default(), plain_http());
        Self { provider, clock, saved, plain, _frozen: Frozen::new() }
    }

    pub fn app(&self) -> OAuthClient {
        OAuthClient::new("foo", self.provider.token_url()).unwrap().secret("potato")
    }

    /// A token of a new login, with an hour to live.
    pub fn token(&self) -> Token {
        let expires_at = self.clock.now() + Duration::from_secs(3600);
        token(&self.provider.log_in()).with_expires_at(expires_at.into())
    }

    /// A token of a new login that has just expired.
    pub fn expired_token(&self) -> Token {
        self.token().with_expires_at(self.clock.now().into())
    }

    /// A session on the test's clock, without token or saver.
    pub fn session(&self) -> SessionBuilder {
        Session::builder(self.app()).clock(self.clock.reader())
    }

    /// A session with a saver that remembers.
    pub fn saving(&self) -> SessionBuilder {
        let saved = self.saved.clone();
        self.session().on_new_token(move |token: Token| {
            let saved = saved.clone();
            async move {
                saved.push(token);
                Ok::<(), std::io::Error>(())
            }
        })
    }

    /// A client whose requests to the provider's API carry the session's token.
    pub fn http(&self, session: &Session) -> ClientWithMiddleware {
        ClientBuilder::new(plain_http())
            .with(session.middleware([self.provider.origin()]).unwrap())
            .build()
    }

    /// One request to the API.
    pub async fn get(&self, http: &ClientWithMiddleware) -> reqwest_middleware::Result<StatusCode> {
        Ok(http.get(self.provider.api_url()).send().await?.status())
    }

    /// Lets whatever is on its way arrive: round trips to the provider, beside the session.
    pub async fn round_trips(&self) {
        for _ in 0..10 {
            self.plain.get(self.provider.origin()).send().await.unwrap();
        }
    }

    /// Lets tasks run that wait for nothing but their turn.
    pub async fn plain_turns(&self) {
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
    }

    /// The access tokens that the API was shown, in order of arrival.
    pub fn shown(&self) -> Vec<String> {
        let bearer = |request: reqwest_oauth2::testing::RecordedApiRequest| {
            request.authorization.and_then(|value| value.strip_prefix("Bearer ").map(str::to_owned))
        };
        self.provider.api_requests().into_iter().filter_map(bearer).collect()
    }
}

/// reqwest as it comes, but for proxies of the machine.
pub fn plain_http() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().unwrap()
}

/// A token response read as a stored token.
pub fn token(response: &serde_json::Value) -> Token {
    serde_json::from_value(response.clone()).unwrap()
}

/// Our error within a client's.
#[track_caller]
pub fn ours(error: &reqwest_middleware::Error) -> reqwest_oauth2::Error {
    reqwest_oauth2::Error::find_in(error).unwrap_or_else(|| panic!("not ours: {error:?}")).clone()
}

/// Polls the future the given number of times, then drops it where it stands.
pub async fn polled<F: Future>(times: usize, future: F) -> Option<F::Output> {
    let (mut future, mut polls) = (Box::pin(future), 0);
    std::future::poll_fn(move |context| {
        polls += 1;
        match future.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if polls == times => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

pub fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// Runs the test while the provider has a thread of its own, so that the session's runtimes can end.
pub fn beside(set_up: impl Future<Output = World>, test: impl FnOnce(&World)) {
    let provider = runtime();
    let world = provider.block_on(set_up);
    std::thread::scope(|scope| {
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        scope.spawn(|| provider.block_on(stopped));
        // The provider stops also when the test fails.
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| test(&world)));
        stop.send(()).unwrap();
        if let Err(panic) = outcome {
            std::panic::resume_unwind(panic);
        }
    });
}

/// The outcome, and after how many seconds; whatever waits has its turn each second.
pub async fn bounded<T: Send + 'static>(
    world: &World,
    future: impl Future<Output = T> + Send + 'static,
) -> (u64, T) {
    let task = tokio::spawn(future);
    for seconds in 0..200 {
        world.round_trips().await;
        if task.is_finished() {
            return (seconds, task.await.unwrap());
        }
        pass(1).await;
    }
    panic!("it hangs");
}

/// Moves the timers of the test's (single-threaded) runtime on.
pub async fn pass(seconds: u64) {
    let frozen = FROZEN.get();
    if !frozen {
        tokio::time::pause();
    }
    // Timers have a grain of a millisecond.
    tokio::time::advance(Duration::from_secs(seconds) + Duration::from_millis(1)).await;
    if !frozen {
        tokio::time::resume();
    }
}
