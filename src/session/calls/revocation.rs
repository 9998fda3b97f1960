//! Revoking the tokens of a login.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::join_all;

use crate::client::{OAuthClient, TokenTypeHint};
use crate::error::Error;
use crate::session::config::Config;
use crate::session::snapshot::Snapshot;
use crate::token::Token;

/// How many access tokens are revoked at a time.
const REVOCATIONS: usize = 4;

/// Revokes the refresh token, then the access tokens. With most providers the first revocation ends
/// everything. Otherwise another session could use an access token until it expires.
pub(super) async fn revoke(config: &Config, snapshot: &Arc<Snapshot>) -> Result<(), Error> {
    let (Some(client), Some(token)) = (&config.client, snapshot.token()) else { return Ok(()) };
    let refresh_token = match token.refresh_token() {
        Some(refresh_token) => client.revoke(refresh_token, TokenTypeHint::RefreshToken).await,
        None => Ok(()),
    };
    // If there is no response to the first request, there will be none to the second.
    if refresh_token.as_ref().is_err_and(Error::is_transient) {
        return refresh_token;
    }
    let own = Some(&**token).filter(|token| !token.access_token().is_empty());
    let access_tokens = own.into_iter().chain(token.others().map(|(_, other)| other));
    let access_tokens: Vec<&Token> = access_tokens.collect();
    let mut outcome = refresh_token;
    for some in access_tokens.chunks(REVOCATIONS) {
        let some = some.iter().map(|token| revoke_access_token(client, token).boxed());
        outcome = join_all(some).await.into_iter().fold(outcome, Result::and);
    }
    outcome
}

async fn revoke_access_token(client: &OAuthClient, token: &Token) -> Result<(), Error> {
    match client.revoke(token.access_token(), TokenTypeHint::AccessToken).await {
        // "the authorization server does not support the revocation of the presented token type"
        // (RFC 7009 §2.2.1): it ends by itself.
        Err(error) if error.has_code("unsupported_token_type") => Ok(()),
        outcome => outcome,
    }
}
