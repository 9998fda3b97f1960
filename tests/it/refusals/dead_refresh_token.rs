//! A dead refresh token is presented once, whatever code the provider has for it.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use futures_util::future::join_all;
use reqwest_oauth2::store::{FileStore, MemoryStore, Record, TokenKey, TokenStore};
use reqwest_oauth2::testing::{Fault, Provider};
use reqwest_oauth2::{OAuthClient, Session, Token, UserSessions};

use crate::support::{World, pass, plain_http};

const TASK: &str = "REQWEST_OAUTH2_DEAD_REFRESH_TOKENS";
const PROCESSES: usize = 3;
const REQUESTS: usize = 200;

/// Codes that the application names.
const NAMED: [&str; 2] = ["invalid_request", "gone"];

/// What providers answer to a dead refresh token.
fn answers() -> Vec<Fault> {
    let json = |status, body: &str| Fault::Reply {
        status,
        content_type: "application/json".to_owned(),
        body: body.to_owned(),
    };
    let mut answers = vec![
        json(200, r#"{"ok":false,"error":"invalid_refresh_token"}"#),
        json(200, r#"{"ok":false,"error":"token_expired"}"#),
        json(200, r#"{"ok":false,"error":"token_revoked"}"#),
        json(200, r#"{"error":"invalid_code"}"#),
        json(401, r#"{"error":{"code":"refresh_token_reused","message":"m"}}"#),
        json(401, r#"{"error":{"type":"invalid_request_error","code":"gone"}}"#),
        json(400, r#"{"error":{"code":400,"message":"GONE","status":"INVALID_ARGUMENT"}}"#),
        json(400, r#"{"status":"BAD_REFRESH_TOKEN","message":"m"}"#),
        json(400, r#"{"errors":[{"errorType":"invalid_grant","message":"m"}]}"#),
        Fault::Reply {
            status: 200,
            content_type: "application/x-www-form-urlencoded".to_owned(),
            body: "error=bad_refresh_token&error_description=It+is+incorrect+or+expired."
                .to_owned(),
        },
    ];
    for (status, code) in [
        (400, "invalid_grant"),
        (401, "invalid_grant"),
        (403, "invalid_grant"),
        (503, "invalid_grant"),
        (200, "bad_refresh_token"),
        (400, "bad_refresh_token"),
        (400, "interaction_required"),
        (400, "login_required"),
        (400, "consent_required"),
        (400, NAMED[0]),
    ] {
        answers.push(Fault::OAuthError { status, code: code.to_owned() });
    }
    answers
}

#[tokio::test]
async fn once_by_three_services_on_one_store() {
    for answer in answers() {
        let world = World::new().await;
        let store = std::sync::Arc::new(MemoryStore::new());
        let service = || {
            let clock = world.clock.reader();
            let app = NAMED.into_iter().fold(world.app(), OAuthClient::ends_login);
            let builder = UserSessions::builder(app);
            builder.configure_sessions(|session| session.clock(clock)).store(store.clone()).build()
        };
        let services = [service(), service(), service()];
        let key = TokenKey::new(&world.provider.token_url(), "foo", "alice");
        let token = serde_json::to_string(&world.expired_token()).unwrap();
        let stored = store.compare_and_swap(&key, None, &Record::new(token)).await;
        assert!(stored.is_ok());
        world.provider.fail_always(answer.clone());
        for _ in 0..4 {
            let requests = services.iter().map(|sessions| async {
                for _ in 0..REQUESTS / 4 {
                    let error = sessions.for_user("alice").token().await.unwrap_err();
                    assert!(error.is_reauthorization_required(), "{answer:?}: {error}");
                }
            });
            // A waiter for another's mark looks again after a moment.
            let requests = join_all(requests);
            tokio::pin!(requests);
            loop {
                tokio::select! {
                    biased;
                    _ = &mut requests => break,
                    () = world.round_trips() => pass(1).await,
                }
            }
            world.clock.forward(3600.0);
            pass(3600).await;
        }
        assert_eq!(world.provider.counts().token_requests, 1, "{answer:?}");
    }
}

/// The session of a process, on a file.
fn session(token_url: &str, file: impl AsRef<Path>) -> Session {
    let app = OAuthClient::new("foo", token_url).unwrap().secret("potato");
    let app = NAMED.into_iter().fold(app, OAuthClient::ends_login);
    Session::builder(app).store(FileStore::file(file.as_ref()), "alice").build()
}

fn begin(list: &str) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.env(TASK, list).stdout(Stdio::piped());
    command.args(["--exact", "refusals::dead_refresh_token::child"]).spawn().unwrap()
}

/// What the processes of the other test do; by itself, nothing.
#[tokio::test]
async fn child() {
    let Ok(list) = std::env::var(TASK) else { return };
    let logins: Vec<_> = list.lines().map(|line| line.split_once(' ').unwrap()).collect();
    join_all(logins.iter().map(|(origin, file)| async move {
        let session = session(&format!("{origin}/token"), file);
        let http = reqwest_middleware::ClientBuilder::new(plain_http())
            .with(session.middleware([*origin]).unwrap())
            .build();
        for _ in 0..REQUESTS / 50 {
            let requests = (0..50).map(|_| http.get(format!("{origin}/api")).send());
            for outcome in join_all(requests).await {
                let error = crate::support::ours(&outcome.unwrap_err());
                assert!(error.is_reauthorization_required(), "{error}");
            }
        }
        // A process that ends before it has stored the refusal leaves its mark, and the next one asks again.
        session.shutdown().await.unwrap();
    }))
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn once_by_three_processes_on_one_file() {
    let directory = tempfile::tempdir().unwrap();
    let (mut providers, mut list) = (Vec::new(), String::new());
    for (n, answer) in answers().into_iter().enumerate() {
        let provider = Provider::start().await.unwrap();
        provider.fail_always(answer);
        let file = directory.path().join(format!("{n}.json"));
        let token: Token = serde_json::from_value(provider.log_in()).unwrap();
        let token = token.with_expires_at(std::time::UNIX_EPOCH.into());
        session(&provider.token_url(), &file).set_token(token).await.unwrap();
        list += &format!("{} {}\n", provider.origin(), file.display());
        providers.push(provider);
    }
    let children: Vec<_> = (0..PROCESSES).map(|_| begin(&list)).collect();
    for child in children {
        let output =
            tokio::task::spawn_blocking(|| child.wait_with_output().unwrap()).await.unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && text.contains("1 passed"), "{text}");
    }
    for (provider, answer) in providers.iter().zip(answers()) {
        let counts = provider.counts();
        assert_eq!((counts.token_requests, counts.api_requests), (1, 0), "{answer:?}");
    }
}
