//! `KeyBinding`: the key that a login's tokens are bound to
//! ([RFC 9449 §5](https://www.rfc-editor.org/rfc/rfc9449#section-5)).

use secrecy::zeroize::Zeroizing;
use serde_json::{Map, Value};

use crate::keys::SigningKey;

/// The members of a stored token: the thumbprint of the key, and the key itself, where it is the login's own.
pub(super) const THUMBPRINT: &str = "dpop_jkt";
pub(super) const KEY: &str = "dpop_key";

#[derive(Clone)]
pub(crate) enum KeyBinding {
    /// The login's own key: saved with the token, unless it is elsewhere.
    Own(SigningKey),
    /// A key that is kept elsewhere, by its thumbprint.
    Named(Box<str>),
}

impl KeyBinding {
    pub(crate) fn thumbprint(&self) -> &str {
        match self {
            Self::Own(key) => key.thumbprint(),
            Self::Named(thumbprint) => thumbprint,
        }
    }

    /// The private key, to be stored.
    pub(super) fn pem(&self) -> Option<Zeroizing<String>> {
        match self {
            Self::Own(key) => key.to_pem().ok().flatten().map(Zeroizing::new),
            Self::Named(_) => None,
        }
    }

    /// From a stored token. The key must be the one that the thumbprint names.
    pub(super) fn take(members: &mut Map<String, Value>) -> Result<Option<Self>, &'static str> {
        let mut text = |name| match members.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err("a stored token's dpop_jkt and dpop_key are text"),
        };
        let thumbprint = text(THUMBPRINT)?;
        let Some(pem) = text(KEY)?.map(Zeroizing::new) else {
            return Ok(thumbprint.map(|named| Self::Named(named.into_boxed_str())));
        };
        let key = SigningKey::from_pem(&*pem)
            .map_err(|_| "the key of a stored token (dpop_key) cannot be read")?;
        if thumbprint.is_some_and(|thumbprint| thumbprint != key.thumbprint()) {
            return Err("the key of a stored token (dpop_key) is not the one that dpop_jkt names");
        }
        Ok(Some(Self::Own(key)))
    }
}
