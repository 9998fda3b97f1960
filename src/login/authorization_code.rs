//! Authorization code with PKCE ([RFC 6749 §4.1](https://www.rfc-editor.org/rfc/rfc6749#section-4.1),
//! [RFC 7636](https://www.rfc-editor.org/rfc/rfc7636)).

use std::fmt;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use super::Pkce;
use super::callback::{Callback, Part};
use super::pending_login::{Choices, LoginState, exposed, joined};
use super::pkce::random;
use crate::client::{Form, OAuthClient};
use crate::error::{Error, Kind};
#[cfg(feature = "keys")]
use crate::keys::SigningKey;
use crate::step_up::StepUp;
use crate::token::{Token, asked_scope};

impl OAuthClient {
    /// A login by a person in a browser: authorization code with PKCE
    /// ([RFC 6749 §4.1](https://www.rfc-editor.org/rfc/rfc6749#section-4.1)).
    ///
    /// # Errors
    ///
    /// [`Error::is_config`] without an
    /// [`authorization_endpoint`](Self::authorization_endpoint), and where the redirect URI is not
    /// absolute, has a fragment
    /// ([§3.1.2](https://www.rfc-editor.org/rfc/rfc6749#section-3.1.2)), or is plain http and not
    /// to loopback.
    pub fn authorization_code(
        &self,
        redirect_uri: impl Into<String>,
    ) -> Result<AuthorizationRequest, Error> {
        let choices = Choices::new(self, redirect_uri.into())?;
        Ok(AuthorizationRequest { choices, pkce: Pkce::default() })
    }
}

/// A request to the authorization endpoint for a code
/// ([RFC 6749 §4.1.1](https://www.rfc-editor.org/rfc/rfc6749#section-4.1.1)).
#[derive(Clone)]
#[must_use = "an authorization request does nothing until `begin`"]
pub struct AuthorizationRequest {
    choices: Choices,
    pkce: Pkce,
}

impl AuthorizationRequest {
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

    /// An extra parameter, such as `access_type` = `offline` or `prompt` = `consent`
    /// ([RFC 6749 §8.2](https://www.rfc-editor.org/rfc/rfc6749#section-8.2)).
    pub fn extra_param(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.choices.params.push((name.into(), value.into()));
        self
    }

    /// Asks for what an API wants beyond the current token: the scope of both together, and `acr_values` and
    /// `max_age` if the API named them, in the place of earlier ones
    /// ([RFC 9470 §4](https://www.rfc-editor.org/rfc/rfc9470#section-4)).
    ///
    /// ```no_run
    /// # async fn f(session: reqwest_oauth2::Session, client: reqwest_oauth2::OAuthClient) -> Result<(), Box<dyn std::error::Error>> {
    /// # let (http, request) = (reqwest::Client::new(), reqwest::Client::new().get("https://api.example").build()?);
    /// use reqwest_oauth2::Error;
    ///
    /// let error = session.execute(&http, request).await.unwrap_err();
    /// if let Some(asked) = Error::find_in(&error).and_then(Error::step_up) {
    ///     let login = client.authorization_code("https://me.example/cb")?.step_up(asked).begin()?;
    ///     println!("open {}", login.url());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn step_up(mut self, asked: &StepUp) -> Self {
        let challenge = asked.challenge();
        if let Some(scope) = asked.scope() {
            self = self.scope(scope);
        }
        if let Some(acr_values) = challenge.acr_values() {
            self = self.replace_param("acr_values", acr_values);
        }
        if let Some(max_age) = challenge.max_age() {
            self = self.replace_param("max_age", max_age.as_secs().to_string());
        }
        self
    }

    fn replace_param(mut self, name: &str, value: impl Into<String>) -> Self {
        self.choices.params.retain(|(earlier, _)| earlier != name);
        self.extra_param(name, value)
    }

    /// Another PKCE method than `S256`
    /// ([RFC 7636 §4.2](https://www.rfc-editor.org/rfc/rfc7636#section-4.2)).
    pub fn pkce(mut self, pkce: Pkce) -> Self {
        self.pkce = pkce;
        self
    }

    /// How long the person may take. 10 minutes by default.
    pub fn lifetime(mut self, lifetime: Duration) -> Self {
        self.choices.lifetime = lifetime;
        self
    }

    /// The URL to send the browser to, and what to remember until it comes back. Each call begins
    /// another login, with its own state and verifier
    /// ([RFC 6749 §4.1.1](https://www.rfc-editor.org/rfc/rfc6749#section-4.1.1)).
    ///
    /// # Errors
    ///
    /// [`Error::is_config`] if an extra parameter is one of the protocol's own, is given twice
    /// (`resource` excepted) or is in the endpoint's query, and where the scope has characters that no
    /// scope may have.
    pub fn begin(&self) -> Result<PendingLogin, Error> {
        let proof = Proof::new(self)?;
        let state = self.choices.begin("code", &proof.params())?;
        proof.login(state, &self.choices.client)
    }

    /// As [`begin`](Self::begin), with a pushed authorization request: the authenticated client sends the
    /// parameters to the provider directly, and the URL for the browser only refers to them
    /// ([RFC 9126](https://www.rfc-editor.org/rfc/rfc9126#section-2)). Nobody can read or change them on the
    /// way. Some providers accept no other request. Their metadata says so, and then `begin` is an error.
    ///
    /// Send the browser there at once, and only once: the provider keeps the parameters for a short time,
    /// often a minute. Each call pushes another request.
    ///
    /// # Errors
    ///
    /// [`Error::is_config`] as of `begin`; without a
    /// [`pushed_authorization_request_endpoint`](OAuthClient::pushed_authorization_request_endpoint); and with
    /// an extra parameter `request_uri`. [`Error::is_malformed_response`] if the response has no
    /// `request_uri`; otherwise as [`TokenRequest::send`](crate::TokenRequest::send).
    ///
    /// # Cancellation
    ///
    /// Dropping the future drops the request; nothing is left to clean up.
    pub async fn push(&self) -> Result<PendingLogin, Error> {
        let proof = Proof::new(self)?;
        let state = self.choices.push("code", &proof.params(), proof.form()).await?;
        proof.login(state, &self.choices.client)
    }
}

