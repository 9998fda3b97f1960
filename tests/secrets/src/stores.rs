//! Sessions that share a store: what they show, what is broken in it, what is encrypted.

use std::sync::Arc;

use reqwest_oauth2::store::{
    EncryptedStore, EncryptionKey, FileStore, KeyringStore, MemoryStore, PostgresStore, Record,
    SqliteStore, StoreError, SwapOutcome, TokenKey, TokenStore,
};
use reqwest_oauth2::{UserId, UserSessions};
use sqlx::postgres::PgPoolOptions;
use sqlx::sqlite::SqlitePoolOptions;

use crate::log::Log;
use crate::secrets::Secrets;
use crate::support::{World, plain_http};

pub async fn run(log: &Log, secrets: &mut Secrets) {
    let world = World::new().await;
    let directory = tempfile::tempdir().unwrap();
    let memory = Arc::new(MemoryStore::new());
    let file = FileStore::directory(directory.path());
    let pool = SqlitePoolOptions::new().max_connections(1).connect("sqlite::memory:");
    let sqlite = SqliteStore::new(pool.await.unwrap());
    sqlite.migrate().await.unwrap();
    let key = secrets.plant("encryption key", "a key of thirty-two characters..");
    let encryption_key = || EncryptionKey::new("one", key.as_bytes().try_into().unwrap());
    let encrypted = EncryptedStore::new(MemoryStore::new(), encryption_key());
    log.show(&*memory);
    log.show(&file);
    log.show(&sqlite);
    log.show(&KeyringStore::new("service"));
    log.show(&encrypted);
    log.show(&encryption_key());
    log.show(&UserId::from("alice"));
    no_server(log, secrets, &world).await;
    let stores: [Arc<dyn TokenStore>; 4] =
        [memory.clone(), Arc::new(file), Arc::new(encrypted), Arc::new(sqlite)];
    for store in stores {
        used(log, secrets, &world, store).await;
    }
    let key = TokenKey::new(&world.provider.token_url(), "foo", "alice");
    log.show_error(&EncryptedStore::new(memory, encryption_key()).load(&key).await.unwrap_err());
}

async fn used(log: &Log, secrets: &mut Secrets, world: &World, store: Arc<dyn TokenStore>) {
    let key = TokenKey::new(&world.provider.token_url(), "foo", "alice");
    let broken = secrets.plant("broken document", "br0ken-document");
    let broken = Record::new(format!(r#"{{"access_token": "{broken}""#));
    log.show(&broken);
    log.show(&broken.version());
    log.show(&key);
    let build = || {
        let clock = world.clock.reader();
        let sessions =
            UserSessions::builder(world.app()).configure_sessions(|session| session.clock(clock));
        log.show(&sessions);
        sessions.store(store.clone()).build()
    };
    // Some stores refuse it.
    let swapped = store.compare_and_swap(&key, None, &broken).await;
    log.show_error(&build().for_user("alice").token().await.unwrap_err());
    match swapped {
        Ok(SwapOutcome::Stored(version)) => {
            let plain = serde_json::to_string(&world.token()).unwrap();
            let over = store.compare_and_swap(&key, Some(version), &Record::new(plain)).await;
            log.show(&over.unwrap());
        }
        Ok(conflict) => panic!("{conflict:?}"),
        Err(error) => log.show_error(&error),
    }
    let sessions = build();
    let token = world.token();
    secrets.plant_token(&token);
    sessions.sign_in("alice", token).await.unwrap();
    log.show(&sessions);
    log.show(&sessions.for_user("alice"));
    log.show(&sessions.header(&UserId::from("alice")).unwrap());
    let renewed = sessions.for_user("alice").refresh().await.unwrap();
    secrets.plant_token(&renewed);
    log.show(&store.load(&key).await.unwrap().unwrap());
    let layer = sessions.middleware([world.provider.origin()]).unwrap();
    let http = reqwest_middleware::ClientBuilder::new(plain_http()).with(layer).build();
    let request = || http.get(world.provider.api_url());
    let response = request().with_extension(UserId::from("alice")).send().await.unwrap();
    log.show(&response);
    log.show(&request().send().await.unwrap_err());
    sessions.sign_out("alice").await.unwrap();
    log.show_error(&build().for_user("alice").token().await.unwrap_err());
}

/// A database that is not there, with a password in its URL.
async fn no_server(log: &Log, secrets: &mut Secrets, world: &World) {
    let password = secrets.plant("database password", "pa55word-of-the-database");
    let pool = PgPoolOptions::new()
        .acquire_timeout(std::time::Duration::from_millis(1))
        .connect_lazy(&format!("postgres://user:{password}@127.0.0.1:1/db"))
        .unwrap();
    let store = PostgresStore::new(pool);
    log.show(&store);
    let key = TokenKey::new(&world.provider.token_url(), "foo", "alice");
    let loading = store.load(&key);
    tokio::pin!(loading);
    let error: StoreError = loop {
        tokio::select! {
            biased;
            loaded = &mut loading => break loaded.unwrap_err(),
            () = world.round_trips() => crate::support::pass(1).await,
        }
    };
    log.show_error(&error);
}
