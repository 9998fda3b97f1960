//! `SigningKey`.

use std::borrow::Cow;
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use serde_json::{Map, Value};
use tokio::runtime::Handle;

use super::key_pair::KeyPair;
use super::private_jwk::PrivateJwk;
use super::public_key::PublicKey;
use super::signature::{Signature, es256_from_der};
use super::{Signer, SigningAlgorithm};
use crate::error::{BoxError, Error, Kind};

/// How long a signer elsewhere may take, unless the application says otherwise.
const SIGN_TIMEOUT: Duration = Duration::from_secs(10);

/// A private key that signs: in this process, or elsewhere.
///
/// Cheap to clone; clones share the key. Its memory is wiped when the last clone is dropped, and `Debug`
/// shows nothing of the private part.
///
/// ```
/// use reqwest_oauth2::SigningKey;
///
/// let key = SigningKey::generate()?; // ES256
/// let public = reqwest_oauth2::serde_json::Value::Object(key.public_jwk());
/// println!("for the provider's registration: {public}");
/// # Ok::<(), reqwest_oauth2::Error>(())
/// ```
#[derive(Clone)]
pub struct SigningKey(Arc<Parts>);

#[derive(Clone)]
struct Parts {
    source: Source,
    algorithm: SigningAlgorithm,
    public_key: PublicKey,
    thumbprint: Box<str>,
    key_id: Option<Box<str>>,
    sign_timeout: Duration,
}

#[derive(Clone)]
enum Source {
    Here(Arc<KeyPair>),
    Elsewhere(Arc<dyn Signer>),
}

impl SigningKey {
    /// A new key for [`Es256`](SigningAlgorithm::Es256).
    ///
    /// # Errors
    ///
    /// [`Error::is_signing`] if the operating system has no random bytes.
    pub fn generate() -> Result<Self, Error> {
        Self::generate_for(SigningAlgorithm::Es256)
    }

    /// A new key for the algorithm; an RSA key has 2048 bits, and takes a tenth of a second or more.
    ///
    /// # Errors
    ///
    /// As [`generate`](Self::generate).
    pub fn generate_for(algorithm: SigningAlgorithm) -> Result<Self, Error> {
        let pair = KeyPair::generate(algorithm)
            .map_err(|_| Error::signing("the operating system has no random bytes"))?;
        Self::of_pair(pair, Some(algorithm), None)
    }

    /// Reads a private key from PEM: PKCS#8 (`PRIVATE KEY`), `RSA PRIVATE KEY` or `EC PRIVATE KEY`
    /// ([RFC 7468](https://www.rfc-editor.org/rfc/rfc7468)). An RSA key is for
    /// [`Rs256`](SigningAlgorithm::Rs256), unless [`with_algorithm`](Self::with_algorithm) says otherwise.
    ///
    /// # Errors
    ///
    /// [`Error::is_config`] if it is no private key, is encrypted, has another kind or curve or less
    /// than 2048 bits of RSA, or where there is more than one block.
    pub fn from_pem(pem: impl AsRef<[u8]>) -> Result<Self, Error> {
        Self::of_pair(KeyPair::from_pem(pem.as_ref())?, None, None)
    }

    /// Reads a private key from a JWK, with its public part, its `kid` and its `alg`
    /// ([RFC 7517](https://www.rfc-editor.org/rfc/rfc7517)). An RSA key needs all members of
    /// [RFC 7518 §6.3](https://www.rfc-editor.org/rfc/rfc7518#section-6.3), and is for
    /// [`Rs256`](SigningAlgorithm::Rs256) where it has no `alg`.
    ///
    /// # Errors
    ///
    /// [`Error::is_config`], as [`from_pem`](Self::from_pem); also where the private part is missing, the
    /// public part is another key's, or the key is not for signing.
    pub fn from_jwk(json: impl AsRef<[u8]>) -> Result<Self, Error> {
        let jwk = PrivateJwk::read(json.as_ref())?;
        let algorithm = jwk.algorithm()?;
        Self::of_pair(KeyPair::from_jwk(&jwk)?, algorithm, jwk.kid)
    }

