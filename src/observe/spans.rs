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

/// What spans and events say of what an access token is for; nothing of the login's own.
#[derive(Default)]
pub(crate) struct TargetFields {
    /// Separated by spaces, where there are several.
    pub(crate) resource: Option<String>,
    pub(crate) scope: Option<String>,
}

impl TargetFields {
    pub(super) fn resource(&self) -> Option<&str> {
        self.resource.as_deref()
    }

    pub(super) fn scope(&self) -> Option<&str> {
        self.scope.as_deref()
    }
}

macro_rules! detached {
    ($name:literal, $client:expr $(, $field:ident = $value:expr)*) => {{
        let client: Option<&ClientFields<'_>> = $client;
        let span = tracing::error_span!(
            target: TARGET,
            parent: None,
            $name,
            client_id = client.map(|client| client.client_id),
            host = client.and_then(|client| client.host)
            $(, $field = $value)*
        );
        span.follows_from(Span::current());
        span
    }};
}

/// Around a renewal.
pub(crate) fn renewal(client: Option<ClientFields<'_>>, of: &TargetFields) -> Span {
    detached!("renewal", client.as_ref(), resource = of.resource(), scope = of.scope())
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
