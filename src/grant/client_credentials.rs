//! Client credentials ([RFC 6749 §4.4](https://www.rfc-editor.org/rfc/rfc6749#section-4.4)).

use async_trait::async_trait;

use super::params::GrantParams;
use super::{Grant, GrantContext};
use crate::error::Error;
use crate::token::{Token, asked_scope};

/// The client acting for itself
/// ([RFC 6749 §4.4](https://www.rfc-editor.org/rfc/rfc6749#section-4.4)).
///
/// ```
/// use reqwest_oauth2::{ClientCredentials, OAuthClient, Session};
///
/// let app = OAuthClient::new("foo", "https://provider.com/token")?.secret("potato");
/// let session = Session::builder(app).grant(ClientCredentials::new().scope("read")).build();
/// # Ok::<(), reqwest_oauth2::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct ClientCredentials {
    params: GrantParams,
}

impl ClientCredentials {
    /// A grant without a scope: the provider grants its default scope
    /// ([RFC 6749 §4.4.2](https://www.rfc-editor.org/rfc/rfc6749#section-4.4.2)).
    pub fn new() -> Self {
        Self::default()
    }

    /// The scope of every client credentials request: names separated by spaces. Refresh requests
    /// use [`refresh_param`](crate::OAuthClient::refresh_param)
    /// ([RFC 6749 §3.3](https://www.rfc-editor.org/rfc/rfc6749#section-3.3)).
    pub fn scope(mut self, scope: impl Into<String>) -> Self {
        self.params.scope = asked_scope(scope);
        self
    }

    /// An extra parameter of the token request, such as `audience` or `resource`
    /// ([RFC 6749 §8.2](https://www.rfc-editor.org/rfc/rfc6749#section-8.2)).
    pub fn extra_param(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.params.add_extra(name, value);
        self
    }
}

#[async_trait]
impl Grant for ClientCredentials {
    async fn token(&self, context: &GrantContext<'_>) -> Result<Token, Error> {
        // "The client credentials grant type MUST only be used by confidential clients."
        let request = context.client()?.token_request("client_credentials").needs_authentication();
        self.params.add_to(request).send().await
    }

    fn issued_for(&self) -> Vec<(String, String)> {
        self.params.issued_for(&[])
    }
}
