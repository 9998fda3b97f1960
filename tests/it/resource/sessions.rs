//! From a bare 401 to an answered request, and what comes after.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use reqwest_oauth2::store::{FileStore, MemoryStore, TokenStore};
#[cfg(feature = "keys")]
use reqwest_oauth2::testing::AuthMethod;
use reqwest_oauth2::testing::{ProviderBuilder, ResourceDocument};
use reqwest_oauth2::{
    Asked, Authorized, BrowserLogin, ClientCredentials, Error, OAuthClient, ResourceLogin,
    ResourceSession, Session, Token,
};
use serde_json::json;
use tokio::sync::Semaphore;

use crate::faulty_store::{Calls, Fault, FaultyStore};
use crate::login::browse;
use crate::support::site::Site;
use crate::support::{World, pass, plain_http, polled};

pub const CALLBACK: &str = "http://127.0.0.1:8914/callback";

pub async fn world(set_up: impl FnOnce(ProviderBuilder) -> ProviderBuilder) -> World {
    World::with(|p| {
        let p = p.protected_resource([ResourceDocument::InChallenge]).registration(true);
        set_up(p.require_resource(true).require_pkce(true))
    })
    .await
}

pub async fn browsed(login: BrowserLogin) -> Result<Token, Error> {
    login.finish(browse(login.url()).await).await
}

/// A login in a browser in which nobody has to do anything.
pub fn login(world: &World) -> ResourceLogin {
    OAuthClient::for_resource(world.provider.api_url())
        .client_name("My tool")
        .in_browser(CALLBACK, browsed)
}

pub fn session(world: &World, login: ResourceLogin) -> ResourceSession {
    login.session().unwrap().clock(world.clock.reader()).build()
}

pub async fn get(world: &World, session: &ResourceSession, path: &str) -> u16 {
    let http = plain_http();
    let request = http.get(world.provider.api_url() + path).build().unwrap();
    session.execute(&http, request).await.unwrap().status().as_u16()
}

/// The parameters of the last authorization request.
pub fn asked(world: &World, name: &str) -> Option<String> {
    let query = world.provider.authorization_requests().pop().unwrap();
    let mut params = url::form_urlencoded::parse(query.as_bytes());
    params.find(|(own, _)| own == name).map(|(_, value)| value.into_owned())
}

/// A process of the tool, with this store.
fn process(world: &World, store: impl TokenStore + 'static) -> ResourceSession {
    let builder = login(world).session().unwrap().clock(world.clock.reader());
    builder.store(store, "me").build()
}

#[tokio::test]
async fn c9728_7_4_a_from_a_bare_401_to_an_answered_request() {
    let world = world(|p| p).await;
    let session = session(&world, login(&world));
    assert_eq!(get(&world, &session, "").await, 200);
    let counts = world.provider.counts();
    assert_eq!((counts.api_requests, counts.api_without_token), (2, 1));
    assert_eq!((counts.resource_metadata_requests, counts.metadata_requests), (1, 1));
    assert_eq!((counts.registrations, counts.authorizations, counts.token_requests), (1, 1, 1));
    assert_eq!(asked(&world, "resource"), Some(world.provider.api_url()));
    // From then on it is a session like any other.
    for _ in 0..10 {
        world.clock.forward(3600.0);
        assert_eq!(get(&world, &session, "/x").await, 200);
    }
    let counts = world.provider.counts();
    assert_eq!((counts.refreshes, counts.api_without_token, counts.authorizations), (10, 1, 1));
    assert_eq!(counts.reuse_detected, 0);
}

#[tokio::test]
async fn from_a_bare_401_on_another_device() {
    let world = world(|p| p).await;
    let provider = world.provider.clone();
    let shown = Arc::new(Semaphore::new(0));
    let shown_now = shown.clone();
    let login = OAuthClient::for_resource(world.provider.api_url()).on_device(move |login| {
        assert!(provider.approve_device(login.user_code()));
        shown_now.add_permits(1);
    });
    let session = session(&world, login);
    let request = plain_http().get(world.provider.api_url()).build().unwrap();
    let waiting = tokio::spawn(async move { session.execute(&plain_http(), request).await });
    shown.acquire().await.unwrap().forget();
    world.plain_turns().await;
    pass(5).await;
    assert_eq!(waiting.await.unwrap().unwrap().status(), 200);
    let request = &world.provider.device_requests()[0];
    assert_eq!(request.param("resource"), Some(&*world.provider.api_url()));
    assert_eq!(world.provider.counts().authorizations, 0);
}

#[tokio::test]
async fn fifty_requests_have_one_login() {
    let world = world(|p| p).await;
    let session = session(&world, login(&world));
    let requests = (0..50).map(|_| get(&world, &session, ""));
    let statuses = futures_util::future::join_all(requests).await;
    assert_eq!(statuses, [200; 50]);
    let counts = world.provider.counts();
    assert_eq!((counts.registrations, counts.authorizations, counts.token_requests), (1, 1, 1));
}

#[tokio::test]
async fn a_login_goes_on_when_the_request_that_began_it_goes_away() {
    let world = world(|p| p).await;
    let (started, go) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let (starts, waits) = (started.clone(), go.clone());
    let open = move |login: BrowserLogin| {
        let (starts, waits) = (starts.clone(), waits.clone());
        async move {
            starts.add_permits(1);
            waits.acquire().await.unwrap().forget();
            browsed(login).await
        }
    };
    let login = OAuthClient::for_resource(world.provider.api_url()).in_browser(CALLBACK, open);
    let session = session(&world, login);
    {
        let first = get(&world, &session, "");
        tokio::pin!(first);
        tokio::select! {
            _ = &mut first => panic!("nobody waited"),
            permit = started.acquire() => permit.unwrap().forget(),
        }
    }
    // It is gone; a second one finds the login under way.
    let second = get(&world, &session, "");
    go.add_permits(1);
    assert_eq!(second.await, 200);
    assert_eq!(world.provider.counts().authorizations, 1);
    assert_eq!(started.available_permits(), 0, "nobody was asked again");
}

#[tokio::test]
async fn a_request_dropped_at_any_await_point_has_one_login() {
    for polls in 1..40 {
        let world = world(|p| p).await;
        let session = process(&world, MemoryStore::new());
        let _ = polled(polls, get(&world, &session, "")).await;
        assert_eq!(get(&world, &session, "").await, 200);
        let counts = world.provider.counts();
        let asked = (counts.registrations, counts.authorizations, counts.token_requests);
        assert_eq!(asked, (1, 1, 1), "{polls}");
    }
}

