//! The spans. They have level `error`, so a level filter never removes the context of a warning; there are
//! few of them.
//!
//! A renewal and the saving of a token outlive the request that caused them, so they are roots, and follow
//! from that request's span: it may end, and the link remains.

use tracing::Span;

use super::TARGET;

/// What a span says of a client.
pub(crate) struct ClientFields<'a> {
    pub(crate) client_id: &'a str,
    /// That of the token endpoint.
    pub(crate) host: Option<&'a str>,
}

macro_rules! detached {
    ($name:literal, $client:expr) => {{
        let client: Option<&ClientFields<'_>> = $client;
        let span = tracing::error_span!(
            target: TARGET,
            parent: None,
            $name,
            client_id = client.map(|client| client.client_id),
            host = client.and_then(|client| client.host)
        );
        span.follows_from(Span::current());
        span
    }};
}

/// Around a renewal.
pub(crate) fn renewal(client: Option<ClientFields<'_>>) -> Span {
    detached!("renewal", client.as_ref())
}

/// Around the saving of a token, until it is saved.
pub(crate) fn saving(client: Option<ClientFields<'_>>) -> Span {
    detached!("saving", client.as_ref())
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
