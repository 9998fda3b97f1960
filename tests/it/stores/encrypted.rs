//! Encrypted records: what a store holds of them, and which ones cannot be decrypted.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use async_trait::async_trait;
use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use reqwest_oauth2::store::{
    EncryptedStore, EncryptionKey, FileStore, MemoryStore, Record, StoreError, SwapOutcome,
    TokenKey, TokenStore, Version,
};
use serde_json::Value;
use tokio::time::timeout;

use super::stored;
use crate::faulty_store::{Calls, Fault, FaultyStore};

const JSON: &str = r#"{"access_token":"s3cret","refresh_token":"hush"}"#;

fn key_of(user: &str) -> TokenKey {
    TokenKey::new("https://a.example", "foo", user)
}

/// A key whose bytes follow from its number.
fn encryption_key(id: &str, number: u8) -> EncryptionKey {
    EncryptionKey::new(id, [number; 32])
}

/// What is under it all, to look at and to tamper with.
struct Under(Arc<MemoryStore>);

impl Under {
    fn new() -> Self {
        Self(Arc::new(MemoryStore::new()))
    }

    fn encrypted(&self, key: EncryptionKey) -> EncryptedStore<Arc<MemoryStore>> {
        EncryptedStore::new(self.0.clone(), key)
    }

    /// With the new key, to encrypt, and the old one.
    fn new_and_old(&self) -> EncryptedStore<Arc<MemoryStore>> {
        self.encrypted(encryption_key("new", 2)).add_decryption_key(encryption_key("old", 1))
    }

    async fn stored(&self, user: &str) -> String {
        self.0.load(&key_of(user)).await.unwrap().unwrap().json().to_owned()
    }

    async fn put(&self, user: &str, json: &str) {
        let key = key_of(user);
        let expected = self.0.load(&key).await.unwrap().map(|record| record.version());
        stored(self.0.compare_and_swap(&key, expected, &Record::new(json)).await);
    }
}

async fn save(store: &impl TokenStore, user: &str, expected: Option<Version>) -> Version {
    stored(store.compare_and_swap(&key_of(user), expected, &Record::new(JSON)).await)
}

async fn opened(store: &impl TokenStore, user: &str) -> Result<String, StoreError> {
    Ok(store.load(&key_of(user)).await?.unwrap().json().to_owned())
}

/// Neither a load nor a swap gets through, and what is stored stays.
async fn refused(under: &Under, store: &impl TokenStore, user: &str) -> StoreError {
    let before = under.stored(user).await;
    let on_load = opened(store, user).await.unwrap_err();
    let on_swap =
        store.compare_and_swap(&key_of(user), None, &Record::new("{}")).await.unwrap_err();
    assert_eq!(on_load.is_config(), on_swap.is_config(), "{on_load:?} {on_swap:?}");
    assert!(!format!("{on_load:?}{on_swap:?}").contains("s3cret"));
    assert_eq!(under.stored(user).await, before);
    on_load
}

#[tokio::test]
async fn no_token_is_in_what_is_stored() {
    let under = Under::new();
    let store = under.encrypted(encryption_key("1", 1));
    let first = save(&store, "alice", None).await;
    let stored = under.stored("alice").await;
    let envelope: Value = serde_json::from_str(&stored).unwrap();
    assert_eq!((&envelope["sealed"], &envelope["kid"]), (&"v1".into(), &"1".into()));
    let data = envelope["data"].as_str().unwrap();
    let data = BASE64_URL_SAFE_NO_PAD.decode(data).unwrap();
    assert_eq!(data.len(), JSON.len() + 16, "the text, and what authenticates it");
    for text in [stored.as_bytes(), &data] {
        let text = String::from_utf8_lossy(text);
        assert!(!["s3cret", "hush", "token"].iter().any(|word| text.contains(word)), "{text}");
    }
    save(&store, "alice", Some(first)).await;
    assert_ne!(under.stored("alice").await, stored, "encrypted again with another nonce");
    assert_eq!(opened(&store, "alice").await.unwrap(), JSON);
}

