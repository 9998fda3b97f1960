//! `CredentialSource`.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::error::{BoxError, Error, Kind};

type Credential<T> = Pin<Box<dyn Future<Output = Result<T, BoxError>> + Send>>;

/// The application's closure that gives what a grant presents: an assertion, or a token. It is called
/// for every request.
pub(super) struct CredentialSource<T>(Arc<dyn Fn() -> Credential<T> + Send + Sync>);

impl<T> CredentialSource<T> {
    pub(super) fn new<F, Fut, E>(source: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<T, E>> + Send + 'static,
        E: Into<BoxError>,
        T: 'static,
    {
        Self(Arc::new(move || {
            let credential = source();
            Box::pin(async move { credential.await.map_err(Into::into) })
        }))
    }

    /// What to present now. An error of the application is transient, unless it says otherwise.
    pub(super) async fn get(&self) -> Result<T, Error> {
        (self.0)().await.map_err(|error| match error.downcast::<Error>() {
            Ok(ours) if matches!(ours.kind(), Kind::Grant { .. }) => *ours,
            Ok(ours) => Error::transient(ours),
            Err(other) => Error::transient(other),
        })
    }
}

impl<T> Clone for CredentialSource<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}
