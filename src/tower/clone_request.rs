//! `CloneRequest`: which requests can be sent again.

use http::Request;

/// How a request is kept, so that it can be sent again after a 401: [`CloneBodies`], [`SendOnce`], or the
/// function given to [`OAuthLayer::clone_body`](super::OAuthLayer::clone_body).
#[diagnostic::on_unimplemented(
    message = "requests with a `{B}` cannot be sent again by `{Self}`",
    label = "give the layer `.clone_body(…)`, or `.send_once()`"
)]
pub trait CloneRequest<B>: sealed::Sealed {
    /// The same request; `None` if it can be sent only once.
    #[doc(hidden)]
    fn clone_request(&self, request: &Request<B>) -> Option<Request<B>>;

    /// What `cloned` makes of the same request, or `otherwise` of this one.
    #[doc(hidden)]
    #[inline(always)]
    fn clone_or_else<T>(
        &self,
        request: &mut Request<B>,
        cloned: impl FnOnce(Request<B>) -> T,
        otherwise: impl FnOnce(&mut Request<B>) -> T,
    ) -> T {
        match self.clone_request(request) {
            Some(clone) => cloned(clone),
            None => otherwise(request),
        }
    }
}

mod sealed {
    pub trait Sealed {}
}

/// Every body can be cloned: `Full<Bytes>`, `Empty<Bytes>`, `String`, and others that are in memory.
#[derive(Debug, Clone, Copy, Default)]
pub struct CloneBodies;

/// No request is sent again: for streams. The 401 is returned, and the next request renews.
#[derive(Debug, Clone, Copy, Default)]
pub struct SendOnce;

/// The application makes a body again, with an `F: Fn(&B) -> Option<B>`.
#[derive(Clone, Copy)]
#[expect(missing_debug_implementations, reason = "nothing of a closure can be shown")]
pub struct CloneBodiesBy<F>(pub(super) F);

impl sealed::Sealed for CloneBodies {}
impl sealed::Sealed for SendOnce {}
impl<F> sealed::Sealed for CloneBodiesBy<F> {}

impl<B: Clone> CloneRequest<B> for CloneBodies {
    #[inline(always)]
    fn clone_request(&self, request: &Request<B>) -> Option<Request<B>> {
        Some(request.clone())
    }

    #[inline(always)]
    fn clone_or_else<T>(
        &self,
        request: &mut Request<B>,
        cloned: impl FnOnce(Request<B>) -> T,
        _: impl FnOnce(&mut Request<B>) -> T,
    ) -> T {
        cloned(request.clone())
    }
}

impl<B> CloneRequest<B> for SendOnce {
    #[inline]
    fn clone_request(&self, _: &Request<B>) -> Option<Request<B>> {
        None
    }
}

impl<B, F: Fn(&B) -> Option<B>> CloneRequest<B> for CloneBodiesBy<F> {
    fn clone_request(&self, request: &Request<B>) -> Option<Request<B>> {
        let mut clone = Request::new(self.0(request.body())?);
        *clone.method_mut() = request.method().clone();
        *clone.uri_mut() = request.uri().clone();
        *clone.headers_mut() = request.headers().clone();
        *clone.version_mut() = request.version();
        Some(clone)
    }
}
