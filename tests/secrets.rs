//! G12: no secret in `Debug`, errors or tracing. A binary of its own, for the subscriber is global.
#![allow(missing_docs, dead_code, unreachable_pub, clippy::unwrap_used, clippy::expect_used)]

use std::io::Write;
use std::sync::{Arc, Mutex};

use reqwest_oauth2::testing::Fault;
use reqwest_oauth2::{Error, Session, Token};
use tracing_subscriber::fmt::MakeWriter;

use support::World;

#[path = "it/support.rs"]
mod support;

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn note(&self, text: impl std::fmt::Debug) {
        write!(self.clone(), "{text:?}\n{text:#?}\n").unwrap();
    }

    fn note_error(&self, error: &Error) {
        self.note(error);
        let mut cause: Option<&dyn std::error::Error> = Some(error);
        while let Some(error) = cause {
            writeln!(self.clone(), "{error}").unwrap();
            cause = error.source();
        }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn nothing_that_is_shown_or_logged_has_a_secret() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(log.clone())
        .finish();
    tracing::subscriber::set_global_default(subscriber).unwrap();
    let world = World::new().await;
    let token = world.expired_token();
    let mut secrets = vec!["potato".to_owned(), "Zm9vOnBvdGF0bw".to_owned()];
    secrets.extend([token.access_token().to_owned(), token.refresh_token().unwrap().to_owned()]);

    // A secret in the query of the token endpoint, too.
    let app = reqwest_oauth2::OAuthClient::new("foo", world.provider.token_url() + "?key=qu3ry")
        .unwrap()
        .secret("potato");
    secrets.push("qu3ry".to_owned());
    let saver = |_: Token| async { Err::<(), _>(std::io::Error::other("disk full")) };
    let builder = Session::builder(app.clone())
        .clock(world.clock.reader())
        .token(token.clone())
        .on_refresh(saver);
    log.note(&builder);
    let session = builder.build();
    let http = world.http(&session);
    let echo = |status| Fault::Reply {
        status,
        content_type: "text/html".to_owned(),
        body: format!("no such token: {} for potato", token.refresh_token().unwrap()),
    };
    for fault in [
        echo(200),
        echo(503),
        Fault::Reply {
            status: 503,
            content_type: "application/json".to_owned(),
            body: serde_json::json!({
                "error": token.refresh_token(),
                "error_description": format!("{} is not potato", token.refresh_token().unwrap()),
            })
            .to_string(),
        },
        Fault::Garbage,
        Fault::CutBefore,
    ] {
        world.provider.fail_next(fault);
        let refresh = session.refresh();
        tokio::pin!(refresh);
        // Time for the second attempt, after the one that was cut off.
        let outcome = loop {
            tokio::select! {
                biased;
                outcome = &mut refresh => break outcome,
                () = world.round_trips() => support::pass(1).await,
            }
        };
        match outcome {
            Ok(token) => log.note(&token),
            Err(error) => log.note_error(&error),
        }
        support::pass(60).await;
    }
    assert_eq!(http.get(world.provider.api_url()).send().await.unwrap().status(), 200);
    world.provider.revoke_access_tokens();
    let response = http.get(world.provider.api_url()).send().await.unwrap();
    log.note(response.extensions().get::<reqwest_oauth2::TokenUpdated>().unwrap());
    let current = session.token().await.unwrap();
    secrets
        .extend([current.access_token().to_owned(), current.refresh_token().unwrap().to_owned()]);
    world.provider.revoke_families();
    log.note_error(&session.refresh().await.unwrap_err());
    log.note_error(&session.save_error().unwrap());
    log.note((&app, &session, &current, &session.subscribe(), &session.keep_fresh().unwrap()));
    log.note(session.middleware([world.provider.origin()]).unwrap());
    log.note(app.token_request("x").param("code", "c0de").extra("assertion", "ass3rt"));
    secrets.extend(["c0de".to_owned(), "ass3rt".to_owned()]);
    log.note(&world.provider);
    secrets.extend(in_stores(&world, &log).await);

    let text = log.text();
    assert!(
        text.contains("token in use") && text.contains("reauthorization required"),
        "tracing was on"
    );
    for secret in secrets {
        assert!(!text.contains(&secret), "{secret} is in:\n{text}");
    }
}

/// The same with stores: sessions that share one, what they show, what is broken in it, what is sealed.
/// The secrets in it.
async fn in_stores(world: &World, log: &Log) -> Vec<String> {
    use reqwest_oauth2::store::{
        FileStore, MemoryStore, Record, Sealed, SealingKey, TokenKey, TokenStore,
    };
    use reqwest_oauth2::{Sessions, User};

    let directory = tempfile::tempdir().unwrap();
    let memory = Arc::new(MemoryStore::new());
    let token = world.token();
    let mut secrets =
        vec![token.access_token().to_owned(), token.refresh_token().unwrap().to_owned()];
    secrets.extend(["br0ken".to_owned(), "k".repeat(32), "107, 107, 107".to_owned()]);
    let key = TokenKey::new(&world.provider.token_url(), "foo", "alice");
    let broken = Record::new(r#"{"access_token": "br0ken""#);
    log.note((&broken, &key));
    let file = FileStore::directory(directory.path());
    let sealing = || SealingKey::new("one", [b'k'; 32]);
    let sealed = Sealed::new(memory.clone(), sealing());
    log.note((&memory, &file, &sealed, sealing(), User::from("alice")));
    for store in [memory.clone() as Arc<dyn TokenStore>, Arc::new(file), Arc::new(sealed)] {
        let build = || {
            let clock = world.clock.reader();
            let sessions = Sessions::builder(world.app()).each(|session| session.clock(clock));
            log.note(&sessions);
            sessions.store(store.clone()).build()
        };
        // What is left of the one before is not sealed, or not a token.
        if let Ok(record) = store.commit(&key, None, &broken).await {
            log.note(&record);
        }
        log.note_error(&build().session("alice").token().await.unwrap_err());
        let _ = store.delete(&key).await;
        let sessions = build();
        sessions.sign_in("alice", token.clone()).await.unwrap();
        log.note((
            &sessions,
            sessions.session("alice"),
            sessions.header(&User::from("alice")).unwrap(),
        ));
        let renewed = sessions.session("alice").refresh().await;
        match renewed {
            Ok(renewed) => secrets.extend([
                renewed.access_token().to_owned(),
                renewed.refresh_token().unwrap().to_owned(),
            ]),
            // It was renewed in the store before.
            Err(error) => log.note_error(&error),
        }
        log.note(store.load(&key).await.unwrap());
        sessions.sign_out("alice").await.unwrap();
        log.note_error(&build().session("alice").token().await.unwrap_err());
        sessions.forget("alice").await.unwrap();
    }
    secrets
}

#[tokio::test]
async fn the_header_is_marked_sensitive() {
    use reqwest_middleware::{ClientBuilder, Next};
    struct Look;
    #[async_trait::async_trait]
    impl reqwest_middleware::Middleware for Look {
        async fn handle(
            &self,
            request: reqwest::Request,
            _: &mut http::Extensions,
            _: Next<'_>,
        ) -> reqwest_middleware::Result<reqwest::Response> {
            assert!(request.headers()["authorization"].is_sensitive());
            assert!(!format!("{request:?}").contains("at-"));
            Ok(http::Response::new("").into())
        }
    }
    let world = World::new().await;
    let session = world.session().token(world.token()).build();
    let http = ClientBuilder::new(reqwest::Client::new())
        .with(session.middleware([world.provider.origin()]).unwrap())
        .with(Look)
        .build();
    http.get(world.provider.api_url()).send().await.unwrap();
}
