//! What each peer does, against a provider that rotates refresh tokens and ends the login when one is
//! presented twice.

pub mod bad_days;
pub mod renewals;

use reqwest_oauth2::testing::Provider;

/// The provider has seen a refresh token twice.
fn ended(provider: &Provider) -> bool {
    provider.counts().reuse_detected > 0
}
