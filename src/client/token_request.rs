//! `TokenRequest`: what every grant sends.

use std::fmt;
use std::time::Duration;

use super::post::{Endpoint, post};
use super::settings::Settings;
use super::{Form, RequestKind};
use crate::error::Error;
#[cfg(feature = "keys")]
use crate::keys::SigningKey;
use crate::token::{Token, asked_scope};
use crate::wire::read_token;

/// A request to the token endpoint
/// ([RFC 6749 §3.2](https://www.rfc-editor.org/rfc/rfc6749#section-3.2)).
///
/// Every grant of this crate uses it, and your own grants can use it too.
#[must_use = "a token request does nothing until `send` is awaited"]
pub struct TokenRequest<'a> {
    settings: &'a Settings,
    kind: RequestKind,
    form: Form,
    /// What the provider grants if its response names no scope.
    asked_scope: Option<String>,
    limit: Duration,
}

impl<'a> TokenRequest<'a> {
    pub(super) fn new(settings: &'a Settings, grant_type: String) -> Self {
        let kind = RequestKind::of_grant_type(&grant_type);
        let mut form = Form::default();
        form.own("grant_type", grant_type);
        Self { settings, kind, form, asked_scope: None, limit: settings.timeout }
    }

    /// For grants of clients that authenticate themselves: otherwise nothing is sent.
    pub(crate) fn needs_authentication(mut self) -> Self {
        self.form.needs_authentication = true;
        self
    }

    /// With this much of the client's timeout left.
    pub(crate) fn within(mut self, left: Duration) -> Self {
        self.limit = self.limit.min(left);
        self
    }

    /// A parameter of the grant. It replaces an [`extra_param`](Self::extra_param) of the same name
    /// ([RFC 6749 §4.5](https://www.rfc-editor.org/rfc/rfc6749#section-4.5)).
    pub fn param(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.form.own(name, value);
        self
    }

    /// An extra parameter. It is dropped if the grant has a [`param`](Self::param) of that name. The
    /// same name may be given again (`resource`,
    /// [RFC 8707 §2](https://www.rfc-editor.org/rfc/rfc8707#section-2)).
    pub fn extra_param(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.form.extra(name, value);
        self
    }

    /// The scope to ask for: names separated by spaces
    /// ([RFC 6749 §3.3](https://www.rfc-editor.org/rfc/rfc6749#section-3.3)). It is the token's if the response
    /// names none ([§5.1](https://www.rfc-editor.org/rfc/rfc6749#section-5.1)).
    pub fn scope(self, scope: impl Into<String>) -> Self {
        match asked_scope(scope) {
            Some(scope) => self.after_asking_for(Some(scope.clone())).param("scope", scope),
            None => self,
        }
    }

    /// The scope that a request before this one has asked for.
    pub(crate) fn after_asking_for(mut self, scope: Option<String>) -> Self {
        self.asked_scope = scope;
        self
    }

    /// Binds the token to this key.
    #[cfg(feature = "keys")]
    pub(crate) fn bound_to(mut self, key: Option<SigningKey>) -> Self {
        if let Some(key) = key {
            self.form.bind_to(key);
        }
        self
    }

    /// Sends the request and reads the token from the response
    /// ([RFC 6749 §5](https://www.rfc-editor.org/rfc/rfc6749#section-5)).
    ///
    /// # Errors
    ///
    /// The provider's error response with its [`error_code`](Error::error_code) and
    /// [`status`](Error::status); [`Error::is_malformed_response`] if it is no token, or longer than
    /// [`max_response_bytes`](crate::OAuthClient::max_response_bytes); [`Error::is_timeout`];
    /// [`Error::is_transient`] if it may work later; [`Error::is_config`] if a parameter is one
    /// that no request may carry. The last is known before anything is sent.
    ///
    /// # Cancellation
    ///
    /// Dropping the future drops the request. If the provider has replaced the refresh token, the new
    /// one is lost. In a [`Session`](crate::Session) that cannot happen: its renewals finish, even if
    /// every caller goes away.
    #[cfg_attr(not(feature = "keys"), expect(unused_mut))]
    pub async fn send(mut self) -> Result<Token, Error> {
        #[cfg(feature = "keys")]
        self.form.bind_to_new_login(self.settings)?;
        let endpoint = Endpoint { kind: self.kind, url: &self.settings.endpoints.token };
        let token = post(self.settings, endpoint, &self.form, self.limit, |response| {
            let token = read_token(response, &self.settings.rules)?;
            #[cfg(feature = "keys")]
            let token = self.form.bound(token, response, self.settings)?;
            Ok(token)
        })
        .await?;
        Ok(token.after_asking_for(self.asked_scope.as_deref()))
    }
}

impl fmt::Debug for TokenRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenRequest").field("parameters", &self.form).finish_non_exhaustive()
    }
}
