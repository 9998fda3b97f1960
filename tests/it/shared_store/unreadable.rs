//! What is stored cannot be read: a new login replaces it, and nothing else does.

use std::path::Path;

use reqwest_oauth2::store::FileStore;
#[cfg(feature = "encryption")]
use reqwest_oauth2::store::{EncryptedStore, EncryptionKey};
use reqwest_oauth2::{ClientCredentials, Session};
use serde_json::json;

use super::fleet::Fleet;
use crate::faulty_store::{Calls, Fault as StoreFault};
use crate::support::{World, pass};

/// Documents of no session: a store takes them, and nobody finds a token there.
const BROKEN: [&str; 6] = [
    "null",
    "[]",
    "{}",
    r#"{"access_token":5}"#,
    r#"{"access_token":"a","reqwest_oauth2":{"form":"of a later time"}}"#,
    r#""s3cret""#,
];

#[tokio::test]
async fn a_sign_in_replaces_a_record_that_cannot_be_read() {
    for broken in BROKEN {
        let fleet = Fleet::new().await;
        fleet.store.put(&fleet.key(), broken);
        let session = fleet.sibling();
        let error = session.token().await.unwrap_err();
        assert!(error.is_store(), "{broken}: {error}");
        assert_eq!(
            error.to_string(),
            "what the token store holds cannot be read; it stays as it is until a new login replaces it"
        );
        assert_eq!(fleet.store.stored(&fleet.key()).unwrap().json(), broken, "it stays");
        let token = fleet.world.token();
        session.set_token(token.clone()).await.unwrap();
        fleet.assert_stored(&token);
        assert!(session.save_error().is_none(), "{broken}");
        // As for a session that has not looked before.
        fleet.store.put(&fleet.key(), broken);
        let token = fleet.world.token();
        fleet.builder().strict_saving().build().set_token(token.clone()).await.unwrap();
        fleet.assert_stored(&token);
        assert_eq!(fleet.token_requests(), 0, "{broken}");
    }
}

/// It is broken while a session that knows the login has its token.
#[tokio::test]
async fn a_record_that_breaks_later_is_replaced_too() {
    let fleet = Fleet::new().await;
    fleet.signed_in(fleet.world.token()).await;
    let session = fleet.builder().strict_saving().build();
    session.token().await.unwrap();
    fleet.store.put(&fleet.key(), "[]");
    let token = fleet.world.token();
    session.set_token(token.clone()).await.unwrap();
    fleet.assert_stored(&token);
}

#[tokio::test]
async fn a_sign_out_replaces_it_and_revokes_the_token_in_memory() {
    let fleet = Fleet::new().await;
    fleet.signed_in(fleet.world.token()).await;
    let session = fleet.revoking().build();
    let token = session.token().await.unwrap();
    fleet.store.put(&fleet.key(), "[]");
    session.sign_out().await.unwrap();
    assert_eq!(fleet.bookkeeping()["state"], "signed_out");
    assert!(!fleet.world.provider.accepts_refresh_token(token.refresh_token().unwrap()));
}

/// Somebody may fix it.
#[tokio::test]
async fn a_renewal_neither_replaces_it_nor_asks_the_provider() {
    let fleet = Fleet::new().await;
    fleet.signed_in(fleet.world.token()).await;
    let knows = fleet.sibling();
    knows.token().await.unwrap();
    fleet.world.clock.forward(3600.0);
    let before = fleet.document().to_string();
    fleet.store.put(&fleet.key(), "[]");
    for session in [&knows, &fleet.sibling()] {
        for _ in 0..3 {
            assert!(session.token().await.unwrap_err().is_store());
            pass(3600).await;
        }
        session.shutdown().await.unwrap();
    }
    assert_eq!(fleet.store.stored(&fleet.key()).unwrap().json(), "[]");
    assert_eq!(fleet.token_requests(), 0);
    // A service needs no record, and writes none.
    fleet.builder().grant(ClientCredentials::new()).build().token().await.unwrap();
    assert_eq!(fleet.store.stored(&fleet.key()).unwrap().json(), "[]");
    assert_eq!(fleet.token_requests(), 1);
    fleet.store.put(&fleet.key(), &before);
    pass(3600).await;
    fleet.meanwhile(knows.token()).await.unwrap();
    fleet.assert_renewals(2);
}

