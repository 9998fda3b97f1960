use std::collections::HashSet;
use std::time::SystemTime;

use serde_json::Value;
use url::form_urlencoded;

use super::{AuthorizationError, Callback, Params};
use crate::testing::provider::config::{Config, DEFAULT_SCOPE, KnownClient};
use crate::testing::provider::grants::{
    CodeBinding, CodeChallenge, Credentials, LogIn, LogIns, Owner, token_json,
};

/// A request to the authorization endpoint (RFC 6749 §4.1.1 and §4.2.1).
pub(crate) struct AuthorizationRequest {
    pub(crate) callback: Callback,
    pub(crate) scope: String,
    client_id: String,
    response_type: ResponseType,
    /// The redirect URI if the request had one.
    redirect_uri: Option<String>,
    challenge: Option<CodeChallenge>,
    /// The thumbprint of the key that the code is to be bound to (RFC 9449 §10).
    jkt: Option<String>,
    acr_values: String,
}

enum ResponseType {
    Code,
    Token,
}

/// Why a request is refused.
pub(crate) enum RequestError {
    /// Nothing may be sent to the redirect URI (RFC 6749 §4.1.2.1).
    Untrusted(&'static str),
    Denied(Callback, AuthorizationError),
}

impl AuthorizationRequest {
    /// A parameter of the query; empty where it is not there.
    pub(crate) fn param(query: &str, name: &str) -> String {
        Query::parse(query).given(name).unwrap_or_default().to_owned()
    }

    /// `resource`: what the request must be for, if anything.
    pub(crate) fn read(
        query: &str,
        client: &KnownClient,
        resource: Option<&str>,
        config: &Config,
    ) -> Result<Self, RequestError> {
        let query = Query::parse(query);
        for name in ["client_id", "redirect_uri"] {
            if query.is_repeated(name) {
                return Err(RequestError::Untrusted("The request is ambiguous."));
            }
        }
        if query.given("client_id") != Some(&client.client.id) {
            return Err(RequestError::Untrusted("The client is not known."));
        }
        let redirect_uri = query.given("redirect_uri");
        let Some(chosen) = client.redirect_uris.choose(redirect_uri) else {
            return Err(RequestError::Untrusted("The redirect URI is not registered."));
        };
        let response_type = query.given("response_type");
        let callback = Callback {
            redirect_uri: chosen.to_owned(),
            state: query.given("state").map(str::to_owned),
            fragment: response_type == Some("token"),
        };
        // RFC 8707 §2: perhaps beside others.
        if resource.is_some_and(|resource| !query.has("resource", resource)) {
            let error = AuthorizationError::new("invalid_target", None);
            return Err(RequestError::Denied(callback, error));
        }
        match query.read(config) {
            Err(error) => Err(RequestError::Denied(callback, error)),
            Ok((response_type, challenge)) => Ok(Self {
                callback,
                client_id: client.client.id.clone(),
                scope: query.given("scope").unwrap_or(DEFAULT_SCOPE).to_owned(),
                response_type,
                redirect_uri: redirect_uri.map(str::to_owned),
                challenge,
                jkt: query.given("dpop_jkt").map(str::to_owned),
                acr_values: query.given("acr_values").unwrap_or_default().to_owned(),
            }),
        }
    }

    /// How the user logs in.
    fn log_in(&self, now: SystemTime) -> LogIn {
        LogIn { acr_values: self.acr_values.split(' ').map(str::to_owned).collect(), at: now }
    }

    /// What the client gets once the user agrees: a code, or a token without a
    /// refresh token (RFC 6749 §4.2.2).
    pub(crate) fn grant(
        self,
        credentials: &mut Credentials,
        log_ins: &mut LogIns,
        config: &Config,
        now: SystemTime,
    ) -> (Callback, Params) {
        let log_in = self.log_in(now);
        let Self { callback, scope, client_id, redirect_uri, challenge, jkt, .. } = self;
        let params = match self.response_type {
            ResponseType::Code => {
                let code = credentials.families.new_token("ac");
                credentials.codes.insert(
                    code.clone(),
                    CodeBinding { client_id, scope, redirect_uri, challenge, jkt },
                    now,
                );
                log_ins.began_code(&code, log_in);
                vec![("code".to_owned(), code)]
            }
            ResponseType::Token => {
                let families = &mut credentials.families;
                let issued = families.begin(&client_id, &scope, Owner::User, false, config, now);
                log_ins.began_family(issued.family, log_in);
                let text = |value: &Value| value.as_str().map_or(value.to_string(), str::to_owned);
                let response = token_json(issued, config);
                let members = response.as_object().into_iter().flatten();
                members.map(|(name, value)| (name.clone(), text(value))).collect()
            }
        };
        (callback, params)
    }
}

struct Query(Params);

impl Query {
    fn parse(query: &str) -> Self {
        Self(form_urlencoded::parse(query.as_bytes()).into_owned().collect())
    }

    /// What the parameter says; an empty one counts as omitted (RFC 6749 §3.1).
    fn given(&self, name: &str) -> Option<&str> {
        let (_, value) = self.0.iter().find(|(key, _)| key == name)?;
        Some(&**value).filter(|value| !value.is_empty())
    }

    fn has(&self, name: &str, value: &str) -> bool {
        self.0.iter().any(|(key, own)| key == name && own == value)
    }

    fn is_repeated(&self, name: &str) -> bool {
        self.0.iter().filter(|(key, _)| key == name).count() > 1
    }

    fn read(
        &self,
        config: &Config,
    ) -> Result<(ResponseType, Option<CodeChallenge>), AuthorizationError> {
        let invalid = |why| AuthorizationError::new("invalid_request", Some(why));
        let mut names = HashSet::new();
        // RFC 8707 §2: a resource may be named several times.
        let mut others = self.0.iter().filter(|(name, _)| name != "resource");
        if !others.all(|(name, _)| names.insert(name)) {
            return Err(invalid("parameter repeated"));
        }
        match self.given("response_type") {
            Some("code") => {
                let challenge = self.given("code_challenge");
                let method = self.given("code_challenge_method");
                let challenge =
                    CodeChallenge::read(challenge, method, config.authorization.require_pkce);
                Ok((ResponseType::Code, challenge.map_err(invalid)?))
            }
            Some("token") => Ok((ResponseType::Token, None)),
            Some(_) => Err(AuthorizationError::new("unsupported_response_type", None)),
            None => Err(invalid("response_type missing")),
        }
    }
}
