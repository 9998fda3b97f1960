//! Logins whose runtime goes away, or that no thread drives.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use reqwest::{Request, Response};
use reqwest_oauth2::{
    Asked, Authorized, Error, OAuthClient, Provider, RequestError, ResourceSession, Session, Token,
};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};

use super::answer;
use crate::faulty_store::{Calls, Fault, FaultyStore};
use crate::support::{plain_http, polled};

/// Its clock stands still while there is something to do, and otherwise goes to the next timer at once.
fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().start_paused(true).build().unwrap()
}

/// A session whose first login takes until it has a permit. The token of each login is its number.
fn session() -> (ResourceSession, Arc<AtomicUsize>, Arc<Semaphore>) {
    let (logins, go) = (Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(0)));
    let (count, permits) = (logins.clone(), go.clone());
    let hook = move |_: Asked| {
        let (login, permits) = (count.fetch_add(1, Ordering::Relaxed) + 1, permits.clone());
        async move {
            if login == 1 {
                permits.acquire().await.unwrap().forget();
            }
            let client = OAuthClient::new("foo", "https://issuer.example/token")?;
            Ok(Authorized::new(client, Token::new(login.to_string())?))
        }
    };
    let session = Session::on_challenge("https://api.example/x", hook).unwrap().build();
    (session, logins, go)
}

/// An API that takes every token.
async fn api(request: Request) -> Result<Response, Infallible> {
    let status = if request.headers().contains_key("authorization") { 200 } else { 401 };
    Ok(answer(&request, status, Some("Bearer")))
}

async fn get(session: &ResourceSession) -> Result<u16, RequestError<Infallible>> {
    let request = plain_http().get("https://api.example/x").build().unwrap();
    Ok(session.execute(api, request).await?.status().as_u16())
}

/// Begins a login that nobody waits for any more. What the runtime's clock shows.
fn begin(runtime: &Runtime, session: &ResourceSession) -> Instant {
    runtime.block_on(async {
        assert!(polled(1, get(session)).await.is_none());
        let now = Instant::now();
        turns().await;
        now
    })
}

/// Lets other tasks run.
async fn turns() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

async fn token(session: &ResourceSession) -> String {
    let token = session.session().await.unwrap().unwrap().token().await.unwrap();
    token.access_token().to_owned()
}

/// What it comes to, and after how many seconds. They are few, or it hangs.
async fn seconds_until<T>(future: impl Future<Output = T>) -> (u64, T) {
    let began = Instant::now();
    let outcome = timeout(Duration::from_secs(3600), future).await.expect("it hangs");
    (began.elapsed().as_secs(), outcome)
}

#[test]
fn a_login_whose_runtime_has_ended_is_begun_anew() {
    let (session, logins, _) = session();
    let first = runtime();
    begin(&first, &session);
    drop(first);
    runtime().block_on(async {
        let (seconds, status) = seconds_until(get(&session)).await;
        assert_eq!((seconds, status.unwrap()), (0, 200));
        assert_eq!(token(&session).await, "2");
    });
    assert_eq!(logins.load(Ordering::Relaxed), 2);
}

#[test]
fn who_waits_for_a_login_whose_runtime_ends_begins_it_anew() {
    let (session, logins, _) = session();
    let (first, second) = (runtime(), runtime());
    begin(&first, &session);
    second.block_on(async {
        let (one, other) = (get(&session), get(&session));
        tokio::pin!(one, other);
        assert!(polled(1, &mut one).await.is_none());
        assert!(polled(1, &mut other).await.is_none());
        first.shutdown_background();
        let (seconds, statuses) = seconds_until(futures_util::future::join(one, other)).await;
        assert_eq!((seconds, statuses.0.unwrap(), statuses.1.unwrap()), (0, 200, 200));
    });
    assert_eq!(logins.load(Ordering::Relaxed), 2);
}

#[test]
fn a_login_on_a_runtime_that_nobody_drives_is_begun_anew() {
    let (session, logins, go) = session();
    let (second, first) = (runtime(), runtime());
    let then = begin(&first, &session);
    second.block_on(async {
        tokio::time::advance(then.saturating_duration_since(Instant::now())).await;
        let both = futures_util::future::join(get(&session), get(&session));
        let (seconds, (one, other)) = seconds_until(both).await;
        assert_eq!((one.unwrap(), other.unwrap()), (200, 200));
        // So long it may be silent.
        assert_eq!(seconds, 10);
        assert_eq!(logins.load(Ordering::Relaxed), 2);
    });
    // When the first runtime is driven again, its login could be finished, and is not.
    go.add_permits(1);
    first.block_on(turns());
    assert_eq!(go.available_permits(), 1);
    assert_eq!(second.block_on(token(&session)), "2");
    // And what it came to is not remembered: the next login is like any other.
    assert_eq!(second.block_on(get(&session)).unwrap(), 200);
    assert_eq!(logins.load(Ordering::Relaxed), 2);
}

#[test]
fn a_login_that_takes_its_time_is_not_given_up_by_those_who_wait() {
    let (session, logins, go) = session();
    let (first, second) = (runtime(), runtime());
    begin(&first, &session);
    first.block_on(async {
        let permit = async {
            tokio::time::sleep(Duration::from_secs(14 * 60)).await;
            go.add_permits(1);
        };
        let waiting = futures_util::future::join(get(&session), permit);
        let (seconds, (status, ())) = seconds_until(waiting).await;
        assert_eq!((seconds, status.unwrap()), (14 * 60, 200));
    });
    assert_eq!(second.block_on(token(&session)), "1");
    assert_eq!(logins.load(Ordering::Relaxed), 1);
}