/// The store fails, and then turns out to hold what cannot be read.
#[tokio::test]
async fn a_sign_in_replaces_it_at_once_when_the_store_is_back() {
    let fleet = Fleet::new().await;
    fleet.store.put(&fleet.key(), "[]");
    let session = fleet.builder().strict_saving().build();
    fleet.store.always(Calls::All, StoreFault::FailBefore);
    let token = fleet.world.token();
    assert!(session.set_token(token.clone()).await.unwrap_err().is_save());
    fleet.store.heal();
    fleet.meanwhile(session.shutdown()).await.unwrap();
    fleet.assert_stored(&token);
}

/// A store that cannot name the version: as before, somebody has to fix it.
#[tokio::test]
async fn without_a_version_it_stays_and_the_token_is_used_from_memory() {
    let fleet = Fleet::new().await;
    let session = fleet.sibling();
    fleet.store.always(Calls::All, StoreFault::Corrupt);
    let token = fleet.world.token();
    session.set_token(token.clone()).await.unwrap();
    assert_eq!(session.token().await.unwrap().access_token(), token.access_token());
    let error = session.save_error().unwrap();
    assert!(error.is_save(), "{error}");
    assert!(fleet.store.stored(&fleet.key()).is_none());
    fleet.store.heal();
    fleet.meanwhile(session.shutdown()).await.unwrap();
    fleet.assert_stored(&token);
}

/// What another key has encrypted.
#[cfg(feature = "encryption")]
#[tokio::test]
async fn a_sign_in_replaces_what_cannot_be_decrypted() {
    let fleet = Fleet::new().await;
    let session = |byte| {
        let key = EncryptionKey::new("1", [byte; 32]);
        let store = EncryptedStore::new(fleet.store.clone(), key);
        fleet.world.session().store(store, "alice").strict_saving().build()
    };
    session(1).set_token(fleet.world.token()).await.unwrap();
    let other = session(2);
    assert!(other.token().await.unwrap_err().is_store());
    let token = fleet.world.token();
    other.set_token(token.clone()).await.unwrap();
    assert_eq!(session(2).token().await.unwrap().access_token(), token.access_token());
}

fn of_file(world: &World, path: &Path) -> Session {
    world.session().store(FileStore::file(path), "alice").strict_saving().build()
}

#[tokio::test]
async fn a_sign_in_replaces_a_broken_token_file_and_keeps_it_aside() {
    for broken in
        [&b"{\"access_token\":\"s3cret\""[..], b"\0\0\0\0", b"\"s3cret\xff\"", b"null", b"{}"]
    {
        let world = World::new().await;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("token.json");
        std::fs::write(&path, broken).unwrap();
        let session = of_file(&world, &path);
        let error = session.token().await.unwrap_err();
        assert!(error.is_store() && !error.is_reauthorization_required(), "{error}");
        assert_eq!(std::fs::read(&path).unwrap(), broken, "it stays");
        let token = world.token();
        session.set_token(token.clone()).await.unwrap();
        assert_eq!(std::fs::read(directory.path().join("token.json.broken")).unwrap(), broken);
        let loaded = of_file(&world, &path).token().await.unwrap();
        assert_eq!(loaded.access_token(), token.access_token());
        assert_eq!(world.provider.counts().token_requests, 0);
    }
}

/// Somebody made it for a container to mount: nothing is lost with it.
#[tokio::test]
async fn an_empty_token_file_is_no_login_yet() {
    let world = World::new().await;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("token.json");
    std::fs::write(&path, "").unwrap();
    let error = of_file(&world, &path).token().await.unwrap_err();
    assert!(error.is_reauthorization_required(), "{error}");
    let token = world.token();
    of_file(&world, &path).set_token(token.clone()).await.unwrap();
    let stored: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    assert_eq!(stored["access_token"], json!(token.access_token()));
    assert!(!directory.path().join("token.json.broken").exists(), "there was nothing to keep");
    // A service needs no person for its first token.
    let path = directory.path().join("service.json");
    std::fs::write(&path, "").unwrap();
    let store = FileStore::file(&path);
    let service = world.session().grant(ClientCredentials::new()).store(store, "").build();
    service.token().await.unwrap();
}