/// How a login proves at the token endpoint that it began the request.
struct Proof {
    verifier: SecretString,
    challenge: Option<(String, &'static str)>,
    /// The key that the code is bound to.
    #[cfg(feature = "keys")]
    key: Option<SigningKey>,
}

impl Proof {
    fn new(request: &AuthorizationRequest) -> Result<Self, Error> {
        let verifier = random();
        let challenge = request.pkce.challenge(&verifier);
        Ok(Self {
            verifier,
            challenge,
            #[cfg(feature = "keys")]
            key: request.choices.client.new_login_key()?,
        })
    }

    fn params(&self) -> Vec<(&'static str, &str)> {
        let mut params: Vec<(&'static str, &str)> = Vec::new();
        if let Some((challenge, method)) = &self.challenge {
            params.extend([
                ("code_challenge", challenge.as_str()),
                ("code_challenge_method", method),
            ]);
        }
        #[cfg(feature = "keys")]
        params.extend(self.key.iter().map(|key| ("dpop_jkt", key.thumbprint())));
        params
    }

    /// An empty form, whose request carries a proof where the code is bound to a key
    /// ([RFC 9449 §10.1](https://www.rfc-editor.org/rfc/rfc9449#section-10.1)).
    fn form(&self) -> Form {
        #[cfg_attr(not(feature = "keys"), expect(unused_mut))]
        let mut form = Form::default();
        #[cfg(feature = "keys")]
        if let Some(key) = &self.key {
            form.bind_to(key.clone());
        }
        form
    }

    #[cfg_attr(not(feature = "keys"), expect(unused_variables))]
    fn login(self, state: LoginState, client: &OAuthClient) -> Result<PendingLogin, Error> {
        Ok(PendingLogin {
            state,
            verifier: self.challenge.map(|_| self.verifier),
            #[cfg(feature = "keys")]
            dpop_key: match &self.key {
                Some(key) => client.login_key_as_pem(key)?,
                None => None,
            },
        })
    }
}

impl fmt::Debug for AuthorizationRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthorizationRequest")
            .field("redirect_uri", &self.choices.redirect_uri)
            .field("scope", &self.choices.scope)
            .field("pkce", &self.pkce)
            .finish_non_exhaustive()
    }
}

