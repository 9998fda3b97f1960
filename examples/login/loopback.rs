//! The other end of the redirect: a listener on loopback for one answer
//! ([RFC 8252 §7.3](https://www.rfc-editor.org/rfc/rfc8252#section-7.3)).
//!
//! Any page and any program on this machine may send to it, so it answers `GET /cb` under its own
//! address and nothing else, bounds what it reads and how long, goes on after a callback that is not
//! the login's, and closes with the one that is.

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use hyper::body::Incoming;
use hyper::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, REFERRER_POLICY};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use reqwest_oauth2::{BoxError, Error};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

const PATH: &str = "/cb";
/// How much of a request is read, and how long it may take.
const LARGEST_HEAD: usize = 16 * 1024;
const SLOWEST_HEAD: Duration = Duration::from_secs(10);
/// Connections at a time; browsers open one or two.
const CONNECTIONS: usize = 16;
/// Callbacks that are not the login's, before it is given up.
const FORGED: usize = 20;
/// After a connection that could not be accepted.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);
/// How long the browser may take to fetch the last page.
const LAST_PAGE: Duration = Duration::from_secs(1);

/// A listener that is there before the browser is sent off.
pub(crate) struct Loopback {
    listener: TcpListener,
    address: SocketAddr,
}

/// What the browser brought, and where the page for it goes.
struct Answer {
    callback: String,
    page: oneshot::Sender<(StatusCode, String)>,
}

impl Loopback {
    /// On the given port, or any (0), of 127.0.0.1, or of \[::1\] where there is no IPv4.
    pub(crate) async fn bind(port: u16) -> io::Result<Self> {
        let listener = match TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await {
            Err(error) if error.kind() == io::ErrorKind::AddrNotAvailable => {
                TcpListener::bind((Ipv6Addr::LOCALHOST, port)).await?
            }
            bound => bound?,
        };
        let address = listener.local_addr()?;
        Ok(Self { listener, address })
    }

    pub(crate) fn redirect_uri(&self) -> String {
        format!("http://{}{PATH}", self.address)
    }

    /// Waits for the callback and finishes the login with it, then shows the browser how that went. If
    /// it is not this login's ([`Error::is_callback`]), anybody may have sent it: the browser is told,
    /// and the wait goes on.
    pub(crate) async fn answer<T, Fut>(
        self,
        mut finish: impl FnMut(String) -> Fut,
    ) -> Result<T, BoxError>
    where
        Fut: Future<Output = Result<T, BoxError>>,
    {
        let (answers, mut answered) = mpsc::channel(1);
        let mut connections = JoinSet::new();
        let mut forged = 0;
        let (outcome, page_for) = loop {
            let answer: Answer = tokio::select! {
                Some(answer) = answered.recv() => answer,
                Some(_) = connections.join_next() => continue,
                accepted = self.listener.accept(), if connections.len() < CONNECTIONS => {
                    match accepted {
                        Ok((stream, _)) => {
                            let address = self.address.to_string();
                            connections.spawn(serve(stream, address, answers.clone()));
                        }
                        // The browser broke it off, or there is no descriptor left for it.
                        Err(_) => tokio::time::sleep(ACCEPT_AGAIN).await,
                    }
                    continue;
                }
            };
            let outcome = finish(answer.callback).await;
            let Some(error) = outcome.as_ref().err().filter(|error| is_forged(error)) else {
                break (outcome, answer.page);
            };
            eprintln!("a callback was refused: {error}");
            forged += 1;
            if forged == FORGED {
                break (outcome, answer.page);
            }
            let _ = answer.page.send(page(Some(error)));
        };
        // One answer: later requests find no listener, or get a 404.
        drop((self.listener, answered));
        let _ = page_for.send(page(outcome.as_ref().err()));
        let all = async { while connections.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(LAST_PAGE, all).await;
        outcome
    }
}

fn is_forged(error: &BoxError) -> bool {
    Error::find_in(&**error).is_some_and(Error::is_callback)
}

/// One connection, one request.
async fn serve(stream: TcpStream, address: String, answers: mpsc::Sender<Answer>) {
    let service = service_fn(|request| respond(request, &address, &answers));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(SLOWEST_HEAD)
        .max_buf_size(LARGEST_HEAD)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    // A connection that breaks is the browser's to make again.
    let _ = connection.await;
}

async fn respond(
    request: Request<Incoming>,
    address: &str,
    answers: &mpsc::Sender<Answer>,
) -> Result<Response<String>, Infallible> {
    // A name that somebody has made to point here is another host.
    let host = request.headers().get(HOST).map(|host| host.as_bytes());
    let ours = host == Some(address.as_bytes())
        && request.uri().path() == PATH
        && request.method() == Method::GET;
    if !ours {
        return Ok(nothing_here());
    }
    let (page, written) = oneshot::channel();
    let callback = request.uri().to_string();
    if answers.send(Answer { callback, page }).await.is_err() {
        return Ok(nothing_here());
    }
    Ok(written.await.map_or_else(|_| nothing_here(), html))
}

fn nothing_here() -> Response<String> {
    let mut response = Response::new("There is nothing here.\n".to_owned());
    *response.status_mut() = StatusCode::NOT_FOUND;
    response
}

fn html((status, page): (StatusCode, String)) -> Response<String> {
    let mut response = Response::new(page);
    *response.status_mut() = status;
    let policy = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
    for (name, value) in [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CONTENT_SECURITY_POLICY, policy),
        (CACHE_CONTROL, "no-store"),
        // The code is in this page's address.
        (REFERRER_POLICY, "no-referrer"),
    ] {
        response.headers_mut().insert(name, hyper::header::HeaderValue::from_static(value));
    }
    response
}

/// The page: it says what happened and what to do now.
fn page(error: Option<&BoxError>) -> (StatusCode, String) {
    let refused = error.is_some_and(is_forged);
    let status = if refused { StatusCode::BAD_REQUEST } else { StatusCode::OK };
    let (class, title, text) = match error {
        None => ("done", "You are logged in", String::new()),
        Some(error) => ("failed", "The login did not work", escaped(&error.to_string())),
    };
    let next = match error {
        None => "You can close this tab and go back to the terminal.",
        Some(_) if refused => {
            "This was not the answer to the login; go back to the page where you log in."
        }
        Some(_) => "Go back to the terminal and run the command again.",
    };
    let page = include_str!("page.html")
        .replace("{class}", class)
        .replace("{title}", title)
        .replace("{next}", next)
        // Last: what a provider sent is not looked into for places to fill in.
        .replace("{text}", &text);
    (status, page)
}

fn escaped(text: &str) -> String {
    text.chars().fold(String::new(), |escaped, c| match c {
        '&' | '<' | '>' | '"' | '\'' => format!("{escaped}&#{};", u32::from(c)),
        c => escaped + c.encode_utf8(&mut [0; 4]),
    })
}
