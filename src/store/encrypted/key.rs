//! `EncryptionKey`.

use std::fmt;

use chacha20poly1305::aead::{AeadInOut, Generate};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretBox};

use crate::error::BoxError;

/// The length of the authentication tag, in bytes.
const TAG: usize = 16;

/// A key that encrypts documents, and its id. Wiped when dropped; `Debug` shows the id only.
pub struct EncryptionKey {
    id: String,
    key: SecretBox<[u8; 32]>,
}

impl EncryptionKey {
    /// A key of 32 random bytes, for example from `openssl rand 32`. Do not use a password.
    ///
    /// Each document names the `id` of its key, unencrypted. Use a number or a date, to tell this key
    /// from earlier and later ones.
    pub fn new(id: impl Into<String>, key: [u8; 32]) -> Self {
        let key = Zeroizing::new(key);
        Self { id: id.into(), key: SecretBox::init_with_mut(|own: &mut [u8; 32]| *own = *key) }
    }

    /// The id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Returns a new nonce and the encrypted text. `bound` is authenticated but not encrypted.
    pub(super) fn encrypt(&self, text: &str, bound: &[u8]) -> Result<(XNonce, Vec<u8>), BoxError> {
        // From the operating system: after a fork, generators in the memory of two processes return
        // the same values, and a nonce that is used twice reveals both texts.
        let nonce = XNonce::try_generate()?;
        // With room for the tag: a buffer that grows leaves copies behind that are not wiped.
        let mut data = Zeroizing::new(Vec::with_capacity(text.len() + TAG));
        data.extend_from_slice(text.as_bytes());
        self.cipher().encrypt_in_place(&nonce, bound, &mut *data).map_err(|_| "too long")?;
        Ok((nonce, std::mem::take(&mut *data)))
    }

    /// Returns the text; `None` if key, nonce, data or `bound` are not those of the encryption.
    pub(super) fn decrypt(
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

impl fmt::Debug for EncryptionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EncryptionKey").field("id", &self.id).finish_non_exhaustive()
    }
}
