//! `Form`.
//!
//! Invariants: the protocol's own parameters replace the application's of the same name; only the
//! application can send a parameter twice, and none that the endpoint's URL has already.

use std::fmt;
#[cfg(feature = "keys")]
use std::sync::Arc;

use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretString};
use url::Url;

#[cfg(feature = "keys")]
use crate::dpop::Prover;
use crate::error::Error;
use crate::token::is_scope;

/// The parameters of a request.
#[derive(Default)]
pub(crate) struct Form {
    pub(super) extra: Vec<(String, String)>,
    pub(super) own: Vec<(&'static str, SecretString)>,
    /// Makes a proof for each sending.
    #[cfg(feature = "keys")]
    pub(super) prover: Option<Arc<Prover>>,
}

impl Form {
    /// A parameter of the protocol.
    pub(crate) fn own(&mut self, name: &'static str, value: impl Into<String>) {
        self.own.push((name, SecretString::from(value.into())));
    }

    /// A parameter of the application.
    pub(crate) fn extra(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.extra.push((name.into(), value.into()));
    }

    /// Whether there is a parameter of this name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.parameters().any(|(own, _)| own == name)
    }

    /// Refuses what no request may carry, before it is sent.
    pub(super) fn check(&self, endpoint: &Url) -> Result<(), Error> {
        self.parameters().try_for_each(|(name, value)| check_parameter(endpoint, name, value))
    }

    fn parameters(&self) -> impl Iterator<Item = (&str, &str)> {
        let own = self.own.iter().map(|(name, value)| (*name, value.expose_secret()));
        own.chain(self.extra.iter().map(|(name, value)| (name.as_str(), value.as_str())))
    }

    /// The body: the application's parameters first, then the protocol's own.
    pub(super) fn body(&self, own: &[(&str, &str)]) -> Zeroizing<Vec<u8>> {
        // With Basic the id is in the header. People who come from requests-oauthlib often pass the
        // same client_id as an extra parameter.
        let extra = self
            .extra
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .filter(|(name, _)| !own.iter().any(|(own, _)| own == name));
        let mut form = url::form_urlencoded::Serializer::new(String::with_capacity(1024));
        form.extend_pairs(extra).extend_pairs(own.iter().copied());
        Zeroizing::new(form.finish().into_bytes())
    }
}

/// What every request parameter has to keep to, also one of an authorization request: it is not in
/// the endpoint's own query ("Request and response parameters MUST NOT be included more than once",
/// [RFC 6749 §3.2](https://www.rfc-editor.org/rfc/rfc6749#section-3.2)); a scope is scope names
/// ([§3.3](https://www.rfc-editor.org/rfc/rfc6749#section-3.3)); a resource has no fragment
/// ([RFC 8707 §2](https://www.rfc-editor.org/rfc/rfc8707#section-2)).
pub(crate) fn check_parameter(endpoint: &Url, name: &str, value: &str) -> Result<(), Error> {
    if endpoint.query_pairs().any(|(of_endpoint, _)| of_endpoint == name) {
        return Err(Error::config(format!(
            "the parameter {name:?} is in the endpoint's URL and in the request; give it once"
        )));
    }
    match name {
        "scope" if !is_scope(value) => Err(Error::config(
            "the scope has a character that no scope may have; give names of printable ASCII without \" and \\, separated by spaces",
        )),
        "resource" if !is_resource(value) => {
            Err(Error::config("a resource is not an absolute URI without fragment"))
        }
        _ => Ok(()),
    }
}

/// "Its value MUST be an absolute URI […]. The URI MUST NOT include a fragment component." Azure AD
/// also takes the bare id of an application.
fn is_resource(text: &str) -> bool {
    let bare_id = || text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    Url::parse(text).map_or_else(|_| bare_id(), |url| url.fragment().is_none())
}

impl fmt::Debug for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.own.iter().map(|(name, _)| *name);
        f.debug_list()
            .entries(names.chain(self.extra.iter().map(|(name, _)| name.as_str())))
            .finish()
    }
}
