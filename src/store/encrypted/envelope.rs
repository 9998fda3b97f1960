//! `Envelope`: the form of an encrypted document.

use std::collections::HashMap;

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use chacha20poly1305::XNonce;
use secrecy::zeroize::Zeroizing;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use super::key::EncryptionKey;
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
    /// Whether the document claims to be an envelope.
    pub(super) fn is(json: &str) -> bool {
        let members = serde_json::from_str::<HashMap<String, IgnoredAny>>(json);
        members.is_ok_and(|members| members.contains_key("sealed"))
    }

    pub(super) fn encrypt(
        with: &EncryptionKey,
        key: &TokenKey,
        json: &str,
    ) -> Result<String, BoxError> {
        let (nonce, data) = with.encrypt(json, &bound(with.id(), key)?)?;
        Ok(serde_json::to_string(&Self {
            sealed: FORM.into(),
            kid: with.id().into(),
            nonce: BASE64_URL_SAFE_NO_PAD.encode(nonce),
            data: BASE64_URL_SAFE_NO_PAD.encode(data),
        })?)
    }

    /// Decrypts the document with the key that it names. Of several keys with this id, each is tried. Also
    /// returns whether that is the first of all keys.
    pub(super) fn decrypt(
        json: &str,
        keys: &[EncryptionKey],
        key: &TokenKey,
    ) -> Result<(Zeroizing<Vec<u8>>, bool), StoreError> {
        let unknown = || StoreError::corrupt("the encrypted record has an unknown form");
        let envelope: Self = serde_json::from_str(json).map_err(|_| unknown())?;
        if envelope.sealed != FORM {
            return Err(unknown());
        }
        let [nonce, data] = [&envelope.nonce, &envelope.data]
            .map(|text| BASE64_URL_SAFE_NO_PAD.decode(text).map_err(|_| unknown()));
        let nonce = XNonce::try_from(&*nonce?).map_err(|_| unknown())?;
        let (data, bound) = (data?, bound(&envelope.kid, key).map_err(StoreError::corrupt)?);
        let is_named = |(_, with): &(usize, &EncryptionKey)| with.id() == envelope.kid;
        let mut named = keys.iter().enumerate().filter(is_named).peekable();
        if named.peek().is_none() {
            let kid: String = envelope.kid.chars().take(64).collect();
            return Err(StoreError::config(format!(
                "the record is encrypted with the key {kid:?}, which EncryptedStore does not have; \
                 add_decryption_key() adds it"
            )));
        }
        let decrypted = named.find_map(|(at, with)| {
            let text = with.decrypt(&nonce, &data, &bound)?;
            Some((text, at == 0))
        });
        decrypted.ok_or_else(|| {
            StoreError::corrupt(
                "the record cannot be decrypted: its key has the id of another one, or somebody \
                 changed it or moved it here from another TokenKey",
            )
        })
    }
}

/// What is authenticated besides the text. JSON, so no two of them look the same.
fn bound(kid: &str, key: &TokenKey) -> Result<Vec<u8>, BoxError> {
    Ok(serde_json::to_vec(&["reqwest-oauth2", FORM, kid, key.as_str()])?)
}
