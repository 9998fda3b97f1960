//! Keys that sign: of the application itself, and elsewhere.

mod algorithm;
pub(crate) mod base64_url;
mod hs256;
mod jws;
mod key_pair;
mod pem;
mod private_jwk;
mod public_key;
mod signature;
mod signer;
mod signing_key;
#[cfg(test)]
mod tests;

pub use algorithm::SigningAlgorithm;
#[cfg(feature = "testing")]
pub(crate) use hs256::verifies_hs256;
pub(crate) use hs256::{LEAST_SECRET, sign_hs256};
pub(crate) use jws::JwsHeader;
#[cfg(feature = "testing")]
pub(crate) use public_key::PublicKey;
pub use signer::Signer;
pub use signing_key::SigningKey;