#[tokio::test]
async fn a_restart_asks_nobody_and_registers_nothing() {
    let world = world(|p| p).await;
    let directory = tempfile::tempdir().unwrap();
    let store = || FileStore::directory(directory.path());
    let start = || process(&world, store());
    let first = start();
    assert_eq!(get(&world, &first, "").await, 200);
    first.shutdown().await.unwrap();
    let before = world.provider.counts();
    for expired in [false, true] {
        if expired {
            world.clock.forward(3600.0);
        }
        let again = start();
        assert_eq!(get(&world, &again, "").await, 200);
        again.shutdown().await.unwrap();
    }
    let after = world.provider.counts();
    assert_eq!(after.api_without_token, before.api_without_token);
    assert_eq!(after.resource_metadata_requests, before.resource_metadata_requests);
    assert_eq!(after.metadata_requests, before.metadata_requests);
    assert_eq!((after.registrations, after.authorizations), (1, 1));
    assert_eq!(after.token_requests, before.token_requests + 1);
    // After a sign-out somebody logs in again, as the same registered client.
    let last = start();
    last.sign_out().await.unwrap();
    assert_eq!(get(&world, &last, "").await, 200);
    let counts = world.provider.counts();
    assert_eq!((counts.registrations, counts.authorizations), (1, 2));
}

/// The kinds of records of a resource session.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Kept {
    Token,
    Client,
    Registration,
}

/// The file of the record, by what is in it.
fn file_of(directory: &Path, kept: Kept) -> PathBuf {
    let files = std::fs::read_dir(directory).unwrap().map(|file| file.unwrap().path());
    let is_it = |file: &PathBuf| {
        let json = file.extension().is_some_and(|extension| extension == "json");
        let text = std::fs::read_to_string(file).unwrap();
        let found = if text.contains("access_token") {
            Kept::Token
        } else if text.contains("resources") {
            Kept::Client
        } else {
            Kept::Registration
        };
        json && found == kept
    };
    let found: Vec<_> = files.filter(is_it).collect();
    assert_eq!(found.len(), 1, "{kept:?}");
    found[0].clone()
}

#[tokio::test]
async fn a_login_replaces_a_record_that_cannot_be_read() {
    for (kept, authorizations) in [(Kept::Token, 2), (Kept::Client, 2), (Kept::Registration, 1)] {
        for (is_cut, by_request) in [(true, false), (true, true), (false, false), (false, true)] {
            let note = format!("{kept:?} {is_cut} {by_request}");
            let world = world(|p| p.protected_resource([ResourceDocument::AtPath])).await;
            let directory = tempfile::tempdir().unwrap();
            let start = || process(&world, FileStore::directory(directory.path()));
            let first = start();
            assert_eq!(get(&world, &first, "").await, 200);
            first.shutdown().await.unwrap();
            let path = file_of(directory.path(), kept);
            let mut broken = std::fs::read(&path).unwrap();
            if is_cut {
                broken.truncate(broken.len() / 2);
            } else {
                // JSON, and no such record.
                broken = b"{}".to_vec();
            }
            std::fs::write(&path, &broken).unwrap();
            let session = start();
            if !by_request {
                session.log_in().await.unwrap();
            }
            assert_eq!(get(&world, &session, "").await, 200, "{note}");
            session.shutdown().await.unwrap();
            let counts = world.provider.counts();
            assert_eq!(counts.authorizations, authorizations, "{note}");
            assert_eq!(counts.registrations, 1, "{note}");
            // The next process goes on with it.
            let again = start();
            assert_eq!(get(&world, &again, "").await, 200, "{note}");
            assert_eq!(world.provider.counts().authorizations, authorizations, "{note}");
            // The registration is needed for the next login alone.
            again.sign_out().await.unwrap();
            for _ in 0..2 {
                assert_eq!(get(&world, &start(), "").await, 200, "{note}");
            }
            let counts = world.provider.counts();
            let registrations = if kept == Kept::Registration { 2 } else { 1 };
            assert_eq!(counts.authorizations, authorizations + 1, "{note}");
            assert_eq!(counts.registrations, registrations, "{note}");
            assert_eq!(std::fs::read(format!("{}.broken", path.display())).unwrap(), broken);
        }
    }
}

#[tokio::test]
async fn a_sign_out_without_the_client_of_the_login_is_an_error() {
    let world = world(|p| p.protected_resource([ResourceDocument::AtPath])).await;
    let directory = tempfile::tempdir().unwrap();
    let start = || process(&world, FileStore::directory(directory.path()));
    let first = start();
    assert_eq!(get(&world, &first, "").await, 200);
    first.shutdown().await.unwrap();
    let path = file_of(directory.path(), Kept::Client);
    std::fs::write(&path, "[]").unwrap();
    let session = start();
    for error in [session.sign_out().await.unwrap_err(), session.session().await.unwrap_err()] {
        assert!(error.is_store(), "{error}");
        assert_eq!(
            error.to_string(),
            "what the token store holds cannot be read; it stays as it is until a new login replaces it"
        );
    }
    assert_eq!(std::fs::read(&path).unwrap(), b"[]");
    session.log_in().await.unwrap();
    session.sign_out().await.unwrap();
}

/// In a store that is down there may be a login.
#[tokio::test]
async fn while_the_store_is_down_nobody_is_asked() {
    let world = world(|p| p).await;
    let store = FaultyStore::default();
    let start = || process(&world, store.clone());
    assert_eq!(get(&world, &start(), "").await, 200);
    // One says that it is down, the other that a record is corrupt, which no swap could name.
    for fault in [Fault::FailBefore, Fault::Corrupt] {
        store.always(Calls::All, fault);
        let session = start();
        let request = plain_http().get(world.provider.api_url()).build().unwrap();
        let error = session.execute(&plain_http(), request).await.unwrap_err();
        assert!(Error::find_in(&error).unwrap().is_store(), "{fault:?}");
        assert!(session.log_in().await.unwrap_err().is_store(), "{fault:?}");
        store.heal();
        assert_eq!(get(&world, &session, "").await, 200, "{fault:?}");
    }
    let counts = world.provider.counts();
    assert_eq!((counts.authorizations, counts.registrations, counts.api_without_token), (1, 1, 1));
}

/// As for the token, and for the client that it belongs to.
#[tokio::test]
async fn while_nothing_can_be_stored_there_is_a_login_from_memory_and_one_registration() {
    let world = world(|p| p).await;
    let store = FaultyStore::default();
    store.always(Calls::Swaps, Fault::FailBefore);
    let session = process(&world, store.clone());
    for _ in 0..3 {
        assert_eq!(get(&world, &session, "").await, 200);
    }
    let counts = world.provider.counts();
    assert_eq!((counts.registrations, counts.authorizations), (1, 1));
}

