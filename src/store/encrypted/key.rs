//! `SealingKey`.

use std::fmt;

use chacha20poly1305::aead::{AeadInOut, Generate};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretBox};

use crate::error::BoxError;

/// What the authenticator adds to a document.
const TAG: usize = 16;

/// A key to seal documents with, and the name it is found by among others. Wiped when dropped;
/// `Debug` shows the name alone.
pub struct SealingKey {
    id: String,
    key: SecretBox<[u8; 32]>,
}

impl SealingKey {
    /// A key of 32 random bytes, such as `openssl rand 32` makes; no password. The `id` is stored with
    /// each document, in plain: a number or a date, to tell this key from those before and after.
    pub fn new(id: impl Into<String>, key: [u8; 32]) -> Self {
        let key = Zeroizing::new(key);
        Self { id: id.into(), key: SecretBox::init_with_mut(|own: &mut [u8; 32]| *own = *key) }
    }

    /// The name.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The nonce and the sealed text; `bound` must be there again to open it.
    pub(super) fn seal(&self, text: &str, bound: &[u8]) -> Result<(XNonce, Vec<u8>), BoxError> {
        // Of the operating system: after a fork two processes draw the same from a generator in
        // memory, and a nonce that serves twice gives both texts away.
        let nonce = XNonce::try_generate()?;
        // With room for the authenticator: what a growing buffer leaves behind is not wiped.
        let mut data = Zeroizing::new(Vec::with_capacity(text.len() + TAG));
        data.extend_from_slice(text.as_bytes());
        self.cipher().encrypt_in_place(&nonce, bound, &mut *data).map_err(|_| "too long")?;
        Ok((nonce, std::mem::take(&mut *data)))
    }

    /// The text; `None` where the data was not sealed with this key, this nonce and `bound`.
    pub(super) fn open(
        &self,
        nonce: &XNonce,
        data: &[u8],
        bound: &[u8],
    ) -> Option<Zeroizing<Vec<u8>>> {
        let mut data = Zeroizing::new(data.to_vec());
        self.cipher().decrypt_in_place(nonce, bound, &mut *data).ok()?;
        Some(data)
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(self.key.expose_secret().into())
    }
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealingKey").field("id", &self.id).finish_non_exhaustive()
    }
}
