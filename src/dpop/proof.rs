//! `Prover`: makes the proof of each request
//! ([RFC 9449 §4.2](https://www.rfc-editor.org/rfc/rfc9449#section-4.2)).
//!
//! Invariant: the claims are put together as text. None of them can have a character that JSON escapes: a
//! URL and a method have none, the nonce was checked, the rest is base64url or a number.

use std::fmt::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use http::{HeaderName, HeaderValue, Method};
use serde_json::Value;
use sha2::{Digest, Sha256};
use url::{Position, Url};

use super::Known;
use crate::error::Error;
use crate::keys::SigningKey;

/// The header that has the proof.
pub(crate) const PROOF: HeaderName = HeaderName::from_static("dpop");

/// A key with the header of its proofs.
pub(crate) struct Prover {
    key: SigningKey,
    header: Box<str>,
}

impl Prover {
    pub(crate) fn new(key: SigningKey) -> Self {
        let members =
            [("jwk", Value::Object(key.required_jwk())), ("typ", Value::from("dpop+jwt"))];
        let header = key.jws_header(members).into_boxed_str();
        Self { key, header }
    }

    pub(crate) fn key(&self) -> &SigningKey {
        &self.key
    }

    /// A new proof, for one sending of a request. `ath`: the digest of the access token that it carries.
    ///
    /// # Errors
    ///
    /// [`Error::is_signing`].
    pub(crate) async fn prove(
        &self,
        method: &Method,
        url: &Url,
        ath: Option<&str>,
        known: &Known,
        now: SystemTime,
    ) -> Result<HeaderValue, Error> {
        let claims = claims(method, url, ath, known, now, rand::random());
        let proof = self.key.sign_jws(&self.header, claims.as_bytes()).await?;
        let proof = HeaderValue::try_from(proof);
        let mut proof = proof.map_err(|_| Error::signing("the proof cannot stand in a header"))?;
        // Each is of use once: nobody has to keep it.
        proof.set_sensitive(true);
        Ok(proof)
    }
}

/// "The HTTP target URI […] of the request to which the JWT is attached, without query and fragment parts."
fn claims(
    method: &Method,
    url: &Url,
    ath: Option<&str>,
    known: &Known,
    now: SystemTime,
    id: u128,
) -> String {
    let url = &url[..Position::AfterPath];
    let nonce = known.nonce.as_deref();
    let mut text = String::with_capacity(160 + url.len() + nonce.map_or(0, str::len));
    text.push_str(r#"{"jti":""#);
    BASE64_URL_SAFE_NO_PAD.encode_string(id.to_be_bytes(), &mut text);
    let parts = [r#"","htm":""#, method.as_str(), r#"","htu":""#, url, r#"","iat":"#];
    parts.into_iter().for_each(|part| text.push_str(part));
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    // Writing into a string does not fail.
    let _ = write!(text, "{}", since.saturating_add_signed(known.skew));
    for (name, value) in [(r#","ath":""#, ath), (r#","nonce":""#, nonce)] {
        if let Some(value) = value {
            [name, value, "\""].into_iter().for_each(|part| text.push_str(part));
        }
    }
    text.push('}');
    text
}

/// The `ath` of an access token.
pub(super) fn token_hash(access_token: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(access_token))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::time::Duration;

    #[test]
    fn the_digest_of_a_token_is_that_of_the_rfc() {
        // V12.
        assert_eq!(
            token_hash("Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU"),
            "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo"
        );
    }

    #[test]
    fn claims_are_json_and_name_the_url_without_query_and_fragment() {
        let now = UNIX_EPOCH + Duration::from_millis(1_562_262_618_999);
        let read = |url: &str, ath, known: &Known| -> Value {
            let url = url.parse().unwrap();
            serde_json::from_str(&claims(&Method::GET, &url, ath, known, now, 1)).unwrap()
        };
        let known = Known { nonce: Some("eyJ7S_zG.eyJH0-Z.HX4w-7v!#'".into()), skew: -18 };
        let url = "HTTPS://Resource.Example.org:443/protected%20\"\\'resource?a=b#c";
        assert_eq!(
            read(url, Some("fUHy"), &known),
            json!({"jti": "AAAAAAAAAAAAAAAAAAAAAQ", "htm": "GET", "iat": 1_562_262_600,
                "htu": "https://resource.example.org/protected%20%22/'resource",
                "ath": "fUHy", "nonce": "eyJ7S_zG.eyJH0-Z.HX4w-7v!#'"})
        );
        assert_eq!(
            read("http://[::1]:8080", None, &Known { nonce: None, skew: i64::MIN }),
            json!({"jti": "AAAAAAAAAAAAAAAAAAAAAQ", "htm": "GET", "iat": 0,
                "htu": "http://[::1]:8080/"})
        );
    }
}
