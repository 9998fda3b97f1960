//! Resources, servers and people that do not want what we want: bounded requests, typed errors.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use reqwest::Request;
use reqwest_oauth2::testing::ResourceDocument;
use reqwest_oauth2::{
    Asked, Authorized, BrowserLogin, Error, OAuthClient, RequestError, Session, Token,
};
use serde_json::json;
use tokio::sync::Semaphore;

use super::answer;
use super::sessions::{asked, get, login, login as login_of, session, world};
use crate::support::site::Site;
use crate::support::{World, plain_http};

async fn failing(world: &World, session: &reqwest_oauth2::ResourceSession) -> Error {
    let http = plain_http();
    let request = http.get(world.provider.api_url()).build().unwrap();
    match session.execute(&http, request).await.unwrap_err() {
        RequestError::Token(error) => error,
        RequestError::Send(error) => panic!("{error}"),
    }
}

#[tokio::test]
async fn a_person_who_says_no_is_asked_once_a_minute() {
    let world = world(|p| p).await;
    let session = session(&world, login(&world));
    for _ in 0..3 {
        world.provider.deny_next_authorization("access_denied", None);
    }
    for _ in 0..5 {
        let error = failing(&world, &session).await;
        assert_eq!(error.error_code(), Some("access_denied"));
    }
    assert_eq!(world.provider.counts().authorizations, 1);
    assert_eq!(world.provider.counts().token_requests, 0);
    crate::support::pass(60).await;
    failing(&world, &session).await;
    assert_eq!(world.provider.counts().authorizations, 2);
    // Who has changed their mind.
    world.provider.clear_faults();
    crate::support::pass(60).await;
    assert_eq!(get(&world, &session, "").await, 200);
    assert_eq!(world.provider.counts().registrations, 1);
}

#[tokio::test]
async fn who_logs_in_by_themselves_after_a_refusal_does_not_wait() {
    let world = world(|p| p.protected_resource([ResourceDocument::AtPath])).await;
    let session = session(&world, login(&world));
    world.provider.deny_next_authorization("access_denied", None);
    for _ in 0..2 {
        assert_eq!(failing(&world, &session).await.error_code(), Some("access_denied"));
    }
    assert_eq!(world.provider.counts().authorizations, 1);
    session.log_in().await.unwrap();
    assert_eq!(get(&world, &session, "").await, 200);
    assert_eq!(world.provider.counts().authorizations, 2);
}

#[tokio::test]
async fn a_window_that_is_closed_is_an_error_with_its_cause() {
    let world = world(|p| p).await;
    let open = |_: BrowserLogin| async { Err::<Token, _>("the window was closed") };
    let login = OAuthClient::for_resource(world.provider.api_url())
        .in_browser("http://127.0.0.1:8914/callback", open);
    let error = failing(&world, &session(&world, login)).await;
    assert!(!error.is_transient());
    let cause = std::error::Error::source(&error).unwrap();
    assert_eq!(cause.to_string(), "the window was closed");
}

#[tokio::test]
async fn a_hook_that_panics_or_hangs_is_an_error_and_the_next_one_is_asked() {
    let world = world(|p| p).await;
    let api = world.provider.api_url();
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = calls.clone();
    let hook = move |_: Asked| {
        let call = counted.fetch_add(1, Ordering::Relaxed);
        async move {
            match call {
                0 => panic!("on purpose"),
                _ => std::future::pending::<Result<Authorized, Error>>().await,
            }
        }
    };
    let session = Session::on_challenge(api, hook).unwrap().build();
    let error = failing(&world, &session).await;
    assert_eq!(
        error.to_string(),
        "the login for a resource panicked; see the panic message on stderr"
    );
    crate::support::pass(60).await;
    let waiting = failing(&world, &session);
    tokio::pin!(waiting);
    while calls.load(Ordering::Relaxed) == 1 {
        tokio::select! {
            biased;
            _ = &mut waiting => panic!("it did not hang"),
            () = tokio::task::yield_now() => {}
        }
    }
    world.plain_turns().await;
    crate::support::pass(15 * 60).await;
    assert!(waiting.await.is_timeout());
}

