//! `OAuthService`: the service that the layer makes.

use std::fmt;
use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tower_service::Service;

use super::clone_request::{CloneBodies, CloneRequest};
use super::http_stack::{Below, Settings};
use crate::error::BoxError;
use crate::request::{Api, RequestError};

/// A service whose requests carry a session's token; made by [`OAuthLayer`](super::OAuthLayer).
///
/// Cheap to clone if the service below is.
#[derive(Clone)]
pub struct OAuthService<S, C = CloneBodies> {
    inner: S,
    settings: Arc<Settings<C>>,
}

impl<S, C> OAuthService<S, C> {
    pub(super) fn new(inner: S, settings: Arc<Settings<C>>) -> Self {
        Self { inner, settings }
    }
}

impl<S, B, R, C> Service<http::Request<B>> for OAuthService<S, C>
where
    S: Service<http::Request<B>, Response = http::Response<R>> + Clone + Send + 'static,
    S::Error: Into<BoxError> + Send + 'static,
    S::Future: Send,
    B: Send + 'static,
    R: Send + 'static,
    C: CloneRequest<B> + Send + Sync + 'static,
{
    type Response = http::Response<R>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<http::Response<R>, BoxError>> + Send>>;

    /// Ready when the service below is: what it has reserved is for the first sending.
    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, mut request: http::Request<B>) -> Self::Future {
        // The one that is ready is the one to be called.
        let next = self.inner.clone();
        let ready = mem::replace(&mut self.inner, next);
        let settings = self.settings.clone();
        // The service below gets a clone of them with each sending.
        let extensions = mem::take(request.extensions_mut());
        let below = Below::ready(ready, settings.clone());
        Box::pin(Api::run(settings, request, extensions, below, unwrapped))
    }
}

/// The error of the service below, or of this crate, in no other.
fn unwrapped<E: Into<BoxError>>(error: RequestError<E>) -> BoxError {
    match error {
        RequestError::Token(error) => error.into(),
        RequestError::Send(error) => error.into(),
    }
}

impl<S: fmt::Debug, C> fmt::Debug for OAuthService<S, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OAuthService")
            .field("inner", &self.inner)
            .field("api", &self.settings.api)
            .finish_non_exhaustive()
    }
}
