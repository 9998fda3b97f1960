//! Calls of the saver.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::time::Instant;

use crate::error::{BoxError, Error, Kind};
use crate::observe;
use crate::redact::error_tells;
use crate::saver::SaverGone;
use crate::session::config::Config;
use crate::session::machine::{Home, Presented};
use crate::session::snapshot::Snapshot;
use crate::token::Token;

/// Whether what a refresh token brings could be saved.
pub(super) async fn check_saver(
    config: &Config,
    request: &Presented<Arc<Snapshot>>,
    limit: Duration,
) -> Result<(), Error> {
    let saver = config.saver.as_ref().filter(|_| config.settings.home == Home::Saver);
    let Some(saver) = saver.filter(|_| request.refresh) else { return Ok(()) };
    let limit = limit.min(config.settings.save_wait);
    let call = AssertUnwindSafe(async { saver.check().await }).catch_unwind();
    let why = match tokio::time::timeout(limit, call).await {
        Ok(Ok(outcome)) => outcome.err(),
        Ok(Err(_)) => Some(Error::new(Kind::Panicked("the saver")).into()),
        Err(_) => Some(format!("its check took longer than {limit:?}").into()),
    };
    why.map_or(Ok(()), |why| Err(Error::new(Kind::CannotSave(why))))
}

/// One call of the saver; `None`: to delete what was saved. It has no limit: see `machine/own.rs`.
pub(super) async fn save(config: &Config, snapshot: Option<&Arc<Snapshot>>) -> Result<(), Error> {
    let Some(saver) = &config.saver else { return Ok(()) };
    let token = snapshot.and_then(|snapshot| snapshot.token()).map(|token| &**token);
    let call = AssertUnwindSafe(async {
        match token {
            Some(token) => saver.save(token.clone()).await,
            None => saver.delete().await,
        }
    });
    let failure = |source| {
        let source = match token {
            Some(token) => without_secrets(token, source),
            None => source,
        };
        Error::new(if token.is_some() { Kind::Save(source) } else { Kind::Delete(source) })
    };
    let began = Instant::now();
    match call.catch_unwind().await {
        Ok(Ok(())) => {
            match token {
                Some(_) => observe::token_saved(began.elapsed()),
                None => observe::token_deleted(began.elapsed()),
            }
            Ok(())
        }
        Ok(Err(error)) if error.is::<SaverGone>() => {
            // Another attempt would end the same way, and this task would never end.
            observe::saver_gone();
            Ok(())
        }
        Ok(Err(error)) => Err(failure(error)),
        Err(_) => Err(failure(Error::new(Kind::Panicked("the saver")).into())),
    }
}

/// The error as it is, unless it or a cause of it repeats what was to be saved.
fn without_secrets(token: &Token, error: BoxError) -> BoxError {
    // There may be no access token.
    let secrets = [Some(token.access_token()), token.refresh_token()];
    let secrets: Vec<&str> = secrets.into_iter().flatten().collect();
    if error_tells(&*error, &secrets) {
        return "the saver's own error repeats the token, so it is not shown".into();
    }
    error
}