#[tokio::test]
async fn a_login_that_another_process_has_made_is_used_and_nobody_is_asked() {
    let world = world(|p| p.require_scope("/api", "a").require_scope("/api/admin", "b")).await;
    let store = Arc::new(MemoryStore::new());
    let start = || process(&world, store.clone());
    let (one, other) = (start(), start());
    // Both have looked, and there was nothing.
    assert!(one.session().await.unwrap().is_none());
    assert!(other.session().await.unwrap().is_none());
    assert_eq!(get(&world, &one, "").await, 200);
    assert_eq!(get(&world, &other, "").await, 200);
    let counts = world.provider.counts();
    assert_eq!((counts.authorizations, counts.registrations, counts.token_requests), (1, 1, 1));
    assert_eq!((counts.resource_metadata_requests, counts.api_without_token), (1, 2));
    // A wider scope.
    assert_eq!(get(&world, &one, "/admin").await, 200);
    assert_eq!(get(&world, &other, "/admin").await, 200);
    let counts = world.provider.counts();
    assert_eq!((counts.authorizations, counts.token_requests), (2, 2));
    // From then on both share it.
    for _ in 0..3 {
        world.clock.forward(3600.0);
        assert_eq!(get(&world, &other, "/admin").await, 200);
        assert_eq!(get(&world, &one, "/admin").await, 200);
    }
    let counts = world.provider.counts();
    assert_eq!((counts.authorizations, counts.refreshes, counts.reuse_detected), (2, 3, 0));
}

#[tokio::test]
async fn what_another_process_has_is_no_use_where_it_is_not_enough() {
    let world = world(|p| p.require_scope("/api", "a").require_scope("/api/admin", "b")).await;
    let store = Arc::new(MemoryStore::new());
    let start = || process(&world, store.clone());
    let (one, other) = (start(), start());
    assert_eq!(get(&world, &one, "").await, 200);
    assert_eq!(get(&world, &other, "").await, 200);
    // Another token, with the same scope.
    one.session().await.unwrap().unwrap().refresh().await.unwrap();
    assert_eq!(get(&world, &other, "/admin").await, 200);
    assert_eq!(asked(&world, "scope").as_deref(), Some("a b"));
    // Signed out by one: the other one's person is asked.
    one.sign_out().await.unwrap();
    world.clock.forward(3600.0);
    assert_eq!(get(&world, &other, "").await, 200);
    let counts = world.provider.counts();
    assert_eq!((counts.authorizations, counts.registrations), (3, 1));
    assert_eq!(counts.reuse_detected, 0);
}

#[tokio::test]
async fn a_login_of_another_process_that_has_expired_is_none() {
    let world = world(|p| p.protected_resource([ResourceDocument::AtPath])).await;
    let store = Arc::new(MemoryStore::new());
    let start = || {
        let login = login(&world).configure_client(|client| {
            client.map_response(|mut members| {
                members.remove("refresh_token");
                members
            })
        });
        let builder = login.session().unwrap().clock(world.clock.reader());
        builder.store(store.clone(), "me").build()
    };
    let (one, other, third) = (start(), start(), start());
    for session in [&one, &other, &third] {
        assert!(session.session().await.unwrap().is_none());
    }
    assert_eq!(get(&world, &one, "").await, 200);
    world.clock.forward(3600.0);
    // Others who have found nothing before.
    assert_eq!(get(&world, &other, "").await, 200);
    assert_eq!(world.provider.counts().authorizations, 2);
    world.clock.forward(3600.0);
    let token = third.log_in().await.unwrap().token().await.unwrap();
    assert!(world.provider.accepts_access_token(token.access_token()));
    assert_eq!(world.provider.counts().authorizations, 3);
}

#[tokio::test]
async fn c9728_5_1_where_the_metadata_is_need_not_be_said_again() {
    let world = world(|p| p.require_scope("/api", "a")).await;
    let store = Arc::new(MemoryStore::new());
    let start = || process(&world, store.clone());
    for (session, scope) in [(start(), "b"), (start(), "c")] {
        assert_eq!(get(&world, &session, "").await, 200);
        let challenge = format!("Bearer error=insufficient_scope, scope={scope}");
        let sent = AtomicUsize::new(0);
        let api = |request: reqwest::Request| {
            let status = if sent.fetch_add(1, Ordering::Relaxed) == 0 { 403 } else { 200 };
            let response = super::answer(&request, status, Some(&challenge));
            async move { Ok::<_, std::convert::Infallible>(response) }
        };
        let request = plain_http().get(world.provider.api_url()).build().unwrap();
        assert_eq!(session.execute(api, request).await.unwrap().status(), 200);
        assert_eq!(asked(&world, "resource"), Some(world.provider.api_url()));
    }
    assert_eq!(asked(&world, "scope").as_deref(), Some("a b c"));
    let counts = world.provider.counts();
    assert_eq!((counts.resource_metadata_requests, counts.authorizations), (3, 3));
}

#[tokio::test]
async fn a_session_by_a_grant_renews_alone() {
    let world = world(|p| p).await;
    let calls = Arc::new(AtomicUsize::new(0));
    let count = calls.clone();
    let hook = move |asked: Asked| {
        count.fetch_add(1, Ordering::Relaxed);
        async move {
            let found = asked.discover().await?;
            let client = found.for_resource(found.provider.client("foo").secret("potato"));
            Ok(Authorized::by_grant(client, ClientCredentials::new()))
        }
    };
    let store = Arc::new(MemoryStore::new());
    let start = || {
        let builder = Session::on_challenge(world.provider.api_url(), hook.clone()).unwrap();
        builder.clock(world.clock.reader()).store(store.clone(), "").build()
    };
    let session = start();
    assert_eq!(get(&world, &session, "").await, 200);
    for _ in 0..10 {
        world.clock.forward(3600.0);
        assert_eq!(get(&world, &session, "").await, 200);
    }
    // And after a 401.
    world.provider.revoke_access_tokens();
    assert_eq!(get(&world, &session, "").await, 200);
    let counts = world.provider.counts();
    assert_eq!((counts.token_requests, counts.api_without_token), (1 + 10 + 1, 1));
    assert_eq!((counts.resource_metadata_requests, counts.metadata_requests), (1, 1));
    for request in world.provider.token_requests() {
        assert_eq!(request.param("grant_type"), Some("client_credentials"));
        assert_eq!(request.param("resource"), Some(&*world.provider.api_url()));
    }
    assert_eq!(calls.load(Ordering::Relaxed), 1);
    // The next process uses the stored token, and then asks for the grant.
    session.shutdown().await.unwrap();
    let again = start();
    assert_eq!(get(&world, &again, "").await, 200);
    assert_eq!(calls.load(Ordering::Relaxed), 1);
    for _ in 0..2 {
        world.clock.forward(3600.0);
        assert_eq!(get(&world, &again, "").await, 200);
        assert_eq!(calls.load(Ordering::Relaxed), 2);
    }
    assert_eq!(world.provider.counts().token_requests, 12 + 2);
}

