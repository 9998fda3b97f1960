//! Another key of `EncryptedStore`: a login is kept with its client and its registration.

use reqwest_oauth2::ResourceSession;
use reqwest_oauth2::store::{EncryptedStore, EncryptionKey, TokenKey};

use super::sessions::{get, login, world};
use crate::faulty_store::FaultyStore;
use crate::support::World;

type Store = EncryptedStore<FaultyStore>;

fn key(id: &str) -> EncryptionKey {
    EncryptionKey::new(id, [id.as_bytes()[0]; 32])
}

fn old(inner: &FaultyStore) -> Store {
    EncryptedStore::new(inner.clone(), key("old"))
}

fn new(inner: &FaultyStore) -> Store {
    EncryptedStore::new(inner.clone(), key("new"))
}

fn both(inner: &FaultyStore) -> Store {
    new(inner).add_decryption_key(key("old"))
}

/// Another process, which gets an answer of the API.
async fn restart(world: &World, store: Store) -> ResourceSession {
    let builder = login(world).session().unwrap().clock(world.clock.reader());
    let session = builder.store(store, "me").build();
    assert_eq!(get(world, &session, "").await, 200);
    session.shutdown().await.unwrap();
    session
}

#[tokio::test]
async fn a_login_that_was_loaded_goes_on_when_the_old_key_is_dropped() {
    let (world, inner) = (world(|p| p).await, FaultyStore::default());
    restart(&world, old(&inner)).await;
    world.clock.forward(3600.0);
    restart(&world, both(&inner)).await;
    restart(&world, new(&inner)).await;
    let counts = world.provider.counts();
    assert_eq!((counts.registrations, counts.authorizations), (1, 1));
}

#[tokio::test]
async fn a_registration_that_was_rewritten_goes_on_when_the_old_key_is_dropped() {
    let (world, inner) = (world(|p| p).await, FaultyStore::default());
    restart(&world, old(&inner)).await;
    for text in inner.keys() {
        both(&inner).rewrite(&TokenKey::from_text(&text).unwrap()).await.unwrap();
    }
    let session = restart(&world, new(&inner)).await;
    session.sign_out().await.unwrap();
    restart(&world, new(&inner)).await;
    let counts = world.provider.counts();
    assert_eq!((counts.registrations, counts.authorizations), (1, 2));
}
