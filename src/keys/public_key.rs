//! `PublicKey`.

use std::fmt::Write as _;

use aws_lc_rs::rsa::PublicKeyComponents;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA256,
    RsaParameters, UnparsedPublicKey,
};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::SigningAlgorithm;
use crate::error::Error;

/// The longest modulus, in bytes.
const LONGEST_MODULUS: usize = 1024;

/// A public key of one of the kinds that this crate signs with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PublicKey {
    P256 { x: [u8; 32], y: [u8; 32] },
    Ed25519 { x: [u8; 32] },
    Rsa { n: Vec<u8>, e: Vec<u8> },
}

impl PublicKey {
    /// From a JWK, which must not have a private part.
    pub(crate) fn of_jwk(jwk: &Map<String, Value>) -> Result<Self, Error> {
        if ["d", "p", "q", "k"].iter().any(|name| jwk.contains_key(*name)) {
            return Err(Error::config("the public JWK has a private part"));
        }
        Self::read(jwk).ok_or_else(|| {
            Error::config(
                "the public JWK cannot be used: it is neither EC with P-256, OKP with Ed25519 nor RSA of 2048 to 8192 bits, or a member is missing or not base64url",
            )
        })
    }

    fn read(jwk: &Map<String, Value>) -> Option<Self> {
        let text = |name: &str| jwk.get(name).and_then(Value::as_str);
        let bytes = |name: &str| BASE64_URL_SAFE_NO_PAD.decode(text(name)?).ok();
        let coordinate = |name: &str| bytes(name)?.try_into().ok();
        match (text("kty")?, text("crv")) {
            ("EC", Some("P-256")) => Some(Self::P256 { x: coordinate("x")?, y: coordinate("y")? }),
            ("OKP", Some("Ed25519")) => Some(Self::Ed25519 { x: coordinate("x")? }),
            ("RSA", _) => {
                let (n, e) = (bytes("n")?, bytes("e")?);
                let is_number = |bytes: &[u8]| bytes.first().is_some_and(|first| *first != 0);
                let fits = (256..=LONGEST_MODULUS).contains(&n.len()) && e.len() <= 8;
                (is_number(&n) && is_number(&e) && fits).then_some(Self::Rsa { n, e })
            }
            _ => None,
        }
    }

    /// From a point in the uncompressed form: 4, x, y.
    pub(super) fn of_point(point: &[u8]) -> Option<Self> {
        let (x, y) = point.strip_prefix(&[4])?.split_at_checked(32)?;
        Some(Self::P256 { x: x.try_into().ok()?, y: y.try_into().ok()? })
    }

    /// Whether the algorithm is one for keys of this kind.
    pub(crate) fn fits(&self, algorithm: SigningAlgorithm) -> bool {
        match self {
            Self::P256 { .. } => algorithm == SigningAlgorithm::Es256,
            Self::Ed25519 { .. } => algorithm == SigningAlgorithm::EdDsa,
            Self::Rsa { .. } => {
                matches!(algorithm, SigningAlgorithm::Ps256 | SigningAlgorithm::Rs256)
            }
        }
    }

    /// The JWK with the required members alone, in the order that a thumbprint needs
    /// ([RFC 7638 §3](https://www.rfc-editor.org/rfc/rfc7638#section-3)).
    pub(crate) fn canonical_jwk(&self) -> String {
        let encode = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
        let mut json = String::new();
        // Writing into a string does not fail.
        let _ = match self {
            Self::P256 { x, y } => write!(
                json,
                r#"{{"crv":"P-256","kty":"EC","x":"{}","y":"{}"}}"#,
                encode(x),
                encode(y)
            ),
            Self::Ed25519 { x } => {
                write!(json, r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, encode(x))
            }
            Self::Rsa { n, e } => {
                write!(json, r#"{{"e":"{}","kty":"RSA","n":"{}"}}"#, encode(e), encode(n))
            }
        };
        json
    }

    /// The SHA-256 of the JWK, in base64url
    /// ([RFC 7638 §3](https://www.rfc-editor.org/rfc/rfc7638#section-3)).
    pub(crate) fn thumbprint(&self) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(self.canonical_jwk()))
    }

    /// Whether the signature is one of this key's.
    pub(crate) fn verifies(
        &self,
        algorithm: SigningAlgorithm,
        message: &[u8],
        signature: &[u8],
    ) -> bool {
        let rsa = |parameters: &RsaParameters, n, e| {
            PublicKeyComponents { n, e }.verify(parameters, message, signature)
        };
        let verified = match (self, algorithm) {
            (Self::P256 { x, y }, SigningAlgorithm::Es256) => {
                let point = [&[4], &x[..], y].concat();
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(message, signature)
            }
            (Self::Ed25519 { x }, SigningAlgorithm::EdDsa) => {
                UnparsedPublicKey::new(&ED25519, x).verify(message, signature)
            }
            (Self::Rsa { n, e }, SigningAlgorithm::Ps256) => rsa(&RSA_PSS_2048_8192_SHA256, n, e),
            (Self::Rsa { n, e }, SigningAlgorithm::Rs256) => rsa(&RSA_PKCS1_2048_8192_SHA256, n, e),
            _ => return false,
        };
        verified.is_ok()
    }
}
