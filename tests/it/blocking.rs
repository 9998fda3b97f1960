//! Programs without async: `reqwest_oauth2::blocking`.

use std::cell::RefCell;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Barrier, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use reqwest::blocking::{Body, Client};
use reqwest::header::LOCATION;
use reqwest_oauth2::blocking::{Api, Runtime};
use reqwest_oauth2::testing::{Provider, ResourceDocument};
use reqwest_oauth2::{
    BoxError, BrowserLogin, Error, OAuthClient, RequestError, RequestOptions, Session, Token,
    UserSessions,
};

use crate::faulty_store::{Calls, Fault, FaultyStore};
use crate::login::browse;

type Saved = Arc<Mutex<Vec<String>>>;

const HOUR: Duration = Duration::from_secs(3600);

/// A provider that lives on the runtime, and a client as it comes.
struct World {
    runtime: Runtime,
    provider: Provider,
    http: Client,
    saved: Saved,
}

impl World {
    fn new() -> Self {
        let runtime = Runtime::new().unwrap();
        let start =
            async { Provider::builder().redirect_uri("https://me.example/cb").start().await };
        let provider = runtime.block_on(async { start.await.map_err(Error::transient) }).unwrap();
        Self { runtime, provider, http: client(), saved: Saved::default() }
    }

    fn app(&self) -> OAuthClient {
        let app = OAuthClient::new("foo", self.provider.token_url()).unwrap().secret("potato");
        app.authorization_endpoint(self.provider.authorize_url()).unwrap()
    }

    fn token(&self) -> Token {
        serde_json::from_value(self.provider.log_in()).unwrap()
    }

    fn saving(&self) -> reqwest_oauth2::SessionBuilder {
        let saved = self.saved.clone();
        Session::builder(self.app()).on_new_token(move |token: Token| {
            saved.lock().unwrap().push(token.access_token().to_owned());
            async { Ok::<_, std::io::Error>(()) }
        })
    }

    /// As `saving`. The first attempt fails, and the next one would be made after an hour.
    fn saving_late(&self) -> reqwest_oauth2::SessionBuilder {
        let (saved, mut has_failed) = (self.saved.clone(), false);
        let save = Mutex::new(move |token: Token| {
            if !std::mem::replace(&mut has_failed, true) {
                return Err(std::io::Error::other("disk full"));
            }
            saved.lock().unwrap().push(token.access_token().to_owned());
            Ok(())
        });
        let builder = Session::builder(self.app()).token(self.token()).backoff(HOUR, HOUR);
        builder.on_new_token(move |token| {
            let saved = (save.lock().unwrap())(token);
            async { saved }
        })
    }

    fn session(&self, token: Token) -> reqwest_oauth2::blocking::Session {
        self.runtime.session(self.saving().token(token).build())
    }

    fn get(&self) -> reqwest::blocking::Request {
        self.http.get(self.provider.api_url()).build().unwrap()
    }

    fn token_requests(&self) -> u64 {
        self.provider.counts().token_requests
    }
}

fn client() -> Client {
    Client::builder().no_proxy().redirect(reqwest_oauth2::redirect_policy()).build().unwrap()
}

fn expired(token: Token) -> Token {
    token.with_expires_at(std::time::UNIX_EPOCH.into())
}

#[test]
fn from_an_authorization_code_to_a_request() {
    let world = World::new();
    let login = world.app().authorization_code("https://me.example/cb").unwrap().begin().unwrap();
    // The browser.
    let browser = Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
    let page = browser.build().unwrap().get(login.url()).send().unwrap();
    let callback = page.headers()[LOCATION].to_str().unwrap();

    let token = world.runtime.block_on(login.finish(&world.app(), callback)).unwrap();
    let session = world.runtime.session(world.saving().build());
    session.set_token(token).unwrap();
    assert_eq!(session.execute(&world.http, world.get()).unwrap().status(), 200);
    assert_eq!(*world.saved.lock().unwrap(), [session.token().unwrap().access_token()]);
    assert!(session.header().is_some());

    session.sign_out().unwrap();
    let error = session.execute(&world.http, world.get()).unwrap_err();
    let RequestError::Token(error) = error else { panic!("{error:?}") };
    assert!(error.is_reauthorization_required());
    session.shutdown().unwrap();
}

