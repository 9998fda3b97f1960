//! Refreshing an access token ([RFC 6749 §6](https://www.rfc-editor.org/rfc/rfc6749#section-6)).

use crate::client::OAuthClient;
use crate::error::Error;
use crate::token::Token;

/// Sends the refresh token once; keeps from `old` what the response leaves out.
pub(crate) async fn refresh(
    client: &OAuthClient,
    old: &Token,
    refresh_token: &str,
) -> Result<Token, Error> {
    let mut request = client.token_request("refresh_token").param("refresh_token", refresh_token);
    for (name, value) in client.refresh_params() {
        request = request.extra_param(name, value);
    }
    Ok(request.send().await?.fill_missing_from(old))
}
