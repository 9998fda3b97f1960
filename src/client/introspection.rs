//! Token introspection ([RFC 7662](https://www.rfc-editor.org/rfc/rfc7662)).

use serde_json::{Map, Value};

use super::{Endpoint, Form, OAuthClient, RequestKind, TokenTypeHint};
use crate::error::Error;
use crate::wire::{ResponseRules, malformed, read_members};

/// What the provider says about a token
/// ([RFC 7662 §2.2](https://www.rfc-editor.org/rfc/rfc7662#section-2.2)).
///
/// It is only true at the moment of the response. Nothing is cached, and a response must not be
/// used after the token's `exp` ([§4](https://www.rfc-editor.org/rfc/rfc7662#section-4)).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Introspection {
    /// Whether the token is active. An inactive token is not an error.
    pub active: bool,
    /// Every other member: `scope`, `client_id`, `username`, `exp` (seconds since 1970), `sub`, …
    pub members: Map<String, Value>,
}

#[cfg(feature = "keys")]
#[cfg_attr(docsrs, doc(cfg(feature = "keys")))]
impl Introspection {
    /// The thumbprint of the key that the token is bound to (`cnf.jkt`): compare it with
    /// [`Token::dpop_thumbprint`](crate::Token::dpop_thumbprint)
    /// ([RFC 9449 §6.2](https://www.rfc-editor.org/rfc/rfc9449#section-6.2)).
    pub fn dpop_thumbprint(&self) -> Option<&str> {
        self.members.get("cnf")?.get("jkt")?.as_str()
    }
}

impl OAuthClient {
    /// Asks the provider about a token
    /// ([RFC 7662 §2.1](https://www.rfc-editor.org/rfc/rfc7662#section-2.1)).
    ///
    /// # Errors
    ///
    /// [`Error::is_config`] without an
    /// [`introspection_endpoint`](Self::introspection_endpoint); [`Error::is_malformed_response`]
    /// where `active` is no boolean; otherwise as [`TokenRequest::send`](crate::TokenRequest::send).
    pub async fn introspect(
        &self,
        token: &str,
        kind: TokenTypeHint,
    ) -> Result<Introspection, Error> {
        let Some(url) = &self.endpoints().introspection else {
            return Err(Error::config(
                "no introspection endpoint is known; set it with OAuthClient::introspection_endpoint, or use OAuthClient::discover",
            ));
        };
        let mut form = Form::default();
        form.own("token", token);
        form.own("token_type_hint", kind.hint());
        let endpoint = Endpoint { kind: RequestKind::Introspection, url };
        self.post(endpoint, &form, |response| {
            let mut members = read_members(response, &ResponseRules::default())?;
            match members.remove("active") {
                Some(Value::Bool(active)) => Ok(Introspection { active, members }),
                _ => Err(malformed(response, "its member active is not a boolean".to_owned())),
            }
        })
        .await
    }
}