#[tokio::test]
async fn a_grant_for_more_is_asked_although_a_good_token_is_stored() {
    let world = world(|p| p.require_scope("/api", "a").require_scope("/api/admin", "b")).await;
    let hook = |asked: Asked| async move {
        let found = asked.discover().await?;
        let client = found.for_resource(found.provider.client("foo").secret("potato"));
        let (own, scope) = (client.clone(), asked.scope().unwrap_or_default().to_owned());
        // A grant of the application's, such as a vault's, does not say what it is for.
        let grant = move || {
            let (own, scope) = (own.clone(), scope.clone());
            async move { own.token_request("client_credentials").scope(scope).send().await }
        };
        Ok::<_, Error>(Authorized::by_grant(client, grant))
    };
    let builder = Session::on_challenge(world.provider.api_url(), hook).unwrap();
    let session = builder.clock(world.clock.reader()).store(MemoryStore::new(), "").build();
    assert_eq!(get(&world, &session, "").await, 200);
    assert_eq!(get(&world, &session, "/admin").await, 200);
    let scopes = world.provider.token_requests();
    let scopes: Vec<_> = scopes.iter().map(|request| request.param("scope")).collect();
    assert_eq!(scopes, [Some("a"), Some("a b")]);
}

/// A closure has no say in how a stored client is completed.
#[tokio::test]
async fn a_stored_client_that_lacks_the_applications_secret_has_somebody_log_in() {
    let world = world(|p| p).await;
    let calls = Arc::new(AtomicUsize::new(0));
    let count = calls.clone();
    let hook = move |asked: Asked| {
        count.fetch_add(1, Ordering::Relaxed);
        async move {
            let found = asked.discover().await?;
            let client = found.for_resource(found.provider.client("foo").secret("potato"));
            let token = client.password("johndoe", "A3ddj3w").send().await?;
            Ok::<_, Error>(Authorized::new(client, token))
        }
    };
    let store = Arc::new(MemoryStore::new());
    let start = || {
        let builder = Session::on_challenge(world.provider.api_url(), hook.clone()).unwrap();
        builder.clock(world.clock.reader()).store(store.clone(), "").build()
    };
    let first = start();
    for hours in 0..3 {
        assert_eq!(get(&world, &first, "").await, 200, "{hours}");
        world.clock.forward(3600.0);
    }
    assert_eq!(calls.load(Ordering::Relaxed), 1);
    let next = start();
    for hours in 0..3 {
        assert_eq!(get(&world, &next, "").await, 200, "{hours}");
        world.clock.forward(3600.0);
    }
    assert_eq!(calls.load(Ordering::Relaxed), 2);
    assert_eq!(world.provider.counts().reuse_detected, 0);
}

/// The login is another process's, and the client still that of this one.
#[tokio::test]
async fn a_wider_login_of_another_process_is_renewed_with_the_applications_secret() {
    let world = world(|p| p.require_scope("/api", "a").require_scope("/api/admin", "b")).await;
    let calls = Arc::new(AtomicUsize::new(0));
    let (count, clock) = (calls.clone(), world.clock.clone());
    let hook = move |asked: Asked| {
        count.fetch_add(1, Ordering::Relaxed);
        let clock = clock.clone();
        async move {
            let found = asked.discover().await?;
            let client = found.for_resource(found.provider.client("foo").secret("potato"));
            let client = client.clock(clock.reader());
            let scope = asked.scope().unwrap_or_default();
            let token = client.password("johndoe", "A3ddj3w").scope(scope).send().await?;
            Ok::<_, Error>(Authorized::new(client, token))
        }
    };
    let store = Arc::new(MemoryStore::new());
    let start = || {
        let builder = Session::on_challenge(world.provider.api_url(), hook.clone()).unwrap();
        builder.clock(world.clock.reader()).store(store.clone(), "").build()
    };
    let (one, other) = (start(), start());
    assert_eq!(get(&world, &one, "").await, 200);
    assert_eq!(get(&world, &other, "/admin").await, 200);
    assert_eq!(calls.load(Ordering::Relaxed), 2);
    for _ in 0..3 {
        assert_eq!(get(&world, &one, "/admin").await, 200);
        world.clock.forward(3600.0);
    }
    assert_eq!(calls.load(Ordering::Relaxed), 2);
    assert_eq!(world.provider.counts().reuse_detected, 0);
}

/// Nor of a client without the application's key.
#[cfg(feature = "keys")]
#[tokio::test]
async fn a_wider_login_replaces_a_stored_client_that_lacks_the_applications_key() {
    let key = reqwest_oauth2::SigningKey::generate().unwrap();
    let public = key.public_jwk();
    let world = world(move |p| {
        let p = p.require_scope("/api", "a").require_scope("/api/admin", "b").client_key(public);
        p.auth_methods([AuthMethod::PrivateKeyJwt])
    })
    .await;
    let clock = world.clock.clone();
    let hook = move |asked: Asked| {
        let (key, clock) = (key.clone(), clock.clone());
        async move {
            let found = asked.discover().await?;
            let client = found.for_resource(found.provider.client("foo").signing_key(key));
            let client = client.clock(clock.reader());
            let scope = asked.scope().unwrap_or_default();
            let token = client.password("johndoe", "A3ddj3w").scope(scope).send().await?;
            Ok::<_, Error>(Authorized::new(client, token))
        }
    };
    let store = Arc::new(MemoryStore::new());
    let start = || {
        let builder = Session::on_challenge(world.provider.api_url(), hook.clone()).unwrap();
        builder.clock(world.clock.reader()).store(store.clone(), "").build()
    };
    assert_eq!(get(&world, &start(), "").await, 200);
    let next = start();
    for _ in 0..3 {
        assert_eq!(get(&world, &next, "/admin").await, 200);
        world.clock.forward(3600.0);
    }
    let grants = world.provider.token_requests();
    let grants: Vec<_> = grants.iter().map(|request| request.param("grant_type")).collect();
    let (login, renewal) = (Some("password"), Some("refresh_token"));
    assert_eq!(grants, [login, login, renewal, renewal]);
}

#[tokio::test]
async fn the_next_process_uses_the_token_of_a_grant_with_a_scope() {
    let world = world(|p| p.require_scope("/api", "a")).await;
    let calls = Arc::new(AtomicUsize::new(0));
    let count = calls.clone();
    let hook = move |asked: Asked| {
        count.fetch_add(1, Ordering::Relaxed);
        async move {
            let found = asked.discover().await?;
            let client = found.for_resource(found.provider.client("foo").secret("potato"));
            let grant = ClientCredentials::new().scope(asked.scope().unwrap_or_default());
            Ok::<_, Error>(Authorized::by_grant(client, grant))
        }
    };
    let store = Arc::new(MemoryStore::new());
    let start = || {
        let builder = Session::on_challenge(world.provider.api_url(), hook.clone()).unwrap();
        builder.clock(world.clock.reader()).store(store.clone(), "").build()
    };
    for _ in 0..3 {
        assert_eq!(get(&world, &start(), "").await, 200);
        assert_eq!(calls.load(Ordering::Relaxed), 1);
    }
    let counts = world.provider.counts();
    assert_eq!((counts.token_requests, counts.api_without_token), (1, 1));
    // Then it asks its own.
    world.clock.forward(3600.0);
    for _ in 0..2 {
        assert_eq!(get(&world, &start(), "").await, 200);
        assert_eq!(calls.load(Ordering::Relaxed), 2);
    }
}

