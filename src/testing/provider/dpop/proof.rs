use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use crate::testing::keys::{PublicKey, SigningAlgorithm};

/// How far `iat` may be from the provider's clock, in seconds.
const TOLERANCE: u64 = 60;

/// A proof whose signature is good (RFC 9449 §4.3).
pub(super) struct Proof {
    pub(super) jkt: String,
    claims: Map<String, Value>,
}

impl Proof {
    /// Reads a compact JWS. `None` if it is no proof.
    pub(super) fn read(text: &str) -> Option<Self> {
        let (message, signature) = text.rsplit_once('.')?;
        let (header, claims) = message.split_once('.')?;
        let header = object(header)?;
        let name = |name: &str| header.get(name).and_then(Value::as_str);
        let algorithm = SigningAlgorithm::from_name(name("alg")?)?;
        let key = PublicKey::of_jwk(header.get("jwk")?.as_object()?).ok()?;
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        let is_good = name("typ") == Some("dpop+jwt")
            && key.verifies(algorithm, message.as_bytes(), &signature);
        is_good.then(|| Self { jkt: key.thumbprint(), claims: object(claims).unwrap_or_default() })
    }

    pub(super) fn claim(&self, name: &str) -> Option<&str> {
        self.claims.get(name)?.as_str()
    }

    /// Whether it was made for this request.
    pub(super) fn is_for(&self, method: &str, url: &str, access_token: Option<&str>) -> bool {
        let ath = access_token.map(|token| URL_SAFE_NO_PAD.encode(Sha256::digest(token)));
        self.claim("htm") == Some(method)
            && self.claim("htu") == Some(url)
            && self.claim("ath") == ath.as_deref()
    }

    pub(super) fn is_fresh(&self, now: SystemTime) -> bool {
        let issued = self.claims.get("iat").and_then(Value::as_u64);
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        issued.is_some_and(|issued| issued.abs_diff(now) <= TOLERANCE)
    }
}

fn object(part: &str) -> Option<Map<String, Value>> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()
}