/// A login that has begun. Keep it, bound to the browser that began it (in its session), until the
/// callback comes, and use it once
/// ([RFC 6749 §10.12](https://www.rfc-editor.org/rfc/rfc6749#section-10.12)).
///
/// It can be finished once: after its code was sent, [`finish`](Self::finish) of a clone is an error,
/// and nothing is sent. A refused callback does not use the login up, so a listener that anybody can
/// reach may clone the login for each callback.
///
/// It serialises, secrets included, so that another process can take the callback. Serialised copies
/// do not know of each other: delete the stored one when its callback comes. `Debug` shows no secret.
#[derive(Clone, Serialize, Deserialize)]
#[must_use = "a login does nothing until the browser is sent to its URL and it is finished"]
pub struct PendingLogin {
    #[serde(flatten)]
    state: LoginState,
    #[serde(default, skip_serializing_if = "Option::is_none", serialize_with = "exposed_option")]
    verifier: Option<SecretString>,
    /// The key that the code is bound to, as PEM; `None`: the client's, or none
    /// ([RFC 9449 §10](https://www.rfc-editor.org/rfc/rfc9449#section-10)).
    #[cfg(feature = "keys")]
    #[serde(default, skip_serializing_if = "Option::is_none", serialize_with = "exposed_option")]
    dpop_key: Option<SecretString>,
}

fn exposed_option<S: serde::Serializer>(
    secret: &Option<SecretString>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match secret {
        Some(secret) => exposed(secret, serializer),
        None => serializer.serialize_none(),
    }
}

impl PendingLogin {
    /// Where to send the browser
    /// ([RFC 6749 §4.1.1](https://www.rfc-editor.org/rfc/rfc6749#section-4.1.1)). It holds the
    /// state: do not log it.
    pub fn url(&self) -> &str {
        self.state.url.as_str()
    }

    /// The state: it identifies this login when its callback comes. A secret
    /// ([RFC 6749 §10.12](https://www.rfc-editor.org/rfc/rfc6749#section-10.12)).
    pub fn state(&self) -> &str {
        self.state.state.expose_secret()
    }

    /// Finishes the login with the callback: its whole URL (requests-oauthlib's
    /// `authorization_response`), or the part of it that a web framework gives, from the path or
    /// the query on. White space around it does not matter. Checks the state, the issuer and the error, then
    /// exchanges the code, once ([RFC 6749 §4.1.3](https://www.rfc-editor.org/rfc/rfc6749#section-4.1.3)).
    ///
    /// The client must be the one that the login was begun with.
    ///
    /// # Errors
    ///
    /// [`Error::is_callback`] if the callback does not belong to this login, or the login is finished
    /// already; if such a callback has an `error` parameter, the text shows it, but anybody can have
    /// sent it. An error of the provider, such as `access_denied`, with its
    /// [`error_code`](Error::error_code); the errors of
    /// [`TokenRequest::send`](crate::TokenRequest::send). After an error there is nothing to clean
    /// up.
    ///
    /// # Cancellation
    ///
    /// A code can be used once: after a dropped call, begin the login again.
    pub async fn finish(
        self,
        client: &OAuthClient,
        callback: impl AsRef<str>,
    ) -> Result<Token, Error> {
        let callback = Callback::parse(callback.as_ref(), Part::Query, &self.state.redirect_uri)?;
        self.state.check(client, &callback)?;
        match callback.get("code") {
            Some(code) => self.exchange(client, code).await,
            None => Err(Error::new(Kind::Callback("it has neither a code nor an error".into()))),
        }
    }

    /// Finishes the login with a bare code (the Lokalise SDK's `token(code)`), for applications
    /// that have compared the [`state`](Self::state) themselves
    /// ([RFC 6749 §4.1.3](https://www.rfc-editor.org/rfc/rfc6749#section-4.1.3)).
    ///
    /// # Errors
    ///
    /// As [`finish`](Self::finish).
    pub async fn finish_with_code(
        self,
        client: &OAuthClient,
        code: impl AsRef<str>,
    ) -> Result<Token, Error> {
        self.state.check_bare(client)?;
        match code.as_ref().trim() {
            "" => Err(Error::new(Kind::Callback("it has no code".into()))),
            code => self.exchange(client, code).await,
        }
    }

    async fn exchange(self, client: &OAuthClient, code: &str) -> Result<Token, Error> {
        let mut request = client
            .token_request("authorization_code")
            .param("code", code)
            .param("redirect_uri", self.state.redirect_uri.clone())
            .after_asking_for(self.state.scope.clone());
        if let Some(verifier) = &self.verifier {
            request = request.param("code_verifier", verifier.expose_secret());
        }
        #[cfg(feature = "keys")]
        if let Some(pem) = &self.dpop_key {
            request = request.bound_to(Some(SigningKey::from_pem(pem.expose_secret())?));
        }
        self.state.finish()?;
        let outcome = request.send().await;
        if outcome.as_ref().is_err_and(Error::is_unsent) {
            self.state.take_back();
        }
        outcome
    }
}

impl fmt::Debug for PendingLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingLogin")
            .field("redirect_uri", &self.state.redirect_uri)
            .finish_non_exhaustive()
    }
}