#[tokio::test]
async fn a_grant_that_is_refused_is_asked_once_a_minute() {
    let world = world(|p| p).await;
    let hook = |asked: Asked| async move {
        let found = asked.discover().await?;
        let client = found.for_resource(found.provider.client("foo").secret("wrong"));
        Ok(Authorized::by_grant(client, ClientCredentials::new()))
    };
    let builder = Session::on_challenge(world.provider.api_url(), hook).unwrap();
    let session = builder.clock(world.clock.reader()).build();
    for _ in 0..5 {
        let request = plain_http().get(world.provider.api_url()).build().unwrap();
        let error = session.execute(&plain_http(), request).await.unwrap_err();
        assert_eq!(Error::find_in(&error).unwrap().error_code(), Some("invalid_client"));
    }
    let counts = world.provider.counts();
    assert_eq!((counts.token_requests, counts.resource_metadata_requests), (1, 1));
    assert!(session.session().await.unwrap().is_none());
}

#[tokio::test]
async fn users_share_the_registration_and_not_the_login() {
    let world = world(|p| p).await;
    let store = Arc::new(MemoryStore::new());
    let start = |user: &'static str| {
        let builder = login(&world).session().unwrap().clock(world.clock.reader());
        builder.store(store.clone(), user).build()
    };
    for user in ["alice", "bob", "alice"] {
        assert_eq!(get(&world, &start(user), "").await, 200);
    }
    let counts = world.provider.counts();
    assert_eq!((counts.registrations, counts.authorizations), (1, 2));
}

#[tokio::test]
async fn a_client_whose_secret_has_expired_is_registered_again() {
    let world = world(|p| p.client_secret_lifetime(Duration::from_secs(7200))).await;
    let login = OAuthClient::for_resource(world.provider.api_url())
        .in_browser("https://service.example/cb", browsed);
    let session = session(&world, login);
    assert_eq!(get(&world, &session, "").await, 200);
    // A login that ends before the secret does is followed by one of the same client.
    world.provider.revoke_families();
    assert_eq!(get(&world, &session, "").await, 200);
    assert_eq!(world.provider.counts().registrations, 1);
    world.clock.forward(7200.0);
    world.provider.revoke_families();
    assert_eq!(get(&world, &session, "").await, 200);
    let counts = world.provider.counts();
    assert_eq!((counts.registrations, counts.authorizations), (2, 3));
}

/// As servers made with an older SDK of the Model Context Protocol say it, and others in their own words.
fn in_other_words(login: ResourceLogin, code: &'static str) -> ResourceLogin {
    login.configure_client(move |client| {
        client.map_response(move |mut members| {
            if members.get("error").is_some_and(|error| error == "invalid_client") {
                members.insert("error".to_owned(), code.into());
            }
            members
        })
    })
}

#[tokio::test]
async fn a_client_that_is_forgotten_in_other_words_is_registered_again() {
    for code in ["unauthorized_client", "unknown_client", "INVALID_CLIENT_ID"] {
        let world = world(|p| p).await;
        let directory = tempfile::tempdir().unwrap();
        let start = |user: &'static str| {
            let builder = in_other_words(login(&world), code).session().unwrap();
            let store = FileStore::directory(directory.path());
            builder.clock(world.clock.reader()).store(store, user).build()
        };
        let session = start("me");
        assert_eq!(get(&world, &session, "").await, 200);
        world.provider.forget_registered_clients();
        world.clock.forward(3600.0);
        assert_eq!(get(&world, &session, "").await, 200, "{code}");
        let counts = world.provider.counts();
        assert_eq!((counts.registrations, counts.authorizations), (2, 2), "{code}");
        // The next process goes on as the new one.
        world.clock.forward(3600.0);
        assert_eq!(get(&world, &start("me"), "").await, 200, "{code}");
        assert_eq!(world.provider.counts().registrations, 2, "{code}");
    }
}

#[tokio::test]
async fn a_client_that_the_provider_has_forgotten_is_registered_again() {
    let world = world(|p| p).await;
    let directory = tempfile::tempdir().unwrap();
    let start = || process(&world, FileStore::directory(directory.path()));
    let first = start();
    assert_eq!(get(&world, &first, "").await, 200);
    for (round, by_deadline) in [(2, true), (3, false)] {
        world.provider.forget_registered_clients();
        // Found out by a renewal that is due, and by one after a 401.
        if by_deadline {
            world.clock.forward(3600.0);
        } else {
            world.provider.revoke_access_tokens();
        }
        assert_eq!(get(&world, &first, "").await, 200);
        let counts = world.provider.counts();
        assert_eq!((counts.registrations, counts.authorizations), (round, round));
    }
    first.shutdown().await.unwrap();
    // And another process goes on as the new one.
    world.clock.forward(3600.0);
    assert_eq!(get(&world, &start(), "").await, 200);
    assert_eq!(world.provider.counts().registrations, 3);
}

/// No renewal finds that out for somebody who was not logged in. The next program would not know either.
#[tokio::test]
async fn a_stored_registration_that_the_provider_has_forgotten_is_replaced_by_the_login_itself() {
    let world = world(|p| p).await;
    let store = Arc::new(MemoryStore::new());
    let forgets = Arc::new(AtomicBool::new(false));
    let in_browser = |code| {
        let (provider, forgets) = (world.provider.clone(), forgets.clone());
        let open = move |login: BrowserLogin| {
            let (provider, forgets) = (provider.clone(), forgets.clone());
            async move {
                let callback = browse(login.url()).await;
                // It does not ask about the client before it sees the code.
                if forgets.swap(false, Ordering::Relaxed) {
                    provider.forget_registered_clients();
                }
                login.finish(callback).await
            }
        };
        let login = OAuthClient::for_resource(world.provider.api_url()).in_browser(CALLBACK, open);
        in_other_words(login, code)
    };
    let start = |code: &'static str, user: &'static str| {
        let builder = in_browser(code).session().unwrap().clock(world.clock.reader());
        builder.store(store.clone(), user).build()
    };
    assert_eq!(get(&world, &start("invalid_client", "alice"), "").await, 200);
    for (round, code, user) in [(1, "invalid_client", "bob"), (2, "unauthorized_client", "carol")] {
        forgets.store(true, Ordering::Relaxed);
        assert_eq!(get(&world, &start(code, user), "").await, 200, "{code}");
        let counts = world.provider.counts();
        assert_eq!((counts.registrations, counts.authorizations), (1 + round, 1 + 2 * round));
    }
    // The new one is stored.
    assert_eq!(get(&world, &start("invalid_client", "dave"), "").await, 200);
    assert_eq!(world.provider.counts().registrations, 3);
}

