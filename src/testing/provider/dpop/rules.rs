/// How the provider and its API handle DPoP (RFC 9449), faults included. A proof that comes without being
/// asked for binds the token to its key in any case.
///
/// See [`ProviderBuilder::dpop`](crate::testing::ProviderBuilder::dpop) and
/// [`Provider::set_dpop`](crate::testing::Provider::set_dpop).
///
/// ```
/// use reqwest_oauth2::testing::{DpopNonces, DpopRules};
///
/// let mut rules = DpopRules::default();
/// rules.nonces = DpopNonces::EachAnswer { window: 1 };
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
#[allow(clippy::struct_excessive_bools)]
pub struct DpopRules {
    /// Token requests without a proof are refused.
    pub required: bool,
    /// Which nonces proofs must have. The token endpoint and the API have nonces of their own.
    pub nonces: DpopNonces,
    /// Every proof is answered with `use_dpop_nonce`, whatever its nonce.
    pub always_asks: bool,
    /// Answers with `use_dpop_nonce` have no nonce.
    pub asks_without_nonce: bool,
    /// This is sent as each nonce, whatever it is; no proof with another nonce is accepted.
    pub nonce: Option<Vec<u8>>,
    /// The parameters of a token request are looked at before its proof, and so is who sent it, as
    /// oidc-provider does: a request that lacks one is answered without a nonce.
    pub parameters_first: bool,
    /// The refresh token is consumed before the proof is looked at.
    pub consumes_before_nonce: bool,
    /// Tokens are bound to another key than that of the proof, and responses say so (`cnf`).
    pub wrong_key: bool,
    /// Tokens are bearer tokens, in spite of a proof.
    pub issues_bearer: bool,
    /// How many seconds the provider's clock is ahead, for proofs and for `Date`.
    pub clock_ahead: i64,
    /// The `Date` of responses, in place of the provider's time.
    pub date: Option<String>,
}

/// Which nonces proofs must have (RFC 9449 §8).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum DpopNonces {
    /// None.
    #[default]
    None,
    /// The same one, until [`Provider::renew_dpop_nonces`](crate::testing::Provider::renew_dpop_nonces). A
    /// response shows it only where it asks for it.
    Lasting,
    /// Each response has a new one, and the last of them are accepted.
    EachAnswer {
        /// How many; at least one.
        window: u64,
    },
}
