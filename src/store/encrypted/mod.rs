//! Encrypts the documents of any store.
//!
//! The inner store then holds JSON documents of this form:
//!
//! ```json
//! {"sealed":"v1","kid":"2026-01","nonce":"…","data":"…"}
//! ```
//!
//! `data` is the document, encrypted by XChaCha20-Poly1305 with the key `kid` and a `nonce` of 24 random
//! bytes; both are base64url. The form, the `kid` and the [`TokenKey`](super::TokenKey) are
//! authenticated too, so none of them can be changed.

mod encrypted_store;
mod envelope;
mod key;

pub use encrypted_store::EncryptedStore;
pub use key::EncryptionKey;
