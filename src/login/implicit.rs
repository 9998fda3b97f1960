//! The implicit grant ([RFC 6749 §4.2](https://www.rfc-editor.org/rfc/rfc6749#section-4.2)).

use std::fmt;

use http::StatusCode;
use secrecy::ExposeSecret;
use secrecy::zeroize::Zeroizing;
use serde::{Deserialize, Serialize};

use super::callback::{Callback, Part};
use super::pending_login::{Choices, LoginState, joined};
use crate::client::OAuthClient;
use crate::clock;
use crate::error::Error;
use crate::token::{Token, asked_scope};
use crate::wire::{HttpResponse, token};

impl OAuthClient {
    /// A login whose token comes in the fragment of the callback: the implicit grant
    /// ([RFC 6749 §4.2](https://www.rfc-editor.org/rfc/rfc6749#section-4.2)).
    ///
    /// The token travels in a URL, where histories and logs keep it, and nothing binds it to this
    /// client: "clients SHOULD NOT use the implicit grant"
    /// ([RFC 9700 §2.1.2](https://www.rfc-editor.org/rfc/rfc9700#section-2.1.2)). Use
    /// [`authorization_code`](Self::authorization_code) wherever the provider has it.
    ///
    /// # Errors
    ///
    /// As [`authorization_code`](Self::authorization_code).
    pub fn implicit(&self, redirect_uri: impl Into<String>) -> Result<ImplicitRequest, Error> {
        Ok(ImplicitRequest { choices: Choices::new(self, redirect_uri.into())? })
    }
}

/// A request to the authorization endpoint for a token
/// ([RFC 6749 §4.2.1](https://www.rfc-editor.org/rfc/rfc6749#section-4.2.1)).
#[derive(Clone)]
#[must_use = "an authorization request does nothing until `begin`"]
pub struct ImplicitRequest {
    choices: Choices,
}

impl ImplicitRequest {
    /// The scope to ask for: names separated by spaces
    /// ([RFC 6749 §3.3](https://www.rfc-editor.org/rfc/rfc6749#section-3.3)).
    pub fn scope(mut self, scope: impl Into<String>) -> Self {
        self.choices.scope = asked_scope(scope);
        self
    }

    /// The scope to ask for, as a list of names
    /// ([RFC 6749 §3.3](https://www.rfc-editor.org/rfc/rfc6749#section-3.3)).
    pub fn scopes<I>(self, names: I) -> Self
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        self.scope(joined(names))
    }

    /// An extra parameter ([RFC 6749 §8.2](https://www.rfc-editor.org/rfc/rfc6749#section-8.2)).
    pub fn extra_param(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.choices.params.push((name.into(), value.into()));
        self
    }

    /// The URL to send the browser to, and what to remember until it comes back
    /// ([RFC 6749 §4.2.1](https://www.rfc-editor.org/rfc/rfc6749#section-4.2.1)).
    ///
    /// # Errors
    ///
    /// As [`AuthorizationRequest::begin`](crate::AuthorizationRequest::begin).
    pub fn begin(&self) -> Result<PendingImplicitLogin, Error> {
        Ok(PendingImplicitLogin { state: self.choices.begin("token", &[])? })
    }
}

impl fmt::Debug for ImplicitRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ImplicitRequest")
            .field("redirect_uri", &self.choices.redirect_uri)
            .field("scope", &self.choices.scope)
            .finish_non_exhaustive()
    }
}

/// An implicit login that has begun; see [`PendingLogin`](crate::PendingLogin)
/// ([RFC 6749 §4.2](https://www.rfc-editor.org/rfc/rfc6749#section-4.2)).
#[derive(Clone, Serialize, Deserialize)]
#[must_use = "a login does nothing until the browser is sent to its URL and it is finished"]
pub struct PendingImplicitLogin {
    #[serde(flatten)]
    state: LoginState,
}

impl PendingImplicitLogin {
    /// Where to send the browser
    /// ([RFC 6749 §4.2.1](https://www.rfc-editor.org/rfc/rfc6749#section-4.2.1)). It holds the
    /// state: do not log it.
    pub fn url(&self) -> &str {
        self.state.url.as_str()
    }

    /// The state: it identifies this login when its callback comes. A secret
    /// ([RFC 6749 §10.12](https://www.rfc-editor.org/rfc/rfc6749#section-10.12)).
    pub fn state(&self) -> &str {
        self.state.state.expose_secret()
    }

    /// Takes the token from the fragment of the callback URL. Servers do not see the fragment, so a
    /// page must pass it on
    /// ([RFC 6749 §4.2.2](https://www.rfc-editor.org/rfc/rfc6749#section-4.2.2)). There is no
    /// refresh token.
    ///
    /// # Errors
    ///
    /// As [`PendingLogin::finish`](crate::PendingLogin::finish); [`Error::is_malformed_response`] if the
    /// fragment holds no token that can be used.
    pub fn finish(self, client: &OAuthClient, callback: impl AsRef<str>) -> Result<Token, Error> {
        let callback =
            Callback::parse(callback.as_ref(), Part::Fragment, &self.state.redirect_uri)?;
        self.state.check(client, &callback)?;
        self.state.finish()?;
        let mut members = callback.members();
        // "The authorization server MUST NOT issue a refresh token."
        for not_ours in ["state", "iss", "refresh_token"] {
            members.remove(not_ours);
        }
        let state = self.state.state.expose_secret();
        let response = HttpResponse {
            endpoint: "authorization endpoint",
            status: StatusCode::OK,
            retry_after: None,
            content_type: None,
            location: None,
            body: Zeroizing::default(),
            sent_at: clock::to_date(client.clock_ref().now()),
            of_refresh: false,
            may_be_bound: false,
            secrets: &[state],
        };
        let token = token(&response, client.rules(), members)?;
        Ok(token.after_asking_for(self.state.scope.as_deref()))
    }
}

impl fmt::Debug for PendingImplicitLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingImplicitLogin")
            .field("redirect_uri", &self.state.redirect_uri)
            .finish_non_exhaustive()
    }
}
