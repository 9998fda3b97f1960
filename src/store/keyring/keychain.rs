//! `Keychain`: the keychain of the operating system.

use std::fmt;
use std::sync::Arc;

use keyring_core::Error;
#[cfg(not(all(unix, not(any(target_vendor = "apple", target_os = "android")))))]
use keyring_core::{Entry, api::CredentialStore as Store};
use secrecy::zeroize::Zeroizing;

use super::parts::Entries;
#[cfg(all(unix, not(any(target_vendor = "apple", target_os = "android"))))]
use super::secret_service::{Entry, Store};
use crate::error::BoxError;
use crate::store::StoreError;

/// The entries of one application.
pub(super) struct Keychain {
    store: Arc<Store>,
    service: String,
}

impl Keychain {
    /// Connects again for each call: a connection does not outlive the keychain's daemon.
    pub(super) fn open(service: &str) -> Result<Self, StoreError> {
        if service.is_empty() || service.contains('\0') {
            return Err(StoreError::config(
                "the service name of KeyringStore is empty or has a NUL character",
            ));
        }
        let store = platform_store().map_err(store_error)?;
        Ok(Self { store, service: service.to_owned() })
    }

    fn entry(&self, name: &str) -> Result<Entry, StoreError> {
        // Enterprise, the default, would carry the record to other hosts, which share no lock.
        #[cfg(windows)]
        let modifiers = Some(&std::collections::HashMap::from([("persistence", "local")]));
        #[cfg(not(windows))]
        let modifiers = None;
        self.store.build(&self.service, name, modifiers).map_err(store_error)
    }
}

impl Entries for Keychain {
    fn limit(&self) -> Option<usize> {
        // CRED_MAX_CREDENTIAL_BLOB_SIZE
        cfg!(windows).then_some(5 * 512)
    }

    fn get(&self, name: &str) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
        match self.entry(name)?.get_secret() {
            Ok(secret) => Ok(Some(Zeroizing::new(secret))),
            Err(Error::NoEntry) => Ok(None),
            Err(error) => Err(store_error(error)),
        }
    }

    fn put(&self, name: &str, secret: &[u8]) -> Result<(), StoreError> {
        self.entry(name)?.set_secret(secret).map_err(store_error)
    }

    fn remove(&self, name: &str) -> Result<(), StoreError> {
        match self.entry(name)?.delete_credential() {
            Ok(()) | Err(Error::NoEntry) => Ok(()),
            Err(error) => Err(store_error(error)),
        }
    }
}

fn platform_store() -> Result<Arc<Store>, Error> {
    #[cfg(target_os = "macos")]
    return Ok(apple_native_keyring_store::keychain::Store::new()?);
    #[cfg(windows)]
    return Ok(windows_native_keyring_store::Store::new()?);
    #[cfg(all(unix, not(any(target_vendor = "apple", target_os = "android"))))]
    return Store::new();
    #[cfg(not(any(
        target_os = "macos",
        windows,
        all(unix, not(any(target_vendor = "apple", target_os = "android")))
    )))]
    Err(Error::NoDefaultStore)
}

/// What a keychain's error means for the store. Bytes that it read are dropped.
fn store_error(error: Error) -> StoreError {
    let because = |what, cause| KeychainError { what, cause };
    match error {
        Error::NoStorageAccess(cause) => StoreError::unavailable(because(
            "the keychain is locked or refuses access; unlock it, or create it if there is none",
            cause,
        )),
        Error::PlatformFailure(cause) => {
            StoreError::unavailable(because("the keychain cannot be reached or failed", cause))
        }
        Error::Ambiguous(_) => StoreError::corrupt(
            "the keychain has several entries for this record; delete all but one",
        ),
        Error::BadEncoding(_) | Error::BadDataFormat(..) | Error::BadStoreFormat(_) => {
            StoreError::corrupt("the keychain cannot read its own entry")
        }
        Error::NoDefaultStore => StoreError::config(
            "KeyringStore knows no keychain of this operating system; use another store",
        ),
        error => StoreError::config(because("the keychain does not take the entry", error.into())),
    }
}

/// What failed, and the error of the operating system.
#[derive(Debug)]
struct KeychainError {
    what: &'static str,
    cause: BoxError,
}

impl fmt::Display for KeychainError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.what)
    }
}

impl std::error::Error for KeychainError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&*self.cause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_time_or_a_person_may_cure_is_apart_from_what_the_set_up_must() {
        let cause = || BoxError::from("os");
        for error in [Error::NoStorageAccess(cause()), Error::PlatformFailure(cause())] {
            let error = store_error(error);
            assert!(error.is_unavailable());
            let what = std::error::Error::source(&error).unwrap();
            assert_eq!(what.source().unwrap().to_string(), "os");
        }
        for error in [
            Error::Ambiguous(Vec::new()),
            Error::BadEncoding(b"s3cret".into()),
            Error::BadDataFormat(b"s3cret".into(), cause()),
            Error::BadStoreFormat("s3cret".into()),
        ] {
            let error = store_error(error);
            assert!(error.is_corrupt());
            assert!(!format!("{error:?}").contains("s3cret"));
        }
        for error in [
            Error::NoDefaultStore,
            Error::TooLong("user".into(), 513),
            Error::Invalid("service".into(), "cannot be empty".into()),
            Error::NotSupportedByStore("secrets".into()),
        ] {
            assert!(store_error(error).is_config());
        }
    }

    #[test]
    fn a_service_has_a_name() {
        for service in ["", "a\0b"] {
            assert!(Keychain::open(service).err().unwrap().is_config());
        }
    }
}
