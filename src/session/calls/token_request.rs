//! A token request: a refresh token is presented, or the grant is asked.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::FutureExt;
use secrecy::{ExposeSecret, SecretString};

use crate::client::OAuthClient;
use crate::clock;
use crate::error::{Error, Kind, RetryClass};
use crate::grant::{self, GrantContext};
use crate::observe;
use crate::session::config::Config;
use crate::session::machine::{Answer, FailureClass, Presented, Target};
use crate::session::snapshot::{Provenance, Snapshot};
use crate::token::Token;

pub(super) async fn present(
    config: &Config,
    request: &Presented<Arc<Snapshot>>,
    limit: Duration,
) -> Answer<Arc<Snapshot>, Error> {
    let token = request.token.as_ref().and_then(|snapshot| snapshot.token());
    let token = token.map(|token| &**token);
    let refresh = match (&config.client, token, token.and_then(Token::refresh_token)) {
        (Some(client), Some(token), Some(refresh_token)) if request.refresh => {
            Some(refresh(client, token, refresh_token, &request.target, limit))
        }
        _ => None,
    };
    let is_refresh = refresh.is_some();
    let outcome = match refresh {
        Some(refresh) => refresh.await,
        None => ask_grant(config, token, limit).await,
    };
    let error = match outcome {
        Ok(token) => {
            let old = request.token.as_deref();
            return Answer::Token(Arc::new(config.renewed(old, token, &request.target)));
        }
        Err(error) => error,
    };
    let (error, new) = error.split_refresh_token(token.and_then(Token::refresh_token));
    let retry_after = error.retry_after();
    if let Some(new) = new {
        return Answer::Rotated(rotated(config, request.token.as_deref(), new), error, retry_after);
    }
    if is_refresh && matches!(error.kind(), Kind::ResponseLost { .. } | Kind::Timeout { .. }) {
        return Answer::Lost(error);
    }
    if !request.target.is_own() && error.refuses_target() {
        return Answer::TargetRefused(error, retry_after);
    }
    match error.retry_class() {
        RetryClass::Permanent if is_refresh => Answer::Refused(error),
        RetryClass::Foreign => {
            let in_doubt = error.leaves_doubt();
            Answer::Failed(error, FailureClass::Foreign { in_doubt, retry_after })
        }
        RetryClass::Transient => Answer::Failed(error, FailureClass::Transient(retry_after)),
        // No other process need have this configuration.
        RetryClass::Misconfigured if is_refresh && matches!(error.kind(), Kind::Config(_)) => {
            Answer::Failed(error, FailureClass::Local)
        }
        RetryClass::Misconfigured | RetryClass::Permanent => {
            Answer::Failed(error, FailureClass::Misconfigured(retry_after))
        }
    }
}

/// The login's token after a refresh for this target.
async fn refresh(
    client: &OAuthClient,
    old: &Token,
    refresh_token: &str,
    target: &Target,
    left: Duration,
) -> Result<Token, Error> {
    let new = grant::refresh(client, old, refresh_token, target.key(), left).await?;
    Ok(match target.key() {
        None => new.fill_missing_from(old),
        Some(key) => old.clone().with_other(key.into(), new),
    })
}

/// The old token with a new refresh token; that alone where there was none.
fn rotated(config: &Config, old: Option<&Snapshot>, new: SecretString) -> Arc<Snapshot> {
    let new = new.expose_secret();
    Arc::new(match old.and_then(|old| Some((old, old.token()?))) {
        Some((old, token)) => old.with_refresh_token(Token::clone(token).with_refresh_token(new)),
        None => config.snapshot(Token::only_refresh_token(new.to_owned()), Provenance::Given),
    })
}

async fn ask_grant(
    config: &Config,
    previous_token: Option<&Token>,
    limit: Duration,
) -> Result<Token, Error> {
    let Some(grant) = &config.grant else {
        return Err(Error::config("the session has no grant to ask"));
    };
    let asked_at = clock::to_date(config.clock.now());
    let context = GrantContext { client: config.client.as_ref(), previous_token };
    let limit = limit.min(config.grant_timeout);
    let call = AssertUnwindSafe(async { grant.token(&context).await }).catch_unwind();
    match tokio::time::timeout(limit, call).await {
        Ok(Ok(Err(error))) if matches!(error.kind(), Kind::Grant { permanent: true, .. }) => {
            let why = "the grant says that it will not succeed";
            Err(Error::new(Kind::Reauthorization { why, lost: false, cause: Some(error) }))
        }
        Ok(Ok(outcome)) => issued(outcome?, previous_token, asked_at),
        Ok(Err(_)) => Err(Error::new(Kind::Panicked("the grant"))),
        Err(_) => Err(Error::new(Kind::GrantTimeout(config.settings.grant_limit))),
    }
}

/// An application's grant may present the refresh token itself, and like a provider it may leave out
/// what stays the same.
fn issued(token: Token, previous: Option<&Token>, asked_at: DateTime<Utc>) -> Result<Token, Error> {
    if token.header().is_none() {
        return Err(Error::config("the grant returned a token without an access token"));
    }
    let (token, claims_the_past) = token.issued(asked_at);
    if claims_the_past {
        observe::token_already_expired();
    }
    Ok(match previous {
        Some(previous) => token.fill_missing_from(previous),
        None => token,
    })
}
