//! What every pending login remembers, and what it checks when the browser comes back.
//!
//! The order of the checks ([RFC 6749 §4.1.2.1](https://www.rfc-editor.org/rfc/rfc6749#section-4.1.2.1),
//! [§10.12](https://www.rfc-editor.org/rfc/rfc6749#section-10.12),
//! [RFC 9207 §2.4](https://www.rfc-editor.org/rfc/rfc9207#section-2.4)): the state, in constant
//! time, before anything else; then the age, the client, the issuer; then the error; then the code.

use std::time::Duration;

use chrono::{DateTime, Utc};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize, Serializer};
use subtle::ConstantTimeEq;
use url::Url;

use super::callback::Callback;
use super::pkce::random;
use super::redirect_uri;
use crate::client::OAuthClient;
use crate::clock;
use crate::error::{Error, ErrorCode, ErrorResponse, Kind, RetryClass};
use crate::redact::redact;

/// How long a person may take, unless the application says otherwise.
const LIFETIME: Duration = Duration::from_secs(600);

/// What the application chose for the request to the authorization endpoint.
#[derive(Clone)]
pub(super) struct Choices {
    pub(super) client: OAuthClient,
    pub(super) redirect_uri: String,
    pub(super) scope: Option<String>,
    pub(super) params: Vec<(String, String)>,
    pub(super) lifetime: Duration,
}

/// Parameters that are the protocol's.
const RESERVED: [&str; 7] = [
    "client_id",
    "code_challenge",
    "code_challenge_method",
    "redirect_uri",
    "response_type",
    "scope",
    "state",
];

impl Choices {
    pub(super) fn new(client: &OAuthClient, redirect_uri: String) -> Result<Self, Error> {
        redirect_uri::check(&redirect_uri)?;
        if client.endpoints().authorization.is_none() {
            return Err(Error::config(
                "no authorization endpoint is known; set it with OAuthClient::authorization_endpoint, or use OAuthClient::discover",
            ));
        }
        let (client, params) = (client.clone(), client.authorization_params().to_vec());
        Ok(Self { client, redirect_uri, scope: None, params, lifetime: LIFETIME })
    }

    /// The request's URL ([RFC 6749 §4.1.1](https://www.rfc-editor.org/rfc/rfc6749#section-4.1.1))
    /// and what to remember of it.
    pub(super) fn begin(
        &self,
        response_type: &str,
        more: &[(&str, &str)],
    ) -> Result<LoginState, Error> {
        if let Some((name, _)) =
            self.params.iter().find(|(name, _)| RESERVED.contains(&name.as_str()))
        {
            return Err(Error::config(format!(
                "the parameter {name} of an authorization request is the protocol's own; leave it out"
            )));
        }
        if self.scope.as_deref().is_some_and(|scope| !is_scope(scope)) {
            return Err(Error::config(
                "the scope has a character that no scope may have; give names of printable ASCII without \" and \\, separated by spaces",
            ));
        }
        let endpoints = self.client.endpoints();
        let Some(mut url) = endpoints.authorization.clone() else {
            return Err(Error::config("no authorization endpoint is known"));
        };
        let state = random();
        {
            let mut query = url.query_pairs_mut();
            query.extend_pairs(&self.params);
            query.append_pair("response_type", response_type);
            query.append_pair("client_id", self.client.client_id());
            query.append_pair("redirect_uri", &self.redirect_uri);
            if let Some(scope) = &self.scope {
                query.append_pair("scope", scope);
            }
            query.append_pair("state", state.expose_secret());
            query.extend_pairs(more);
        }
        let issuer = endpoints.issuer.as_ref();
        let now = clock::to_date(self.client.clock_ref().now());
        let lifetime = i64::try_from(self.lifetime.as_secs()).unwrap_or(i64::MAX);
        Ok(LoginState {
            url,
            client_id: self.client.client_id().to_owned(),
            token_endpoint: endpoints.token.clone(),
            redirect_uri: self.redirect_uri.clone(),
            state,
            issuer: issuer.map(|issuer| issuer.text.clone()),
            iss_required: issuer.is_some_and(|issuer| issuer.in_callback),
            expires_at: clock::add_seconds(now, lifetime).timestamp(),
        })
    }
}

/// What is remembered between the redirect and the callback.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct LoginState {
    pub(super) url: Url,
    client_id: String,
    token_endpoint: Url,
    pub(super) redirect_uri: String,
    #[serde(serialize_with = "exposed")]
    pub(super) state: SecretString,
    issuer: Option<String>,
    iss_required: bool,
    /// Seconds since 1970.
    expires_at: i64,
}

/// Storing a login means storing its secrets.
pub(super) fn exposed<S: Serializer>(
    secret: &SecretString,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(secret.expose_secret())
}

impl LoginState {
    /// Checks that the callback belongs to this login. An error that the provider sent is returned as
    /// the provider's.
    pub(super) fn check(&self, client: &OAuthClient, callback: &Callback) -> Result<(), Error> {
        let invalid = |why| Err(Error::new(Kind::Callback(why)));
        let Some(state) = callback.get("state") else { return invalid("it has no state") };
        if !bool::from(state.as_bytes().ct_eq(self.state.expose_secret().as_bytes())) {
            return invalid("the state does not match");
        }
        self.check_client(client)?;
        match (&self.issuer, callback.get("iss")) {
            (Some(issuer), Some(iss)) if issuer != iss => {
                return invalid("it comes from another issuer");
            }
            (Some(_), None) if self.iss_required => return invalid("it does not name its issuer"),
            // Without a known issuer there is nothing to compare with.
            _ => {}
        }
        match callback.get("error") {
            None => Ok(()),
            Some(code) => {
                let shown = |name| callback.get(name).map(|text| redact(text, 300, &[state]));
                let code = ErrorCode::new(code, &[state], false);
                let description = callback.get("error_description");
                Err(Error::new(Kind::Refused(ErrorResponse {
                    endpoint: "authorization endpoint",
                    status: None,
                    class: RetryClass::of(None, Some(&code), description, &[]),
                    code: Some(code),
                    description: shown("error_description"),
                    uri: shown("error_uri"),
                    retry_after: None,
                    content: None,
                })))
            }
        }
    }

    /// The login is not too old, and it was begun with this client: a code goes to no token endpoint
    /// but that of the provider that gave it
    /// ([RFC 9700 §4.4.2](https://www.rfc-editor.org/rfc/rfc9700#section-4.4.2)).
    pub(super) fn check_client(&self, client: &OAuthClient) -> Result<(), Error> {
        let now: DateTime<Utc> = clock::to_date(client.clock_ref().now());
        if now.timestamp() >= self.expires_at {
            return Err(Error::new(Kind::Callback("it comes too late")));
        }
        if client.client_id() != self.client_id || client.endpoints().token != self.token_endpoint {
            return Err(Error::config(
                "this login was begun with another OAuthClient; finish it with the one it was begun with",
            ));
        }
        Ok(())
    }
}

/// Whether the text is scope names separated by spaces
/// ([RFC 6749 §3.3](https://www.rfc-editor.org/rfc/rfc6749#section-3.3)).
pub(super) fn is_scope(text: &str) -> bool {
    text.bytes().all(|b| matches!(b, 0x20 | 0x21 | 0x23..=0x5b | 0x5d..=0x7e))
}

/// Scope names as the one string that requests carry.
pub(super) fn joined<I>(names: I) -> String
where
    I: IntoIterator,
    I::Item: AsRef<str>,
{
    let mut scope = String::new();
    for name in names {
        if !scope.is_empty() {
            scope.push(' ');
        }
        scope.push_str(name.as_ref());
    }
    scope
}
