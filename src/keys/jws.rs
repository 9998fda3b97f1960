//! Compact JWS: header, payload and signature in base64url, with dots between them
//! ([RFC 7515 §3.1](https://www.rfc-editor.org/rfc/rfc7515#section-3.1)).

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use secrecy::zeroize::Zeroizing;
use serde_json::{Map, Value};

use super::SigningKey;
use crate::error::Error;

impl SigningKey {
    /// Signs the claims as a JWT, with `alg` and, where the key has one, `kid` in its header: an assertion
    /// for [`JwtBearer`](crate::JwtBearer), say. Give it a new `jti` and a short life. A secret
    /// ([RFC 7519 §7.1](https://www.rfc-editor.org/rfc/rfc7519#section-7.1)).
    ///
    /// # Errors
    ///
    /// [`Error::is_signing`] if a signer fails, takes too long or returns something else.
    ///
    /// # Cancellation
    ///
    /// A call of the signer ends with it.
    pub async fn sign_jwt(&self, claims: Map<String, Value>) -> Result<String, Error> {
        let key_id = self.key_id().map(|key_id| ("kid", key_id.into()));
        let claims = Zeroizing::new(Value::Object(claims).to_string());
        self.sign_jws(&self.jws_header(key_id), claims.as_bytes()).await
    }

    /// The encoded header of a JWS by this key: `alg`, and these members. It may be used any number of times.
    pub(crate) fn jws_header(
        &self,
        members: impl IntoIterator<Item = (&'static str, Value)>,
    ) -> String {
        let algorithm = ("alg", Value::from(self.algorithm().name()));
        let header: Map<String, Value> = std::iter::once(algorithm)
            .chain(members)
            .map(|(name, value)| (name.to_owned(), value))
            .collect();
        BASE64_URL_SAFE_NO_PAD.encode(Value::Object(header).to_string())
    }

    /// The payload, signed under that header.
    ///
    /// # Errors
    ///
    /// [`Error::is_signing`], which a timeout of the signer is too.
    pub(crate) async fn sign_jws(&self, header: &str, payload: &[u8]) -> Result<String, Error> {
        let base64 = |bytes: usize| bytes.div_ceil(3) * 4;
        // With room for the signature: a text that grows leaves copies behind that are not wiped.
        let longest = header.len() + base64(payload.len()) + base64(self.longest_signature()) + 2;
        let mut text = String::with_capacity(longest);
        text.push_str(header);
        text.push('.');
        BASE64_URL_SAFE_NO_PAD.encode_string(payload, &mut text);
        let signature = self.sign(text.as_bytes()).await?;
        text.push('.');
        BASE64_URL_SAFE_NO_PAD.encode_string(signature, &mut text);
        Ok(text)
    }
}