/// A token whose scope is what was asked for, or this one.
fn token(scope: Option<&str>) -> Token {
    static SERIAL: AtomicUsize = AtomicUsize::new(0);
    let text = format!("at-{}", SERIAL.fetch_add(1, Ordering::Relaxed));
    let token: Token = serde_json::from_value(json!({
        "access_token": text, "token_type": "Bearer", "scope": scope.unwrap_or_default(),
    }))
    .unwrap();
    token
}

/// A session of an API in the place of the network, that counts logins.
fn counted(grants: bool) -> (reqwest_oauth2::ResourceSession, Arc<AtomicUsize>) {
    counted_by(move |asked| token(asked.scope().filter(|_| grants)))
}

fn counted_by(
    issue: impl Fn(&Asked) -> Token + Send + Sync + 'static,
) -> (reqwest_oauth2::ResourceSession, Arc<AtomicUsize>) {
    let logins = Arc::new(AtomicUsize::new(0));
    let count = logins.clone();
    let hook = move |asked: Asked| {
        count.fetch_add(1, Ordering::Relaxed);
        let token = issue(&asked);
        async move {
            let client = OAuthClient::new("foo", "https://issuer.example/token")?;
            Ok(Authorized::new(client, token))
        }
    };
    (Session::on_challenge("https://api.example/x", hook).unwrap().build(), logins)
}

fn request() -> Request {
    plain_http().get("https://api.example/x/y").build().unwrap()
}

#[tokio::test]
async fn a_server_that_asks_for_more_scope_for_ever_has_three_logins_a_request() {
    let (session, logins) = counted(true);
    let sent = AtomicUsize::new(0);
    let api = |request: Request| {
        let more = format!(
            "Bearer error=insufficient_scope, scope=s{}",
            sent.fetch_add(1, Ordering::Relaxed)
        );
        async move { Ok::<_, std::convert::Infallible>(answer(&request, 403, Some(&more))) }
    };
    session.log_in().await.unwrap();
    let response = session.execute(api, request()).await.unwrap();
    assert_eq!(response.status(), 403);
    assert_eq!((logins.load(Ordering::Relaxed), sent.load(Ordering::Relaxed)), (1 + 3, 4));
}

#[tokio::test]
async fn mcp_step_a_a_server_that_asks_for_the_same_again_has_one_login_and_then_a_quiet_minute() {
    for (challenge, status) in [
        ("Bearer error=insufficient_scope, scope=admin", 403),
        ("Bearer error=insufficient_scope", 403),
        ("Bearer error=insufficient_user_authentication, acr_values=x", 401),
        ("Bearer error=invalid_token", 401),
        ("Bearer", 401),
    ] {
        let (session, logins) = counted(false);
        let sent = AtomicUsize::new(0);
        let api = |request: Request| {
            sent.fetch_add(1, Ordering::Relaxed);
            async move { Ok::<_, std::convert::Infallible>(answer(&request, status, Some(challenge))) }
        };
        // One bare, one with the token of the login.
        if status == 403 {
            session.log_in().await.unwrap();
            logins.store(0, Ordering::Relaxed);
        }
        for _ in 0..5 {
            assert_eq!(session.execute(&api, request()).await.unwrap().status(), status);
        }
        assert_eq!(logins.load(Ordering::Relaxed), 1, "{challenge}");
        assert_eq!(sent.load(Ordering::Relaxed), 2 + 4, "{challenge}");
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(61)).await;
        session.execute(&api, request()).await.unwrap();
        assert_eq!(logins.load(Ordering::Relaxed), 2, "{challenge}");
        tokio::time::resume();
    }
}

