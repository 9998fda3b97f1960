//! Tokens of the `oauth2` crate, and of `openidconnect`, which uses its types.

use oauth2::{ExtraTokenFields, StandardTokenResponse, TokenType};

use crate::error::Error;
use crate::token::Token;

/// A token that the `oauth2` or `openidconnect` crate obtained. Its `expires_in` counts from this
/// conversion, for the response does not say when it came: convert it at once
/// ([RFC 6749 §5.1](https://www.rfc-editor.org/rfc/rfc6749#section-5.1)).
///
/// ```
/// use oauth2::basic::BasicTokenResponse;
/// use reqwest_oauth2::Token;
///
/// let response: BasicTokenResponse =
///     serde_json::from_str(r#"{"access_token": "abc", "token_type": "bearer", "expires_in": 3600}"#)?;
/// let token = Token::try_from(&response)?;
/// assert_eq!(token.access_token(), "abc");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// [`Error::is_config`] if the token is not a bearer token, or has characters that are not allowed in a header.
impl<EF, TT> TryFrom<&StandardTokenResponse<EF, TT>> for Token
where
    EF: ExtraTokenFields,
    TT: TokenType,
{
    type Error = Error;

    fn try_from(response: &StandardTokenResponse<EF, TT>) -> Result<Self, Error> {
        // Its serialised form is the response of RFC 6749 §5.1, extra members included.
        let token: Self =
            serde_json::to_value(response).and_then(serde_json::from_value).map_err(|error| {
                Error::config(format!("the token of the oauth2 crate cannot be used: {error}"))
            })?;
        if !token.token_type().eq_ignore_ascii_case("bearer") {
            return Err(Error::config(
                "the token of the oauth2 crate cannot be used: its type is not Bearer; if the provider means Bearer by it, make the token with Token::new",
            ));
        }
        Ok(token)
    }
}
