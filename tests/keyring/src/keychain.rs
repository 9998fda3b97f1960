//! The keychain as others see it, and its daemon.

use std::collections::HashMap;
use std::process::Command;

use secret_service::{EncryptionType, SecretService};

/// Calls `tests/keyring/daemon`.
#[track_caller]
pub(crate) fn daemon(does: &str) {
    let control = std::env::var_os("KEYRING_CONTROL").unwrap();
    let status = Command::new(control).args(does.split(' ')).status().unwrap();
    assert!(status.success(), "the keychain does not {does}");
}

/// Unlocks it, too.
pub(crate) fn restart() {
    daemon("stop");
    daemon("start");
}

pub(crate) async fn connect() -> SecretService<'static> {
    SecretService::connect(EncryptionType::Plain).await.unwrap()
}

/// Locks the default collection.
pub(crate) async fn lock() {
    connect().await.get_default_collection().await.unwrap().lock().await.unwrap();
}

/// An entry of the keychain.
#[derive(Debug, PartialEq)]
pub(crate) struct Found {
    pub(crate) user: String,
    pub(crate) secret: Vec<u8>,
}

/// The entries of this service, in the order of their users.
pub(crate) async fn entries(service: &str) -> Vec<Found> {
    let keychain = connect().await;
    let items = keychain.search_items(HashMap::from([("service", service)])).await.unwrap();
    let mut entries = Vec::new();
    for item in items.unlocked {
        let user = item.get_attributes().await.unwrap()["username"].clone();
        entries.push(Found { user, secret: item.get_secret().await.unwrap() });
    }
    entries.sort_by(|one, other| one.user.cmp(&other.user));
    entries
}

/// Makes an entry that somebody else could make.
pub(crate) async fn put(service: &str, user: &str, secret: &[u8], replace: bool) {
    let keychain = connect().await;
    let attributes = HashMap::from([("service", service), ("username", user)]);
    let collection = keychain.get_default_collection().await.unwrap();
    collection.create_item("foreign", attributes, secret, replace, "text/plain").await.unwrap();
}
