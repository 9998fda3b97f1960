//! `TokenSaver`: saves new tokens before they are used.

use std::fmt;
use std::future::Future;
use std::sync::{Arc, Weak};

use async_trait::async_trait;

use crate::error::BoxError;
use crate::token::Token;

/// Saves each new token before any request carries it (requests-oauthlib's `token_updater`).
///
/// Any closure `Fn(Token) -> Future<Output = Result<(), E>>` is one. A session makes one call at a time,
/// in a task of its own. After a failure it calls again, with backoff, until a call succeeds, always
/// with the newest token. The session never drops the future of a call. If a call has not returned after
/// a minute, the session makes another one; when the first one returns after all, it saves the newest
/// token once more. The error's text must not hold secrets.
///
/// If a provider replaces the refresh token in a response that is otherwise unusable, the saver gets the old
/// token with the new refresh token: the old one must never be presented again. Its access token is empty if
/// the session had only a refresh token. Such a token loads as any other.
///
/// Do blocking work in `tokio::task::spawn_blocking`.
#[async_trait]
pub trait TokenSaver: Send + Sync + 'static {
    /// Saves the token in place of the previous one.
    async fn save(&self, token: Token) -> Result<(), BoxError>;

    /// Whether a token could be saved now: the disk has room, the file is writable, the database
    /// answers. A session calls this before it presents a refresh token, since the provider may replace
    /// that token. While this returns an error, no refresh token is presented, and requests use the
    /// token that they have; the session asks again with backoff. The call may take as long as requests
    /// wait for a save ([`save_wait_timeout`](crate::SessionBuilder::save_wait_timeout)); then the call
    /// is dropped.
    ///
    /// By default, and for closures, `Ok`: then a failure is only noticed after the refresh.
    async fn check(&self) -> Result<(), BoxError> {
        Ok(())
    }

    /// Deletes what was saved, after [`Session::sign_out`](crate::Session::sign_out). Does nothing
    /// by default. For a closure set it with
    /// [`SessionBuilder::on_sign_out`](crate::SessionBuilder::on_sign_out).
    async fn delete(&self) -> Result<(), BoxError> {
        Ok(())
    }
}

/// A saver that the session does not keep alive.
pub(crate) struct WeakSaver<S>(pub(crate) Weak<S>);

/// The application has dropped the saver, so it can never be called again.
#[derive(Debug)]
pub(crate) struct SaverGone;

impl fmt::Display for SaverGone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the application has dropped the saver that was set with weak_saver")
    }
}

impl std::error::Error for SaverGone {}

#[async_trait]
impl<S: TokenSaver> TokenSaver for WeakSaver<S> {
    async fn save(&self, token: Token) -> Result<(), BoxError> {
        self.0.upgrade().ok_or(SaverGone)?.save(token).await
    }

    async fn check(&self) -> Result<(), BoxError> {
        self.0.upgrade().ok_or(SaverGone)?.check().await
    }

    async fn delete(&self) -> Result<(), BoxError> {
        self.0.upgrade().ok_or(SaverGone)?.delete().await
    }
}

/// A saver that deletes by a closure of its own.
pub(crate) struct WithDelete<D> {
    pub(crate) saver: Option<Arc<dyn TokenSaver>>,
    pub(crate) delete: D,
}

#[async_trait]
impl<D, Fut, E> TokenSaver for WithDelete<D>
where
    D: Fn() -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<(), E>> + Send,
    E: Into<BoxError>,
{
    async fn save(&self, token: Token) -> Result<(), BoxError> {
        match &self.saver {
            Some(saver) => saver.save(token).await,
            None => Ok(()),
        }
    }

    async fn check(&self) -> Result<(), BoxError> {
        match &self.saver {
            Some(saver) => saver.check().await,
            None => Ok(()),
        }
    }

    async fn delete(&self) -> Result<(), BoxError> {
        (self.delete)().await.map_err(Into::into)
    }
}

#[async_trait]
impl<F, Fut, E> TokenSaver for F
where
    F: Fn(Token) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<(), E>> + Send,
    E: Into<BoxError>,
{
    async fn save(&self, token: Token) -> Result<(), BoxError> {
        self(token).await.map_err(Into::into)
    }
}