#[test]
fn an_expired_token_is_renewed_before_and_a_rejected_one_after() {
    let world = World::new();
    let session = world.session(expired(world.token()));
    assert_eq!(session.execute(&world.http, world.get()).unwrap().status(), 200);
    assert_eq!(world.token_requests(), 1);

    world.provider.revoke_access_tokens();
    let request = world.http.post(world.provider.api_url() + "/x").body("the body");
    let response = session.execute(&world.http, request.build().unwrap()).unwrap();
    assert_eq!((response.status().as_u16(), world.token_requests()), (200, 2));
    let seen = world.provider.api_requests();
    assert_eq!(seen.len(), 3);
    assert!(seen[1..].iter().all(|request| &*request.body == b"the body"));
}

#[test]
fn a_reader_is_sent_once_and_the_next_request_renews() {
    let world = World::new();
    let session = world.session(world.token());
    world.provider.revoke_access_tokens();
    let send = || {
        let request = world.http.post(world.provider.api_url()).body(Body::new(&b"the body"[..]));
        session.execute(&world.http, request.build().unwrap()).unwrap().status()
    };
    assert_eq!((send().as_u16(), world.token_requests()), (401, 0));
    assert_eq!((send().as_u16(), world.token_requests()), (200, 1));
}

#[test]
fn fifty_threads_at_expiry_make_one_token_request() {
    let world = World::new();
    let session = world.session(expired(world.token()));
    let barrier = Barrier::new(50);
    thread::scope(|scope| {
        for _ in 0..50 {
            scope.spawn(|| {
                barrier.wait();
                let response = session.clone().execute(&world.http, world.get()).unwrap();
                assert_eq!(response.status(), 200);
            });
        }
    });
    assert_eq!((world.token_requests(), world.saved.lock().unwrap().len()), (1, 1));
}

#[test]
fn one_request_may_be_different_and_other_origins_get_no_token() {
    let (world, other) = (World::new(), World::new());
    let session = world.session(world.token());
    let options = RequestOptions::new().no_token();
    let response = session.execute_with(&world.http, world.get(), options).unwrap();
    assert_eq!(response.status(), 401);
    let api: Api = session.api([world.provider.origin()]).unwrap();
    assert_eq!(api.execute(&world.http, other.get()).unwrap().status(), 401);
    assert_eq!(api.execute(&world.http, world.get()).unwrap().status(), 200);
    let options = RequestOptions::new().no_token();
    assert_eq!(api.execute_with(&world.http, world.get(), options).unwrap().status(), 401);
    assert_eq!(
        (world.token_requests(), other.provider.api_requests()[0].authorization.clone()),
        (0, None)
    );
}

/// A server that answers every request with a 308 to this URL. It ends with the test's process.
fn redirecting_to(url: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.unwrap());
            let (mut line, mut length) = (String::new(), 0);
            while stream.read_line(&mut line).unwrap() > 2 {
                if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
                line.clear();
            }
            stream.read_exact(&mut vec![0; length]).unwrap();
            let answer = format!(
                "HTTP/1.1 308 Permanent Redirect\r\nlocation: {url}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
            );
            stream.get_mut().write_all(answer.as_bytes()).unwrap();
        }
    });
    origin
}

#[test]
fn a_redirect_to_another_listed_origin_is_followed_with_the_token() {
    let world = World::new();
    let session = world.session(world.token());
    let front = redirecting_to(world.provider.api_url());
    let api = session.api([front.clone(), world.provider.origin()]).unwrap();
    for method in [reqwest::Method::GET, reqwest::Method::POST] {
        let request = world.http.request(method, &front).body("the body").build().unwrap();
        assert_eq!(api.execute(&world.http, request).unwrap().status(), 200);
    }
    assert_eq!(world.token_requests(), 0);
}

