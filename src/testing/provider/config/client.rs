use std::fmt;

use serde_json::{Map, Value};

/// How a client proves who it is (RFC 6749 §2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AuthMethod {
    /// `client_secret_basic`: with HTTP Basic.
    ClientSecretBasic,
    /// `client_secret_post`: in the body of the request.
    ClientSecretPost,
    /// `client_secret_jwt`: an assertion that the secret signs (RFC 7523 §2.2).
    #[cfg(all(feature = "keys", feature = "testing"))]
    #[cfg_attr(docsrs, doc(cfg(feature = "keys")))]
    ClientSecretJwt,
    /// `private_key_jwt`: an assertion that the key signs of which the provider has the
    /// public part (RFC 7523 §2.2).
    #[cfg(all(feature = "keys", feature = "testing"))]
    #[cfg_attr(docsrs, doc(cfg(feature = "keys")))]
    PrivateKeyJwt,
}

impl AuthMethod {
    /// Its name in the metadata (RFC 8414 §2).
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::ClientSecretBasic => "client_secret_basic",
            Self::ClientSecretPost => "client_secret_post",
            #[cfg(all(feature = "keys", feature = "testing"))]
            Self::ClientSecretJwt => "client_secret_jwt",
            #[cfg(all(feature = "keys", feature = "testing"))]
            Self::PrivateKeyJwt => "private_key_jwt",
        }
    }
}

/// The one registered client and how it may authenticate (RFC 6749 §2.3).
#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) id: String,
    /// `None` for a public client.
    pub(crate) secret: Option<String>,
    /// The public key that verifies its assertions, as a JWK.
    pub(crate) key: Option<Map<String, Value>>,
    pub(crate) auth_methods: Vec<AuthMethod>,
    /// In place of a form too.
    pub(crate) takes_json: bool,
}

impl Client {
    pub(crate) fn is_public(&self) -> bool {
        self.secret.is_none() && self.key.is_none()
    }
}

impl Default for Client {
    fn default() -> Self {
        Self {
            id: "foo".to_owned(),
            secret: Some("potato".to_owned()),
            key: None,
            auth_methods: vec![AuthMethod::ClientSecretBasic, AuthMethod::ClientSecretPost],
            takes_json: false,
        }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("id", &self.id)
            .field("public", &self.is_public())
            .field("auth_methods", &self.auth_methods)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_has_no_secret() {
        assert!(!format!("{:?}", Client::default()).contains("potato"));
    }
}
