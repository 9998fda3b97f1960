//! A small web service in which several people log in, and which calls an API on their behalf:
//! `cargo run -p web`, then open the address that it prints in two browsers.
//!
//! Needs nothing installed: the provider runs inside, with a login page for the person `johndoe`
//! whose password is `A3ddj3w`. Each browser has a login of its own; the tokens live a minute and are
//! renewed by themselves. After Ctrl-C the service finishes its requests, and waits for renewals. With
//! `--check` it logs two people in by itself and ends.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::{RawQuery, State};
use axum::http::header::{COOKIE, SET_COOKIE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use clap::Parser;
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};
use reqwest_oauth2::testing::Provider;
use reqwest_oauth2::{BoxError, OAuthClient, PendingLogin, UserId, UserSessions};
use tokio::net::TcpListener;

/// A web service in which several people log in, at a provider of its own (johndoe, A3ddj3w).
#[derive(Parser)]
struct Args {
    /// Log two people in, without a browser, and end
    #[arg(long)]
    check: bool,
}

#[derive(Clone)]
struct Service {
    app: OAuthClient,
    redirect_uri: String,
    api_url: reqwest::Url,
    /// The tokens, by the id in the visitor's cookie. A real service takes the id of the person's account,
    /// and gives the builder a store.
    sessions: UserSessions,
    /// Adds the token of the request's user.
    http: ClientWithMiddleware,
    /// Visitors who were sent to the provider and are not back yet.
    logins: Arc<Mutex<HashMap<String, PendingLogin>>>,
}

/// Begins a login, bound to the browser by a cookie.
async fn log_in(State(service): State<Service>) -> Result<Response, Failure> {
    let login = service.app.authorization_code(&service.redirect_uri)?.scopes(["read"]).begin()?;
    let (id, url) = (format!("{:032x}", rand::random::<u128>()), login.url().to_owned());
    service.logins().insert(id.clone(), login);
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
    let begun = service.logins().remove(&id);
    let Some(login) = begun else {
        return Ok((StatusCode::BAD_REQUEST, "no login was begun in this browser").into_response());
    };
    let token = login.finish(&service.app, query.unwrap_or_default()).await?;
    service.sessions.sign_in(id, token).await?;
    Ok(Redirect::to("/").into_response())
}

/// Calls the API on behalf of the person who asks.
async fn home(State(service): State<Service>, headers: HeaderMap) -> Result<Response, Failure> {
    let Some(id) = visitor(&headers) else { return Ok(not_logged_in()) };
    let request = service.http.get(service.api_url).with_extension(UserId::from(id));
    match request.send().await {
        Ok(response) => Ok(page(&format!(
            "<p>You are logged in; the API answered {}.</p>\
             <form method=post action=/logout><button>Log out</button></form>",
            response.status()
        ))),
        Err(error) => match reqwest_oauth2::Error::find_in(&error) {
            Some(ours) if ours.is_reauthorization_required() => Ok(not_logged_in()),
            _ => Err(error.into()),
        },
    }
}

/// Ends the login, and revokes its token.
async fn log_out(State(service): State<Service>, headers: HeaderMap) -> Result<Response, Failure> {
    if let Some(id) = visitor(&headers) {
        service.sessions.sign_out(id).await?;
    }
    Ok(Redirect::to("/").into_response())
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let Args { check } = Args::parse();
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = format!("http://{}", listener.local_addr()?);
    let redirect_uri = format!("{address}/callback");
    let provider =
        Provider::builder().lifetime(Duration::from_secs(60)).redirect_uri(&redirect_uri);
    let provider = provider.login_page(!check).start().await?;
    let app = OAuthClient::new("foo", provider.token_url())?
        .secret("potato")
        .authorization_endpoint(provider.authorize_url())?
        .revocation_endpoint(provider.revocation_url())?;
    let api_url: reqwest::Url = provider.api_url().parse()?;
    let sessions = UserSessions::builder(app.clone()).build();
    let redirects = reqwest_oauth2::redirect_policy(); // no token for a server that redirects twice
    let http =
        ClientBuilder::new(reqwest::Client::builder().redirect(redirects).no_proxy().build()?)
            .with(sessions.middleware(&api_url)?)
            .build();
    let logins = Arc::default();
    let service = Service { app, redirect_uri, api_url, sessions: sessions.clone(), http, logins };
    let router = Router::new()
        .route("/", get(home))
        .route("/login", get(log_in))
        .route("/callback", get(callback))
        .route("/logout", post(log_out))
        .with_state(service);
    let result = if check {
        tokio::spawn(axum::serve(listener, router).into_future());
        two_people(&address).await
    } else {
        println!("open {address} (johndoe, A3ddj3w); end with Ctrl-C");
        let server = axum::serve(listener, router).with_graceful_shutdown(ctrl_c());
        server.await.map_err(BoxError::from)
    };
    // No more requests come: wait for the renewals under way. Also when the server has failed.
    let saved = sessions.shutdown().await;
    result?;
    Ok(saved?)
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
    fn logins(&self) -> std::sync::MutexGuard<'_, HashMap<String, PendingLogin>> {
        self.logins.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The id in the visitor's cookie.
fn visitor(headers: &HeaderMap) -> Option<String> {
    let cookies = headers.get(COOKIE)?.to_str().ok()?;
    cookies.split("; ").find_map(|cookie| cookie.strip_prefix("visitor=")).map(str::to_owned)
}

fn not_logged_in() -> Response {
    page("<p>You are not logged in.</p><p><a href=/login>Log in</a></p>")
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
