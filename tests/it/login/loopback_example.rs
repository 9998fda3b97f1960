//! The login example's end of the redirect (RFC 8252 §7.3, §8.3).

// It is part of an example, and has no other place where it could be tested.
#[path = "../../../examples/login/loopback.rs"]
mod listener;

use std::io::ErrorKind;

use reqwest::{Method, StatusCode};
use reqwest_oauth2::Token;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use crate::support::{World, pass};
use listener::Loopback;

struct Listening {
    address: String,
    outcome: JoinHandle<Result<String, String>>,
}

/// Waits for an answer, which `finish` gives back or refuses.
async fn listening(finish: fn(String) -> Result<String, String>) -> Listening {
    let loopback = Loopback::bind(0).await.unwrap();
    let redirect_uri = loopback.redirect_uri();
    let address = redirect_uri.strip_prefix("http://").unwrap().strip_suffix("/cb").unwrap();
    let address = address.to_owned();
    let outcome = tokio::spawn(async move {
        let outcome = loopback.answer(async |callback| finish(callback).map_err(Into::into)).await;
        outcome.map_err(|error| error.to_string())
    });
    Listening { address, outcome }
}

/// What comes back to these bytes, to the end.
async fn send(address: &str, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8(answer).unwrap()
}

fn get(path: &str, host: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n")
}

#[tokio::test]
async fn other_paths_hosts_and_methods_find_nothing_and_the_one_answer_ends_it() {
    let Listening { address, outcome } = listening(Ok).await;
    assert!(address.starts_with("127.0.0.1:"), "{address}");
    let port = address.rsplit_once(':').unwrap().1;
    for request in [
        get("/", &address),
        get("/favicon.ico", &address),
        get("/cb/x?code=a", &address),
        get("//cb?code=a", &address),
        get("/cb?code=a", "attacker.example"),
        get("/cb?code=a", &format!("localhost:{port}")),
        get("/cb?code=a", "127.0.0.1"),
        "GET /cb?code=a HTTP/1.0\r\n\r\n".to_owned(),
        get("/cb?code=a", &address).replace("GET", "POST"),
        get("/cb?code=a", &address).replace("GET", "HEAD"),
    ] {
        let answer = send(&address, &request).await;
        assert!(answer.starts_with("HTTP/1.1 404 ") || answer.starts_with("HTTP/1.0 404 "));
        assert!(!outcome.is_finished(), "{request}");
    }

    let answer = send(&address, &get("/cb?code=a&state=b", &address)).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    for part in [
        "content-type: text/html; charset=utf-8\r\n",
        "content-security-policy: default-src 'none'; ",
        "cache-control: no-store\r\n",
        "referrer-policy: no-referrer\r\n",
        "<h1>You are logged in</h1>",
    ] {
        assert!(answer.contains(part), "{part}\n{answer}");
    }
    assert_eq!(outcome.await.unwrap(), Ok("/cb?code=a&state=b".to_owned()));
    let closed = TcpStream::connect(&address).await.unwrap_err();
    assert_eq!(closed.kind(), ErrorKind::ConnectionRefused);
}

#[tokio::test]
async fn a_login_that_fails_says_so_in_the_page_and_nothing_in_it_is_markup() {
    let refuse = |_| Err("<script>alert('{title}')</script> & more".to_owned());
    let Listening { address, outcome } = listening(refuse).await;
    let answer = send(&address, &get("/cb?error=x", &address)).await;
    assert!(answer.contains("<h1>The login did not work</h1>"), "{answer}");
    let escaped = "<p>&#60;script&#62;alert(&#39;{title}&#39;)&#60;/script&#62; &#38; more</p>";
    assert!(answer.contains(escaped), "{answer}");
    assert!(outcome.await.unwrap().is_err());
}

#[tokio::test]
async fn silent_and_endless_requests_keep_nobody_out() {
    let _time = World::new().await;
    let Listening { address, outcome } = listening(Ok).await;
    let long = get(&format!("/cb?code={}", "a".repeat(20_000)), &address);
    assert!(send(&address, &long).await.starts_with("HTTP/1.1 431 "));

    let silent = futures_util::future::join_all((0..16).map(|_| TcpStream::connect(&address)));
    let silent = silent.await;
    let url = format!("http://{address}/cb?code=a");
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let request = tokio::spawn(http.request(Method::GET, url).send());
    let over = |rounds: u32| assert!(rounds < 10_000, "the silent ones keep the others out");
    for rounds in 0.. {
        if request.is_finished() {
            break;
        }
        over(rounds);
        pass(11).await;
    }
    assert_eq!(request.await.unwrap().unwrap().status(), StatusCode::OK);
    for rounds in 0.. {
        if outcome.is_finished() {
            break;
        }
        over(rounds);
        pass(2).await;
    }
    drop(silent);
    assert_eq!(outcome.await.unwrap(), Ok("/cb?code=a".to_owned()));
}

/// A login that waits for its callback.
struct Waiting {
    world: World,
    redirect_uri: String,
    address: String,
    url: String,
    state: String,
    outcome: JoinHandle<Result<Token, String>>,
}

impl Waiting {
    async fn new() -> Self {
        let loopback = Loopback::bind(0).await.unwrap();
        let redirect_uri = loopback.redirect_uri();
        let world = World::with(|p| p.redirect_uri(&redirect_uri)).await;
        let address = redirect_uri["http://".len()..redirect_uri.len() - "/cb".len()].to_owned();
        let app = super::app(&world);
        let login = app.authorization_code(&redirect_uri).unwrap().begin().unwrap();
        let (url, state) = (login.url().to_owned(), login.state().to_owned());
        let outcome = tokio::spawn(async move {
            let finish = async |callback| Ok(login.clone().finish(&app, callback).await?);
            loopback.answer(finish).await.map_err(|error| error.to_string())
        });
        Self { world, redirect_uri, address, url, state, outcome }
    }
}

#[tokio::test]
async fn a_forged_callback_does_not_end_the_login() {
    let Waiting { world, redirect_uri, address, url, state, outcome } = Waiting::new().await;
    for forged in ["/cb?code=x&state=forged", "/cb?code=x", "/cb", "/cb?error=access_denied"] {
        let answer = send(&address, &get(forged, &address)).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{forged}: {answer}");
        assert!(answer.contains("does not belong to this login"), "{answer}");
        assert!(!answer.contains(&state), "{answer}");
    }
    assert!(!outcome.is_finished());
    assert_eq!(world.provider.counts().token_requests, 0);

    let callback = super::browse(&url).await;
    let answer =
        send(&address, &get(&callback[redirect_uri.len() - "/cb".len()..], &address)).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(answer.contains("<h1>You are logged in</h1>"), "{answer}");
    let token = outcome.await.unwrap().unwrap();
    assert!(world.provider.accepts_access_token(token.access_token()));
}

#[tokio::test]
async fn forged_callbacks_are_bounded() {
    let Waiting { world, address, outcome, .. } = Waiting::new().await;
    for count in 1..=20 {
        assert!(!outcome.is_finished(), "{count}");
        let answer = send(&address, &get("/cb?code=x&state=forged", &address)).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    }
    assert_eq!(
        outcome.await.unwrap().unwrap_err(),
        "the callback does not belong to this login: the state does not match; begin the login again"
    );
    assert_eq!(world.provider.counts().token_requests, 0);
}