/// Some providers give every application the same id, and some secrets change.
#[tokio::test]
async fn a_client_with_the_same_id_and_another_secret_is_another_client() {
    for (is_registered, has_refresh_token) in [(false, false), (true, true), (true, false)] {
        let world = World::with(|p| p.protected_resource([ResourceDocument::InChallenge])).await;
        let calls = Arc::new(AtomicUsize::new(0));
        let (count, clock) = (calls.clone(), world.clock.clone());
        let hook = move |asked: Asked| {
            let is_first = count.fetch_add(1, Ordering::Relaxed) == 0;
            let clock = clock.clone();
            async move {
                let provider = asked.discover().await?.provider;
                let secret = if is_first { "wrong" } else { "potato" };
                let client = if is_registered {
                    let registration = json!({
                        "issuer": provider.issuer(), "client_id": "foo", "client_secret": secret,
                        "token_endpoint_auth_method": "client_secret_basic",
                    });
                    provider.registered_client(&serde_json::from_value(registration).unwrap())?
                } else {
                    provider.client("foo").secret(secret)
                };
                let known = provider.client("foo").secret("potato").clock(clock.reader());
                let token = known.password("johndoe", "A3ddj3w").send().await?;
                let mut token = serde_json::to_value(token).unwrap();
                if is_first && !has_refresh_token {
                    token.as_object_mut().unwrap().remove("refresh_token");
                }
                Ok(Authorized::new(client, serde_json::from_value(token).unwrap()))
            }
        };
        let builder = Session::on_challenge(world.provider.api_url(), hook).unwrap();
        let session = builder.clock(world.clock.reader()).build();
        for logins in [1, 2, 2, 2] {
            assert_eq!(get(&world, &session, "").await, 200);
            assert_eq!(
                calls.load(Ordering::Relaxed),
                logins,
                "{is_registered} {has_refresh_token}"
            );
            world.clock.forward(3600.0);
        }
    }
}

#[tokio::test]
async fn a_late_401_for_a_client_that_was_forgotten_registers_nothing() {
    let world = world(|p| p).await;
    let session = session(&world, login(&world));
    assert_eq!(get(&world, &session, "").await, 200);
    let (sent, go) = (Semaphore::new(0), Semaphore::new(0));
    let first = session.session().await.unwrap().unwrap().header().unwrap();
    let api = |request: reqwest::Request| {
        let status = if request.headers()["authorization"] == first { 401 } else { 200 };
        let response = super::answer(&request, status, Some("Bearer error=invalid_token"));
        let (sent, go) = (&sent, &go);
        async move {
            sent.add_permits(1);
            go.acquire().await.unwrap().forget();
            Ok::<_, std::convert::Infallible>(response)
        }
    };
    let request = plain_http().get(world.provider.api_url()).build().unwrap();
    let late = session.execute(&api, request);
    let meanwhile = async {
        sent.acquire().await.unwrap().forget();
        world.provider.forget_registered_clients();
        world.clock.forward(3600.0);
        assert_eq!(get(&world, &session, "").await, 200);
        go.add_permits(2);
    };
    let (late, ()) = tokio::join!(late, meanwhile);
    assert_eq!(late.unwrap().status(), 200);
    let counts = world.provider.counts();
    assert_eq!((counts.registrations, counts.authorizations), (2, 2));
    // The client of the login that came meanwhile is a good one.
    let sent = AtomicUsize::new(0);
    let api = |request: reqwest::Request| {
        let status = if sent.fetch_add(1, Ordering::Relaxed) == 0 { 403 } else { 200 };
        let challenge = "Bearer error=insufficient_scope, scope=a";
        let response = super::answer(&request, status, Some(challenge));
        async move { Ok::<_, std::convert::Infallible>(response) }
    };
    let request = plain_http().get(world.provider.api_url()).build().unwrap();
    assert_eq!(session.execute(api, request).await.unwrap().status(), 200);
    let counts = world.provider.counts();
    assert_eq!((counts.registrations, counts.authorizations), (2, 3));
}

#[tokio::test]
async fn a_login_goes_on_when_nobody_waits_for_it_any_more() {
    let world = world(|p| p).await;
    let (started, go) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let (starts, waits) = (started.clone(), go.clone());
    let open = move |login: BrowserLogin| {
        let (starts, waits) = (starts.clone(), waits.clone());
        async move {
            starts.add_permits(1);
            waits.acquire().await.unwrap().forget();
            browsed(login).await
        }
    };
    let login = OAuthClient::for_resource(world.provider.api_url()).in_browser(CALLBACK, open);
    let session = session(&world, login);
    {
        let only = get(&world, &session, "");
        tokio::pin!(only);
        tokio::select! {
            _ = &mut only => panic!("nobody waited"),
            permit = started.acquire() => permit.unwrap().forget(),
        }
    }
    go.add_permits(1);
    world.provider.wait_for_token_requests(1).await;
    while session.session().await.unwrap().is_none() {
        world.round_trips().await;
    }
    assert_eq!(get(&world, &session, "").await, 200);
    let counts = world.provider.counts();
    assert_eq!((counts.authorizations, counts.api_without_token), (1, 1));
}

#[tokio::test]
async fn known_ids_go_first_then_the_document_then_a_registration() {
    const ID: &str = "https://tool.example/client.json";
    let document = json!({ "redirect_uris": [CALLBACK] });
    for (knows, documented, expected, registrations) in
        [(true, true, "foo", 0), (false, true, ID, 0), (false, false, "registered-1", 1)]
    {
        let world = world(|p| {
            let p = p.redirect_uri(CALLBACK);
            if documented { p.client_id_document(ID, &document) } else { p }
        })
        .await;
        let issuer = world.provider.issuer();
        let login = login(&world).client_id_document(ID).client(move |provider| {
            assert_eq!(provider.issuer(), issuer);
            knows.then(|| provider.client("foo").secret("potato"))
        });
        let session = session(&world, login);
        assert_eq!(get(&world, &session, "").await, 200);
        assert_eq!(asked(&world, "client_id").as_deref(), Some(expected));
        assert_eq!(world.provider.counts().registrations, registrations);
    }
}

