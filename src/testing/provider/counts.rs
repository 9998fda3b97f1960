/// What a [`Provider`](crate::testing::Provider) has counted since it started.
///
/// The counts of one request change together, so a snapshot is consistent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Every `POST` that arrived at the token endpoint, also those that a
    /// [`Fault`](crate::testing::Fault) then ruined.
    pub token_requests: u64,
    /// Access tokens issued by the token endpoint, also those whose response was
    /// then lost ([`Fault::CloseAfterIssue`](crate::testing::Fault::CloseAfterIssue)). Tokens from
    /// [`Provider::log_in`](crate::testing::Provider::log_in) are not counted.
    pub tokens_issued: u64,
    /// Successful requests with the `refresh_token` grant.
    pub refreshes: u64,
    /// How often a retired refresh token was presented and its family revoked
    /// for it. A family is counted once.
    pub reuse_detected: u64,
    /// Every `POST` that arrived at the revocation endpoint, also those that
    /// failed.
    pub revocations: u64,
    /// Every `GET` that arrived where metadata of the
    /// [issuer](crate::testing::Provider::issuer) may be, also those answered with 404
    /// because of [`ProviderBuilder::discovery`](crate::testing::ProviderBuilder::discovery)
    /// and those that a [`Fault`](crate::testing::Fault) ruined.
    pub metadata_requests: u64,
    /// Every `GET` that arrived where metadata of the API may be
    /// ([`ProviderBuilder::protected_resource`](crate::testing::ProviderBuilder::protected_resource)),
    /// also those answered with 404 and those that a [`Fault`](crate::testing::Fault) ruined.
    pub resource_metadata_requests: u64,
    /// Registrations of clients that were asked for.
    pub registrations: u64,
    /// Requests to the authorization endpoint.
    pub authorizations: u64,
    /// API requests refused because of their token's scope or of how its user logged in.
    pub api_insufficient: u64,
    /// Every request that arrived at the API.
    pub api_requests: u64,
    /// API requests with a live access token.
    pub api_ok: u64,
    /// API requests refused with 401, those without a token included.
    pub api_unauthorized: u64,
    /// Proofs (RFC 9449) that came a second time, at the token endpoint or at the API.
    pub replayed_proofs: u64,
    /// API requests without an `Authorization` header.
    pub api_without_token: u64,
}
