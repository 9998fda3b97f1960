//! Where a grant's assertions come from: the application's closure, asked anew each time.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::error::{BoxError, Error};

type Answer<T> = Pin<Box<dyn Future<Output = Result<T, BoxError>> + Send>>;

/// The application's source of what a grant presents.
pub(super) struct Source<T>(Arc<dyn Fn() -> Answer<T> + Send + Sync>);

impl<T> Source<T> {
    pub(super) fn new<F, Fut, E>(source: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<T, E>> + Send + 'static,
        E: Into<BoxError>,
        T: 'static,
    {
        Self(Arc::new(move || {
            let answer = source();
            Box::pin(async move { answer.await.map_err(Into::into) })
        }))
    }

    /// What to present now. A failure of the application's may pass.
    pub(super) async fn get(&self) -> Result<T, Error> {
        (self.0)().await.map_err(Error::transient)
    }
}

impl<T> Clone for Source<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}
