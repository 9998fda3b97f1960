//! What every pending login remembers, and what it checks when the browser comes back.
//!
//! The order of the checks ([RFC 6749 §4.1.2.1](https://www.rfc-editor.org/rfc/rfc6749#section-4.1.2.1),
//! [§10.12](https://www.rfc-editor.org/rfc/rfc6749#section-10.12),
//! [RFC 9207 §2.4](https://www.rfc-editor.org/rfc/rfc9207#section-2.4)): the state, in constant
//! time, before anything else; then the age, the client, the issuer; then the error; then the code.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize, Serializer};
use subtle::ConstantTimeEq;
use url::Url;

use super::callback::Callback;
use super::pkce::random;
use super::redirect_uri;
use crate::client::{OAuthClient, RequestKind, check_parameter};
use crate::clock;
use crate::error::{Error, ErrorCode, ErrorResponse, Kind, RetryClass};
use crate::redact::{redact, redact_words};

/// How long a person may take, unless the application says otherwise.
const LIFETIME: Duration = Duration::from_secs(600);

/// The longest `error` code and description that an error shows, in characters.
const LONGEST_ERROR: usize = 60;
const LONGEST_DESCRIPTION: usize = 300;

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
        let client = client.clone();
        Ok(Self { client, redirect_uri, scope: None, params: Vec::new(), lifetime: LIFETIME })
    }

    /// The extra parameters: the client's, but for those that this request has too, and the request's.
    pub(super) fn params(&self) -> Vec<(&str, &str)> {
        let of_client = self.client.params_of(RequestKind::Authorization);
        let replaced = |name: &str| self.params.iter().any(|(own, _)| own == name);
        let own = self.params.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        of_client.filter(|(name, _)| !replaced(name)).chain(own).collect()
    }

    /// No parameter of the protocol's own, and none twice but `resource`
    /// ([RFC 8707 §2](https://www.rfc-editor.org/rfc/rfc8707#section-2)).
    pub(super) fn check_names(&self, more: &[(&'static str, &str)]) -> Result<(), Error> {
        let params = self.params();
        let renames = self.client.renames_of(RequestKind::Authorization);
        let is_reserved = |name: &str| {
            let sent_as = renames.sent_as(name);
            RESERVED.iter().any(|own| *own == sent_as || renames.sent_as(own) == sent_as)
                || more.iter().any(|(own, _)| *own == name)
        };
        for (index, (name, _)) in params.iter().enumerate() {
            if is_reserved(name) {
                return Err(Error::config(format!(
                    "the parameter {name} of an authorization request is the protocol's own; leave it out"
                )));
            }
            if *name != "resource" && params[..index].iter().any(|(earlier, _)| earlier == name) {
                return Err(Error::config(format!(
                    "the parameter {name:?} of an authorization request is given twice; give it once"
                )));
            }
        }
        Ok(())
    }

    /// The request's URL ([RFC 6749 §4.1.1](https://www.rfc-editor.org/rfc/rfc6749#section-4.1.1))
    /// and what to remember of it.
    pub(super) fn begin(
        &self,
        response_type: &str,
        more: &[(&'static str, &str)],
    ) -> Result<LoginState, Error> {
        if self.client.requires_pushed_requests() {
            return Err(Error::config(
                "the provider's metadata requires pushed authorization requests; call AuthorizationRequest::push instead of begin",
            ));
        }
        self.check_names(more)?;
        let (mut url, state) = (self.url()?, random());
        let of_protocol = self.of_protocol(response_type, &state, more);
        let renames = self.client.renames_of(RequestKind::Authorization);
        let mut sent: Vec<(&str, &str)> = Vec::new();
        for (name, value) in self.params().into_iter().chain(of_protocol) {
            let sent_as = renames.sent_as(name);
            check_parameter(&url, name, sent_as, value)?;
            sent.push((sent_as, value));
        }
        url.query_pairs_mut().extend_pairs(sent);
        Ok(self.state(url, state))
    }

    /// The authorization endpoint.
    pub(super) fn url(&self) -> Result<Url, Error> {
        let known = self.client.endpoints().authorization.clone();
        known.ok_or_else(|| Error::config("no authorization endpoint is known"))
    }

    /// The protocol's parameters.
    pub(super) fn of_protocol<'a>(
        &'a self,
        response_type: &'a str,
        state: &'a SecretString,
        more: &[(&'static str, &'a str)],
    ) -> Vec<(&'static str, &'a str)> {
        let id = self.client.client_id();
        [("response_type", response_type)]
            .into_iter()
            .chain((!id.is_empty()).then_some(("client_id", id)))
            .chain([("redirect_uri", &*self.redirect_uri)])
            .chain(self.scope.iter().map(|scope| ("scope", scope.as_str())))
            .chain([("state", state.expose_secret())])
            .chain(more.iter().copied())
            .collect()
    }

    /// What to remember of a request.
    pub(super) fn state(&self, url: Url, state: SecretString) -> LoginState {
        let endpoints = self.client.endpoints();
        let issuer = endpoints.issuer.as_ref();
        let now = clock::to_date(self.client.clock_ref().now());
        let lifetime = i64::try_from(self.lifetime.as_secs()).unwrap_or(i64::MAX);
        LoginState {
            url,
            client_id: self.client.client_id().to_owned(),
            token_endpoint: endpoints.token.clone(),
            redirect_uri: self.redirect_uri.clone(),
            scope: self.scope.clone(),
            state,
            issuer: issuer.map(|issuer| issuer.text.clone()),
            iss_required: issuer.is_some_and(|issuer| issuer.in_callback),
            expires_at: clock::add_seconds(now, lifetime).timestamp(),
            finished: Arc::default(),
        }
    }
}

/// What is remembered between the redirect and the callback.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct LoginState {
    pub(super) url: Url,
    client_id: String,
    token_endpoint: Url,
    pub(super) redirect_uri: String,
    /// The scope that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) scope: Option<String>,
    #[serde(serialize_with = "exposed")]
    pub(super) state: SecretString,
    issuer: Option<String>,
    iss_required: bool,
    /// Seconds since 1970.
    expires_at: i64,
    /// Shared by the clones: a code is sent once.
    #[serde(skip)]
    finished: Arc<AtomicBool>,
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
        let expected = self.state.expose_secret();
        let secrets = [expected, callback.get("code").unwrap_or_default()];
        let shown = |name, cap| callback.get(name).map(|text| redact(text, cap, &secrets));
        // A code is words; anybody can have sent another.
        let code = callback.get("error").map(|text| redact_words(text, LONGEST_ERROR, &secrets));
        // "If the value does not match […], clients MUST reject the authorization response", an error
        // response too; but some providers send their errors without state, and a person has to know.
        let invalid = |why: &'static str| {
            Err(Error::new(Kind::Callback(match &code {
                None => why.into(),
                Some(code) => {
                    let description = shown("error_description", LONGEST_DESCRIPTION);
                    let more = description.map(|text| format!(": {text}")).unwrap_or_default();
                    format!("{why} (it reports the error {code}{more}; anybody can have sent it)")
                        .into()
                }
            })))
        };
        let Some(state) = callback.get("state") else { return invalid("it has no state") };
        if !bool::from(state.as_bytes().ct_eq(expected.as_bytes())) {
            return invalid("the state does not match");
        }
        if self.is_late(client) {
            return invalid("it comes too late");
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
        let Some(code) = callback.get("error") else { return Ok(()) };
        let code = ErrorCode::new(code, &secrets, false);
        Err(Error::new(Kind::Refused(ErrorResponse {
            endpoint: "authorization endpoint",
            status: None,
            class: RetryClass::of(None, Some(&code), callback.get("error_description"), &[]),
            code: Some(code),
            description: shown("error_description", LONGEST_DESCRIPTION),
            uri: shown("error_uri", LONGEST_DESCRIPTION),
            retry_after: None,
            content: None,
            of_refresh: false,
        })))
    }

    /// The login is finished now; it is an error if it was before, by any clone.
    pub(super) fn finish(&self) -> Result<(), Error> {
        // "The client MUST NOT use the authorization code more than once."
        // https://www.rfc-editor.org/rfc/rfc6749#section-4.1.2
        if self.finished.swap(true, Ordering::Relaxed) {
            return Err(Error::new(Kind::Callback("the login is finished already".into())));
        }
        Ok(())
    }

    /// Its code was not sent.
    pub(super) fn take_back(&self) {
        self.finished.store(false, Ordering::Relaxed);
    }

    fn is_late(&self, client: &OAuthClient) -> bool {
        clock::to_date(client.clock_ref().now()).timestamp() >= self.expires_at
    }

    /// What can be checked without a callback: the age, and the client.
    pub(super) fn check_bare(&self, client: &OAuthClient) -> Result<(), Error> {
        if self.is_late(client) {
            return Err(Error::new(Kind::Callback("it comes too late".into())));
        }
        self.check_client(client)
    }

    /// The login was begun with this client: a code goes to no token endpoint but that of the provider
    /// that gave it ([RFC 9700 §4.4.2](https://www.rfc-editor.org/rfc/rfc9700#section-4.4.2)).
    fn check_client(&self, client: &OAuthClient) -> Result<(), Error> {
        if client.client_id() != self.client_id || client.endpoints().token != self.token_endpoint {
            return Err(Error::config(
                "this login was begun with another OAuthClient; finish it with the one it was begun with",
            ));
        }
        Ok(())
    }
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
