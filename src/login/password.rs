//! Resource owner password credentials
//! ([RFC 6749 §4.3](https://www.rfc-editor.org/rfc/rfc6749#section-4.3)).

use crate::client::{OAuthClient, TokenRequest};

impl OAuthClient {
    /// A token for a person's name and password, for legacy providers
    /// ([RFC 6749 §4.3](https://www.rfc-editor.org/rfc/rfc6749#section-4.3)). The password is
    /// wiped when the request is dropped; "the client MUST discard the credentials once an access
    /// token has been obtained".
    ///
    /// "The resource owner password credentials grant MUST NOT be used"
    /// ([RFC 9700 §2.4](https://www.rfc-editor.org/rfc/rfc9700#section-2.4)): the application sees
    /// the password, which only the provider should know, and there is no second factor.
    pub fn password(
        &self,
        username: impl Into<String>,
        password: impl Into<String>,
    ) -> TokenRequest<'_> {
        self.token_request("password").param("username", username).param("password", password)
    }
}
