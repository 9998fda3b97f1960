//! `SendRequest`: a way to send a request.

use std::future::Future;

use http::Extensions;
use reqwest::{Client, Request, Response};

/// A way to send a request: what is below this layer. A `&reqwest::Client` is one, and so is a closure
/// `|request| async move { … }`, for a client or a stack of your own.
///
/// It is called once for each time that a request is sent: again after a 401, say.
pub trait SendRequest: Send {
    /// What sending fails with.
    type Error: 'static;

    /// Sends the request, which has its token, and returns what it was answered. Follows redirects or not,
    /// but takes the `Authorization` header off where one leads to another origin, as reqwest does; the
    /// response says its URL ([`Response::url`]).
    ///
    /// `extensions` are the request's: those that [`RequestOptions`](crate::RequestOptions) are put into,
    /// or those of the stack.
    fn send(
        &mut self,
        request: Request,
        extensions: &mut Extensions,
    ) -> impl Future<Output = Result<Response, Self::Error>> + Send;
}

impl SendRequest for &Client {
    type Error = reqwest::Error;

    #[inline]
    fn send(
        &mut self,
        request: Request,
        _: &mut Extensions,
    ) -> impl Future<Output = Result<Response, Self::Error>> + Send {
        self.execute(request)
    }
}

impl<F, Fut, E> SendRequest for F
where
    F: FnMut(Request) -> Fut + Send,
    Fut: Future<Output = Result<Response, E>> + Send,
    E: 'static,
{
    type Error = E;

    #[inline]
    fn send(
        &mut self,
        request: Request,
        _: &mut Extensions,
    ) -> impl Future<Output = Result<Response, E>> + Send {
        self(request)
    }
}
