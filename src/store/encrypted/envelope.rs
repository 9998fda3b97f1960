//! `Envelope`: the form of a sealed document.

use std::collections::HashMap;

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use chacha20poly1305::XNonce;
use secrecy::zeroize::Zeroizing;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use super::key::SealingKey;
use crate::error::BoxError;
use crate::store::{StoreError, TokenKey};

const FORM: &str = "v1";

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Envelope {
    sealed: String,
    kid: String,
    nonce: String,
    data: String,
}

impl Envelope {
    /// Whether the document says that it is one.
    pub(super) fn is(json: &str) -> bool {
        let members = serde_json::from_str::<HashMap<String, IgnoredAny>>(json);
        members.is_ok_and(|members| members.contains_key("sealed"))
    }

    pub(super) fn seal(with: &SealingKey, key: &TokenKey, json: &str) -> Result<String, BoxError> {
        let (nonce, data) = with.seal(json, &bound(with.id(), key)?)?;
        Ok(serde_json::to_string(&Self {
            sealed: FORM.into(),
            kid: with.id().into(),
            nonce: BASE64_URL_SAFE_NO_PAD.encode(nonce),
            data: BASE64_URL_SAFE_NO_PAD.encode(data),
        })?)
    }

    /// The document in it, with the key that it names.
    pub(super) fn open(
        json: &str,
        keys: &[SealingKey],
        key: &TokenKey,
    ) -> Result<Zeroizing<Vec<u8>>, StoreError> {
        let broken = || StoreError::corrupt("a sealed document of no known form");
        let envelope: Self = serde_json::from_str(json).map_err(|_| broken())?;
        if envelope.sealed != FORM {
            return Err(broken());
        }
        let [nonce, data] = [&envelope.nonce, &envelope.data]
            .map(|text| BASE64_URL_SAFE_NO_PAD.decode(text).map_err(|_| broken()));
        let nonce = XNonce::try_from(&*nonce?).map_err(|_| broken())?;
        let (data, bound) = (data?, bound(&envelope.kid, key).map_err(StoreError::corrupt)?);
        let mut named = keys.iter().filter(|with| with.id() == envelope.kid).peekable();
        if named.peek().is_none() {
            let kid: String = envelope.kid.chars().take(64).collect();
            return Err(StoreError::config(format!(
                "a document is sealed with the key {kid:?}, which Sealed was not given: also_opens()"
            )));
        }
        named.find_map(|with| with.open(&nonce, &data, &bound)).ok_or_else(|| {
            StoreError::corrupt(
                "a sealed document does not open: another key has the same id, or the document was changed, or moved here from another user's place",
            )
        })
    }
}

/// What a document is bound to besides its text. JSON, so that no two of them look alike.
fn bound(kid: &str, key: &TokenKey) -> Result<Vec<u8>, BoxError> {
    Ok(serde_json::to_vec(&["reqwest-oauth2", FORM, kid, key.as_str()])?)
}
