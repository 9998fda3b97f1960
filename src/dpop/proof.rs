//! `Prover`: makes the proof of each request
//! ([RFC 9449 §4.2](https://www.rfc-editor.org/rfc/rfc9449#section-4.2)).
//!
//! Invariant: the claims are put together as text. None of them can have a character that JSON escapes: a
//! URL and a method have none, the nonce was checked, the rest is base64url or a number.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use http::{HeaderName, HeaderValue, Method};
use serde_json::Value;
use sha2::{Digest, Sha256};
use url::{Position, Url};

use super::servers::{Basis, Known, Servers};
use crate::clock::Clock;
use crate::error::Error;
use crate::keys::{JwsHeader, SigningKey, base64_url};

/// The header that has the proof.
pub(crate) const PROOF: HeaderName = HeaderName::from_static("dpop");

/// The most digits that a `u64` has.
const DIGITS: usize = 20;

/// A key with the header of its proofs.
pub(crate) struct Prover {
    key: SigningKey,
    header: JwsHeader,
}

/// What a proof is about: one sending of a request.
#[derive(Clone, Copy)]
pub(crate) struct Subject<'a> {
    pub(crate) method: &'a Method,
    pub(crate) url: &'a Url,
    /// The digest of the access token that it carries.
    pub(crate) ath: Option<&'a str>,
}

impl Prover {
    pub(crate) fn new(key: SigningKey) -> Self {
        let members =
            [("jwk", Value::Object(key.required_jwk())), ("typ", Value::from("dpop+jwt"))];
        let header = key.jws_header(members);
        Self { key, header }
    }

    pub(crate) fn key(&self) -> &SigningKey {
        &self.key
    }

    /// A new proof. `servers`: what is known of the server at `at`, which is the URL of the subject, or the
    /// one that this stands for.
    ///
    /// # Errors
    ///
    /// [`Error::is_signing`].
    pub(crate) async fn prove(
        &self,
        subject: Subject<'_>,
        (servers, at): (&Servers, &Url),
        clock: &Clock,
    ) -> Result<(HeaderValue, Basis), Error> {
        let (claims, basis) = subject.claims(servers, at, clock.now());
        let proof = self.key.sign_jws(&self.header, &claims).await?;
        Ok((header(proof)?, basis))
    }

    /// The same without a wait; `None` where the key is elsewhere.
    pub(crate) fn prove_here(
        &self,
        subject: Subject<'_>,
        (servers, at): (&Servers, &Url),
        clock: &Clock,
    ) -> Option<Result<(HeaderValue, Basis), Error>> {
        if !self.key.is_here() {
            return None;
        }
        let (claims, basis) = subject.claims(servers, at, clock.now());
        let proof = self.key.sign_jws_here(&self.header, &claims)?;
        Some(proof.and_then(header).map(|proof| (proof, basis)))
    }
}

fn header(proof: Vec<u8>) -> Result<HeaderValue, Error> {
    let proof = HeaderValue::try_from(proof);
    let mut proof = proof
        .map_err(|_| Error::signing("the proof has characters that are not allowed in a header"))?;
    // Each is of use once: nobody has to keep it.
    proof.set_sensitive(true);
    Ok(proof)
}

impl Subject<'_> {
    fn claims(self, servers: &Servers, at: &Url, now: SystemTime) -> (Vec<u8>, Basis) {
        let id = rand::random();
        servers.read(at, |known| self.claims_of(known, now, id))
    }

    /// "The HTTP target URI […] of the request to which the JWT is attached, without query and fragment
    /// parts."
    fn claims_of(self, known: Known<'_>, now: SystemTime, id: u128) -> Vec<u8> {
        let url = &self.url[..Position::AfterPath];
        let nonce_len = known.nonce.map_or(0, <[u8]>::len);
        let mut text = Vec::with_capacity(192 + url.len() + nonce_len);
        text.extend_from_slice(br#"{"jti":""#);
        base64_url::encode(&id.to_be_bytes(), &mut text);
        for part in [r#"","htm":""#, self.method.as_str(), r#"","htu":""#, url, r#"","iat":"#] {
            text.extend_from_slice(part.as_bytes());
        }
        let since = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        push_number(since.saturating_add_signed(known.skew), &mut text);
        let ath = self.ath.map(str::as_bytes);
        for (name, value) in [(&br#","ath":""#[..], ath), (br#","nonce":""#, known.nonce)] {
            if let Some(value) = value {
                [name, value, b"\""].iter().for_each(|part| text.extend_from_slice(part));
            }
        }
        text.push(b'}');
        text
    }
}

/// Appends the number in decimal digits.
fn push_number(mut number: u64, text: &mut Vec<u8>) {
    let mut digits = [b'0'; DIGITS];
    let mut first = DIGITS - 1;
    loop {
        digits[first] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 || first == 0 {
            break;
        }
        first -= 1;
    }
    text.extend_from_slice(&digits[first..]);
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
        let read = |url: &str, ath, known: Known<'_>| -> Value {
            let url = url.parse().unwrap();
            let subject = Subject { method: &Method::GET, url: &url, ath };
            serde_json::from_slice(&subject.claims_of(known, now, 1)).unwrap()
        };
        let known = Known { nonce: Some(b"eyJ7S_zG.eyJH0-Z.HX4w-7v!#'"), skew: -18 };
        let url = "HTTPS://Resource.Example.org:443/protected%20\"\\'resource?a=b#c";
        assert_eq!(
            read(url, Some("fUHy"), known),
            json!({"jti": "AAAAAAAAAAAAAAAAAAAAAQ", "htm": "GET", "iat": 1_562_262_600,
                "htu": "https://resource.example.org/protected%20%22/'resource",
                "ath": "fUHy", "nonce": "eyJ7S_zG.eyJH0-Z.HX4w-7v!#'"})
        );
        assert_eq!(
            read("http://[::1]:8080", None, Known { nonce: None, skew: i64::MIN }),
            json!({"jti": "AAAAAAAAAAAAAAAAAAAAAQ", "htm": "GET", "iat": 0,
                "htu": "http://[::1]:8080/"})
        );
    }

    #[test]
    fn numbers_are_in_decimal_digits() {
        for number in [0, 9, 10, 1_562_262_600, u64::MAX - 1, u64::MAX] {
            let mut text = Vec::new();
            push_number(number, &mut text);
            assert_eq!(String::from_utf8(text).unwrap(), number.to_string());
        }
    }
}