#[tokio::test]
async fn a_login_that_brings_no_usable_token_has_a_quiet_minute() {
    let is_good = Arc::new(AtomicBool::new(false));
    let good = is_good.clone();
    let (session, logins) = counted_by(move |_| {
        let token = token(None);
        if good.load(Ordering::Relaxed) {
            return token;
        }
        token.with_expires_at(std::time::UNIX_EPOCH.into())
    });
    let sent = AtomicUsize::new(0);
    let api = |request: Request| {
        sent.fetch_add(1, Ordering::Relaxed);
        let status = if request.headers().contains_key("authorization") { 200 } else { 401 };
        async move { Ok::<_, std::convert::Infallible>(answer(&request, status, Some("Bearer"))) }
    };
    tokio::time::pause();
    for minute in 1..=2 {
        for _ in 0..5 {
            assert_eq!(session.execute(&api, request()).await.unwrap().status(), 401);
        }
        assert_eq!(logins.load(Ordering::Relaxed), minute);
        tokio::time::advance(Duration::from_secs(61)).await;
    }
    assert_eq!(sent.load(Ordering::Relaxed), 2 * 5);
    // Who logs in by themselves does not wait.
    session.execute(&api, request()).await.unwrap();
    is_good.store(true, Ordering::Relaxed);
    session.log_in().await.unwrap();
    assert_eq!(session.execute(&api, request()).await.unwrap().status(), 200);
    assert_eq!(logins.load(Ordering::Relaxed), 4);
}

/// An API that wants the scope that the path ends with, and never has enough.
async fn insatiable(request: Request) -> Result<reqwest::Response, std::convert::Infallible> {
    let wanted = request.url().path().rsplit('/').next().unwrap();
    let challenge = format!("Bearer error=insufficient_scope, scope={wanted}");
    Ok(answer(&request, 403, Some(&challenge)))
}

fn request_for(scope: &str) -> Request {
    plain_http().get(format!("https://api.example/x/{scope}")).build().unwrap()
}

#[tokio::test]
async fn several_logins_in_vain_have_a_quiet_minute_each() {
    let (session, logins) = counted(false);
    session.log_in().await.unwrap();
    logins.store(0, Ordering::Relaxed);
    let send = async |scope: &str| {
        let sent = session.execute(insatiable, request_for(scope));
        assert_eq!(sent.await.unwrap().status(), 403);
        logins.swap(0, Ordering::Relaxed)
    };
    tokio::time::pause();
    assert_eq!((send("a").await, send("b").await), (1, 1));
    for _ in 0..5 {
        assert_eq!((send("a").await, send("b").await), (0, 0));
    }
    // Each has its own minute.
    tokio::time::advance(Duration::from_secs(30)).await;
    assert_eq!(send("c").await, 1);
    tokio::time::advance(Duration::from_secs(31)).await;
    assert_eq!((send("a").await, send("b").await, send("c").await), (1, 1, 0));
    // Sixteen are remembered.
    tokio::time::advance(Duration::from_secs(61)).await;
    for number in 0..17 {
        assert_eq!(send(&format!("s{number}")).await, 1);
    }
    assert_eq!(send("s1").await, 0);
    assert_eq!(send("s16").await, 0);
    assert_eq!(send("s0").await, 1);
    assert_eq!(send("s1").await, 1);
    assert_eq!(send("s3").await, 0);
}

#[tokio::test]
async fn several_refusals_have_a_quiet_minute_each() {
    let calls = Arc::new(AtomicUsize::new(0));
    let count = calls.clone();
    let hook = move |asked: Asked| {
        count.fetch_add(1, Ordering::Relaxed);
        async move {
            if let Some(scope) = asked.scope() {
                return Err(Error::permanent(format!("no {scope}")));
            }
            let client = OAuthClient::new("foo", "https://issuer.example/token")?;
            Ok(Authorized::new(client, token(None)))
        }
    };
    let session = Session::on_challenge("https://api.example/x", hook).unwrap().build();
    session.log_in().await.unwrap();
    for _ in 0..5 {
        for scope in ["a", "b"] {
            let error = session.execute(insatiable, request_for(scope)).await.unwrap_err();
            let cause = std::error::Error::source(Error::find_in(&error).unwrap()).unwrap();
            assert_eq!(cause.to_string(), format!("no {scope}"));
        }
    }
    assert_eq!(calls.load(Ordering::Relaxed), 1 + 2);
}

#[tokio::test]
async fn the_same_in_another_order_is_one_login() {
    for (code, name, status) in [
        ("insufficient_scope", "scope", 403),
        ("insufficient_user_authentication", "acr_values", 401),
    ] {
        let (session, logins) = counted(false);
        session.log_in().await.unwrap();
        logins.store(0, Ordering::Relaxed);
        let sent = AtomicUsize::new(0);
        let api = |request: Request| {
            let names = ["a b", "b a", "b  a b"][sent.fetch_add(1, Ordering::Relaxed) % 3];
            let challenge = format!("Bearer error={code}, {name}=\"{names}\"");
            async move { Ok::<_, std::convert::Infallible>(answer(&request, status, Some(&challenge))) }
        };
        for _ in 0..5 {
            assert_eq!(session.execute(&api, request()).await.unwrap().status(), status);
        }
        assert_eq!(logins.load(Ordering::Relaxed), 1, "{name}");
    }
}