#[tokio::test]
async fn a_file_of_encrypted_records_is_json_without_a_token() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("token.json");
    let store = EncryptedStore::new(FileStore::file(&path), encryption_key("1", 1));
    let first = save(&store, "alice", None).await;
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap()["sealed"], "v1");
    assert!(!text.contains("s3cret"));
    save(&store, "alice", Some(first)).await;
}

#[tokio::test]
async fn a_record_moved_to_another_user_cannot_be_decrypted() {
    let under = Under::new();
    let store = under.encrypted(encryption_key("1", 1));
    save(&store, "alice", None).await;
    under.put("mallory", &under.stored("alice").await).await;
    assert!(refused(&under, &store, "mallory").await.is_corrupt());
    assert_eq!(opened(&store, "alice").await.unwrap(), JSON);
}

#[tokio::test]
async fn a_record_with_any_part_changed_cannot_be_decrypted() {
    let under = Under::new();
    // The same bytes under another id: only the name of the key is changed.
    let store = under.encrypted(encryption_key("1", 1)).add_decryption_key(encryption_key("2", 1));
    save(&store, "alice", None).await;
    let whole: Value = serde_json::from_str(&under.stored("alice").await).unwrap();
    let turned = |member: &str, at: usize| {
        let mut bytes = BASE64_URL_SAFE_NO_PAD.decode(whole[member].as_str().unwrap()).unwrap();
        bytes[at] ^= 1;
        BASE64_URL_SAFE_NO_PAD.encode(bytes)
    };
    let data = whole["data"].as_str().unwrap();
    for (member, value) in [
        ("sealed", "v2".into()),
        ("sealed", 1.into()),
        ("kid", "2".into()),
        ("nonce", turned("nonce", 0).into()),
        ("nonce", turned("nonce", 23).into()),
        ("nonce", "".into()),
        ("nonce", "A".repeat(31).into()),
        ("nonce", "?".into()),
        ("data", turned("data", 0).into()),
        ("data", turned("data", JSON.len()).into()),
        ("data", data[..data.len() - 4].into()),
        ("data", "".into()),
        ("data", Value::Null),
        ("more", "".into()),
    ] {
        let mut changed = whole.clone();
        changed[member] = value;
        under.put("alice", &changed.to_string()).await;
        let error = refused(&under, &store, "alice").await;
        assert!(error.is_corrupt(), "{changed}: {error:?}");
    }
    under.put("alice", &whole.to_string()).await;
    assert_eq!(opened(&store, "alice").await.unwrap(), JSON);
}

