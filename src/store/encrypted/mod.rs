//! Documents that only who has the key can read, in any store.
//!
//! What a store holds is then a JSON document as well, of this form:
//!
//! ```json
//! {"sealed":"v1","kid":"2026-01","nonce":"…","data":"…"}
//! ```
//!
//! `data` is the document under XChaCha20-Poly1305 with the key `kid`, `nonce` 24 random bytes; both are in
//! base64url. What is authenticated with it, and so cannot be changed either, are the form, the
//! `kid`, and the key that the document is stored under.

mod encrypted_store;
mod envelope;
mod key;

pub use encrypted_store::Sealed;
pub use key::SealingKey;
