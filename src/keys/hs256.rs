//! HS256: signatures with a secret that both sides know
//! ([RFC 7518 §3.2](https://www.rfc-editor.org/rfc/rfc7518#section-3.2)).

use aws_lc_rs::hmac;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use secrecy::zeroize::Zeroizing;
use serde_json::{Map, Value};

/// "A key of the same size as the hash output (for instance, 256 bits for "HS256") or larger MUST be used":
/// in bytes.
pub(crate) const LEAST_SECRET: usize = 32;

/// The claims as a JWT, signed with the secret.
pub(crate) fn sign_hs256(secret: &[u8], claims: Map<String, Value>) -> String {
    let claims = Zeroizing::new(Value::Object(claims).to_string());
    let header = BASE64_URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256"}"#);
    let message = format!("{header}.{}", BASE64_URL_SAFE_NO_PAD.encode(claims.as_bytes()));
    let signature = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), message.as_bytes());
    format!("{message}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
}

/// Whether the signature is one with this secret, in constant time.
#[cfg(feature = "testing")]
pub(crate) fn verifies_hs256(secret: &[u8], message: &[u8], signature: &[u8]) -> bool {
    hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, secret), message, signature).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// [RFC 7515 §A.1](https://www.rfc-editor.org/rfc/rfc7515#appendix-A.1): its key and its message.
    #[test]
    fn the_published_vector() {
        let key = "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow";
        let key = BASE64_URL_SAFE_NO_PAD.decode(key).unwrap();
        let message = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
        let signature = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
        let signed = hmac::sign(&key, message.as_bytes());
        assert_eq!(BASE64_URL_SAFE_NO_PAD.encode(signed), signature);
    }

    #[test]
    fn a_jwt_names_its_algorithm_and_verifies_with_its_secret_alone() {
        let claims = Map::from_iter([("iss".to_owned(), Value::from("foo"))]);
        let jwt = sign_hs256(b"a secret", claims);
        let (message, signature) = jwt.rsplit_once('.').unwrap();
        assert_eq!(message, "eyJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJmb28ifQ");
        let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).unwrap();
        for (secret, is_right) in [(&b"a secret"[..], true), (b"another", false)] {
            let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
            let verified = hmac::verify(&key, message.as_bytes(), &signature).is_ok();
            assert_eq!(verified, is_right);
        }
    }
}