    /// A key that is elsewhere. Its algorithm, public key and key id are read now.
    ///
    /// # Errors
    ///
    /// [`Error::is_config`] if the public key cannot be used, or not with the algorithm.
    pub fn from_signer(signer: impl Signer) -> Result<Self, Error> {
        let public_key = PublicKey::of_jwk(&signer.public_jwk())?;
        let (algorithm, key_id) = (signer.algorithm(), signer.key_id());
        Self::of(Source::Elsewhere(Arc::new(signer)), algorithm, public_key, key_id)
    }

    fn of_pair(
        pair: KeyPair,
        algorithm: Option<SigningAlgorithm>,
        key_id: Option<String>,
    ) -> Result<Self, Error> {
        let algorithm = algorithm.unwrap_or_else(|| pair.default_algorithm());
        let public_key =
            pair.public_key().ok_or_else(|| Error::config("the key has no public part"))?;
        Self::of(Source::Here(Arc::new(pair)), algorithm, public_key, key_id)
    }

    fn of(
        source: Source,
        algorithm: SigningAlgorithm,
        public_key: PublicKey,
        key_id: Option<String>,
    ) -> Result<Self, Error> {
        check(&public_key, algorithm)?;
        let thumbprint = public_key.thumbprint().into_boxed_str();
        let (key_id, sign_timeout) = (key_id.map(String::into_boxed_str), SIGN_TIMEOUT);
        Ok(Self(Arc::new(Parts {
            source,
            algorithm,
            public_key,
            thumbprint,
            key_id,
            sign_timeout,
        })))
    }

    fn with(mut self, edit: impl FnOnce(&mut Parts)) -> Self {
        edit(Arc::make_mut(&mut self.0));
        self
    }

    /// The same key with a `kid`, by which the server finds it among those that are registered
    /// ([RFC 7515 §4.1.4](https://www.rfc-editor.org/rfc/rfc7515#section-4.1.4)).
    #[must_use]
    pub fn with_key_id(self, key_id: impl Into<String>) -> Self {
        let key_id = key_id.into().into_boxed_str();
        self.with(|parts| parts.key_id = Some(key_id))
    }

    /// The same key for another algorithm: an RSA key for [`Ps256`](SigningAlgorithm::Ps256). Not for a
    /// key that is elsewhere: its signer knows one algorithm
    /// ([RFC 7518 §3.1](https://www.rfc-editor.org/rfc/rfc7518#section-3.1)).
    ///
    /// # Errors
    ///
    /// [`Error::is_config`] if it is none for this key.
    pub fn with_algorithm(self, algorithm: SigningAlgorithm) -> Result<Self, Error> {
        check(&self.0.public_key, algorithm)?;
        if matches!(self.0.source, Source::Elsewhere(_)) && algorithm != self.0.algorithm {
            return Err(Error::config(
                "a key with a Signer has the algorithm of its signer, which cannot be changed",
            ));
        }
        Ok(self.with(|parts| parts.algorithm = algorithm))
    }

    /// How long a [`Signer`] may take for one signature. 10 seconds by default.
    #[must_use]
    pub fn sign_timeout(self, timeout: Duration) -> Self {
        self.with(|parts| parts.sign_timeout = timeout)
    }

    /// The algorithm ([RFC 7518 §3.1](https://www.rfc-editor.org/rfc/rfc7518#section-3.1)).
    pub fn algorithm(&self) -> SigningAlgorithm {
        self.0.algorithm
    }

    /// The `kid`, where it has one
    /// ([RFC 7515 §4.1.4](https://www.rfc-editor.org/rfc/rfc7515#section-4.1.4)).
    pub fn key_id(&self) -> Option<&str> {
        self.0.key_id.as_deref()
    }

    /// The thumbprint: the SHA-256 of the public key, in base64url
    /// ([RFC 7638](https://www.rfc-editor.org/rfc/rfc7638#section-3)).
    pub fn thumbprint(&self) -> &str {
        &self.0.thumbprint
    }