/// A login that worked ends no quiet minute but its own.
#[tokio::test]
async fn a_login_that_worked_leaves_the_others_alone() {
    let (session, logins) = counted(false);
    session.log_in().await.unwrap();
    logins.store(0, Ordering::Relaxed);
    session.execute(insatiable, request_for("a")).await.unwrap();
    assert_eq!(logins.load(Ordering::Relaxed), 1);
    let sent = AtomicUsize::new(0);
    let api = |request: Request| {
        let status = if sent.fetch_add(1, Ordering::Relaxed) == 0 { 403 } else { 200 };
        let challenge = "Bearer error=insufficient_scope, scope=b";
        async move { Ok::<_, std::convert::Infallible>(answer(&request, status, Some(challenge))) }
    };
    assert_eq!(session.execute(api, request()).await.unwrap().status(), 200);
    assert_eq!(logins.load(Ordering::Relaxed), 2);
    session.execute(insatiable, request_for("a")).await.unwrap();
    assert_eq!(logins.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn two_requests_for_the_same_have_one_login_in_vain() {
    let (session, logins) = counted(false);
    let first = session.log_in().await.unwrap().token().await.unwrap().access_token().to_owned();
    let (sent, early, late) = (Semaphore::new(0), Semaphore::new(0), Semaphore::new(0));
    // The late one is answered after the login; the early one is answered again after the late one.
    let api = |request: Request| {
        let bearer = request.headers()["authorization"].to_str().unwrap().to_owned();
        let is_first = bearer.ends_with(&format!(" {first}"));
        let is_late = request.url().path().ends_with("/late");
        let (sent, early, late) = (&sent, &early, &late);
        async move {
            match (is_late, is_first) {
                (true, true) => {
                    sent.add_permits(1);
                    late.acquire().await.unwrap().forget();
                }
                (false, false) => early.acquire().await.unwrap().forget(),
                _ => {}
            }
            let challenge = "Bearer error=insufficient_scope, scope=admin";
            Ok::<_, std::convert::Infallible>(answer(&request, 403, Some(challenge)))
        }
    };
    let send = async |path: &str| {
        let url = format!("https://api.example/x/{path}");
        let request = plain_http().get(url).build().unwrap();
        session.execute(&api, request).await.unwrap().status().as_u16()
    };
    let lead = async {
        let token = async || session.session().await.unwrap().unwrap().token().await.unwrap();
        while token().await.access_token() == first {
            tokio::task::yield_now().await;
        }
        late.add_permits(1);
    };
    let after = async {
        let status = send("late").await;
        early.add_permits(1);
        status
    };
    let before = async {
        sent.acquire().await.unwrap().forget();
        send("early").await
    };
    let (one, other, ()) = tokio::join!(biased; before, after, lead);
    assert_eq!((one, other), (403, 403));
    assert_eq!(logins.load(Ordering::Relaxed), 1 + 1);
}

#[tokio::test]
async fn a_401_that_is_not_about_the_token_has_nobody_log_in() {
    let (session, logins) = counted(true);
    session.log_in().await.unwrap();
    let api = |request: Request| async move {
        Ok::<_, std::convert::Infallible>(answer(
            &request,
            401,
            Some("Bearer error=invalid_request"),
        ))
    };
    assert_eq!(session.execute(api, request()).await.unwrap().status(), 401);
    assert_eq!(logins.load(Ordering::Relaxed), 1);
}

/// The API of a rule of the application's: it says 403 where others say 401.
#[tokio::test]
async fn an_answer_that_the_applications_rule_names_has_somebody_log_in() {
    let (session, logins) = counted(true);
    let good = Mutex::new(true);
    let api = |request: Request| {
        let accepted = request.headers().contains_key("authorization") && *good.lock().unwrap();
        let mut response = http::Response::from(answer(&request, 403, None));
        if accepted {
            response = answer(&request, 200, None).into();
        } else {
            let reason = http::HeaderValue::from_static("token_expired");
            response.headers_mut().insert("x-error", reason);
        }
        async move { Ok::<_, std::convert::Infallible>(reqwest::Response::from(response)) }
    };
    let rule = |_, headers: &http::HeaderMap| headers.contains_key("x-error");
    let by_rule = session.api().rejected_when(rule);
    // Nobody is logged in.
    assert_eq!(by_rule.execute(&api, request()).await.unwrap().status(), 200);
    assert_eq!(logins.load(Ordering::Relaxed), 1);
    // The token is not good any more, and nothing renews it: one login, in vain.
    *good.lock().unwrap() = false;
    for _ in 0..3 {
        assert_eq!(by_rule.execute(&api, request()).await.unwrap().status(), 403);
    }
    assert_eq!(logins.load(Ordering::Relaxed), 2);
    // Without the rule it is an answer like any other.
    let (session, logins) = counted(true);
    assert_eq!(session.execute(&api, request()).await.unwrap().status(), 403);
    assert_eq!(logins.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn what_was_granted_is_not_asked_for_again() {
    let (session, logins) = counted(true);
    let api = |request: Request| async move {
        let bare = !request.headers().contains_key("authorization");
        let (status, challenge) = if bare {
            (401, "Bearer scope=\"a b\"")
        } else {
            (403, "Bearer error=insufficient_scope, scope=b")
        };
        Ok::<_, std::convert::Infallible>(answer(&request, status, Some(challenge)))
    };
    assert_eq!(session.execute(api, request()).await.unwrap().status(), 403);
    assert_eq!(logins.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_challenge_of_a_megabyte_is_a_bare_challenge() {
    let (session, logins) = counted(true);
    let scopes = Arc::new(Mutex::new(Vec::new()));
    let long = format!("Bearer scope=\"{}\"", "a".repeat(1_000_000));
    let api = |request: Request| {
        let long = long.clone();
        let is_bare = !request.headers().contains_key("authorization");
        scopes.lock().unwrap().push(is_bare);
        async move {
            let status = if is_bare { 401 } else { 200 };
            Ok::<_, std::convert::Infallible>(answer(&request, status, Some(&long)))
        }
    };
    assert_eq!(session.execute(api, request()).await.unwrap().status(), 200);
    assert_eq!(logins.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn mcp_pkce_a_a_server_that_does_not_say_that_it_supports_pkce_is_refused() {
    for methods in [None, Some(json!(["plain"])), Some(json!("S256"))] {
        let world = world(|p| {
            p.metadata(move |members| match &methods {
                Some(methods) => {
                    members.insert("code_challenge_methods_supported".into(), methods.clone());
                }
                None => {
                    members.remove("code_challenge_methods_supported");
                }
            })
        })
        .await;
        let session = session(&world, login(&world));
        for _ in 0..3 {
            let error = failing(&world, &session).await;
            assert!(error.is_config() && error.to_string().contains("PKCE"), "{error}");
        }
        let counts = world.provider.counts();
        assert_eq!(
            (counts.registrations, counts.authorizations, counts.metadata_requests),
            (0, 0, 1)
        );
    }
}

#[tokio::test]
async fn mcp_tls_a_everything_is_https_or_this_machine() {
    let login = OAuthClient::for_resource("http://api.example/x");
    assert!(login.session().unwrap_err().is_config());
    // The redirect URI.
    let world = world(|p| p).await;
    let open = |_: BrowserLogin| async { Err::<Token, _>("nobody comes here") };
    for redirect_uri in ["http://me.example/cb", "/cb", "https://me.example/cb#x"] {
        let login =
            OAuthClient::for_resource(world.provider.api_url()).in_browser(redirect_uri, open);
        let error = failing(&world, &session(&world, login)).await;
        assert!(error.is_config() && error.to_string().contains("redirect URI"), "{error}");
    }
    assert_eq!(world.provider.counts().authorizations, 0);
    // The server, and its endpoints.
    for edit in ["issuer", "token_endpoint"] {
        let world = self::world(|p| {
            let p = p.resource_metadata(move |members| {
                if edit == "issuer" {
                    members.insert("authorization_servers".into(), json!(["http://as.example"]));
                }
            });
            p.metadata(move |members| {
                members.insert(edit.into(), "http://as.example/token".into());
            })
        })
        .await;
        let error = failing(&world, &session(&world, login_of(&world))).await;
        assert!(error.is_config() && error.to_string().contains("plain http"), "{edit}: {error}");
        assert_eq!(world.provider.counts().registrations, 0);
    }
}

/// A session whose hook reads the metadata with this network, and what became of requests that were
/// answered so: each `None` is a 200, and each text the challenge of a 401.
async fn challenged(site: &Site, answers: &[Option<&str>]) -> Vec<Result<u16, Error>> {
    let hook = |asked: Asked| async move {
        asked.resource().await?.ok_or_else(|| Error::permanent("it has none"))?;
        Ok(Authorized::new(OAuthClient::new("foo", "https://issuer.example/token")?, token(None)))
    };
    let session = Session::on_challenge("https://api.example/x", hook).unwrap();
    let session = session.http_client(site.http()).build();
    let left = Mutex::new(answers.iter());
    let api = |request: Request| {
        let challenge = *left.lock().unwrap().next().unwrap();
        let status = if challenge.is_some() { 401 } else { 200 };
        async move { Ok::<_, std::convert::Infallible>(answer(&request, status, challenge)) }
    };
    let mut outcomes = Vec::new();
    while left.lock().unwrap().len() > 0 {
        let outcome = session.execute(&api, request()).await;
        outcomes.push(outcome.map(|response| response.status().as_u16()).map_err(|error| {
            let RequestError::Token(error) = error;
            error
        }));
    }
    outcomes
}

const OLD: Option<&str> = Some("Bearer resource_metadata=\"https://api.example/old\"");
const NEW: Option<&str> = Some("Bearer resource_metadata=\"https://api.example/new\"");
const BARE: Option<&str> = Some("Bearer");
const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";

#[tokio::test]
async fn c9728_5_1_where_the_metadata_was_it_need_not_be_for_ever() {
    let document = || (200, json!({ "resource": "https://api.example/x" }).to_string());
    let nothing = || (404, String::new());
    let at_path = format!("{WELL_KNOWN}/x");
    // It is at the well-known location now. Then at another place, that is said once.
    let site = Site::new([document(), nothing(), document(), document(), document()]);
    let answers = [OLD, None, BARE, None, NEW, None, BARE, None];
    for outcome in challenged(&site, &answers).await {
        assert_eq!(outcome.unwrap(), 200);
    }
    assert_eq!(site.asked(), ["/old", "/old", &at_path, "/new", "/new"]);
    // What the challenge itself names has to be there.
    let site = Site::new([nothing()]);
    let outcomes = challenged(&site, &[OLD]).await;
    assert!(matches!(&outcomes[..], [Err(error)] if error.is_config()));
    // Where it was is nothing but trouble, and elsewhere nothing: it may come back.
    let site = Site::new([document(), (503, String::new()), nothing(), nothing()]);
    let outcomes = challenged(&site, &[OLD, None, BARE]).await;
    assert!(matches!(&outcomes[..], [Ok(200), Err(error)] if error.is_transient()));
    assert_eq!(site.asked(), ["/old", "/old", &at_path, WELL_KNOWN]);
    // Nothing anywhere: it has none any more.
    let site = Site::new([document(), nothing(), nothing(), nothing()]);
    let outcomes = challenged(&site, &[OLD, None, BARE]).await;
    let [Ok(200), Err(error)] = &outcomes[..] else { panic!() };
    assert_eq!(std::error::Error::source(error).unwrap().to_string(), "it has none");
}

#[tokio::test]
async fn a_resource_that_names_itself_as_its_server_is_an_error_after_a_few_requests() {
    let world = world(|p| {
        p.resource_metadata(|members| {
            let itself = members["resource"].clone();
            members.insert("authorization_servers".into(), json!([itself]));
        })
    })
    .await;
    let session = session(&world, login(&world));
    for _ in 0..5 {
        let error = failing(&world, &session).await;
        assert!(error.is_config(), "{error}");
    }
    let counts = world.provider.counts();
    assert_eq!((counts.resource_metadata_requests, counts.api_requests), (1, 5 + 1));
    assert_eq!((counts.registrations, counts.authorizations, counts.token_requests), (0, 0, 0));
}

#[tokio::test]
async fn a_registration_for_another_client_is_not_used() {
    let world = world(|p| {
        p.registration_response(|members| {
            members.insert("client_id".into(), "another".into());
            members.insert("redirect_uris".into(), json!(["https://another.example/cb"]));
        })
    })
    .await;
    let session = session(&world, login(&world));
    for _ in 0..5 {
        assert!(failing(&world, &session).await.is_malformed_response());
    }
    let counts = world.provider.counts();
    assert_eq!((counts.registrations, counts.authorizations, counts.token_requests), (1, 0, 0));
}

#[tokio::test]
async fn c9728_5_2_a_and_mcp_tok_a_another_authorization_server_never_sees_what_the_first_issued() {
    let other = World::with(|p| p.registration(true)).await;
    let servers = Arc::new(Mutex::new(None::<String>));
    let named = servers.clone();
    let world = world(|p| {
        p.protected_resource([ResourceDocument::AtPath]).resource_metadata(move |members| {
            if let Some(server) = &*named.lock().unwrap() {
                members.insert("authorization_servers".into(), json!([server]));
            }
        })
    })
    .await;
    let store = Arc::new(reqwest_oauth2::store::MemoryStore::new());
    let builder = login(&world).session().unwrap().clock(world.clock.reader());
    let session = builder.store(store.clone(), "me").build();
    // The API takes tokens of the server that its metadata names.
    let url = world.provider.api_url();
    let api = |request: Request| {
        let accepts = if servers.lock().unwrap().is_some() { &other } else { &world };
        let bearer = request.headers().get("authorization").map(|value| value.to_str().unwrap());
        let token = bearer.and_then(|text| text.strip_prefix("Bearer ")).unwrap_or_default();
        let accepted = accepts.provider.accepts_access_token(token);
        let scope = if std::ptr::eq(accepts, &world) { "Bearer scope=a" } else { "Bearer scope=b" };
        async move {
            let status = if accepted { 200 } else { 401 };
            Ok::<_, std::convert::Infallible>(answer(&request, status, Some(scope)))
        }
    };
    let send = async || {
        let request = plain_http().get(&url).build().unwrap();
        session.execute(&api, request).await.unwrap().status().as_u16()
    };
    assert_eq!(send().await, 200);
    assert_eq!(world.provider.counts().registrations, 1);
    let old = session.session().await.unwrap().unwrap().token().await.unwrap();
    *servers.lock().unwrap() = Some(other.provider.issuer());
    let metadata = world.provider.counts().resource_metadata_requests;
    assert_eq!(send().await, 200);
    assert_eq!(world.provider.counts().resource_metadata_requests, metadata + 1, "read anew, once");
    assert_eq!(other.provider.counts().registrations, 1);
    // Nor which scope it had: this one may not know it.
    assert_eq!(asked(&other, "scope").as_deref(), Some("b"));
    for request in other.provider.token_requests() {
        assert_eq!(request.param("grant_type"), Some("authorization_code"));
        let sent = format!("{:?}", request.params);
        assert!(!sent.contains(old.access_token()));
        assert!(!sent.contains(old.refresh_token().unwrap()));
    }
    let new = session.session().await.unwrap().unwrap().token().await.unwrap();
    assert!(other.provider.accepts_access_token(new.access_token()));
    // And the next process goes on with the new one.
    let builder = login(&world).session().unwrap().clock(world.clock.reader());
    let again = builder.store(store, "me").build();
    let token = again.session().await.unwrap().unwrap().token().await.unwrap();
    assert_eq!(token.access_token(), new.access_token());
}

#[tokio::test]
async fn a_request_that_wants_no_login_gets_none() {
    let (session, logins) = counted(true);
    let api = |request: Request| async move {
        Ok::<_, std::convert::Infallible>(answer(&request, 401, Some("Bearer")))
    };
    let options = reqwest_oauth2::RequestOptions::new().token_if_any();
    let response = session.api().execute_with(api, request(), options).await.unwrap();
    assert_eq!(response.status(), 401);
    assert_eq!(logins.load(Ordering::Relaxed), 0);
}