#[tokio::test]
async fn another_key_does_not_decrypt() {
    let under = Under::new();
    save(&under.encrypted(encryption_key("1", 1)), "alice", None).await;
    let same_id = under.encrypted(encryption_key("1", 2));
    assert!(refused(&under, &same_id, "alice").await.is_corrupt());
    let other_id = under.encrypted(encryption_key("2", 1));
    let error = refused(&under, &other_id, "alice").await;
    assert!(error.is_config() && format!("{error:?}").contains(r#"\"1\""#), "{error:?}");
}

#[tokio::test]
async fn the_key_is_changed_with_the_next_swap() {
    let under = Under::new();
    let first = save(&under.encrypted(encryption_key("old", 1)), "alice", None).await;
    save(&under.new_and_old(), "alice", Some(first)).await;
    assert_eq!(opened(&under.encrypted(encryption_key("new", 2)), "alice").await.unwrap(), JSON);
    let error = refused(&under, &under.encrypted(encryption_key("old", 1)), "alice").await;
    assert!(error.is_config());
}

#[tokio::test]
async fn the_key_is_changed_with_the_next_load() {
    let under = Under::new();
    let (old, both) = (under.encrypted(encryption_key("old", 1)), under.new_and_old());
    save(&old, "alice", None).await;
    let loaded = both.load(&key_of("alice")).await.unwrap().unwrap();
    assert_eq!(loaded.json(), JSON);
    let stored = under.stored("alice").await;
    assert_eq!(loaded.version(), Record::new(&*stored).version(), "a swap expects the new version");
    // Once.
    opened(&both, "alice").await.unwrap();
    assert_eq!(under.stored("alice").await, stored);
    assert_eq!(opened(&under.encrypted(encryption_key("new", 2)), "alice").await.unwrap(), JSON);
    // Of keys with the same id too.
    let same_id = under.encrypted(encryption_key("new", 3));
    let both = same_id.add_decryption_key(encryption_key("new", 2));
    assert_eq!(opened(&both, "alice").await.unwrap(), JSON);
    assert_eq!(opened(&under.encrypted(encryption_key("new", 3)), "alice").await.unwrap(), JSON);
}

/// As while processes are replaced one after the other.
#[tokio::test]
async fn processes_with_both_keys_in_another_order_read_what_the_other_one_wrote() {
    let under = Under::new();
    let old = under.encrypted(encryption_key("old", 1));
    let old = old.add_decryption_key(encryption_key("new", 2));
    let new = under.new_and_old();
    let mut version = save(&old, "alice", None).await;
    for store in [&new, &old] {
        assert_eq!(opened(store, "alice").await.unwrap(), JSON);
        let outcome =
            store.compare_and_swap(&key_of("alice"), Some(version), &Record::new(JSON)).await;
        let SwapOutcome::Conflict(Some(found)) = outcome.unwrap() else { panic!("stored") };
        assert_eq!(found.json(), JSON);
        version = found.version();
    }
    // Each rewrites it once: in turn, sessions would never see it unchanged.
    for store in [&new, &old] {
        let loaded = store.load(&key_of("alice")).await.unwrap().unwrap();
        assert_eq!((loaded.json(), loaded.version()), (JSON, version));
    }
    save(&new, "alice", Some(version)).await;
    assert_eq!(opened(&under.encrypted(encryption_key("new", 2)), "alice").await.unwrap(), JSON);
}

#[tokio::test]
async fn a_record_that_nobody_loads_is_rewritten() {
    let under = Under::new();
    save(&under.encrypted(encryption_key("old", 1)), "alice", None).await;
    let both = under.new_and_old();
    both.rewrite(&key_of("alice")).await.unwrap();
    let stored = under.stored("alice").await;
    assert_eq!(opened(&under.encrypted(encryption_key("new", 2)), "alice").await.unwrap(), JSON);
    both.rewrite(&key_of("alice")).await.unwrap();
    assert_eq!(under.stored("alice").await, stored);
    both.rewrite(&key_of("nobody")).await.unwrap();
    assert!(under.0.load(&key_of("nobody")).await.unwrap().is_none());
    let other = under.encrypted(encryption_key("other", 3));
    assert!(other.rewrite(&key_of("alice")).await.unwrap_err().is_config());
}

/// Another process changes the record before each of the next swaps.
struct Busy(FaultyStore, AtomicUsize);

#[async_trait]
impl TokenStore for Busy {
    async fn load(&self, key: &TokenKey) -> Result<Option<Record>, StoreError> {
        self.0.load(key).await
    }

    async fn compare_and_swap(
        &self,
        key: &TokenKey,
        expected: Option<Version>,
        record: &Record,
    ) -> Result<SwapOutcome, StoreError> {
        let left = self.1.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1));
        if left.is_ok() {
            let old = EncryptedStore::new(self.0.clone(), encryption_key("old", 1));
            let there = self.0.stored(key).map(|there| there.version());
            stored(old.compare_and_swap(key, there, &Record::new(JSON)).await);
        }
        self.0.compare_and_swap(key, expected, record).await
    }
}

