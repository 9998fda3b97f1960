//! The spans. They have the level of errors, so that no filter strips a warning of what it is about; there
//! are few of them.
//!
//! A renewal and the saving of a token outlive the request that caused them, so they are roots, and follow
//! from that request's span: it may end, and the link remains.

use tracing::Span;

use super::TARGET;
use crate::client::OAuthClient;

macro_rules! detached {
    ($name:literal, $client:expr) => {{
        let client: Option<&OAuthClient> = $client;
        let span = tracing::error_span!(
            target: TARGET,
            parent: None,
            $name,
            client_id = client.map(OAuthClient::client_id),
            host = client.and_then(|client| client.endpoints().token.host_str())
        );
        span.follows_from(Span::current());
        span
    }};
}

/// Around a renewal.
pub(crate) fn renewal(client: Option<&OAuthClient>) -> Span {
    detached!("renewal", client)
}

/// Around the saving of a token, until it is saved.
pub(crate) fn saving(client: Option<&OAuthClient>) -> Span {
    detached!("saving", client)
}

/// Around one request to the provider.
pub(crate) fn provider_request(
    endpoint: &str,
    host: Option<&str>,
    client_id: &str,
    grant_type: Option<&str>,
) -> Span {
    tracing::error_span!(target: TARGET, "provider_request", endpoint, host, client_id, grant_type)
}
