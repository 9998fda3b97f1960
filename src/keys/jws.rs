//! Compact JWS: header, payload and signature in base64url, with dots between them
//! ([RFC 7515 §3.1](https://www.rfc-editor.org/rfc/rfc7515#section-3.1)).

use secrecy::zeroize::Zeroizing;
use serde_json::{Map, Value};

use super::SigningKey;
use super::base64_url::{self, encode};
use super::key_pair::Hash;
use crate::error::Error;

/// The header of any number of JWS by one key: encoded, with the dot behind it.
pub(crate) struct JwsHeader {
    text: Box<[u8]>,
    /// Its hash, which the library goes on with: it is a third of a proof. `None`: it cannot, or the key is
    /// elsewhere.
    hash: Option<Hash>,
}

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
        let jwt = self.sign_jws(&self.jws_header(key_id), claims.as_bytes()).await?;
        String::from_utf8(jwt).map_err(|_| Error::signing("the JWT is no text"))
    }

    /// The header of JWS by this key: `alg`, and these members.
    pub(crate) fn jws_header(
        &self,
        members: impl IntoIterator<Item = (&'static str, Value)>,
    ) -> JwsHeader {
        let algorithm = ("alg", Value::from(self.algorithm().name()));
        let header: Map<String, Value> = std::iter::once(algorithm)
            .chain(members)
            .map(|(name, value)| (name.to_owned(), value))
            .collect();
        let mut text = Vec::new();
        encode(Value::Object(header).to_string().as_bytes(), &mut text);
        text.push(b'.');
        let hash = self.pair().and_then(|pair| pair.hash(&text));
        JwsHeader { text: text.into_boxed_slice(), hash }
    }

    /// The payload, signed under that header.
    ///
    /// # Errors
    ///
    /// [`Error::is_signing`], which a timeout of the signer is too.
    pub(crate) async fn sign_jws(
        &self,
        header: &JwsHeader,
        payload: &[u8],
    ) -> Result<Vec<u8>, Error> {
        if let Some(signed) = self.sign_jws_here(header, payload) {
            return signed;
        }
        let text = self.unsigned(header, payload);
        let signature = self.sign(&text).await?;
        Ok(signed(text, &signature))
    }

    /// The same without a wait; `None` where the key is elsewhere.
    pub(crate) fn sign_jws_here(
        &self,
        header: &JwsHeader,
        payload: &[u8],
    ) -> Option<Result<Vec<u8>, Error>> {
        let pair = self.pair()?;
        let text = self.unsigned(header, payload);
        let signature = match &header.hash {
            Some(hash) => pair.sign_hashed(hash, &text[header.text.len()..]),
            None => pair.sign(self.algorithm(), &text),
        };
        Some(match signature {
            Ok(signature) => Ok(signed(text, &signature)),
            Err(_) => Err(Error::signing("the library could not sign")),
        })
    }

    /// Header and payload, with room for the signature and for nothing else: a text that grows leaves copies
    /// behind that are not wiped, and one with room to spare costs an allocation when it becomes a header.
    fn unsigned(&self, header: &JwsHeader, payload: &[u8]) -> Vec<u8> {
        let [payload_len, signature_len] =
            [payload.len(), self.longest_signature()].map(base64_url::length);
        let header = &*header.text;
        let mut text = Vec::with_capacity(header.len() + payload_len + 1 + signature_len);
        text.extend_from_slice(header);
        encode(payload, &mut text);
        text
    }
}

fn signed(mut text: Vec<u8>, signature: &[u8]) -> Vec<u8> {
    text.push(b'.');
    encode(signature, &mut text);
    text
}
