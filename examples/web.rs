//! A small web service in which several people log in, and which calls an API on their behalf:
//! `cargo run --example web`, then open the address that it prints in two browsers.
//!
//! Needs nothing installed: the provider runs inside, with a login page for the person `johndoe`
//! whose password is `A3ddj3w`. Each browser has a session of its own; their tokens live a minute
//! and are renewed by themselves. With `--check` it logs two people in by itself and ends.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::{RawQuery, State};
use axum::http::header::{COOKIE, SET_COOKIE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use reqwest_middleware::ClientBuilder;
use reqwest_oauth2::testing::Provider;
use reqwest_oauth2::{BoxError, OAuthClient, PendingLogin, Session};
use tokio::net::TcpListener;

/// What the service knows of its visitors, by the id in their cookie.
#[derive(Clone)]
struct Service {
    app: OAuthClient,
    redirect_uri: String,
    api_url: reqwest::Url,
    visitors: Arc<Mutex<HashMap<String, Visitor>>>,
}

enum Visitor {
    /// Sent to the provider, and not back yet.
    LoggingIn(Box<PendingLogin>),
    LoggedIn(Session),
}

/// Begins a login, bound to the browser by a cookie.
async fn log_in(State(service): State<Service>) -> Result<Response, Failure> {
    let login = service.app.authorization_code(&service.redirect_uri)?.scopes(["read"]).begin()?;
    let (id, url) = (format!("{:032x}", rand::random::<u128>()), login.url().to_owned());
    service.visitors().insert(id.clone(), Visitor::LoggingIn(Box::new(login)));
    let cookie = format!("visitor={id}; HttpOnly; SameSite=Lax; Path=/"); // and `Secure` over https
    Ok(([(SET_COOKIE, cookie)], Redirect::to(&url)).into_response())
}

/// Finishes the login that this browser began: taken out, so that it can be finished once.
async fn callback(
    State(service): State<Service>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, Failure> {
    let id = visitor(&headers).unwrap_or_default();
    let begun = service.visitors().remove(&id);
    let Some(Visitor::LoggingIn(login)) = begun else {
        return Ok((StatusCode::BAD_REQUEST, "no login was begun in this browser").into_response());
    };
    let token = login.finish(&service.app, query.unwrap_or_default()).await?;
    // A real service gives its saver the person's key: `.on_new_token(…)` and `.on_sign_out(…)`.
    let session = Session::builder(service.app.clone()).token(token).build();
    service.visitors().insert(id, Visitor::LoggedIn(session));
    Ok(Redirect::to("/").into_response())
}

/// Calls the API on behalf of whoever asks.
async fn home(State(service): State<Service>, headers: HeaderMap) -> Result<Response, Failure> {
    let Some(session) = service.session(&headers) else {
        return Ok(page("<p>You are not logged in.</p><p><a href=/login>Log in</a></p>"));
    };
    let http = ClientBuilder::new(reqwest::Client::builder().no_proxy().build()?)
        .with(session.middleware(&service.api_url)?)
        .build();
    let status = http.get(service.api_url).send().await?.status();
    Ok(page(&format!(
        "<p>You are logged in; the API answered {status}.</p>\
         <form method=post action=/logout><button>Log out</button></form>"
    )))
}

/// Revokes the token and forgets the visitor.
async fn log_out(State(service): State<Service>, headers: HeaderMap) -> Result<Response, Failure> {
    if let Some(session) = service.session(&headers) {
        session.sign_out().await?;
        service.visitors().remove(&visitor(&headers).unwrap_or_default());
    }
    Ok(Redirect::to("/").into_response())
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = format!("http://{}", listener.local_addr()?);
    let redirect_uri = format!("{address}/callback");
    let check = std::env::args().any(|argument| argument == "--check");
    let provider =
        Provider::builder().lifetime(Duration::from_secs(60)).redirect_uri(&redirect_uri);
    let provider = provider.login_page(!check).start().await?;
    let app = OAuthClient::new("foo", provider.token_url())?
        .secret("potato")
        .authorization_endpoint(provider.authorize_url())?
        .revocation_endpoint(provider.revocation_url())?;
    let api_url = provider.api_url().parse()?;
    let service = Service { app, redirect_uri, api_url, visitors: Arc::default() };
    let router = Router::new()
        .route("/", get(home))
        .route("/login", get(log_in))
        .route("/callback", get(callback))
        .route("/logout", post(log_out))
        .with_state(service);
    if check {
        tokio::spawn(axum::serve(listener, router).into_future());
        return two_people(&address).await;
    }
    println!("open {address} (johndoe, A3ddj3w); end with Ctrl-C");
    axum::serve(listener, router).with_graceful_shutdown(ctrl_c()).await?;
    Ok(())
}

async fn ctrl_c() {
    let _ = tokio::signal::ctrl_c().await;
}

/// Two browsers, each with a cookie of its own: both log in, one logs out.
async fn two_people(address: &str) -> Result<(), BoxError> {
    let browser = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .build()?;
    let go = async |url: &str, cookie: &str| browser.get(url).header(COOKIE, cookie).send().await;
    let mut cookies = Vec::new();
    for _ in 0..2 {
        let begun = go(&format!("{address}/login"), "").await?;
        let to = |response: &reqwest::Response| {
            response.headers()["location"].to_str().map(str::to_owned)
        };
        let cookie =
            begun.headers()[SET_COOKIE].to_str()?.split(';').next().unwrap_or_default().to_owned();
        let callback = to(&go(&to(&begun)?, "").await?)?;
        // Somebody else's browser cannot finish this login.
        assert_eq!(go(&callback, "visitor=other").await?.status(), 400);
        assert_eq!(go(&callback, &cookie).await?.status(), 303);
        cookies.push(cookie);
    }
    browser.post(format!("{address}/logout")).header(COOKIE, &cookies[0]).send().await?;
    for (cookie, expected) in
        [(&cookies[0], "not logged in"), (&cookies[1], "the API answered 200")]
    {
        let page = go(address, cookie).await?.text().await?;
        assert!(page.contains(expected), "{page}");
    }
    println!("two people logged in, one logged out: 4 passed, 0 failed");
    Ok(())
}

impl Service {
    fn visitors(&self) -> std::sync::MutexGuard<'_, HashMap<String, Visitor>> {
        self.visitors.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn session(&self, headers: &HeaderMap) -> Option<Session> {
        match self.visitors().get(&visitor(headers)?)? {
            Visitor::LoggedIn(session) => Some(session.clone()),
            Visitor::LoggingIn(_) => None,
        }
    }
}

/// The id in the visitor's cookie.
fn visitor(headers: &HeaderMap) -> Option<String> {
    let cookies = headers.get(COOKIE)?.to_str().ok()?;
    cookies.split("; ").find_map(|cookie| cookie.strip_prefix("visitor=")).map(str::to_owned)
}

fn page(body: &str) -> Response {
    let page = format!(
        "<!doctype html><html lang=en><meta charset=utf-8><title>Web example</title>\
         <style>body{{font:1.1rem system-ui;max-width:34rem;margin:4rem auto}}</style>{body}"
    );
    Html(page).into_response()
}

/// Whatever went wrong, with what to do for the one who sees it.
struct Failure(BoxError);

impl<E: Into<BoxError>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        eprintln!("{}", self.0);
        let text = match reqwest_oauth2::Error::find_in(&*self.0) {
            Some(ours) if ours.is_callback() || ours.is_reauthorization_required() => {
                "please log in again"
            }
            Some(ours) if ours.error_code() == Some("access_denied") => "the login was refused",
            _ => "something went wrong; try again later",
        };
        (StatusCode::BAD_GATEWAY, text).into_response()
    }
}
