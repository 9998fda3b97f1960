//! `Form`.
//!
//! Invariants: the protocol's own parameters replace the application's of the same name; only the
//! application can send a parameter twice.

use std::fmt;

use secrecy::SecretString;
use secrecy::zeroize::Zeroizing;

/// The parameters of a request.
#[derive(Default)]
pub(crate) struct Form {
    pub(super) extra: Vec<(String, String)>,
    pub(super) own: Vec<(&'static str, SecretString)>,
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

impl fmt::Debug for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.own.iter().map(|(name, _)| *name);
        f.debug_list()
            .entries(names.chain(self.extra.iter().map(|(name, _)| name.as_str())))
            .finish()
    }
}
