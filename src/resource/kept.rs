//! What is stored beside the tokens: which client a login belongs to, and the registrations of the
//! application. Each is a record of its own, in the store of the tokens; without one it is in memory.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::client::{ClientMetadata, KeptProvider, Registration};
use crate::error::Error;
use crate::lenient_json;
use crate::store::{Record, StoreError, SwapOutcome, TokenKey, TokenStore, Version};

/// How long one call of the store may take.
const TIMEOUT: Duration = Duration::from_secs(5);
/// How often a record is written again that another process has changed meanwhile.
const TRIES: usize = 3;

/// The client that a user's login at a resource belongs to.
#[derive(Serialize, Deserialize)]
pub(super) struct KeptClient {
    pub(super) client_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) registration: Option<Registration>,
    pub(super) resources: Vec<String>,
    /// What the tokens of the login's grant are issued for, beside the resources.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) issued_for: Vec<(String, String)>,
    /// Where the resource has said that its metadata is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) resource_metadata: Option<String>,
    pub(super) provider: KeptProvider,
}

#[derive(Serialize, Deserialize)]
struct Document<T> {
    kept: T,
    /// So that no two documents are the same.
    nonce: u64,
}

/// Where it is kept.
#[derive(Clone, Default)]
pub(super) struct Keeper {
    store: Option<Arc<dyn TokenStore>>,
    memory: Arc<Mutex<HashMap<TokenKey, Record>>>,
}

impl Keeper {
    pub(super) fn new(store: Option<Arc<dyn TokenStore>>) -> Self {
        Self { store, memory: Arc::default() }
    }

    pub(super) async fn client(&self, url: &str, user: &str) -> Result<Option<KeptClient>, Error> {
        Ok(self.load(&client_key(url, user)).await?)
    }

    pub(super) async fn keep_client(
        &self,
        url: &str,
        user: &str,
        client: &KeptClient,
    ) -> Result<(), Error> {
        self.keep(&client_key(url, user), client).await
    }

    /// The registration of an application that says this of itself.
    pub(super) async fn registration(
        &self,
        issuer: &str,
        metadata: &ClientMetadata,
    ) -> Result<Option<Registration>, Error> {
        let key = registration_key(issuer, metadata);
        let found: Option<Registration> = self.load(&key).await?;
        Ok(found.filter(|kept| kept.issuer() == issuer))
    }

    pub(super) async fn keep_registration(
        &self,
        metadata: &ClientMetadata,
        registration: &Registration,
    ) -> Result<(), Error> {
        self.keep(&registration_key(registration.issuer(), metadata), registration).await
    }

    /// What cannot be read is an error.
    async fn load<T: DeserializeOwned>(&self, key: &TokenKey) -> Result<Option<T>, StoreError> {
        let found = match &self.store {
            Some(store) => bounded(store.load(key)).await?,
            None => self.memory().get(key).cloned(),
        };
        found.map(|record| read(&record)).transpose()
    }

    /// The last one wins, also over what cannot be read.
    async fn keep<T: Serialize + DeserializeOwned>(
        &self,
        key: &TokenKey,
        kept: &T,
    ) -> Result<(), Error> {
        let document = serde_json::to_string(&Document { kept, nonce: rand::random() });
        let document = document.map_err(|_| Error::config("a client cannot be kept"))?;
        let record = Record::new(document);
        let Some(store) = &self.store else {
            self.memory().insert(key.clone(), record);
            return Ok(());
        };
        let mut found = bounded(store.load(key)).await;
        for _ in 0..TRIES {
            let (expected, is_unreadable) = replaced::<T>(found)?;
            let record = record.clone();
            let record = if is_unreadable { record.replacing_unreadable() } else { record };
            found = match bounded(store.compare_and_swap(key, expected, &record)).await {
                Ok(SwapOutcome::Stored(_)) => return Ok(()),
                Ok(SwapOutcome::Conflict(found)) => Ok(found),
                Err(error) => Err(error),
            };
        }
        Err(StoreError::unavailable("other processes changed the record during each attempt")
            .into())
    }

    fn memory(&self) -> std::sync::MutexGuard<'_, HashMap<TokenKey, Record>> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The version that a swap has to expect where this was found, and whether that cannot be read. An error that
/// names no version stays one.
fn replaced<T: DeserializeOwned>(
    found: Result<Option<Record>, StoreError>,
) -> Result<(Option<Version>, bool), StoreError> {
    let version_of = |record: Record| read::<T>(&record).map(|_| record.version());
    match found.and_then(|found| found.map(version_of).transpose()) {
        Ok(version) => Ok((version, false)),
        Err(error) => match error.version() {
            None => Err(error),
            version => Ok((version, true)),
        },
    }
}

fn read<T: DeserializeOwned>(record: &Record) -> Result<T, StoreError> {
    let document: Result<Document<T>, _> = lenient_json::read(record.json());
    document.map(|document| document.kept).map_err(|_| {
        StoreError::corrupt("it is not the record of a client").with_version(record.version())
    })
}

async fn bounded<T>(call: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    let late = || StoreError::unavailable(format!("no answer within {TIMEOUT:?}"));
    tokio::time::timeout(TIMEOUT, call).await.unwrap_or_else(|_| Err(late()))
}

fn client_key(url: &str, user: &str) -> TokenKey {
    TokenKey::new(url, "", user).kept("kept", "client")
}

fn registration_key(issuer: &str, metadata: &ClientMetadata) -> TokenKey {
    let digest = Sha256::digest(metadata.document("").to_string());
    let digest: String = digest[..16].iter().map(|byte| format!("{byte:02x}")).collect();
    TokenKey::new(issuer, "", "").kept("registration", &digest)
}

impl fmt::Debug for Keeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keeper").field("store", &self.store.is_some()).finish_non_exhaustive()
    }
}
