//! `SendRequest`: a way to send a request.

use std::future::Future;

use http::Extensions;
use reqwest::{Client, Request, Response};

/// Something that sends a request, below this layer: a `&reqwest::Client`, or a closure `|request|
/// async move { … }` for a client or a stack of your own.
///
/// It is called each time that a request is sent, so again after a 401.
pub trait SendRequest: Send {
    /// The error of sending.
    type Error: 'static;

    /// Sends the request, which has its token, and returns the response. It may follow redirects, but must
    /// remove the `Authorization` header if one leads to another origin, as reqwest does. If
    /// it follows redirects, the response must have the URL that it came from ([`Response::url`]).
    ///
    /// `extensions` are the request's: those that [`RequestOptions`](crate::RequestOptions) are put into,
    /// or those of the stack.
    fn send<'a>(
        &'a mut self,
        request: Request,
        extensions: &'a mut Extensions,
    ) -> impl Future<Output = Result<Response, Self::Error>> + Send;
}

impl SendRequest for &Client {
    type Error = reqwest::Error;

    #[inline]
    fn send<'a>(
        &'a mut self,
        request: Request,
        _: &'a mut Extensions,
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
    fn send<'a>(
        &'a mut self,
        request: Request,
        _: &'a mut Extensions,
    ) -> impl Future<Output = Result<Response, E>> + Send {
        self(request)
    }
}
