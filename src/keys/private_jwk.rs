//! `PrivateJwk`: a private key as JSON ([RFC 7517](https://www.rfc-editor.org/rfc/rfc7517)).

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::SigningAlgorithm;
use crate::error::Error;

/// The longest text that is read, in bytes. A key of 8192 bits has less than 8,000.
const LONGEST: usize = 64 * 1024;

/// The members that a private key may have; others are passed over. One that is there twice is an error.
#[derive(Deserialize)]
pub(super) struct PrivateJwk {
    pub(super) kty: String,
    pub(super) crv: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    key_ops: Option<Vec<String>>,
    alg: Option<String>,
    pub(super) kid: Option<String>,
    x: Option<String>,
    y: Option<String>,
    n: Option<String>,
    e: Option<String>,
    d: Option<SecretString>,
    p: Option<SecretString>,
    q: Option<SecretString>,
    dp: Option<SecretString>,
    dq: Option<SecretString>,
    qi: Option<SecretString>,
    oth: Option<serde::de::IgnoredAny>,
}

impl PrivateJwk {
    pub(super) fn read(json: &[u8]) -> Result<Self, Error> {
        if json.len() > LONGEST {
            return Err(Error::config("the JWK is too long"));
        }
        // serde's own message may repeat what it read.
        let jwk: Self = serde_json::from_slice(json).map_err(|error| {
            Error::config(format!(
                "the key is not a JWK: not a JSON object with \"kty\", or a member is of the wrong type or there twice (line {}, column {})",
                error.line(),
                error.column()
            ))
        })?;
        if jwk.d.is_none() {
            return Err(Error::config(
                "the JWK has no private part (\"d\"); it is a public or a symmetric key",
            ));
        }
        if jwk.oth.is_some() {
            return Err(Error::config("the JWK is an RSA key of more than two primes"));
        }
        let signs = |operations: &Vec<String>| operations.iter().any(|name| name == "sign");
        if jwk.usage.as_ref().is_some_and(|usage| usage != "sig")
            || jwk.key_ops.as_ref().is_some_and(|operations| !signs(operations))
        {
            return Err(Error::config("the JWK is not for signing, by its \"use\" or \"key_ops\""));
        }
        Ok(jwk)
    }

    /// Its `alg`, where it has one.
    pub(super) fn algorithm(&self) -> Result<Option<SigningAlgorithm>, Error> {
        let Some(name) = &self.alg else { return Ok(None) };
        SigningAlgorithm::from_name(name).map(Some).ok_or_else(|| {
            Error::config("the JWK's \"alg\" is none of ES256, EdDSA, PS256 and RS256")
        })
    }

    pub(super) fn x(&self) -> Result<Vec<u8>, Error> {
        public("x", self.x.as_ref())
    }

    pub(super) fn y(&self) -> Result<Vec<u8>, Error> {
        public("y", self.y.as_ref())
    }

    pub(super) fn n(&self) -> Result<Vec<u8>, Error> {
        public("n", self.n.as_ref())
    }

    pub(super) fn e(&self) -> Result<Vec<u8>, Error> {
        public("e", self.e.as_ref())
    }

    pub(super) fn d(&self) -> Result<Zeroizing<Vec<u8>>, Error> {
        private("d", self.d.as_ref())
    }

    /// `p`, `q`, `dp`, `dq` and `qi`.
    pub(super) fn factors(&self) -> Result<[Zeroizing<Vec<u8>>; 5], Error> {
        Ok([
            private("p", self.p.as_ref())?,
            private("q", self.q.as_ref())?,
            private("dp", self.dp.as_ref())?,
            private("dq", self.dq.as_ref())?,
            private("qi", self.qi.as_ref())?,
        ])
    }
}

fn public(name: &str, text: Option<&String>) -> Result<Vec<u8>, Error> {
    text.and_then(|text| BASE64_URL_SAFE_NO_PAD.decode(text).ok()).ok_or_else(|| missing(name))
}

fn private(name: &str, text: Option<&SecretString>) -> Result<Zeroizing<Vec<u8>>, Error> {
    let bytes = text.and_then(|text| BASE64_URL_SAFE_NO_PAD.decode(text.expose_secret()).ok());
    bytes.map(Zeroizing::new).ok_or_else(|| missing(name))
}

fn missing(name: &str) -> Error {
    Error::config(format!("the JWK's member \"{name}\" is missing, or is not base64url"))
}
