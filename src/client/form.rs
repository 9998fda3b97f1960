//! `Form`: the parameters of a request.

use std::fmt;
#[cfg(feature = "keys")]
use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};
use url::Url;

#[cfg(feature = "keys")]
use crate::dpop::Prover;
use crate::error::Error;
use crate::token::{is_resource, is_scope};

/// Parameters whose values are no secrets.
const PUBLIC: [&str; 11] = [
    "grant_type",
    "scope",
    "resource",
    "audience",
    "client_assertion_type",
    "client_id",
    "code_challenge_method",
    "token_type_hint",
    "redirect_uri",
    "requested_token_type",
    "response_type",
];

/// The parameters of a request.
#[derive(Clone, Default)]
pub(crate) struct Form {
    /// Whether the client has to authenticate itself.
    pub(super) needs_authentication: bool,
    extra: Vec<(String, SecretString)>,
    own: Vec<(&'static str, SecretString)>,
    /// Makes a proof for each sending.
    #[cfg(feature = "keys")]
    pub(super) prover: Option<Arc<Prover>>,
}

impl Form {
    /// A parameter of the protocol.
    pub(crate) fn own(&mut self, name: &'static str, value: impl Into<String>) {
        self.own.push((name, SecretString::from(value.into())));
    }

    /// A parameter of the protocol, in place of one of the same name.
    pub(super) fn own_once(&mut self, name: &'static str, value: impl Into<String>) {
        self.own.retain(|(own, _)| *own != name);
        self.own(name, value);
    }

    /// A parameter of the application.
    pub(crate) fn extra(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.extra.push((name.into(), SecretString::from(value.into())));
    }

    /// How many parameters have this name.
    pub(super) fn count(&self, name: &str) -> usize {
        self.iter().filter(|(own, _)| *own == name).count()
    }

    /// The protocol's parameter of this name.
    pub(super) fn get_own(&self, name: &str) -> Option<&str> {
        let (_, value) = self.own.iter().find(|(own, _)| *own == name)?;
        Some(value.expose_secret())
    }

    /// The application's parameters.
    pub(super) fn extras(&self) -> impl Iterator<Item = (&str, &str)> {
        self.extra.iter().map(|(name, value)| (name.as_str(), value.expose_secret()))
    }

    /// The protocol's parameters.
    pub(super) fn owns(&self) -> impl Iterator<Item = (&str, &str)> {
        self.own.iter().map(|(name, value)| (*name, value.expose_secret()))
    }

    /// All of them, the application's first.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.extras().chain(self.owns())
    }

    /// The values that nobody may see.
    pub(super) fn secrets(&self) -> impl Iterator<Item = &str> {
        self.iter().filter(|(name, _)| !PUBLIC.contains(name)).map(|(_, value)| value)
    }
}

/// What the value of a request parameter has to keep to, also one of an authorization request: a scope
/// is scope names ([RFC 6749 §3.3](https://www.rfc-editor.org/rfc/rfc6749#section-3.3)); a resource has no
/// fragment ([RFC 8707 §2](https://www.rfc-editor.org/rfc/rfc8707#section-2)). And its name is not in the
/// endpoint's own query: "Request and response parameters MUST NOT be included more than once"
/// ([RFC 6749 §3.2](https://www.rfc-editor.org/rfc/rfc6749#section-3.2)). `sent_as`: the name after renaming.
pub(crate) fn check_parameter(
    endpoint: &Url,
    name: &str,
    sent_as: &str,
    value: &str,
) -> Result<(), Error> {
    if endpoint.query_pairs().any(|(of_endpoint, _)| of_endpoint == sent_as) {
        return Err(Error::config(format!(
            "the parameter {sent_as:?} is in the endpoint's URL and in the request; give it once"
        )));
    }
    match name {
        "scope" if !is_scope(value) => Err(Error::config(
            "the scope has a character that is not allowed in a scope; give names of printable ASCII without \" and \\, separated by spaces",
        )),
        "resource" if !is_resource(value) => {
            Err(Error::config("a resource is not an absolute URI without fragment"))
        }
        _ => Ok(()),
    }
}

/// The names alone.
impl fmt::Debug for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.owns().chain(self.extras()).map(|(name, _)| name);
        f.debug_list().entries(names).finish()
    }
}