#[test]
fn who_waits_on_a_runtime_that_ends_is_not_left_hanging() {
    let (session, logins, _) = session();
    let first = runtime();
    begin(&first, &session);
    let handle = first.handle().clone();
    drop(first);
    // What is spawned here is dropped at once.
    let _entered = handle.enter();
    let RequestError::Token(error) = get(&session).now_or_never().expect("it hangs").unwrap_err();
    assert!(error.to_string().contains("Tokio runtime") && error.is_transient(), "{error}");
    assert_eq!(logins.load(Ordering::Relaxed), 1);
}

#[test]
fn without_a_runtime_it_is_an_error_and_no_panic() {
    let is_runtime = |error: &Error| error.to_string().contains("Tokio runtime");
    let (session, logins, _) = session();
    let RequestError::Token(error) = get(&session).now_or_never().unwrap().unwrap_err();
    assert!(is_runtime(&error), "{error}");
    assert!(is_runtime(&session.log_in().now_or_never().unwrap().unwrap_err()));
    // Nor is there a timer that could bound the wait for the login of another one.
    let first = runtime();
    begin(&first, &session);
    let RequestError::Token(error) = get(&session).now_or_never().unwrap().unwrap_err();
    assert!(is_runtime(&error), "{error}");
    assert_eq!(logins.load(Ordering::Relaxed), 1);
}

#[test]
fn a_login_that_panics_beside_its_hook_is_an_error_too() {
    let calls = Arc::new(AtomicUsize::new(0));
    let count = calls.clone();
    let hook = |_: Asked| async {
        let client = OAuthClient::new("foo", "https://issuer.example/token")?;
        Ok(Authorized::new(client, Token::new("1")?))
    };
    let builder = Session::on_challenge("https://api.example/x", hook).unwrap();
    let session = builder
        .configure_sessions(move |session| {
            assert_ne!(count.fetch_add(1, Ordering::Relaxed), 0, "on purpose");
            session
        })
        .build();
    runtime().block_on(async {
        for _ in 0..3 {
            let RequestError::Token(error) = get(&session).await.unwrap_err();
            assert_eq!(
                error.to_string(),
                "the login for a resource panicked; see the panic message on stderr"
            );
        }
        assert_eq!(calls.load(Ordering::Relaxed), 1);
        tokio::time::advance(Duration::from_secs(60)).await;
        assert_eq!(get(&session).await.unwrap(), 200);
    });
}

#[test]
fn a_requests_own_time_bounds_the_search_for_a_login_and_for_its_token_together() {
    let store = FaultyStore::default();
    let hook = |_: Asked| async {
        let issuer = "https://issuer.example".parse().unwrap();
        let client = Provider::with_default_endpoints(&issuer)?.client("foo");
        Ok(Authorized::new(client, Token::new("1")?))
    };
    let new = || {
        let builder = Session::on_challenge("https://api.example/x", hook).unwrap();
        builder.store(store.clone(), "me").build()
    };
    runtime().block_on(async {
        assert_eq!(get(&new()).await.unwrap(), 200);
        // Another process, which loads the login's client, and then its token.
        store.always(Calls::Loads, Fault::DelayBefore(Duration::from_secs(2)));
        let mut request = plain_http().get("https://api.example/x").build().unwrap();
        *request.timeout_mut() = Some(Duration::from_secs(3));
        let session = new();
        let (seconds, outcome) = seconds_until(session.execute(api, request)).await;
        let RequestError::Token(error) = outcome.unwrap_err();
        assert!(error.is_timeout(), "{error}");
        assert_eq!(seconds, 3);
    });
}

#[test]
fn a_search_of_the_store_on_a_runtime_that_nobody_drives_stops_nobody() {
    let store = FaultyStore::default();
    store.next(Calls::Loads, Fault::HangBefore, 1);
    let hook = |_: Asked| async {
        let client = OAuthClient::new("foo", "https://issuer.example/token")?;
        Ok(Authorized::new(client, Token::new("1")?))
    };
    let builder = Session::on_challenge("https://api.example/x", hook).unwrap();
    let session = builder.store(store.clone(), "me").build();
    let (second, first) = (runtime(), runtime());
    // It is alive, and has begun to search.
    let searching = get(&session);
    tokio::pin!(searching);
    let then = first.block_on(async {
        assert!(polled(1, &mut searching).await.is_none());
        Instant::now()
    });
    second.block_on(async {
        tokio::time::advance(then.saturating_duration_since(Instant::now())).await;
        // A request has its own time.
        let mut request = plain_http().get("https://api.example/x").build().unwrap();
        *request.timeout_mut() = Some(Duration::from_secs(3));
        let (seconds, outcome) = seconds_until(session.execute(api, request)).await;
        let RequestError::Token(error) = outcome.unwrap_err();
        assert!(error.is_timeout(), "{error}");
        assert_eq!(seconds, 3);
        let (seconds, status) = seconds_until(get(&session)).await;
        assert_eq!((seconds, status.unwrap()), (10, 200));
        // From then on nobody waits.
        let (seconds, status) = seconds_until(get(&session)).await;
        assert_eq!((seconds, status.unwrap()), (0, 200));
        assert_eq!(token(&session).await, "1");
    });
    // The late one finds nothing newer, and uses what is there.
    store.heal();
    assert_eq!(first.block_on(searching).unwrap(), 200);
}