    /// The public key, for the registration of the client: with `alg`, `use` and, where the key has one,
    /// `kid` ([RFC 7517 §4](https://www.rfc-editor.org/rfc/rfc7517#section-4)).
    pub fn public_jwk(&self) -> Map<String, Value> {
        let mut jwk = self.required_jwk();
        jwk.insert("alg".to_owned(), self.algorithm().name().into());
        jwk.insert("use".to_owned(), "sig".into());
        if let Some(key_id) = self.key_id() {
            jwk.insert("kid".to_owned(), key_id.into());
        }
        jwk
    }

    /// The public key with the required members alone.
    pub(crate) fn required_jwk(&self) -> Map<String, Value> {
        serde_json::from_str(&self.0.public_key.canonical_jwk()).unwrap_or_default()
    }

    /// The private key as PEM (PKCS#8). A secret. `None` where the key is
    /// elsewhere ([RFC 7468 §10](https://www.rfc-editor.org/rfc/rfc7468#section-10)).
    ///
    /// # Errors
    ///
    /// [`Error::is_signing`] if the library cannot write it.
    pub fn to_pem(&self) -> Result<Option<String>, Error> {
        match &self.0.source {
            Source::Here(pair) => {
                let pem = pair.to_pem();
                pem.map(Some).map_err(|_| Error::signing("the library could not write the key"))
            }
            Source::Elsewhere(_) => Ok(None),
        }
    }

    /// The most bytes that a signature has.
    pub(super) fn longest_signature(&self) -> usize {
        match &self.0.public_key {
            PublicKey::P256 { .. } | PublicKey::Ed25519 { .. } => 64,
            PublicKey::Rsa { n, .. } => n.len(),
        }
    }

    /// Signs the message.
    pub(super) async fn sign(&self, message: &[u8]) -> Result<Signature, Error> {
        match &self.0.source {
            Source::Here(pair) => {
                let signed = pair.sign(self.0.algorithm, message);
                signed.map_err(|_| Error::signing("the library could not sign"))
            }
            Source::Elsewhere(signer) => self.ask(&**signer, message).await.map(Signature::Long),
        }
    }

    /// Whether it signs without a wait.
    pub(crate) fn is_here(&self) -> bool {
        self.pair().is_some()
    }

    /// The private key, where it is here.
    pub(super) fn pair(&self) -> Option<&KeyPair> {
        match &self.0.source {
            Source::Here(pair) => Some(pair),
            Source::Elsewhere(_) => None,
        }
    }

    /// The signer is the application's: it may fail, hang, panic or return anything.
    async fn ask(&self, signer: &dyn Signer, message: &[u8]) -> Result<Vec<u8>, Error> {
        let limit = self.0.sign_timeout;
        // The limit needs a timer.
        Handle::try_current().map_err(|_| Error::new(Kind::Runtime))?;
        let signed = async { signer.sign(message).await };
        let signed = tokio::time::timeout(limit, AssertUnwindSafe(signed).catch_unwind()).await;
        let mut signature = signed
            .map_err(|_| failed(format!("the signer took longer than {limit:?}"), true, None))?
            .map_err(|_| Error::signing("the signer panicked; see the panic message on stderr"))?
            .map_err(|source| failed("the signer failed", false, Some(source)))?;
        if self.0.algorithm == SigningAlgorithm::Es256
            && let Some(fixed) = es256_from_der(&signature)
        {
            signature = fixed;
        }
        if !self.0.public_key.verifies(self.0.algorithm, message, &signature) {
            return Err(Error::signing(
                "the signature of the signer does not match its public key",
            ));
        }
        Ok(signature)
    }
}

fn failed(why: impl Into<Cow<'static, str>>, is_timeout: bool, source: Option<BoxError>) -> Error {
    Error::new(Kind::Signing { why: why.into(), is_timeout, source })
}

fn check(public_key: &PublicKey, algorithm: SigningAlgorithm) -> Result<(), Error> {
    if public_key.fits(algorithm) {
        return Ok(());
    }
    Err(Error::config(format!("the key's kind does not fit {algorithm}")))
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey")
            .field("algorithm", &self.0.algorithm)
            .field("key_id", &self.0.key_id)
            .field("thumbprint", &self.0.thumbprint)
            .field("is_elsewhere", &matches!(self.0.source, Source::Elsewhere(_)))
            .finish_non_exhaustive()
    }
}
