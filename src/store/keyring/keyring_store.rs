//! `KeyringStore`.

use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{Semaphore, oneshot};
use tokio::time::timeout;

use super::keychain::Keychain;
use super::parts;
use crate::store::file::{LockDirectory, key_name};
use crate::store::{Record, StoreError, SwapOutcome, TokenKey, TokenStore, Version, document};

/// How long a call may take: a person may have to type a password. A session's limit is shorter.
const LIMIT: Duration = Duration::from_secs(120);

/// A store in the keychain of the operating system, for command-line tools and desktop applications.
///
/// | system | keychain |
/// |---|---|
/// | macOS | the login keychain |
/// | Windows | the Credential Manager; the records stay on this computer |
/// | Linux, BSD | the default collection of the Secret Service (GNOME Keyring, KWallet, KeePassXC), over D-Bus |
///
/// ```no_run
/// # fn with(app: reqwest_oauth2::OAuthClient) {
/// use reqwest_oauth2::Session;
/// use reqwest_oauth2::store::KeyringStore;
///
/// let session = Session::builder(app).store(KeyringStore::new("my-tool"), "me").foreground().build();
/// # }
/// ```
///
/// A server has no keychain that is unlocked. Use a [`FileStore`](crate::store::FileStore) there.
///
/// # Entries
///
/// A record is an entry of its own. Its service is the one given to [`new`](Self::new); its user name
/// (on macOS its account) begins with the letters and digits of the user, for people to find it, and
/// ends with a hash of the key. Windows takes 2560 bytes in an entry: there the store cuts a longer
/// document into several entries. Other programs must not write them.
///
/// # Lock files
///
/// A keychain has no compare-and-swap, so each call holds the lock of a file; a record has a file of its
/// own, which is empty and stays. All processes that use one keychain must use one directory for them. It
/// is in the home directory: `.local/state/reqwest-oauth2`, `Library/Application Support/reqwest-oauth2`
/// on macOS, `AppData/Local/reqwest-oauth2` on Windows. The store creates it with mode 0700 and the
/// files with mode 0600. The lock does not reach another host: do not use one keychain from two.
///
/// # Errors
///
/// - [`StoreError::is_unavailable`]: the keychain is locked, or a person refused to unlock it; it is
///   not running; it does not answer; another process holds the lock for more than five seconds. The
///   source is the error of the operating system.
/// - [`StoreError::is_corrupt`]: the entry is not JSON, or a part of it is missing: a new login replaces
///   it. Or there are several entries for one record: delete all but one.
/// - [`StoreError::is_config`]: this operating system has no keychain that the store knows; the
///   keychain does not take the entry; a missing permission in the directory of the lock files; a new
///   document that is not JSON or larger than 2 MiB.
///
/// No error ends the login.
///
/// # A locked keychain
///
/// If the keychain is locked, the system may ask the person for a password. A session waits for that as
/// long as a store call may take: 5 seconds, unless
/// [`store_timeout`](crate::SessionBuilder::store_timeout) says more. For the writes of a renewal it waits no
/// longer than half of [`lease_ttl`](crate::SessionBuilder::lease_ttl), which is 5 seconds too: two minutes for
/// each call need a lease of four. The question stays, and a later call succeeds once it is answered. The store
/// itself waits for two minutes.
///
/// # Cancellation
///
/// Once a call has begun it runs to its end, even if its future is dropped, on a thread of its own. One
/// call of a store and its clones runs at a time. Neither a runtime that is dropped nor a process that
/// ends waits for the thread.
#[derive(Debug, Clone)]
pub struct KeyringStore {
    service: Arc<str>,
    /// `None`: the default one.
    locks: Option<Arc<LockDirectory>>,
    /// One call at a time.
    turns: Arc<Semaphore>,
}

impl KeyringStore {
    /// The records of this application. `service` is the application's name, which people see in the
    /// keychain, such as `my-tool`.
    ///
    /// Asks nothing of the keychain yet. An empty name makes each call fail.
    pub fn new(service: impl Into<Arc<str>>) -> Self {
        Self { service: service.into(), locks: None, turns: Arc::new(Semaphore::new(1)) }
    }

    /// Where the lock files are, instead of the home directory. It must be the same directory for all
    /// processes that use the keychain.
    #[must_use = "it returns the store with the directory"]
    pub fn lock_directory(self, path: impl Into<PathBuf>) -> Self {
        Self { locks: Some(Arc::new(LockDirectory::new(path.into()))), ..self }
    }

    /// Works on the entries of a key, under its lock.
    async fn run<T: Send + 'static>(
        &self,
        key: &TokenKey,
        work: impl FnOnce(&Keychain, &str) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (service, locks, name) = (self.service.clone(), self.locks.clone(), key_name(key));
        let work = move || {
            // Before the lock, which others wait for: connecting takes longer than the rest.
            let keychain = Keychain::open(&service)?;
            let _lock = match &locks {
                Some(locks) => locks.lock(&name)?,
                None => LockDirectory::in_home()?.lock(&name)?,
            };
            work(&keychain, &name)
        };
        let answer = async {
            let turn = self.turns.clone().acquire_owned().await.map_err(StoreError::unavailable)?;
            let (answer, answered) = oneshot::channel();
            let work = move || {
                let _turn = turn;
                let _ = answer.send(work());
            };
            let thread = thread::Builder::new().name("keychain".to_owned());
            thread.spawn(work).map_err(StoreError::unavailable)?;
            let panicked = "the keychain panicked; see the panic message on stderr";
            answered.await.map_err(|_| StoreError::unavailable(panicked))?
        };
        let late = "the keychain does not answer; it may be asking a person to unlock it";
        timeout(LIMIT, answer).await.map_err(|_| StoreError::unavailable(late))?
    }
}

#[async_trait]
impl TokenStore for KeyringStore {
    async fn load(&self, key: &TokenKey) -> Result<Option<Record>, StoreError> {
        self.run(key, parts::read).await
    }

    async fn compare_and_swap(
        &self,
        key: &TokenKey,
        expected: Option<Version>,
        record: &Record,
    ) -> Result<SwapOutcome, StoreError> {
        document::check(record)?;
        let record = record.clone();
        let swap = move |keychain: &Keychain, name: &str| {
            match parts::read(keychain, name) {
                Ok(stored) if stored.as_ref().map(Record::version) != expected => {
                    return Ok(SwapOutcome::Conflict(stored));
                }
                Err(error) if error.version().is_none() || error.version() != expected => {
                    return Err(error);
                }
                _ => parts::write(keychain, name, record.json())?,
            }
            // The keychain cannot hold a version: `load` computes it from the document.
            Ok(SwapOutcome::Stored(Version::of(record.json().as_bytes())))
        };
        self.run(key, swap).await
    }
}