#[tokio::test]
async fn a_record_that_others_change_is_rewritten_within_three_attempts() {
    for (changes, is_rewritten) in [(2, true), (3, false)] {
        let inner = FaultyStore::default();
        save(&EncryptedStore::new(inner.clone(), encryption_key("old", 1)), "alice", None).await;
        let busy = Busy(inner, changes.into());
        let both = EncryptedStore::new(busy, encryption_key("new", 2))
            .add_decryption_key(encryption_key("old", 1));
        let rewritten = both.rewrite(&key_of("alice")).await;
        assert_eq!(rewritten.is_ok(), is_rewritten);
        assert!(rewritten.err().is_none_or(|error| error.is_unavailable()));
    }
}

#[tokio::test(start_paused = true)]
async fn a_load_does_not_fail_if_the_record_cannot_be_rewritten() {
    for fault in
        [Fault::FailBefore, Fault::FailAfter, Fault::HangBefore, Fault::HangAfter, Fault::Corrupt]
    {
        let inner = FaultyStore::default();
        save(&EncryptedStore::new(inner.clone(), encryption_key("old", 1)), "alice", None).await;
        let both = EncryptedStore::new(inner.clone(), encryption_key("new", 2))
            .add_decryption_key(encryption_key("old", 1));
        inner.always(Calls::Swaps, fault);
        assert_eq!(opened(&both, "alice").await.unwrap(), JSON, "{fault:?}");
        let is_stored = matches!(fault, Fault::FailAfter | Fault::HangAfter);
        let alice = key_of("alice");
        let rewritten = timeout(Duration::from_secs(60), both.rewrite(&alice)).await;
        assert_eq!(matches!(rewritten, Ok(Ok(()))), is_stored, "{fault:?}");
        inner.heal();
        assert_eq!(opened(&both, "alice").await.unwrap(), JSON, "{fault:?}");
        both.rewrite(&alice).await.unwrap();
        let new = EncryptedStore::new(inner, encryption_key("new", 2));
        assert_eq!(opened(&new, "alice").await.unwrap(), JSON, "{fault:?}");
    }
}

#[tokio::test]
async fn keys_with_the_same_id_are_each_tried() {
    let under = Under::new();
    save(&under.encrypted(encryption_key("1", 1)), "alice", None).await;
    let both = under.encrypted(encryption_key("1", 2)).add_decryption_key(encryption_key("1", 1));
    assert_eq!(opened(&both, "alice").await.unwrap(), JSON);
}

#[tokio::test]
async fn a_plaintext_record_is_refused_or_encrypted_with_the_next_load() {
    let under = Under::new();
    under.put("alice", JSON).await;
    assert!(refused(&under, &under.encrypted(encryption_key("1", 1)), "alice").await.is_corrupt());
    let migrating = under.encrypted(encryption_key("1", 1)).accept_plaintext();
    let plain = migrating.load(&key_of("alice")).await.unwrap().unwrap();
    assert_eq!(plain.json(), JSON);
    assert!(!under.stored("alice").await.contains("s3cret"));
    save(&migrating, "alice", Some(plain.version())).await;
    assert_eq!(opened(&under.encrypted(encryption_key("1", 1)), "alice").await.unwrap(), JSON);
    // What claims to be encrypted is never plaintext.
    for json in [r#"{"sealed":"v1"}"#, r#"{"sealed":1,"sealed":2,"access_token":"a"}"#] {
        under.put("alice", json).await;
        assert!(refused(&under, &migrating, "alice").await.is_corrupt());
    }
}

#[test]
fn debug_shows_the_names_of_the_keys_alone() {
    let store = EncryptedStore::new(
        MemoryStore::new(),
        EncryptionKey::new("2026-07", *b"0123456789abcdef0123456789abcdef"),
    )
    .add_decryption_key(encryption_key("2026-01", 201));
    assert_eq!(
        format!("{store:?}"),
        r#"EncryptedStore { keys: [EncryptionKey { id: "2026-07", .. }, EncryptionKey { id: "2026-01", .. }], .. }"#
    );
}
