//! Sessions of many users over each store: what they show, what is broken in it, what is sealed.

use std::sync::Arc;

use reqwest_oauth2::store::{
    FileStore, Lease, MemoryStore, PostgresStore, Record, RedisStore, Sealed, SealingKey,
    SqliteStore, TokenKey, TokenStore,
};
use reqwest_oauth2::{Sessions, User};

use crate::logins::{app, world};
use crate::show::Show;

const KEY: &[u8; 32] = b"sealing-key-of-thirty-two-bytes!";

pub async fn all(show: &Show) {
    let world = world(show).await;
    let token = world.token();
    show.token(&token);
    show.secret("sealing key", std::str::from_utf8(KEY).unwrap());
    let key = TokenKey::new(
        &format!("{}?key={}", world.provider.token_url(), crate::logins::QUERY),
        "foo",
        "alice",
    );
    let broken = Record::new(r#"{"access_token": "access-token-of-half-a-document"#);
    show.secret("access token", "access-token-of-half-a-document");
    show.note(&broken);
    show.note(&key);
    show.note(&Lease::new(std::time::Duration::from_secs(10)));
    let directory = tempfile::tempdir().unwrap();
    let (memory, file) =
        (Arc::new(MemoryStore::new()), FileStore::directory(directory.path().join("files")));
    let sealing = || SealingKey::new("one", *KEY);
    let sealed = Sealed::new(memory.clone(), sealing());
    let sqlite = SqliteStore::open(directory.path().join("tokens.db")).await.unwrap();
    show.error(&sqlite.load(&key).await.unwrap_err().into());
    sqlite.migrate().await.unwrap();
    show.note(&*memory);
    show.note(&file);
    show.note(&sealed);
    show.note(&sealing());
    show.note(&sqlite);
    show.note(&User::from("alice"));
    let stores: [Arc<dyn TokenStore>; 4] =
        [memory.clone(), Arc::new(file), Arc::new(sealed), Arc::new(sqlite)];
    for store in stores {
        let build = || {
            let clock = world.clock.reader();
            let sessions = Sessions::builder(app(&world)).each(|session| session.clock(clock));
            show.note(&sessions);
            sessions.store(store.clone()).build()
        };
        // What is left of the one before is not sealed, or not a token.
        match store.commit(&key, None, &broken).await {
            Ok(committed) => show.note(&committed),
            Err(error) => show.note(&error),
        }
        show.error(&build().session("alice").token().await.unwrap_err());
        let _ = store.delete(&key).await;
        let sessions = build();
        let token = world.token();
        sessions.sign_in("alice", token.clone()).await.unwrap();
        show.token(&token);
        show.note(&sessions);
        show.note(&sessions.session("alice"));
        show.note(&sessions.header(&User::from("alice")).unwrap());
        show.outcome(&sessions.session("alice").refresh().await);
        let record = store.load(&key).await.unwrap();
        show.note(record.as_ref().unwrap());
        show.note(&record.unwrap().version());
        sessions.sign_out("alice").await.unwrap();
        show.error(&build().session("alice").token().await.unwrap_err());
        sessions.forget("alice").await.unwrap();
    }
    away(show);
    show.provider(&world.provider);
}

/// Stores whose password is a secret too.
fn away(show: &Show) {
    show.secret("password of the store", "password-of-the-database");
    let url = "postgres://me:password-of-the-database@127.0.0.1:1/db";
    let pool = sqlx::postgres::PgPoolOptions::new().connect_lazy(url).unwrap();
    let postgres = PostgresStore::new(pool);
    show.note(&postgres);
    let client = redis::Client::open("redis://:password-of-the-database@127.0.0.1:1/").unwrap();
    let config = redis::aio::ConnectionManagerConfig::new();
    let manager = redis::aio::ConnectionManager::new_lazy_with_config(client, config).unwrap();
    let redis = RedisStore::new(manager);
    show.note(&redis);
}