/// A server that answers 401 to this token in the query, 400 to two tokens, and 200 to another one; and what it
/// was asked.
fn rejecting_in_query(token: String) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    let asked = Arc::new(Mutex::new(Vec::new()));
    let seen = asked.clone();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.unwrap());
            let (mut first, mut line) = (String::new(), String::new());
            stream.read_line(&mut first).unwrap();
            while stream.read_line(&mut line).unwrap() > 2 {
                line.clear();
            }
            let status = match first.matches("&t=").count() {
                1 if first.contains(&token) => "401 Unauthorized",
                1 => "200 OK",
                _ => "400 Bad Request",
            };
            seen.lock().unwrap().push(first);
            let answer =
                format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            stream.get_mut().write_all(answer.as_bytes()).unwrap();
        }
    });
    (origin, asked)
}

#[test]
fn a_token_in_the_query_that_is_rejected_is_renewed_and_never_there_twice() {
    let world = World::new();
    for method in [reqwest::Method::GET, reqwest::Method::POST] {
        let token = world.token();
        let (origin, asked) = rejecting_in_query(token.access_token().to_owned());
        let session = world.saving().token(token).build();
        let api = session.api([&*origin]).unwrap().query_parameter("t").unwrap();
        let request = world.http.request(method, format!("{origin}/x?y")).build().unwrap();
        let response = world.runtime.api(api).execute(&world.http, request).unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(asked.lock().unwrap().len(), 2, "{asked:?}");
    }
    assert_eq!(world.token_requests(), 2);
}

#[test]
fn the_drop_of_the_last_handle_saves_what_is_not_saved() {
    let world = World::new();
    let session = world.runtime.session(world.saving_late().build());
    let token = session.refresh().unwrap();
    assert_eq!(*world.saved.lock().unwrap(), [""; 0]);
    drop(session.clone());
    assert_eq!(*world.saved.lock().unwrap(), [""; 0]);
    drop(session);
    assert_eq!(*world.saved.lock().unwrap(), [token.access_token()]);
}

#[test]
fn the_drop_of_the_last_api_saves_what_is_not_saved() {
    for by_session in [true, false] {
        let world = World::new();
        let session = world.runtime.session(world.saving_late().build());
        let origin = [world.provider.origin()];
        let api = if by_session {
            session.api(origin).unwrap()
        } else {
            world.runtime.api(session.as_async().api(origin).unwrap())
        };
        drop(session);
        world.provider.revoke_access_tokens();
        assert_eq!(api.execute(&world.http, world.get()).unwrap().status(), 200);
        drop(api.clone());
        assert_eq!(*world.saved.lock().unwrap(), [""; 0]);
        drop(api);
        assert_eq!(world.saved.lock().unwrap().len(), 1);
    }
}

#[test]
fn the_drop_of_the_last_api_of_many_users_saves_what_is_not_saved() {
    let world = World::new();
    let store = FaultyStore::default();
    let sessions = UserSessions::builder(world.app()).store(store.clone());
    let sessions = sessions.configure_sessions(|session| session.backoff(HOUR, HOUR)).build();
    world.runtime.block_on(sessions.sign_in("alice", world.token())).unwrap();
    world.provider.revoke_access_tokens();
    let api = world.runtime.api(sessions.api([world.provider.origin()]).unwrap());
    // The mark is stored, and the new token is not.
    store.next(Calls::Swaps, Fault::DelayBefore(Duration::ZERO), 1);
    store.always(Calls::Swaps, Fault::FailBefore);
    let options = RequestOptions::new().user("alice");
    assert_eq!(api.execute_with(&world.http, world.get(), options).unwrap().status(), 200);
    store.heal();
    let swaps = store.swaps();
    drop(api);
    assert_eq!(store.swaps(), swaps + 1);
    let used = sessions.for_user("alice").current_token().unwrap();
    let another = Session::builder(world.app()).store(store, "alice").build();
    let stored = world.runtime.block_on(another.token()).unwrap();
    assert_eq!(stored.access_token(), used.access_token());
    assert_eq!(world.token_requests(), 1);
}

