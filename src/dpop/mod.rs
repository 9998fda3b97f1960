//! DPoP: proofs that a request comes from who has the key that a token is bound to
//! ([RFC 9449](https://www.rfc-editor.org/rfc/rfc9449)).

mod bound_token;
mod proof;
mod servers;

pub(crate) use bound_token::BoundToken;
pub(crate) use proof::{PROOF, Prover, Subject};
pub(crate) use servers::{Basis, Servers, gives_nonce};