/// As an application may have it that names the API's resource in its own client.
#[tokio::test]
async fn a_resource_that_the_client_has_already_is_sent_once() {
    let world = world(|p| p.redirect_uri(CALLBACK)).await;
    let api = world.provider.api_url();
    let store = Arc::new(MemoryStore::new());
    for _ in 0..2 {
        let id = api.clone();
        let login = login(&world)
            .client(move |provider| Some(provider.client("foo").secret("potato").resource(&id)));
        let builder = login.session().unwrap().clock(world.clock.reader());
        let session = builder.store(store.clone(), "me").build();
        assert_eq!(get(&world, &session, "").await, 200);
        world.clock.forward(3600.0);
        assert_eq!(get(&world, &session, "").await, 200);
    }
    let query = world.provider.authorization_requests().pop().unwrap();
    assert_eq!(query.matches("resource=").count(), 1);
    // The code, and a refresh by each of two processes.
    let requests = world.provider.token_requests();
    assert_eq!(requests.len(), 3);
    for request in requests {
        let resources = request.params.iter().filter(|(name, _)| name == "resource");
        assert_eq!(resources.map(|(_, value)| value).collect::<Vec<_>>(), [&api]);
    }
}

#[tokio::test]
async fn c9728_7_2_a_and_mcp_scope_a_of_the_challenge_else_all_else_none() {
    let offered = json!(["a", "b"]);
    for (needed, named, offline, expected) in [
        (Some("a"), Some(&offered), false, Some("a")),
        (None, Some(&offered), false, Some("a b")),
        (None, None, false, None),
        (Some("a"), Some(&offered), true, Some("a offline_access")),
        (None, None, true, Some("offline_access")),
    ] {
        let named = named.cloned();
        let world = world(|p| {
            let p = if let Some(scope) = needed { p.require_scope("/api", scope) } else { p };
            let p = p.resource_metadata(move |members| {
                members.extend(named.clone().map(|named| ("scopes_supported".into(), named)));
            });
            p.metadata(move |members| {
                let scopes = if offline { json!(["offline_access"]) } else { json!(["a"]) };
                members.insert("scopes_supported".into(), scopes);
            })
        })
        .await;
        let session = session(&world, login(&world));
        assert_eq!(get(&world, &session, "").await, 200);
        assert_eq!(asked(&world, "scope").as_deref(), expected, "{needed:?} {offline}");
        // OpenID Connect Core section 11: without it offline access is not granted.
        assert_eq!(asked(&world, "prompt").as_deref(), offline.then_some("consent"));
    }
}

#[tokio::test]
async fn mcp_step_a_a_wider_scope_is_asked_for_and_others_go_on_meanwhile() {
    let world =
        world(|p| p.require_scope("/api", "read").require_scope("/api/admin", "admin")).await;
    let (asked_for, go) = (Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(1)));
    let (count, waits) = (asked_for.clone(), go.clone());
    let open = move |login: BrowserLogin| {
        let waits = waits.clone();
        count.fetch_add(1, Ordering::Relaxed);
        async move {
            waits.acquire().await.unwrap().forget();
            browsed(login).await
        }
    };
    let login = OAuthClient::for_resource(world.provider.api_url()).in_browser(CALLBACK, open);
    let session = session(&world, login);
    assert_eq!(get(&world, &session, "").await, 200);
    let stepping_up = futures_util::future::join(
        get(&world, &session, "/admin"),
        get(&world, &session, "/admin/x"),
    );
    tokio::pin!(stepping_up);
    while asked_for.load(Ordering::Relaxed) == 1 {
        tokio::select! {
            biased;
            _ = &mut stepping_up => panic!("nobody waited"),
            () = tokio::task::yield_now() => {}
        }
    }
    assert_eq!(get(&world, &session, "").await, 200, "others go on");
    go.add_permits(1);
    assert_eq!(stepping_up.await, (200, 200));
    assert_eq!(asked(&world, "scope").as_deref(), Some("read admin"));
    let counts = world.provider.counts();
    assert_eq!((counts.authorizations, counts.refreshes, counts.registrations), (2, 0, 1));
    // The next renewal keeps it.
    world.clock.forward(3600.0);
    assert_eq!(get(&world, &session, "/admin").await, 200);
    assert_eq!(world.provider.counts().authorizations, 2);
}

/// As `login`, at a provider that names no scope: it grants what was asked for.
fn login_without_scope(world: &World) -> ResourceLogin {
    login(world).configure_client(|client| {
        client.map_response(|mut members| {
            members.remove("scope");
            members
        })
    })
}

#[tokio::test]
async fn c6749_5_1_a_a_wider_scope_keeps_what_was_granted_without_a_word() {
    let world =
        world(|p| p.require_scope("/api/read", "read").require_scope("/api/admin", "admin")).await;
    let session = session(&world, login_without_scope(&world));
    for path in ["/read", "/admin", "/read", "/admin"] {
        assert_eq!(get(&world, &session, path).await, 200);
    }
    assert_eq!(asked(&world, "scope").as_deref(), Some("read admin"));
    assert_eq!(world.provider.counts().authorizations, 2);
    // Nor is it lost at a renewal.
    world.clock.forward(3600.0);
    for path in ["/read", "/admin"] {
        assert_eq!(get(&world, &session, path).await, 200);
    }
    let counts = world.provider.counts();
    assert_eq!((counts.authorizations, counts.refreshes), (2, 1));
}

#[tokio::test]
async fn c6749_5_1_a_a_wider_login_of_another_process_is_known_without_a_word() {
    let world =
        world(|p| p.require_scope("/api/read", "read").require_scope("/api/admin", "admin")).await;
    let store = Arc::new(MemoryStore::new());
    let start = || {
        let builder = login_without_scope(&world).session().unwrap().clock(world.clock.reader());
        builder.store(store.clone(), "me").build()
    };
    let (one, other) = (start(), start());
    for session in [&one, &other] {
        assert_eq!(get(&world, session, "/read").await, 200);
    }
    for session in [&one, &other] {
        assert_eq!(get(&world, session, "/admin").await, 200);
    }
    assert_eq!(world.provider.counts().authorizations, 2);
}

#[tokio::test]
async fn mcp_scope_a_a_403_without_a_scope_asks_for_all_that_the_resource_names() {
    for (names, expected) in [(Some(json!(["b", "a", "c"])), "a b c"), (None, "a")] {
        let world = world(|p| {
            p.require_scope("/api", "a").resource_metadata(move |members| {
                members.extend(names.clone().map(|names| ("scopes_supported".into(), names)));
            })
        })
        .await;
        let session = session(&world, login(&world));
        assert_eq!(get(&world, &session, "").await, 200);
        assert_eq!(asked(&world, "scope").as_deref(), Some("a"));
        let api = |request: reqwest::Request| async move {
            let challenge = Some("Bearer error=insufficient_scope");
            Ok::<_, std::convert::Infallible>(super::answer(&request, 403, challenge))
        };
        let request = plain_http().get(world.provider.api_url()).build().unwrap();
        assert_eq!(session.execute(api, request).await.unwrap().status(), 403);
        assert_eq!(asked(&world, "scope").as_deref(), Some(expected));
        assert_eq!(world.provider.counts().authorizations, 2);
    }
}

