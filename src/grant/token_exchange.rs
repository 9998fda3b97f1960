//! Token exchange ([RFC 8693](https://www.rfc-editor.org/rfc/rfc8693)).

use std::fmt;
use std::future::Future;

use async_trait::async_trait;
use secrecy::{ExposeSecret, SecretString};

use super::credential_source::CredentialSource;
use super::params::GrantParams;
use super::{Grant, GrantContext};
use crate::error::{BoxError, Error};
use crate::token::{Token, asked_scope};

/// A token to present in an exchange, with its type
/// ([RFC 8693 §3](https://www.rfc-editor.org/rfc/rfc8693#section-3)).
#[derive(Clone)]
pub struct TypedToken {
    token: SecretString,
    token_type: String,
}

impl TypedToken {
    /// An OAuth 2 access token: `urn:ietf:params:oauth:token-type:access_token`
    /// ([RFC 8693 §3](https://www.rfc-editor.org/rfc/rfc8693#section-3)).
    pub fn access_token(token: impl Into<String>) -> Self {
        Self::of_type(token, "urn:ietf:params:oauth:token-type:access_token")
    }

    /// A JWT: `urn:ietf:params:oauth:token-type:jwt`
    /// ([RFC 8693 §3](https://www.rfc-editor.org/rfc/rfc8693#section-3)).
    pub fn jwt(token: impl Into<String>) -> Self {
        Self::of_type(token, "urn:ietf:params:oauth:token-type:jwt")
    }

    /// Of any type
    /// ([RFC 8693 §3](https://www.rfc-editor.org/rfc/rfc8693#section-3)).
    pub fn of_type(token: impl Into<String>, token_type: impl Into<String>) -> Self {
        Self { token: SecretString::from(token.into()), token_type: token_type.into() }
    }
}

/// A token in exchange for another
/// ([RFC 8693 §2.1](https://www.rfc-editor.org/rfc/rfc8693#section-2.1)).
///
/// The application's closures return the tokens to present. They are called for every request.
#[derive(Clone)]
pub struct TokenExchange {
    subject: CredentialSource<TypedToken>,
    actor: Option<CredentialSource<TypedToken>>,
    params: GrantParams,
    requested_token_type: Option<String>,
    targets: Vec<(&'static str, String)>,
}

impl TokenExchange {
    /// With a closure that gives the subject token: whose access is asked for
    /// ([RFC 8693 §2.1](https://www.rfc-editor.org/rfc/rfc8693#section-2.1)). If it returns
    /// [`Error::permanent`], requests get an error that asks for reauthorization; any other error may pass.
    pub fn new<F, Fut, E>(subject: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<TypedToken, E>> + Send + 'static,
        E: Into<BoxError>,
    {
        Self {
            subject: CredentialSource::new(subject),
            actor: None,
            params: GrantParams::default(),
            requested_token_type: None,
            targets: Vec::new(),
        }
    }

    /// With a closure that gives the actor token: who acts for the subject
    /// ([RFC 8693 §2.1](https://www.rfc-editor.org/rfc/rfc8693#section-2.1)).
    pub fn actor<F, Fut, E>(mut self, actor: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<TypedToken, E>> + Send + 'static,
        E: Into<BoxError>,
    {
        self.actor = Some(CredentialSource::new(actor));
        self
    }

    /// A resource that the token is for, an absolute URI without fragment; may be called again
    /// ([RFC 8707 §2](https://www.rfc-editor.org/rfc/rfc8707#section-2)). Any other text is
    /// an error of the renewal.
    pub fn resource(mut self, resource: impl Into<String>) -> Self {
        self.targets.push(("resource", resource.into()));
        self
    }

    /// The name of a service that the token is for; may be called again
    /// ([RFC 8693 §2.1](https://www.rfc-editor.org/rfc/rfc8693#section-2.1)).
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.targets.push(("audience", audience.into()));
        self
    }

    /// The type of token to ask for. It must be a type that is sent as a bearer token
    /// ([RFC 8693 §2.1](https://www.rfc-editor.org/rfc/rfc8693#section-2.1)).
    pub fn requested_token_type(mut self, token_type: impl Into<String>) -> Self {
        self.requested_token_type = Some(token_type.into());
        self
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
impl Grant for TokenExchange {
    async fn token(&self, context: &GrantContext<'_>) -> Result<Token, Error> {
        let subject = self.subject.get().await?;
        let mut request = context
            .client()?
            .token_request("urn:ietf:params:oauth:grant-type:token-exchange")
            .param("subject_token", subject.token.expose_secret())
            .param("subject_token_type", subject.token_type);
        if let Some(actor) = &self.actor {
            let actor = actor.get().await?;
            request = request
                .param("actor_token", actor.token.expose_secret())
                .param("actor_token_type", actor.token_type);
        }
        for (name, value) in &self.targets {
            request = request.param(name, value);
        }
        if let Some(token_type) = &self.requested_token_type {
            request = request.param("requested_token_type", token_type);
        }
        // Reading the response has refused a token of type `N_A`, which no API takes.
        self.params.add_to(request).send().await
    }

    fn issued_for(&self) -> Vec<(String, String)> {
        self.params.issued_for(&self.targets)
    }
}

impl fmt::Debug for TypedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TypedToken").field("token_type", &self.token_type).finish_non_exhaustive()
    }
}

impl fmt::Debug for TokenExchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenExchange")
            .field("scope", &self.params.scope)
            .field("targets", &self.targets)
            .field("actor", &self.actor.is_some())
            .finish_non_exhaustive()
    }
}
