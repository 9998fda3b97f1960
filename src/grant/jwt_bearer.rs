//! JWT bearer ([RFC 7523 §2.1](https://www.rfc-editor.org/rfc/rfc7523#section-2.1)).

use std::fmt;
use std::future::Future;

use async_trait::async_trait;

use super::credential_source::CredentialSource;
use super::params::GrantParams;
use super::{Grant, GrantContext};
use crate::error::{BoxError, Error};
use crate::token::{Token, asked_scope};

/// A signed assertion in exchange for a token
/// ([RFC 7523 §2.1](https://www.rfc-editor.org/rfc/rfc7523#section-2.1)).
///
/// The assertion comes from the application's closure. It is called for every token, so `jti` and
/// `exp` are always new, and may use any signer. A [store](crate::store) does not see what an assertion asks
/// for by itself, such as a scope at Google: keep such sessions under different user ids.
///
/// ```
/// # async fn sign() -> Result<String, std::io::Error> { Ok(String::new()) }
/// use reqwest_oauth2::{JwtBearer, OAuthClient, Session};
///
/// let app = OAuthClient::new("foo", "https://provider.com/token")?;
/// let grant = JwtBearer::new(|| async { sign().await }).scope("read");
/// let session = Session::builder(app).grant(grant).build();
/// # Ok::<(), reqwest_oauth2::Error>(())
/// ```
#[derive(Clone)]
pub struct JwtBearer {
    assertion: CredentialSource<String>,
    params: GrantParams,
}

impl JwtBearer {
    /// With a closure that gives a signed assertion
    /// ([RFC 7523 §2.1](https://www.rfc-editor.org/rfc/rfc7523#section-2.1)). If it returns
    /// [`Error::permanent`], requests get an error that asks for reauthorization; any other error may pass.
    pub fn new<F, Fut, E>(assertion: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<String, E>> + Send + 'static,
        E: Into<BoxError>,
    {
        Self { assertion: CredentialSource::new(assertion), params: GrantParams::default() }
    }

    /// The scope to ask for: names separated by spaces
    /// ([RFC 6749 §3.3](https://www.rfc-editor.org/rfc/rfc6749#section-3.3)).
    pub fn scope(mut self, scope: impl Into<String>) -> Self {
        self.params.scope = asked_scope(scope);
        self
    }

    /// An extra parameter of the token request
    /// ([RFC 6749 §8.2](https://www.rfc-editor.org/rfc/rfc6749#section-8.2)).
    pub fn extra_param(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.params.add_extra(name, value);
        self
    }
}

#[async_trait]
impl Grant for JwtBearer {
    async fn token(&self, context: &GrantContext<'_>) -> Result<Token, Error> {
        let assertion = self.assertion.get().await?;
        let request = context
            .client()?
            .token_request("urn:ietf:params:oauth:grant-type:jwt-bearer")
            .param("assertion", assertion);
        self.params.add_to(request).send().await
    }

    fn issued_for(&self) -> Vec<(String, String)> {
        self.params.issued_for(&[])
    }
}

impl fmt::Debug for JwtBearer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JwtBearer").field("scope", &self.params.scope).finish_non_exhaustive()
    }
}
