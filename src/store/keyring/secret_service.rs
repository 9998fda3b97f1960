//! The keychain of Linux and BSD: the Secret Service, over D-Bus.
//!
//! The entries are those of the `keyring` crate: the same attributes, label and collection.

use std::collections::HashMap;
use std::sync::Arc;

use keyring_core::Error;
use secret_service::blocking::{Item, SecretService};
use secret_service::{EncryptionType, Error as ServiceError};
use zbus::blocking::Connection;

/// A session with the service, on a connection of its own.
pub(super) struct Store(SecretService<'static>);

impl Store {
    pub(super) fn new() -> Result<Arc<Self>, Error> {
        let connection = Connection::session().map_err(|error| failure(error.into()))?;
        greet(&connection).map_err(|error| failure(error.into()))?;
        SecretService::connect_with_existing(EncryptionType::Dh, connection)
            .map(|service| Arc::new(Self(service)))
            .map_err(failure)
    }

    /// As the stores of `keyring-core` do it. No modifier is known here.
    pub(super) fn build(
        self: &Arc<Self>,
        service: &str,
        user: &str,
        _: Option<&HashMap<&str, &str>>,
    ) -> Result<Entry, Error> {
        Ok(Entry { store: self.clone(), service: service.to_owned(), user: user.to_owned() })
    }
}

/// Asks for an alias that nobody has, and waits for the answer.
///
/// GNOME Keyring keeps a record of each connection. It makes the record in a task of its own, which now and
/// then runs just after the connection's first request. If that request opens a session, the daemon misses the
/// record and aborts, and the keychain is closed to all programs. A request for an alias does not need the
/// record, and the daemon has made it before it looks at the next request.
fn greet(connection: &Connection) -> zbus::Result<()> {
    let service = "org.freedesktop.Secret.Service";
    let (name, path) = ("org.freedesktop.secrets", "/org/freedesktop/secrets");
    match connection.call_method(Some(name), path, Some(service), "ReadAlias", &"reqwest-oauth2") {
        // No such service, or a service that does not answer, is told by what is asked next.
        Ok(_) | Err(zbus::Error::MethodError(..)) => Ok(()),
        Err(error) => Err(error),
    }
}

/// An entry with these attributes, whether it exists or not.
pub(super) struct Entry {
    store: Arc<Store>,
    service: String,
    user: String,
}

impl Entry {
    pub(super) fn get_secret(&self) -> Result<Vec<u8>, Error> {
        self.item()?.get_secret().map_err(failure)
    }

    pub(super) fn set_secret(&self, secret: &[u8]) -> Result<(), Error> {
        let content_type = "application/octet-stream";
        match self.item() {
            Ok(item) => item.set_secret(secret, content_type).map_err(failure),
            Err(Error::NoEntry) => {
                let collection = self.store.0.get_default_collection().map_err(failure)?;
                if collection.is_locked().map_err(failure)? {
                    collection.unlock().map_err(failure)?;
                }
                let label = format!("keyring:{}@{}", self.user, self.service);
                let made =
                    collection.create_item(&label, self.attributes(), secret, true, content_type);
                made.map(drop).map_err(failure)
            }
            Err(error) => Err(error),
        }
    }

    pub(super) fn delete_credential(&self) -> Result<(), Error> {
        self.item()?.delete().map_err(failure)
    }

    /// The only one, unlocked.
    fn item(&self) -> Result<Item<'_>, Error> {
        let found = self.store.0.search_items(self.attributes()).map_err(failure)?;
        if !found.locked.is_empty() {
            let locked: Vec<_> = found.locked.iter().collect();
            self.store.0.unlock_all(&locked).map_err(failure)?;
        }
        let mut items = found.unlocked.into_iter().chain(found.locked);
        match (items.next(), items.next()) {
            (Some(item), None) => Ok(item),
            (None, _) => Err(Error::NoEntry),
            (Some(_), Some(_)) => Err(Error::Ambiguous(Vec::new())),
        }
    }

    fn attributes(&self) -> HashMap<&str, &str> {
        HashMap::from([("service", &*self.service), ("username", &*self.user)])
    }
}

fn failure(error: ServiceError) -> Error {
    match error {
        ServiceError::Locked | ServiceError::NoResult | ServiceError::Prompt => {
            Error::NoStorageAccess(error.into())
        }
        error => Error::PlatformFailure(error.into()),
    }
}