#[test]
fn a_call_on_the_runtimes_own_thread_is_an_error() {
    let world = World::new();
    let session = world.session(expired(world.token()));
    let (inner, http, request) = (session.clone(), world.http.clone(), world.get());
    let task = async move {
        let task = tokio::spawn(async move { (inner.token(), inner.execute(&http, request)) });
        Ok::<_, Error>(task.await.unwrap())
    };
    let (token, response) = world.runtime.block_on(task).unwrap();
    assert!(token.unwrap_err().is_config());
    assert!(matches!(response.unwrap_err(), RequestError::Token(error) if error.is_config()));
    assert_eq!(world.token_requests(), 0);
    assert!(session.token().is_ok());
}

#[test]
fn the_last_handles_may_be_dropped_on_the_runtimes_own_thread() {
    let world = World::new();
    let session = world.session(world.token());
    let World { runtime, provider, http: _http, saved: _ } = world;
    let (go, gone) = tokio::sync::oneshot::channel();
    let (done, ended) = mpsc::channel();
    let spawn = async {
        tokio::spawn(async move {
            gone.await.unwrap();
            drop(session);
            done.send(()).unwrap();
        });
        Ok::<_, BoxError>(())
    };
    runtime.block_on(spawn).unwrap();
    drop((provider, runtime));
    go.send(()).unwrap();
    ended.recv().unwrap();
}

#[test]
fn it_works_within_async_code_too() {
    let world = World::new();
    let session = world.session(expired(world.token()));
    for mut runtime in
        [tokio::runtime::Builder::new_current_thread(), tokio::runtime::Builder::new_multi_thread()]
    {
        let runtime = runtime.enable_all().build().unwrap();
        world.provider.revoke_access_tokens();
        let response = runtime.block_on(async { session.execute(&world.http, world.get()) });
        assert_eq!(response.unwrap().status(), 200);
        runtime.block_on(async { session.refresh() }).unwrap();
        let inner = session.clone();
        let task = runtime.spawn_blocking(move || inner.token());
        runtime.block_on(task).unwrap().unwrap();
    }
    assert_eq!(world.token_requests(), 4);
}

#[test]
fn the_last_handle_waits_when_it_is_dropped_within_async_code_too() {
    for mut runtime in
        [tokio::runtime::Builder::new_current_thread(), tokio::runtime::Builder::new_multi_thread()]
    {
        let world = World::new();
        let session = world.session(expired(world.token()));
        let hold = world.provider.pause_token_requests();
        let inner = session.as_async().clone();
        let begin = async { Ok::<_, Error>(tokio::spawn(async move { inner.token().await })) };
        let renewal = world.runtime.block_on(begin).unwrap();
        let arrived = async {
            world.provider.wait_for_token_requests(1).await;
            Ok::<_, Error>(())
        };
        world.runtime.block_on(arrived).unwrap();
        let ended = thread::spawn(move || {
            runtime.enable_all().build().unwrap().block_on(async { drop(session) });
        });
        drop(hold);
        ended.join().unwrap();
        assert_eq!(world.saved.lock().unwrap().len(), 1);
        drop(renewal);
    }
}

/// Whatever a future does while it is polled, a wake-up of its other part is not lost.
#[test]
fn a_call_within_a_call_takes_no_wake_up_from_it() {
    let runtime = Runtime::new().unwrap();
    let (done, ended) = mpsc::channel();
    thread::spawn(move || {
        let (sender, waiting) = tokio::sync::oneshot::channel();
        let inner = async {
            sender.send(()).unwrap();
            tokio::task::yield_now().await;
            Ok::<_, Error>(())
        };
        let call = async { runtime.block_on(inner) };
        let both = async { Ok::<_, Error>(futures_util::future::join(waiting, call).await) };
        let (first, second) = runtime.block_on(both).unwrap();
        first.unwrap();
        second.unwrap();
        done.send(()).unwrap();
    });
    ended.recv_timeout(Duration::from_secs(60)).expect("the outer call hangs");
}

