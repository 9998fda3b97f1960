//! Records in the keychain.

use std::error::Error as _;
use std::path::PathBuf;

use reqwest_oauth2::store::{KeyringStore, Record, SwapOutcome, TokenKey, TokenStore};
use reqwest_oauth2::testing::check_store;

use crate::keychain::{self, Found};

pub(crate) fn key() -> TokenKey {
    TokenKey::new("https://issuer.example", "foo", "alice@example.com")
}

/// Stores the first record.
pub(crate) async fn store_first(store: &KeyringStore, json: &str) {
    let outcome = store.compare_and_swap(&key(), None, &Record::new(json)).await.unwrap();
    assert!(matches!(outcome, SwapOutcome::Stored(_)));
}

pub(crate) async fn load(store: &KeyringStore) -> Option<String> {
    store.load(&key()).await.unwrap().map(|record| record.json().to_owned())
}

fn locks() -> PathBuf {
    std::env::home_dir().unwrap().join(".local/state/reqwest-oauth2")
}

pub(crate) async fn suite() {
    check_store(async || KeyringStore::new("suite")).await;
}

pub(crate) async fn what_people_see_in_the_keychain() {
    store_first(&KeyringStore::new("seen"), r#"{"access_token":"one"}"#).await;
    let [entry] = &keychain::entries("seen").await[..] else { panic!("one entry") };
    assert_eq!(entry.secret, br#"{"access_token":"one"}"#, "the document and nothing else");
    let (user, hash) = entry.user.rsplit_once('-').unwrap();
    assert_eq!((user, hash.len()), ("alice@example.com", 64));
}

pub(crate) async fn services_are_apart() {
    let one = KeyringStore::new("one");
    store_first(&one, "1").await;
    let other = KeyringStore::new("other");
    assert_eq!(load(&other).await, None);
    store_first(&other, "2").await;
    assert_eq!(load(&one).await.as_deref(), Some("1"));
}

pub(crate) async fn lock_files() {
    use std::os::unix::fs::PermissionsExt;
    let mode = |path: &PathBuf| path.metadata().unwrap().permissions().mode() & 0o777;
    store_first(&KeyringStore::new("lock files"), "1").await;
    let [entry] = &keychain::entries("lock files").await[..] else { panic!("one entry") };
    let file = locks().join(format!("{}.lock", entry.user));
    assert_eq!(mode(&file), 0o600);
    assert_eq!(mode(&locks()), 0o700);

    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a/b");
    let store = KeyringStore::new("lock files elsewhere").lock_directory(&path);
    store_first(&store, "1").await;
    assert!(path.join(file.file_name().unwrap()).exists());
}

pub(crate) async fn no_place_for_lock_files() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let store = KeyringStore::new("no place").lock_directory(file.path().join("locks"));
    let error = store.load(&key()).await.unwrap_err();
    assert!(error.is_config(), "{error:?}");
}

pub(crate) async fn entries_that_are_no_documents() {
    for secret in [&b"s3cret \xff\xfe"[..], b"s3cret", b"", b"parts a 1 s3cret"] {
        let store = KeyringStore::new("foreign");
        store.load(&key()).await.ok();
        keychain::put("foreign", &user_of_key().await, secret, true).await;
        let before = keychain::entries("foreign").await;
        let error = store.load(&key()).await.unwrap_err();
        assert!(error.is_corrupt(), "{error:?}");
        assert!(!format!("{error:?}").contains("s3cret"), "{error:?}");
        let new = Record::new("{}");
        assert!(store.compare_and_swap(&key(), None, &new).await.unwrap_err().is_corrupt());
        assert_eq!(keychain::entries("foreign").await, before, "it stays as it is");
        let outcome = store.compare_and_swap(&key(), error.version(), &new).await.unwrap();
        assert!(matches!(outcome, SwapOutcome::Stored(_)), "unless somebody names its version");
        assert_eq!(load(&store).await.as_deref(), Some("{}"));
    }
}

pub(crate) async fn two_entries_for_a_record() {
    let store = KeyringStore::new("twice");
    store_first(&store, "1").await;
    keychain::put("twice", &user_of_key().await, b"2", false).await;
    let error = store.load(&key()).await.unwrap_err();
    assert!(error.is_corrupt(), "{error:?}");
    assert_eq!(
        error.source().unwrap().to_string(),
        "the keychain has several entries for this record; delete all but one"
    );
    let secrets = |entries: Vec<Found>| entries.into_iter().map(|entry| entry.secret);
    let mut secrets: Vec<_> = secrets(keychain::entries("twice").await).collect();
    secrets.sort();
    assert_eq!(secrets, [b"1", b"2"]);
}

/// The user name that the store gives to the entry of [`key`].
async fn user_of_key() -> String {
    if keychain::entries("name").await.is_empty() {
        store_first(&KeyringStore::new("name"), "1").await;
    }
    keychain::entries("name").await.remove(0).user
}

pub(crate) async fn a_restart() {
    let store = KeyringStore::new("restart");
    store_first(&store, r#"{"n":1}"#).await;
    keychain::restart();
    assert_eq!(load(&store).await.as_deref(), Some(r#"{"n":1}"#), "the same store goes on");
    assert_eq!(load(&KeyringStore::new("restart")).await.as_deref(), Some(r#"{"n":1}"#));
}

/// GNOME Keyring aborts now and then if a connection begins with a session while others ask, too.
pub(crate) async fn many_connections_while_others_ask() {
    let store = KeyringStore::new("many connections");
    store_first(&store, "1").await;
    let connections = [keychain::connect().await, keychain::connect().await];
    let others = connections.map(|connection| {
        tokio::spawn(async move {
            while let Err(secret_service::Error::NoResult) =
                connection.get_collection_by_alias("none").await
            {}
        })
    });
    for _ in 0..1000 {
        assert_eq!(load(&store).await.as_deref(), Some("1"));
    }
    for other in others {
        assert!(!other.is_finished(), "the keychain still answers the others");
        other.abort();
    }
}
