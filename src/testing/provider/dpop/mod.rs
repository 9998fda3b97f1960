//! Proofs that requests come from who has the token's key (RFC 9449).

mod judge;
mod proof;
mod rules;

pub(crate) use judge::{Endpoint, Judge, Presented, Refusal};
pub use rules::{DpopNonces, DpopRules};
