//! `KeyPair`: a private key in this process's memory. The library wipes it when it is dropped.

use aws_lc_rs::digest::{Context, SHA256};
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::error::{KeyRejected, Unspecified};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPairComponents, KeySize, PublicKeyComponents};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256,
    RSA_PSS_SHA256, RsaEncoding, RsaKeyPair,
};

use super::SigningAlgorithm;
use super::pem::{self, Der};
use super::private_jwk::PrivateJwk;
use super::public_key::PublicKey;
use super::signature::Signature;
use crate::error::Error;

/// The hash of what a message begins with.
pub(super) struct Hash(Context);

pub(super) enum KeyPair {
    P256(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
    Rsa(RsaKeyPair),
}

impl KeyPair {
    pub(super) fn generate(algorithm: SigningAlgorithm) -> Result<Self, Unspecified> {
        Ok(match algorithm {
            SigningAlgorithm::Es256 => {
                Self::P256(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)?)
            }
            SigningAlgorithm::EdDsa => Self::Ed25519(Ed25519KeyPair::generate()?),
            SigningAlgorithm::Ps256 | SigningAlgorithm::Rs256 => {
                Self::Rsa(RsaKeyPair::generate(KeySize::Rsa2048)?)
            }
        })
    }

    pub(super) fn from_pem(text: &[u8]) -> Result<Self, Error> {
        match pem::read(text)? {
            Der::Pkcs8(der) => Self::from_pkcs8(&der),
            Der::Rsa(der) => RsaKeyPair::from_der(&der).map(Self::Rsa).map_err(rejected),
            Der::Ec(der) => {
                EcdsaKeyPair::from_private_key_der(&ECDSA_P256_SHA256_FIXED_SIGNING, &der)
                    .map(Self::P256)
                    .map_err(rejected)
            }
        }
    }

    fn from_pkcs8(der: &[u8]) -> Result<Self, Error> {
        if let Ok(key) = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der) {
            return Ok(Self::P256(key));
        }
        if let Ok(key) = Ed25519KeyPair::from_pkcs8(der) {
            return Ok(Self::Ed25519(key));
        }
        RsaKeyPair::from_pkcs8(der).map(Self::Rsa).map_err(rejected)
    }

    /// The public part must be there, and belong to the private one.
    pub(super) fn from_jwk(jwk: &PrivateJwk) -> Result<Self, Error> {
        match (jwk.kty.as_str(), jwk.crv.as_deref()) {
            ("EC", Some("P-256")) => {
                let point = [&[4], &*jwk.x()?, &*jwk.y()?].concat();
                let (curve, d) = (&ECDSA_P256_SHA256_FIXED_SIGNING, jwk.d()?);
                EcdsaKeyPair::from_private_key_and_public_key(curve, &d, &point)
                    .map(Self::P256)
                    .map_err(rejected)
            }
            ("OKP", Some("Ed25519")) => {
                Ed25519KeyPair::from_seed_and_public_key(&jwk.d()?, &jwk.x()?)
                    .map(Self::Ed25519)
                    .map_err(rejected)
            }
            ("RSA", _) => {
                let [p, q, dp, dq, qi] = jwk.factors()?;
                let components = KeyPairComponents {
                    public_key: PublicKeyComponents { n: jwk.n()?, e: jwk.e()? },
                    d: jwk.d()?.to_vec(),
                    p: p.to_vec(),
                    q: q.to_vec(),
                    dP: dp.to_vec(),
                    dQ: dq.to_vec(),
                    qInv: qi.to_vec(),
                };
                if components.public_key.n.len() < 256 {
                    return Err(too_weak());
                }
                RsaKeyPair::from_components(&components).map(Self::Rsa).map_err(rejected)
            }
            _ => Err(Error::config(
                "the JWK's kind of key cannot be used: it is neither EC with P-256, OKP with Ed25519 nor RSA",
            )),
        }
    }

    /// The algorithm that a key of this kind signs with, unless it is told otherwise.
    pub(super) fn default_algorithm(&self) -> SigningAlgorithm {
        match self {
            Self::P256(_) => SigningAlgorithm::Es256,
            Self::Ed25519(_) => SigningAlgorithm::EdDsa,
            Self::Rsa(_) => SigningAlgorithm::Rs256,
        }
    }

    pub(super) fn public_key(&self) -> Option<PublicKey> {
        match self {
            Self::P256(key) => PublicKey::of_point(key.public_key().as_ref()),
            Self::Ed25519(key) => {
                Some(PublicKey::Ed25519 { x: key.public_key().as_ref().try_into().ok()? })
            }
            Self::Rsa(key) => {
                let PublicKeyComponents { n, e } = PublicKeyComponents::from(key.public_key());
                Some(PublicKey::Rsa { n, e })
            }
        }
    }

    pub(super) fn sign(
        &self,
        algorithm: SigningAlgorithm,
        message: &[u8],
    ) -> Result<Signature, Unspecified> {
        let random = SystemRandom::new();
        match self {
            Self::P256(key) => short(key.sign(&random, message)?.as_ref()),
            Self::Ed25519(key) => short(key.try_sign(message)?.as_ref()),
            Self::Rsa(key) => {
                let padding: &dyn RsaEncoding = match algorithm {
                    SigningAlgorithm::Ps256 => &RSA_PSS_SHA256,
                    _ => &RSA_PKCS1_SHA256,
                };
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(padding, &random, message, &mut signature)?;
                Ok(Signature::Long(signature))
            }
        }
    }

    /// The hash of what messages begin with, where the library signs a hash.
    pub(super) fn hash(&self, begin: &[u8]) -> Option<Hash> {
        let Self::P256(_) = self else { return None };
        let mut hash = Context::new(&SHA256);
        hash.update(begin);
        Some(Hash(hash))
    }

    /// Signs the message that begins with what was hashed, and ends with this.
    pub(super) fn sign_hashed(&self, begin: &Hash, end: &[u8]) -> Result<Signature, Unspecified> {
        let Self::P256(key) = self else { return Err(Unspecified) };
        let mut hash = begin.0.clone();
        hash.update(end);
        short(key.sign_digest(&hash.finish())?.as_ref())
    }

    pub(super) fn to_pem(&self) -> Result<String, Unspecified> {
        Ok(match self {
            Self::P256(key) => pem::write(key.to_pkcs8v1()?.as_ref()),
            Self::Ed25519(key) => pem::write(key.to_pkcs8v1()?.as_ref()),
            Self::Rsa(key) => {
                let der: Pkcs8V1Der<'_> = key.as_der()?;
                pem::write(der.as_ref())
            }
        })
    }
}

fn short(signature: &[u8]) -> Result<Signature, Unspecified> {
    signature.try_into().map(Signature::Short).map_err(|_| Unspecified)
}

fn rejected(why: KeyRejected) -> Error {
    match why.description_() {
        "TooSmall" => too_weak(),
        "InconsistentComponents" => {
            Error::config("the public part of the key does not belong to its private part")
        }
        why => Error::config(format!(
            "the key cannot be used ({why}): it is neither P-256, Ed25519 nor RSA of 2048 to 8192 bits, or it is damaged"
        )),
    }
}

fn too_weak() -> Error {
    Error::config("the RSA key is too weak: it has less than 2048 bits; make a new one")
}