/// Tokio's own variables of the thread are gone by then. On Windows the thread does not wait.
#[cfg(not(windows))]
#[test]
fn the_last_handle_may_be_in_a_variable_of_a_thread() {
    thread_local! {
        static KEPT: RefCell<Option<reqwest_oauth2::blocking::Session>> = const { RefCell::new(None) };
    }
    let world = World::new();
    let session = world.runtime.session(world.saving_late().build());
    let token = thread::spawn(move || {
        KEPT.set(Some(session));
        KEPT.with_borrow(|session| session.as_ref().unwrap().refresh().unwrap())
    });
    let token = token.join().unwrap();
    assert_eq!(*world.saved.lock().unwrap(), [token.access_token()]);
}

#[test]
fn a_call_while_its_thread_ends_is_an_error() {
    struct Calls(reqwest_oauth2::blocking::Session, mpsc::Sender<bool>);
    impl Drop for Calls {
        fn drop(&mut self) {
            let error = self.0.token().unwrap_err();
            self.1.send(error.is_config()).unwrap();
        }
    }
    thread_local! {
        static KEPT: RefCell<Option<Calls>> = const { RefCell::new(None) };
    }
    let world = World::new();
    let session = world.session(world.token());
    let (sender, receiver) = mpsc::channel();
    let kept = session.clone();
    thread::spawn(move || {
        KEPT.set(Some(Calls(kept, sender)));
        KEPT.with_borrow(|calls| calls.as_ref().unwrap().0.token().unwrap());
    });
    assert!(receiver.recv().unwrap());
    session.token().unwrap();
}

#[test]
fn an_api_that_names_its_server_has_one_login_for_all_threads() {
    let runtime = Runtime::new().unwrap();
    let builder = Provider::builder().registration(true).require_pkce(true);
    let builder = builder.protected_resource([ResourceDocument::InChallenge]);
    let start = async { builder.start().await.map_err(Error::transient) };
    let provider = runtime.block_on(start).unwrap();
    let finish = |login: BrowserLogin| async move { login.finish(browse(login.url()).await).await };
    let session = OAuthClient::for_resource(provider.api_url())
        .in_browser("http://127.0.0.1:8914/callback", finish)
        .session()
        .unwrap()
        .build();
    let (api, http) = (runtime.api(session.api()), client());
    thread::scope(|scope| {
        for _ in 0..5 {
            scope.spawn(|| {
                let request = http.post(provider.api_url()).body("the body").build().unwrap();
                assert_eq!(api.execute(&http, request).unwrap().status(), 200);
            });
        }
    });
    let counts = provider.counts();
    assert_eq!((counts.registrations, counts.authorizations, counts.token_requests), (1, 1, 1));
    drop(api);
    runtime.block_on(session.shutdown()).unwrap();
}

#[cfg(feature = "keys")]
#[test]
fn bound_tokens_and_nonces_that_rotate() {
    let world = World::new();
    let app = world.app().dpop();
    let token = world.runtime.block_on(app.password("johndoe", "A3ddj3w").send()).unwrap();
    let session = world.runtime.session(Session::builder(app).token(token).build());
    let mut rules = reqwest_oauth2::testing::DpopRules::default();
    rules.nonces = reqwest_oauth2::testing::DpopNonces::EachAnswer { window: 1 };
    world.provider.set_dpop(rules);
    for requests in [2, 3, 4] {
        assert_eq!(session.execute(&world.http, world.get()).unwrap().status(), 200);
        assert_eq!(world.provider.counts().api_requests, requests);
    }
    world.provider.revoke_access_tokens();
    assert_eq!(session.execute(&world.http, world.get()).unwrap().status(), 200);
    let counts = world.provider.counts();
    assert_eq!((counts.api_requests, counts.refreshes, counts.replayed_proofs), (6, 1, 0));
}