#[tokio::test]
async fn c9470_4_a_a_stronger_login_is_asked_for() {
    let max_age = Some(Duration::from_secs(60));
    let world = world(|p| p.require_log_in("/api/money", "strong", max_age)).await;
    let session = session(&world, login(&world));
    assert_eq!(get(&world, &session, "/money").await, 200);
    assert_eq!(asked(&world, "acr_values").as_deref(), Some("strong"));
    assert_eq!(asked(&world, "max_age").as_deref(), Some("60"));
    assert_eq!(world.provider.counts().authorizations, 2, "at first nobody knew of it");
}

#[tokio::test]
async fn c9470_4_a_openid_goes_with_it_where_it_is_offered() {
    for (offered, expected) in [(json!(["openid", "a"]), "a openid"), (json!(["a"]), "a")] {
        let world = world(|p| {
            let p = p.require_scope("/api", "a").require_log_in("/api/money", "strong", None);
            p.metadata(move |members| {
                drop(members.insert("scopes_supported".into(), offered.clone()))
            })
        })
        .await;
        let session = session(&world, login(&world));
        assert_eq!(get(&world, &session, "").await, 200);
        assert_eq!(asked(&world, "scope").as_deref(), Some("a"));
        assert_eq!(get(&world, &session, "/money").await, 200);
        assert_eq!(asked(&world, "scope").as_deref(), Some(expected));
    }
}

#[tokio::test]
async fn c9470_4_a_a_stronger_login_is_asked_for_on_another_device() {
    let max_age = Some(Duration::from_secs(60));
    let world = world(|p| p.require_log_in("/api", "strong", max_age)).await;
    let provider = world.provider.clone();
    let shown = Arc::new(Semaphore::new(0));
    let shown_now = shown.clone();
    let login = OAuthClient::for_resource(world.provider.api_url()).on_device(move |login| {
        assert!(provider.approve_device(login.user_code()));
        shown_now.add_permits(1);
    });
    let session = session(&world, login);
    let request = plain_http().get(world.provider.api_url()).build().unwrap();
    let waiting = tokio::spawn(async move { session.execute(&plain_http(), request).await });
    for _ in 0..2 {
        shown.acquire().await.unwrap().forget();
        world.plain_turns().await;
        pass(5).await;
    }
    // The device flow knows no such thing, but a provider may.
    waiting.await.unwrap().unwrap();
    let asked = world.provider.device_requests();
    let params = asked.iter().map(|one| (one.param("acr_values"), one.param("max_age")));
    assert_eq!(Vec::from_iter(params), [(None, None), (Some("strong"), Some("60"))]);
}

#[tokio::test]
async fn c9126_5_a_a_server_that_takes_pushed_requests_only_gets_one() {
    let world = world(|p| p.require_pushed_authorization_requests(true)).await;
    let session = session(&world, login(&world));
    assert_eq!(get(&world, &session, "").await, 200);
    assert!(asked(&world, "request_uri").is_some());
}

#[cfg(feature = "keys")]
#[tokio::test]
async fn each_client_is_set_up_as_the_application_wants_also_after_a_restart() {
    let world = world(|p| p.dpop(reqwest_oauth2::testing::DpopRules::default())).await;
    let store = Arc::new(MemoryStore::new());
    for _ in 0..2 {
        let login =
            login(&world).configure_client(|client| client.dpop().refresh_param("tenant", "7"));
        let builder = login.session().unwrap().clock(world.clock.reader());
        let session = builder.store(store.clone(), "me").build();
        assert_eq!(get(&world, &session, "").await, 200);
        world.clock.forward(3600.0);
        assert_eq!(get(&world, &session, "").await, 200);
    }
    assert_eq!(world.provider.counts().authorizations, 1);
    assert_eq!(world.provider.counts().refreshes, 2);
    for request in world.provider.token_requests() {
        assert!(request.dpop.is_some());
        let is_refresh = request.param("grant_type") == Some("refresh_token");
        assert_eq!(request.param("tenant"), is_refresh.then_some("7"));
    }
}

#[tokio::test]
async fn mcp_old_a_server_without_any_metadata_has_its_endpoints_at_its_root() {
    for documents in [true, false] {
        let world = World::with(|p| {
            let p = p.registration(true);
            if documents { p } else { p.discovery([]) }
        })
        .await;
        let session = session(&world, login(&world));
        assert_eq!(get(&world, &session, "").await, 200);
        assert_eq!(asked(&world, "resource"), None);
        let counts = world.provider.counts();
        assert_eq!(counts.resource_metadata_requests, 2);
        assert_eq!(counts.metadata_requests, if documents { 1 } else { 2 });
    }
}

#[tokio::test]
async fn mcp_old_a_server_without_any_metadata_is_asked_with_the_applications_client() {
    let registered = json!({ "client_id": "foo", "redirect_uris": [CALLBACK] }).to_string();
    let nothing = || (404, String::new());
    let site = Site::new([nothing(), nothing(), nothing(), nothing(), (201, registered)]);
    let open = |_: BrowserLogin| async { Err::<Token, _>("nobody is there") };
    let login = OAuthClient::for_resource("https://api.example/x").in_browser(CALLBACK, open);
    let session = login.session().unwrap().http_client(site.http()).build();
    let cause = session.log_in().await.unwrap_err();
    assert_eq!(std::error::Error::source(&cause).unwrap().to_string(), "nobody is there");
    assert_eq!(site.asked_urls().pop().unwrap(), "https://api.example/register");
}

#[tokio::test]
async fn the_token_goes_to_the_resource_alone() {
    let world = world(|p| p).await;
    let tenant = world.provider.api_url() + "/tenant-a";
    let login = OAuthClient::for_resource(tenant).in_browser(CALLBACK, browsed);
    let session = session(&world, login);
    assert_eq!(get(&world, &session, "/tenant-a/x").await, 200);
    for elsewhere in ["/tenant-b", "", "/tenant-ab", "/tenant-a/..%2ftenant-b"] {
        assert_eq!(get(&world, &session, elsewhere).await, 401, "{elsewhere}");
    }
    let counts = world.provider.counts();
    assert_eq!((counts.api_without_token, counts.authorizations), (1 + 4, 1));
}

#[tokio::test]
async fn a_login_before_the_first_request() {
    let world = world(|p| p.protected_resource([ResourceDocument::AtPath])).await;
    let session = session(&world, login(&world));
    assert!(session.session().await.unwrap().is_none());
    let token = session.log_in().await.unwrap().token().await.unwrap();
    assert!(world.provider.accepts_access_token(token.access_token()));
    session.log_in().await.unwrap();
    assert_eq!(get(&world, &session, "").await, 200);
    let counts = world.provider.counts();
    assert_eq!((counts.api_without_token, counts.authorizations), (0, 1));
}
