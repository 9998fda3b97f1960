//! Token revocation ([RFC 7009](https://www.rfc-editor.org/rfc/rfc7009)).

use http::StatusCode;

use super::{Endpoint, Form, OAuthClient, RequestKind, TokenTypeHint};
use crate::error::Error;
use crate::wire::{ResponseRules, read_members};

impl OAuthClient {
    /// Tells the provider that the token is no longer needed
    /// ([RFC 7009 §2.1](https://www.rfc-editor.org/rfc/rfc7009#section-2.1)). Revoking a refresh
    /// token ends the whole login with most providers. A token that the provider does not know is
    /// no error ([§2.2](https://www.rfc-editor.org/rfc/rfc7009#section-2.2)); nor is a 400 `invalid_token`,
    /// Google's answer to such a token.
    ///
    /// For the tokens of a session call [`Session::sign_out`](crate::Session::sign_out).
    ///
    /// # Errors
    ///
    /// [`Error::is_config`] without a [`revocation_endpoint`](Self::revocation_endpoint). After any
    /// other error assume that the token is still valid; [`Error::retry_after`] says when to try
    /// again, if the provider did ([§2.2.1](https://www.rfc-editor.org/rfc/rfc7009#section-2.2.1)).
    pub async fn revoke(&self, token: &str, kind: TokenTypeHint) -> Result<(), Error> {
        let Some(url) = &self.endpoints().revocation else {
            return Err(Error::config(
                "no revocation endpoint is known; set it with OAuthClient::revocation_endpoint, or use OAuthClient::discover",
            ));
        };
        let mut form = Form::default();
        form.own("token", token);
        form.own("token_type_hint", kind.hint());
        let endpoint = Endpoint { kind: RequestKind::Revocation, url };
        // "The content of the response body is ignored by the client as all necessary information
        // is conveyed in the response code."
        self.post(endpoint, &form, |response| {
            if response.status.is_success() {
                return Ok(());
            }
            match read_members(response, &ResponseRules::default()) {
                // With another status the code is about what authenticates the request.
                Err(error)
                    if response.status == StatusCode::BAD_REQUEST
                        && error.has_code("invalid_token") =>
                {
                    Ok(())
                }
                outcome => outcome.map(drop),
            }
        })
        .await
    }
}
