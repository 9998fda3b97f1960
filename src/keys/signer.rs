//! `Signer`.

use async_trait::async_trait;
use serde_json::{Map, Value};

use super::SigningAlgorithm;
use crate::error::BoxError;

/// A private key that is elsewhere: in a KMS, an HSM, a TPM or an agent.
/// [`SigningKey::from_signer`](crate::SigningKey::from_signer) makes a key of it.
///
/// ```
/// use reqwest_oauth2::serde_json::{Map, Value};
/// use reqwest_oauth2::{BoxError, Signer, SigningAlgorithm, SigningKey};
///
/// struct Kms {
///     public_jwk: Map<String, Value>,
/// }
///
/// #[async_trait::async_trait]
/// impl Signer for Kms {
///     fn algorithm(&self) -> SigningAlgorithm {
///         SigningAlgorithm::Es256
///     }
///
///     fn public_jwk(&self) -> Map<String, Value> {
///         self.public_jwk.clone()
///     }
///
///     fn key_id(&self) -> Option<String> {
///         Some("client-2026".to_owned())
///     }
///
///     async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, BoxError> {
///         # let kms_sign = async |_: &[u8]| Err("");
///         Ok(kms_sign(message).await?)
///     }
/// }
/// # fn f(kms: Kms) -> Result<SigningKey, reqwest_oauth2::Error> {
/// SigningKey::from_signer(kms)
/// # }
/// ```
#[async_trait]
pub trait Signer: Send + Sync + 'static {
    /// The algorithm of [`sign`](Self::sign).
    fn algorithm(&self) -> SigningAlgorithm;

    /// The public key ([RFC 7517 §4](https://www.rfc-editor.org/rfc/rfc7517#section-4)). It is read once.
    fn public_jwk(&self) -> Map<String, Value>;

    /// The `kid` that the server knows the key by; `None` by default
    /// ([RFC 7515 §4.1.4](https://www.rfc-editor.org/rfc/rfc7515#section-4.1.4)). It is read once.
    fn key_id(&self) -> Option<String> {
        None
    }

    /// Signs the message, which it hashes itself. For ES256 the signature is R and S, 32 bytes each
    /// ([RFC 7518 §3.4](https://www.rfc-editor.org/rfc/rfc7518#section-3.4)); the DER form that most KMS
    /// return is accepted too. A signature that the public key does not verify is an error.
    ///
    /// # Errors
    ///
    /// Whatever went wrong; it is tried again later. The text must not hold secrets.
    ///
    /// # Cancellation
    ///
    /// It is dropped after [`SigningKey::sign_timeout`](crate::SigningKey::sign_timeout), and with the
    /// request that needs it.
    async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, BoxError>;
}
